/** Reads files that another process may write in place: for a moment such a file is empty, or its JSON is incomplete. */
import { isJson } from "../domain/JsonDocument.ts"
import { type Disk, isRefused, type Read, refusedRead } from "../services/Disk.ts"
import type { StateFiles } from "./StateFiles.ts"

// A write of some hundred bytes takes less than a millisecond. A command waits only once.
const pauses: ReadonlyArray<number> = [1, 2, 4]

// A file that was changed in this time, by the clock of this machine, may still be written: FAT rounds times to two
// seconds. A time in the future counts only as far, or a file would be unfinished for long after the clock was set back.
const freshMillis = 3_000

/** The code of a file that cannot be read now, because it may still be written. */
const unfinished = "EAGAIN"

const pause = (millis: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)

/**
 * Returns a function that reads a file until it is finished: until its text is usable, or complete JSON. If it is not
 * finished soon, then it cannot be read now.
 */
export const make = (
  files: StateFiles,
  { disk, mayWait, now }: {
    readonly disk: Disk
    /** Whether a command may wait for 7 ms: it would create a successor. */
    readonly mayWait: boolean
    readonly now: () => number
  }
) => {
  const left = mayWait ? [...pauses] : []
  return (file: string, isUsable: (text: string) => boolean): Read => {
    for (;;) {
      const read = files.read(file)
      // A complete JSON text stays as it is, also if it is not usable.
      if (read._tag !== "Text" || isUsable(read.text) || isJson(read.text)) return read
      const millis = left.shift()
      if (millis !== undefined) pause(millis)
      else {
        const entry = disk.look(file)
        if (isRefused(entry)) return refusedRead(entry)
        const isFresh = Math.abs(now() - entry.modifiedAt) < freshMillis
        return isFresh ? { _tag: "Unreadable", code: unfinished } : read
      }
    }
  }
}
