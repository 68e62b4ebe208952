/** Removes what nobody else removes. */
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import { type Disk, isRefused } from "../services/Disk.ts"
import { trimFolder } from "./OutboxWriter.ts"
import type { StateFiles } from "./StateFiles.ts"

// No process takes an hour from a temp file to its publication, unless it is suspended; its link or rename then fails.
const staleTempMillis = 60 * 60 * 1000

// Node.js keeps a file for each version of itself, of the worker, and of a host that is its own worker, and removes none.
const staleCodeMillis = 30 * 24 * 60 * 60 * 1000

/** Removes temp files of killed processes, old compiled code, and what was sent to any destination and is old. */
export const sweep = (files: StateFiles, disk: Disk, now: number): void => {
  const namesIn = (folder: string): ReadonlyArray<string> => {
    const names = files.list(folder)
    return isRefused(names) ? [] : names
  }
  const sweepFolder = (folder: string, afterMillis: number): void => {
    for (const name of namesIn(folder)) {
      const file = `${folder}/${name}`
      const entry = disk.look(file)
      if (!isRefused(entry) && entry.type === "File" && now - entry.modifiedAt > afterMillis) files.remove(file)
    }
  }
  const { compileCache, outboxes, temp } = files.home
  sweepFolder(temp, staleTempMillis)
  for (const destination of namesIn(outboxes)) {
    trimFolder(files, OutboxFolder.make(files.home, destination).sent, now, OutboxFolder.sentBounds)
  }
  sweepFolder(compileCache, staleCodeMillis)
  for (const version of namesIn(compileCache)) {
    const folder = `${compileCache}/${version}`
    sweepFolder(folder, staleCodeMillis)
    // One that others may write to is not used, and not looked into: a worker was killed before it had changed the mode.
    if (isRefused(files.list(folder))) disk.removeFolder(folder)
  }
}
