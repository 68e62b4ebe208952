/**
 * The worker's lease as files that can be made only once, a number higher each time: `lease-<n>`.
 *
 * It keeps workers to one at a time, normally. Correctness does not depend on it: two workers send the same bytes.
 *
 * @since 0.1.0
 */
import * as JsonDocument from "../domain/JsonDocument.ts"
import { isRefused } from "../services/Disk.ts"
import type { StateFiles } from "./StateFiles.ts"

/** A lease that ends later was made before the clock was set back: its worker has ended. */
export const longestMillis = 10_000

const prefix = "lease-"

/**
 * Decodes a lease's file: until when it holds, in milliseconds since 1970.
 *
 * @category codecs
 * @since 0.1.0
 */
export const decode = JsonDocument.decoder(({ until }) => JsonDocument.isNumber(until) ? { until } : undefined)

/**
 * Returns the path of a lease.
 *
 * @category getters
 * @since 0.1.0
 */
export const path = (folder: string, number: number): string => `${folder}/${prefix}${number}`

/**
 * Returns the highest number of the leases in an outbox; 0 where there is none.
 *
 * @category getters
 * @since 0.1.0
 */
export const newest = (files: StateFiles, folder: string): number => {
  const names = files.list(folder)
  return isRefused(names) ? 0 : names.reduce((highest, name) => {
    const number = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0
    return Number.isSafeInteger(number) ? Math.max(highest, number) : highest
  }, 0)
}

/**
 * Returns whether a lease holds now.
 *
 * @category getters
 * @since 0.1.0
 */
export const isLive = (files: StateFiles, folder: string, number: number, now: number): boolean => {
  const held = number === 0 ? undefined : files.decode(path(folder, number), decode)
  return held !== undefined && held.until > now && held.until - now <= longestMillis
}

/**
 * Returns whether a worker holds the lease of an outbox.
 *
 * @category getters
 * @since 0.1.0
 */
export const isHeld = (files: StateFiles, folder: string, now: number): boolean => {
  const seen = newest(files, folder)
  if (seen === 0) return false
  // A worker publishes the next number, and then removes the one before it: a look in between finds neither.
  return isLive(files, folder, seen, now) || (newest(files, folder) !== seen && isHeld(files, folder, now))
}
