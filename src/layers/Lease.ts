/**
 * The worker's lease: write-once files with increasing numbers, `lease-<n>`.
 *
 * Normally it limits workers to one at a time. Correctness does not depend on it: two workers send the same bytes.
 *
 * A lease that its worker did not release is evidence that workers end with their commands here (ADR 0023).
 */
import * as Predicate from "effect/Predicate"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { type Disk, isAbsent, isRefused } from "../services/Disk.ts"
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

/** Returns the numbers of the leases, in any order; undefined if the folder cannot be listed now. */
export const numbers = ({ files, folder }: Pick<Leases, "files" | "folder">): ReadonlyArray<number> | undefined => {
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
