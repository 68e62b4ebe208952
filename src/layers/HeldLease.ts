/** Acquires the worker's lease. */
import type { Errno } from "../services/Disk.ts"
import * as Lease from "./Lease.ts"

/** A lease that this process holds. */
export interface HeldLease {
  /** Returns whether the lease still exists. An opt-out deletes it, and another process may then acquire a lease. */
  readonly isHeld: () => boolean
  /**
   * Removes the lease, unless its time is over. `elapsed` is the time since the lease was acquired, in milliseconds of
   * the monotonic clock: the time of day may change in between.
   */
  readonly release: (elapsed: number) => void
}

/** The holder of a lease. */
export interface Holder extends Pick<Lease.Lease, "boots" | "id"> {
  /** The worker's process. */
  readonly pid: number
}

/**
 * Acquires the lease of an outbox for `life` milliseconds, at most 10,000. Returns undefined if the lease is held, and a
 * code if its file cannot be written.
 *
 * A worker takes over the lease that its starter acquired with the same id.
 */
export const acquire = (
  leases: Lease.Leases,
  now: number,
  life: number,
  holder: Holder
): HeldLease | Errno | undefined => {
  const { files, folder, runtime } = leases
  const { boots, id, pid } = holder
  const state = Lease.inspect(leases, now)
  const takesOver = !boots && state.lease?.boots === true && state.lease.id === id
  if (state.isHeld && !takesOver) return undefined
  const length = Math.min(life, Lease.longestMillis)
  const until = now + length
  const number = state.number + 1
  const own = Lease.path(folder, number)
  const lease: Lease.Lease = { until, id, boots, process: runtime.markOf(pid) }
  const code = files.publish(own, JSON.stringify(lease))
  if (code !== undefined) {
    // The starter of this worker may have acquired a lease since.
    if (code === "EEXIST" && (Lease.newest(leases) ?? 0) > state.number) return acquire(leases, now, life, holder)
    return code === "EEXIST" ? undefined : code
  }
  // The previous lease, expired or taken over, is obsolete. A worker also removes those of holders that were killed
  // before they removed their previous lease.
  const obsolete = boots ? [state.number] : Lease.numbers(leases) ?? []
  for (const other of obsolete) if (other > 0 && other < number) files.remove(Lease.path(folder, other))
  // Numbers restart after an opt-out, so a file of this name may be the lease of another worker.
  const isOwn = () => files.decode(own, Lease.decode)?.id === id
  return {
    // A lease that cannot be read now still exists.
    isHeld: () => isOwn() || files.read(own)._tag === "Unreadable",
    // After the end of the lease, another process may acquire it and remove the file.
    release: (elapsed) => {
      if (elapsed < length && isOwn()) files.remove(own)
    }
  }
}
