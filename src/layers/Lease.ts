/**
 * The worker's lease as files that can be made only once, a number higher each time: `lease-<n>`.
 *
 * It keeps workers to one at a time, normally. Correctness does not depend on it: two workers send the same bytes.
 *
 * A lease that its worker did not give up is evidence that workers end with their commands here (ADR 0023).
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { type Disk, isAbsent, isRefused } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { StateFiles } from "./StateFiles.ts"

/** A lease that ends later was made before the clock was set back: its worker has ended. */
export const longestMillis = 10_000

const prefix = "lease-"

/** A lease's file. */
export interface Lease {
  /** Until when it holds, in milliseconds since 1970. */
  readonly until: number
  /** The id that the starter gave to the worker. */
  readonly id: string
  /** Whether the starter took it: the worker has not begun yet. */
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

/** The leases of an outbox, as a process finds them. */
export interface Leases {
  readonly files: StateFiles
  readonly folder: string
  readonly runtime: Pick<HostRuntime["Service"], "disk" | "isAlive" | "isolated" | "markOf" | "pid">
}

/** Returns the highest number of the leases in an outbox: 0 where there is none, undefined where it cannot be listed now. */
export const newest = ({ files, folder }: Pick<Leases, "files" | "folder">): number | undefined => {
  const names = files.list(folder)
  return isRefused(names) ? undefined : names.reduce((highest, name) => {
    const number = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0
    return Number.isSafeInteger(number) ? Math.max(highest, number) : highest
  }, 0)
}

/** The newest lease of an outbox. */
export interface Seen {
  /** Its number; 0 where there is none. */
  readonly number: number
  /** Its file; undefined where there is none, or it cannot be read. */
  readonly lease: Lease | undefined
  /** Whether a worker holds it, or may hold it: it cannot be read now. */
  readonly isHeld: boolean
  /** Whether its worker ended without giving it up. */
  readonly isLeft: boolean
}

// Whoever took it, no lease holds longer than this.
const mayHold = (disk: Disk, file: string, now: number): boolean => {
  const entry = disk.look(file)
  if (isRefused(entry)) return !isAbsent(entry)
  return entry.type === "File" && Math.abs(now - entry.modifiedAt) <= longestMillis
}

/**
 * Looks at the newest lease of an outbox.
 *
 * **Details**
 *
 * A process of another machine or PID namespace is believed to live until the end of its lease. In a PID namespace that may
 * end with the command, it is believed to have ended with its own.
 */
export const look = (leases: Leases, now: number, isAgain = false): Seen => {
  const { files, folder, runtime } = leases
  const number = newest(leases)
  if (number === 0) return { number, lease: undefined, isHeld: false, isLeft: false }
  const file = number === undefined ? undefined : path(folder, number)
  const found = file === undefined ? undefined : files.read(file)
  if (number === undefined || found?._tag === "Unreadable") {
    // Where nothing is kept, no later command delivers what a single fault left.
    if (!isAgain) return look(leases, now, true)
    const isHeld = file === undefined || mayHold(runtime.disk, file, now)
    return { number: number ?? 0, lease: undefined, isHeld, isLeft: false }
  }
  const lease = found?._tag === "Text" ? Option.getOrUndefined(decode(found.text)) : undefined
  const isLeft = lease !== undefined && !(runtime.isAlive(lease.process) ?? !runtime.isolated)
  const isHeld = lease !== undefined && !isLeft && lease.until > now && lease.until - now <= longestMillis
  // A worker publishes the next number, and then removes the one before it; and it gives its lease up before it ends.
  return isHeld || newest(leases) === number ? { number, lease, isHeld, isLeft } : look(leases, now)
}
