/**
 * Takes the worker's lease.
 *
 * @since 0.1.0
 */
import * as Lease from "./Lease.ts"
import type { StateFiles } from "./StateFiles.ts"

/**
 * A lease that this process holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface HeldLease {
  readonly number: number
  /** Returns whether the lease is still there: an opt-out deletes it, and another process may then take one. */
  readonly stands: () => boolean
  readonly release: (now: number) => void
}

/**
 * Takes the lease of an outbox for `life` milliseconds, 10,000 at most; undefined where it is held.
 *
 * A worker takes over, by its number, the lease that its starter took for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const acquire = (
  files: StateFiles,
  folder: string,
  now: number,
  life: number,
  takesOver?: number
): HeldLease | undefined => {
  const last = Lease.newest(files, folder)
  if (last !== takesOver && Lease.isLive(files, folder, last, now)) return undefined
  const until = now + Math.min(life, Lease.longestMillis)
  const number = last + 1
  const own = Lease.path(folder, number)
  const code = files.publish(own, JSON.stringify({ until }))
  if (code !== undefined) {
    if (code !== "EEXIST") files.notes.add(`could not take the lease: ${code}`)
    return undefined
  }
  // The number of the one before, expired or taken over, has been counted on.
  if (last > 0) files.remove(Lease.path(folder, last))
  // Numbers restart after an opt-out, so a file of this name may be another's.
  const stands = () => files.decode(own, Lease.decode)?.until === until
  return {
    number,
    stands,
    // After its end another process may take it over, and remove it.
    release: (now) => {
      if (now < until && stands()) files.remove(own)
    }
  }
}
