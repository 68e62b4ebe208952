/** Environment variables, through the `ConfigProvider`. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

/** The process's own environment: `ConfigProvider.fromEnv` would index every variable, for a handful of names. */
export const ofProcess: ConfigProvider.ConfigProvider = ConfigProvider.make((path) =>
  Effect.sync(() => {
    const value = process.env[path.join("_")]
    return value === undefined || value === "" ? undefined : ConfigProvider.makeValue(value)
  })
)

/**
 * Returns the value of a variable; undefined where it is not set, and `unreadable` where it cannot be read.
 *
 * A `Config` would describe itself, decode by a schema and explain its failures, which costs a command 0.4 ms of CPU.
 */
export const read = (name: string, unreadable?: string): Effect.Effect<string | undefined> =>
  Effect.flatMap(
    ConfigProvider.ConfigProvider,
    (provider) => Effect.match(provider.load([name]), { onFailure: () => unreadable, onSuccess: (node) => node?.value })
  )
