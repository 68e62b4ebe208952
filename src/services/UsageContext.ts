/** The properties and groups of every event of a scope. */
import * as Context from "effect/Context"
import type { Shared } from "../domain/Shared.ts"

/**
 * The properties and groups that the events of the running fiber share. Default: none.
 *
 * **Gotchas**
 *
 * The event of the command is recorded after its handler, outside every scope of the handler. Use
 * `Usage.annotateCommand` for that event.
 *
 * **Example** (Adding a group to all events of a build)
 *
 * ```ts
 * build.pipe(Effect.provideService(UsageContext, { groups: { project: project.id } }))
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const UsageContext: Context.Reference<Shared> = Context.Reference<Shared>(
  "effect-cli-usage/services/UsageContext",
  { defaultValue: () => ({}) }
)
