/**
 * The command that runs, as far as it is recorded.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import type { Shared } from "../domain/Shared.ts"

/**
 * What was said of a command while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Said {
  /** Values of flags that the author allowed to be sent, for the command's own event. */
  readonly flagValues: Schema.JsonObject
  /** For every event that follows. */
  readonly shared: Shared
}

/**
 * A command of the invocation: one that runs another is itself again when that has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tracked {
  /** Its dotted path. */
  readonly name: string
  /** The command that runs it. */
  readonly outer: Tracked | undefined
  readonly said: Ref.Ref<Said>
}

/**
 * The tracked command that the running fiber is in.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentCommand: Context.Reference<Tracked | undefined> = Context.Reference<Tracked | undefined>(
  "effect-cli-usage/services/CurrentCommand",
  { defaultValue: () => undefined }
)

/**
 * Whether the running fiber is in a command that is not recorded; if `CurrentCommand` is none, what its responses say
 * leaves no trace.
 *
 * @category references
 * @since 0.1.0
 */
export const IsUntracked: Context.Reference<boolean> = Context.Reference<boolean>(
  "effect-cli-usage/services/CurrentCommand/IsUntracked",
  { defaultValue: () => false }
)
