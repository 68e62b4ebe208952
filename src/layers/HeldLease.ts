/** Takes the worker's lease. */
import * as Lease from "./Lease.ts"

/** A lease that this process holds. */
export interface HeldLease {
  readonly number: number
  /** Returns whether the lease is still there: an opt-out deletes it, and another process may then take one. */
  readonly stands: () => boolean
  readonly release: (now: number) => void
}

/** Whose lease it is. */
export interface Holder extends Pick<Lease.Lease, "boots" | "id"> {
  /** The worker's process. */
  readonly pid: number
}

/**
 * Takes the lease of an outbox for `life` milliseconds, 10,000 at most; undefined where it is held.
 *
 * A worker takes over, by its id, the lease that its starter took for it.
 */
export const acquire = (
  leases: Lease.Leases,
  now: number,
  life: number,
  holder: Holder
): HeldLease | undefined => {
  const { files, folder, runtime } = leases
  const { boots, id, pid } = holder
  const seen = Lease.look(leases, now)
  const takesOver = !boots && seen.lease?.boots === true && seen.lease.id === id
  if (seen.isHeld && !takesOver) return undefined
  const until = now + Math.min(life, Lease.longestMillis)
  const number = seen.number + 1
  const own = Lease.path(folder, number)
  const lease: Lease.Lease = { until, id, boots, process: runtime.markOf(pid) }
  const code = files.publish(own, JSON.stringify(lease))
  if (code !== undefined) {
    // The starter of this worker may have been late.
    if (code === "EEXIST" && (Lease.newest(leases) ?? 0) > seen.number) return acquire(leases, now, life, holder)
    if (code !== "EEXIST") files.notes.add(`could not take the lease: ${code}`)
    return undefined
  }
  // The number of the one before, left or taken over, has been counted on.
  if (seen.number > 0) files.remove(Lease.path(folder, seen.number))
  // Numbers restart after an opt-out, so a file of this name may be another's.
  const isOwn = () => files.decode(own, Lease.decode)?.id === id
  return {
    number,
    // One that cannot be read now was not deleted for that.
    stands: () => isOwn() || files.read(own)._tag === "Unreadable",
    // After its end another process may take it over, and remove it.
    release: (now) => {
      if (now < until && isOwn()) files.remove(own)
    }
  }
}
