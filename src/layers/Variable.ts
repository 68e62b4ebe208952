/**
 * Environment variables, through the host's `ConfigProvider`.
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

/**
 * The value of a variable; undefined where it is not set, and `unreadable`, or undefined, where it cannot be read.
 *
 * A `Config` would say the same: it also describes itself, decodes by a schema and explains its failures, and a command
 * that reads a handful of names pays 0.4 ms of CPU for that.
 *
 * @category getters
 * @since 0.1.0
 */
export const read = (name: string, unreadable?: string): Effect.Effect<string | undefined> =>
  Effect.flatMap(
    ConfigProvider.ConfigProvider,
    (provider) => Effect.match(provider.load([name]), { onFailure: () => unreadable, onSuccess: (node) => node?.value })
  )
