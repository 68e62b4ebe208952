/** Environment variables, through the `ConfigProvider`. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Returns the value of a variable of the process; undefined if it is not set, or empty. */
export const ofProcess = (name: string): string | undefined => process.env[name] || undefined

/**
 * Returns the value of a variable; undefined if it is not set, `unreadable` if it cannot be read.
 *
 * Without a `ConfigProvider` of the host, the environment of the process is read: Effect's default provider reads it too,
 * and indexes every variable. `Config` is not used: it would take 0.4 ms of CPU per command.
 */
export const read = (name: string, unreadable?: string): Effect.Effect<string | undefined> =>
  Effect.withFiber(({ context }) => {
    const provider = Context.getOrUndefined(context, ConfigProvider.ConfigProvider)
    return provider === undefined
      ? Effect.succeed(ofProcess(name))
      : Effect.orElseSucceed(Effect.map(provider.load([name]), (node) => node?.value), () => unreadable)
  })
