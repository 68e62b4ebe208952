/**
 * The tracked command that runs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import type { Shared } from "../domain/Shared.ts"

/**
 * The flag values, properties and groups that a host's author adds to a command while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Annotations {
  /** Values of flags that the author allows to be sent, for the command's own event. */
  readonly flagValues: Schema.JsonObject
  /** For every event that follows. */
  readonly shared: Shared
}

/**
 * A command whose handler runs.
 *
 * **Details**
 *
 * A handler that runs another command is the outer run of that command.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommandRun {
  /** The dotted path below the root. */
  readonly name: string
  /** The command whose handler runs this one. */
  readonly outer: CommandRun | undefined
  readonly annotations: Ref.Ref<Annotations>
  /** Records, once, that the command succeeded. */
  readonly recordSuccess: Effect.Effect<void>
  /** Records, once, how the process ended within the command; `error` is what was thrown. */
  readonly recordExit: (code: number, error: unknown) => Effect.Effect<void>
}

/**
 * The command that the running fiber is in; `"untracked"` in one that is not recorded.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentCommand: Context.Reference<CommandRun | "untracked" | undefined> = Context.Reference<
  CommandRun | "untracked" | undefined
>("effect-cli-usage/services/CurrentCommand", { defaultValue: () => undefined })
