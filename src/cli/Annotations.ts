/** Properties and groups of the running command. */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { merge, type Shared } from "../domain/Shared.ts"
import { debugFailure } from "../layers/Debug.ts"
import { CurrentCommand } from "../services/CurrentCommand.ts"

/**
 * Adds properties and groups to every later event of this command, its own event at the end included.
 *
 * **When to use**
 *
 * Use it for values that a command finds while it runs. For the events of a scope, use `UsageContext`, which takes
 * precedence.
 *
 * **Details**
 *
 * Outside a tracked command it is a no-op. No schema checks the properties, and no data dictionary lists them.
 *
 * **Example** (Adding the project of a command)
 *
 * ```ts
 * const deploy = Command.make("deploy", {}, Effect.fnUntraced(function*() {
 *   const project = yield* Project
 *   yield* Usage.annotateCommand({ groups: { project: project.id } })
 * }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const annotateCommand = (shared: Shared): Effect.Effect<void> =>
  Effect.flatMap(CurrentCommand, (current) =>
    current === undefined || current === "untracked"
      ? Effect.void
      : Ref.update(current.annotations, (before) => ({ ...before, shared: merge(before.shared, shared) }))).pipe(
      // A getter of the host may throw.
      debugFailure("could not annotate a command")
    )
