/** The back-off after PostHog accepted no message of a request. */
import * as Predicate from "effect/Predicate"
import * as JsonDocument from "./JsonDocument.ts"

/** The back-off on disk. */
export interface BackOff {
  /** The number of failures in a row. */
  readonly attempts: number
  /** The end of the back-off, in milliseconds since 1970. */
  readonly until: number
  /** Why the last request failed. */
  readonly reason?: string
}

/** Decodes the back-off's file. */
export const decode = JsonDocument.decoder<BackOff>(({ attempts, reason, until }) =>
  JsonDocument.isNumber(attempts) && Number.isInteger(attempts) && JsonDocument.isNumber(until)
    ? { attempts, until, ...(Predicate.isString(reason) ? { reason } : {}) }
    : undefined
)

/** Encodes the back-off's file. */
export const encode = (backOff: BackOff): string => JSON.stringify(backOff)

const firstMillis = 1000
const longestMillis = 10 * 60 * 1000

/** Returns the back-off after one more failure: twice as long as the previous back-off, from 1 s to 10 min. */
export const next = (before: BackOff | undefined, now: number, reason: string): BackOff => {
  const attempts = (before?.attempts ?? 0) + 1
  return { attempts, until: now + Math.min(firstMillis * 2 ** (attempts - 1), longestMillis), reason }
}

/**
 * Returns the end of the back-off; 0 without a back-off.
 *
 * A time further ahead than the longest back-off is ignored: it was written before the clock was set back.
 */
export const until = (backOff: BackOff | undefined, now: number): number =>
  backOff === undefined || backOff.until - now > longestMillis ? 0 : backOff.until
