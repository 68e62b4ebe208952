/**
 * How long PostHog is left alone after it took nothing.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as JsonDocument from "./JsonDocument.ts"

const schema = () =>
  Schema.Struct({ attempts: Schema.Int, until: Schema.Finite, reason: Schema.optionalKey(Schema.String) })

/**
 * How often in a row it took nothing, why at last, and until when, in milliseconds since 1970, it is not asked again.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackOff extends Schema.Schema.Type<ReturnType<typeof schema>> {}

/**
 * The back-off's file.
 *
 * @category codecs
 * @since 0.1.0
 */
export const { decode, encode } = JsonDocument.make(schema)

const firstMillis = 1000
const longestMillis = 10 * 60 * 1000

/**
 * The back-off after another failure: twice as long as the one before it, from 1 s to 10 min.
 *
 * @category constructors
 * @since 0.1.0
 */
export const next = (before: BackOff | undefined, now: number, reason: string): BackOff => {
  const attempts = (before?.attempts ?? 0) + 1
  return { attempts, until: now + Math.min(firstMillis * 2 ** (attempts - 1), longestMillis), reason }
}

/**
 * Until when PostHog is not asked; 0 where it may be. One that is longer than the longest is of a clock that was set back.
 *
 * @category rules
 * @since 0.1.0
 */
export const until = (backOff: BackOff | undefined, now: number): number =>
  backOff === undefined || backOff.until - now > longestMillis ? 0 : backOff.until
