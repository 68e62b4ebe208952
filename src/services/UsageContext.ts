/**
 * What every event of a scope has in common.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { Shared } from "../domain/Shared.ts"

/**
 * The context of the running fiber; empty where nobody set it.
 *
 * **Gotchas**
 *
 * A command's own event is recorded after its handler, outside of every scope in it: `Usage.annotateCommand` reaches it.
 *
 * **Example** (All that is recorded while a project is built)
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
