/**
 * The worker's lease: write-once files with increasing numbers, `lease-<n>`.
 *
 * Normally it limits workers to one at a time. Correctness does not depend on it: two workers send the same bytes.
 *
 * A lease that its worker did not release is evidence that workers end with their commands here (ADR 0023).
 */
import * as Predicate from "effect/Predicate"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { type Disk, type Errno, isAbsent, isRefused } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { StateFiles } from "./StateFiles.ts"

/**
 * The maximum life of a worker and of its lease. A lease that ends later is expired: it was written before the clock was
 * set back.
 */
export const longestMillis = 10_000

const prefix = "lease-"

/** A lease's file. */
export interface Lease {
  /** The end of the lease, in milliseconds since 1970. */
  readonly until: number
  /** The id that the starter gave to the worker. */
  readonly id: string
  /** Whether the starter acquired the lease, and the worker has not begun yet. */
  readonly boots: boolean
  /** The mark of the worker's process. */
  readonly process: string
}

/** Decodes a lease's file. */
export const decode = JsonDocument.decoder<Lease>(({ boots, id, process, until }) =>
  JsonDocument.isNumber(until) && Predicate.isString(id) && Predicate.isBoolean(boots) && Predicate.isString(process)
    ? { until, id, boots, process }
    : undefined
)

/** Returns the path of a lease. */
export const path = (folder: string, number: number): string => `${folder}/${prefix}${number}`

/** The leases of an outbox, and the runtime of the process that reads them. */
export interface Leases {
  readonly files: StateFiles
  readonly folder: string
  readonly runtime: Pick<HostRuntime["Service"], "disk" | "isAlive" | "isolated" | "markOf" | "pid">
}

// Returns the numbers of the leases, in any order; undefined if the folder cannot be listed now.
const numbers = ({ files, folder }: Pick<Leases, "files" | "folder">): ReadonlyArray<number> | undefined => {
  const names = files.list(folder)
  if (isRefused(names)) return undefined
  const found = names.map((name) => name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0)
  return found.filter(Number.isSafeInteger)
}

/** Returns the number of the newest lease; 0 without a lease, undefined if the folder cannot be listed now. */
export const newest = (leases: Pick<Leases, "files" | "folder">): number | undefined =>
  numbers(leases)?.reduce((highest, number) => Math.max(highest, number), 0)

/** The state of the newest lease of an outbox. */
export interface LeaseState {
  /** The number of the lease; 0 without a lease. */
  readonly number: number
  /** The lease; undefined without a lease, or if it cannot be read. */
  readonly lease: Lease | undefined
  /** Whether a worker holds the lease. True also if it cannot be read now and may be held. */
  readonly isHeld: boolean
  /** Whether the worker ended without releasing the lease. */
  readonly isStale: boolean
}

// Returns whether a lease that cannot be read may still be held.
const mayHold = (disk: Disk, file: string, now: number): boolean => {
  const entry = disk.look(file)
  if (isRefused(entry)) return !isAbsent(entry)
  return entry.type === "File" && Math.abs(now - entry.modifiedAt) <= longestMillis
}

/**
 * Returns the state of the newest lease of an outbox.
 *
 * **Details**
 *
 * A process of another machine or PID namespace counts as running until the end of its lease. In a PID namespace that
 * may end with the command, it counts as ended.
 */
export const inspect = (leases: Leases, now: number, isRetry = false): LeaseState => {
  const { files, folder, runtime } = leases
  const number = newest(leases)
  if (number === 0) return { number, lease: undefined, isHeld: false, isStale: false }
  const file = number === undefined ? undefined : path(folder, number)
  const found = file === undefined ? undefined : files.read(file)
  if (number === undefined || found?._tag === "Unreadable") {
    // One retry: a stateless runtime has no later command that would deliver the messages.
    if (!isRetry) return inspect(leases, now, true)
    const isHeld = file === undefined || mayHold(runtime.disk, file, now)
    return { number: number ?? 0, lease: undefined, isHeld, isStale: false }
  }
  const lease = found?._tag === "Text" ? decode(found.text) : undefined
  const isStale = lease !== undefined && !(runtime.isAlive(lease.process) ?? !runtime.isolated)
  const isHeld = lease !== undefined && !isStale && lease.until > now && lease.until - now <= longestMillis
  // A worker publishes the next lease before it removes the previous one. If a newer lease exists, then it counts.
  return isHeld || newest(leases) === number ? { number, lease, isHeld, isStale } : inspect(leases, now)
}

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
export interface Holder extends Pick<Lease, "boots" | "id"> {
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
  leases: Leases,
  now: number,
  life: number,
  holder: Holder
): HeldLease | Errno | undefined => {
  const { files, folder, runtime } = leases
  const { boots, id, pid } = holder
  const state = inspect(leases, now)
  const takesOver = !boots && state.lease?.boots === true && state.lease.id === id
  if (state.isHeld && !takesOver) return undefined
  const length = Math.min(life, longestMillis)
  const until = now + length
  const number = state.number + 1
  const own = path(folder, number)
  const lease: Lease = { until, id, boots, process: runtime.markOf(pid) }
  const code = files.publish(own, JSON.stringify(lease))
  if (code !== undefined) {
    // The starter of this worker may have acquired a lease since.
    if (code === "EEXIST" && (newest(leases) ?? 0) > state.number) return acquire(leases, now, life, holder)
    return code === "EEXIST" ? undefined : code
  }
  // The previous lease, expired or taken over, is obsolete. A worker also removes those of holders that were killed
  // before they removed their previous lease.
  const obsolete = boots ? [state.number] : numbers(leases) ?? []
  for (const other of obsolete) if (other > 0 && other < number) files.remove(path(folder, other))
  // Numbers restart after an opt-out, so a file of this name may be the lease of another worker.
  const isOwn = () => files.decode(own, decode)?.id === id
  return {
    // A lease that cannot be read now still exists.
    isHeld: () => isOwn() || files.read(own)._tag === "Unreadable",
    // After the end of the lease, another process may acquire it and remove the file.
    release: (elapsed) => {
      if (elapsed < length && isOwn()) files.remove(own)
    }
  }
}
