/** How a best-effort part says that it failed. */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { LogLevel } from "effect/LogLevel"
import * as References from "effect/References"

/**
 * Whether the host's author reads along: then every debug line is printed, whatever the host's log level and loggers,
 * and every message as it is recorded.
 */
export const IsShown: Context.Reference<boolean> = Context.Reference<boolean>("effect-cli-usage/layers/Debug/IsShown", {
  defaultValue: () => false
})

// `LogToStderr` is heard by Effect's default loggers only: JSON, logfmt and structured ones write to `console.log`.
const onStderr = (console: Console.Console): Console.Console => {
  const error = (...args: ReadonlyArray<unknown>) => console.error(...args)
  const own = { value: error }
  // Not by assignment, which a frozen console would refuse.
  return Object.create(console, { debug: own, error: own, info: own, log: own })
}

const logged: ReadonlySet<LogLevel> = new Set(["All", "Trace", "Debug"])

/**
 * A debug line on stderr, never on stdout, which is the host's: through the host's own loggers at level Debug, and
 * printed as it is where `IsShown`. A logger of the host's that dies is not telemetry's to tell of.
 */
export const debug = (message: string, ...details: ReadonlyArray<unknown>): Effect.Effect<void> =>
  Effect.gen(function*() {
    // Most commands log nothing at this level, and need not find out how.
    if (!(yield* IsShown) && !logged.has(yield* References.MinimumLogLevel)) return
    const text = `usage: ${message}`
    if (yield* IsShown) {
      return yield* Console.error(
        text,
        ...details.map((detail) => Cause.isCause(detail) ? Cause.pretty(detail) : detail)
      )
    }
    yield* Effect.logDebug(text, ...details).pipe(
      Effect.provideService(References.LogToStderr, true),
      Effect.updateService(Console.Console, onStderr)
    )
  }).pipe(Effect.catchDefect(() => Effect.void))

/** Ends every failure, defects included, in a debug line and the given value; an interruption goes on. */
export const quietly =
  <B>(message: string, fallback: B) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | B, never, R> =>
    Effect.catchCause(effect, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.as(debug(message, cause), fallback))
