/** What a host says of the command that runs. */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { combine, type Shared } from "../domain/Shared.ts"
import { CurrentCommand } from "../services/CurrentCommand.ts"

/**
 * Adds properties and groups to every event that this command records from here on, its own at the end included.
 *
 * **Details**
 *
 * For what a command learns while it runs; outside a tracked command it does nothing. Properties go as they are: no
 * schema checks them, and no dictionary lists them. `UsageContext` does the same for the events of a scope, and wins.
 *
 * **Example** (A command that works on a project)
 *
 * ```ts
 * const deploy = Command.make("deploy", {}, Effect.fnUntraced(function*() {
 *   const project = yield* Project
 *   yield* Usage.annotateCommand({ groups: { project: project.id } })
 * }))
 * ```
 */
export const annotateCommand = (shared: Shared): Effect.Effect<void> =>
  Effect.flatMap(CurrentCommand, (current) =>
    current === undefined || current === "untracked"
      ? Effect.void
      : Ref.update(current.annotations, (said) => ({ ...said, shared: combine(said.shared, shared) })))
