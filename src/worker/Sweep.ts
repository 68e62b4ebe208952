/** Removes stale files of this package. */
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import type { WorkerJob } from "../domain/WorkerJob.ts"
import { trimFolder } from "../layers/OutboxWriter.ts"
import type { StateFiles } from "../layers/StateFiles.ts"
import { type Disk, isRefused } from "../services/Disk.ts"

// A process publishes a temp file within an hour, unless it is suspended. Then its link or rename fails.
const staleTempMillis = 60 * 60 * 1000

// Node.js adds compiled code for each version of Node.js, of the worker and of a bundled host, and never removes it.
const staleCodeMillis = 30 * 24 * 60 * 60 * 1000

/**
 * Removes temp files of killed processes, old compiled code, and old messages of every destination: after a change of
 * the key or the host, no command writes to the outbox of the former one, or trims it. The messages of another
 * destination are kept for at least 7 days, also if the worker's own are kept for less.
 */
export const sweep = (
  files: StateFiles,
  disk: Disk,
  now: number,
  own: Pick<WorkerJob, "destinationId" | "maxAgeMillis">
): void => {
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
    const { events, sent } = OutboxFolder.make(files.home, destination)
    const ageMillis = destination === own.destinationId
      ? own.maxAgeMillis
      : Math.max(own.maxAgeMillis, OutboxFolder.defaultBounds.ageMillis)
    trimFolder(files, events, now, { ageMillis, messages: Infinity, bytes: Infinity })
    trimFolder(files, sent, now, OutboxFolder.sentBounds)
  }
  sweepFolder(compileCache, staleCodeMillis)
  for (const version of namesIn(compileCache)) {
    const folder = `${compileCache}/${version}`
    sweepFolder(folder, staleCodeMillis)
    // A folder with write access for others is not used: a worker was killed before it had changed the mode.
    if (isRefused(files.list(folder))) disk.removeFolder(folder)
  }
}
