/** Environment variables, through the `ConfigProvider`. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

/** Returns the value of a variable of the process; undefined if it is not set, or empty. */
export const ofProcess = (name: string): string | undefined => process.env[name] || undefined

/**
 * Returns a provider that falls back to the environment of the process. `ConfigProvider.fromEnv` would index every
 * variable for a few names.
 */
export const withProcessEnvironment = (provider: ConfigProvider.ConfigProvider): ConfigProvider.ConfigProvider =>
  ConfigProvider.make((path) =>
    Effect.map(provider.load(path), (node) => {
      const value = node === undefined ? ofProcess(path.join("_")) : undefined
      return value === undefined ? node : ConfigProvider.makeValue(value)
    })
  )

/**
 * Returns the value of a variable; undefined if it is not set, `unreadable` if it cannot be read.
 *
 * It does not use `Config`, which would take 0.4 ms of CPU per command.
 */
export const read = (name: string, unreadable?: string): Effect.Effect<string | undefined> =>
  Effect.flatMap(
    ConfigProvider.ConfigProvider,
    (provider) => Effect.orElseSucceed(Effect.map(provider.load([name]), (node) => node?.value), () => unreadable)
  )
