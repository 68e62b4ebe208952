/**
 * The worker's lease as files that can be made only once, a number higher each time: `lease-<n>`.
 *
 * It keeps workers to one at a time, normally. Correctness does not depend on it: two workers send the same bytes.
 *
 * A lease that its worker did not give up is evidence that workers end with their commands here (ADR 0023).
 */
import * as Predicate from "effect/Predicate"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { isRefused } from "../services/Disk.ts"
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
  readonly runtime: Pick<HostRuntime["Service"], "isAlive" | "isolated" | "markOf" | "pid">
}

/** Returns the highest number of the leases in an outbox; 0 where there is none. */
export const newest = ({ files, folder }: Pick<Leases, "files" | "folder">): number => {
  const names = files.list(folder)
  return isRefused(names) ? 0 : names.reduce((highest, name) => {
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
  /** Whether a worker holds it. */
  readonly isHeld: boolean
  /** Whether its worker ended without giving it up. */
  readonly isLeft: boolean
}

/**
 * Looks at the newest lease of an outbox.
 *
 * **Details**
 *
 * A process of another machine or PID namespace is believed to live until the end of its lease. In a PID namespace that may
 * end with the command, it is believed to have ended with its own.
 */
export const look = (leases: Leases, now: number): Seen => {
  const { files, folder, runtime } = leases
  const number = newest(leases)
  const lease = number === 0 ? undefined : files.decode(path(folder, number), decode)
  if (number === 0) return { number, lease, isHeld: false, isLeft: false }
  const isLeft = lease !== undefined && !(runtime.isAlive(lease.process) ?? !runtime.isolated)
  const isHeld = lease !== undefined && !isLeft && lease.until > now && lease.until - now <= longestMillis
  // A worker publishes the next number, and then removes the one before it; and it gives its lease up before it ends.
  return isHeld || newest(leases) === number ? { number, lease, isHeld, isLeft } : look(leases, now)
}
