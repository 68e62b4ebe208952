/** The tracked command of the running fiber. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import type { Shared } from "../domain/Shared.ts"

/**
 * The flag values, properties and groups that the host adds to a running command.
 *
 * @category models
 * @since 0.1.0
 */
export interface Annotations {
  /** The values of the flags in `Usage.withFlagValues`, for the event of the command. */
  readonly flagValues: Schema.JsonObject
  /** The properties and groups of every later event of the command. */
  readonly shared: Shared
}

/**
 * A running command.
 *
 * **Details**
 *
 * If a handler runs another command, then its run is the outer run of that command.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommandRun {
  /** The dotted path below the root. */
  readonly name: string
  /** The command that runs this command in its handler. */
  readonly outer: CommandRun | undefined
  readonly annotations: Ref.Ref<Annotations>
  /** The ends of the running flows, with which the exit of the process ends them. */
  readonly flows: Set<(exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>>
  /** Records the success of the command, once. */
  readonly recordSuccess: Effect.Effect<void>
  /** Records the exit of the process during the command, once. `error` is the uncaught error, if there is one. */
  readonly recordExit: (code: number, error: unknown) => Effect.Effect<void>
}

/** The command of the running fiber; `"untracked"` in a command that is not recorded. */
export const CurrentCommand: Context.Reference<CommandRun | "untracked" | undefined> = Context.Reference<
  CommandRun | "untracked" | undefined
>("effect-cli-usage/services/CurrentCommand", { defaultValue: () => undefined })

/** Returns the tracked command of the running fiber; undefined if there is none. */
export const trackedCommand: Effect.Effect<CommandRun | undefined> = Effect.map(
  CurrentCommand,
  (current) => current === "untracked" ? undefined : current
)
