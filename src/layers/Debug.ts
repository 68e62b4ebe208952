/** Debug lines: the errors of this package never reach the host. */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { LogLevel } from "effect/LogLevel"
import * as References from "effect/References"

/**
 * Whether `<NAME>_USAGE_DEBUG` is set. Then every debug line and every recorded message is printed to stderr, whatever
 * the host's log level and loggers.
 */
export const IsDebugMode: Context.Reference<boolean> = Context.Reference<boolean>(
  "effect-cli-usage/layers/Debug/IsDebugMode",
  {
    defaultValue: () => false
  }
)

// Only Effect's default loggers use `LogToStderr`: the JSON, logfmt and structured loggers write to `console.log`.
const onStderr = (console: Console.Console): Console.Console => {
  const error = (...args: ReadonlyArray<unknown>) => console.error(...args)
  const own = { value: error }
  // An assignment would fail on a frozen console.
  return Object.create(console, { debug: own, error: own, info: own, log: own })
}

const logged: ReadonlySet<LogLevel> = new Set(["All", "Trace", "Debug"])

/** Returns whether a fiber writes debug lines. Most commands log nothing at this level. */
export const isLogged = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(IsDebugMode) || logged.has(fiber.getRef(References.MinimumLogLevel))

/**
 * Writes a debug line to stderr, never to stdout: by the host's loggers at level Debug, or directly in debug mode. A
 * defect in a logger of the host is ignored.
 */
export const debug = (message: string, ...details: ReadonlyArray<unknown>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    if (!isLogged(fiber)) return Effect.void
    const text = `usage: ${message}`
    const line = Effect.suspend(() =>
      fiber.getRef(IsDebugMode)
        ? Console.error(text, ...details.map((detail) => Cause.isCause(detail) ? Cause.pretty(detail) : detail))
        : Effect.logDebug(text, ...details).pipe(
          Effect.provideService(References.LogToStderr, true),
          Effect.updateService(Console.Console, onStderr)
        )
    )
    return Effect.catchDefect(line, () => Effect.void)
  })

/** Recovers from every failure and defect with a debug line, and returns undefined. An interruption is kept. */
export const debugFailure =
  (message: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | undefined, never, R> =>
    Effect.catchCause(
      effect,
      (cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.as(debug(message, cause), undefined)
    )
