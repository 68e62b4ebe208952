/**
 * How a best-effort part says that it failed.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as References from "effect/References"

/**
 * A debug line on stderr: Effect's default logger writes to stdout, which is the host's.
 *
 * @category logging
 * @since 0.1.0
 */
export const debug = (message: string, ...details: ReadonlyArray<unknown>): Effect.Effect<void> =>
  Effect.provideService(Effect.logDebug(`usage: ${message}`, ...details), References.LogToStderr, true)

/**
 * Ends every failure, defects included, in a debug line and the given value; an interruption goes on.
 *
 * @category error handling
 * @since 0.1.0
 */
export const quietly =
  <B>(message: string, fallback: B) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | B, never, R> =>
    Effect.catchCause(effect, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.as(debug(message, cause), fallback))
