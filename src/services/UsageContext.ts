/**
 * What every event of a scope has in common.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Schema from "effect/Schema"

/**
 * Properties and groups of a scope.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shared {
  /** Properties under an event's own: an event that declares the same name has its own value. */
  readonly properties?: Schema.JsonObject | undefined
  /** PostHog's groups, by type: `{ organization: "org_1", project: "prj_2" }`. */
  readonly groups?: Readonly<Record<string, string>> | undefined
}

/**
 * The context of the running fiber; empty where nobody set it.
 *
 * **Example** (Everything that a project's command records)
 *
 * ```ts
 * command.pipe(Effect.provideService(UsageContext, { groups: { project: project.id } }))
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const UsageContext: Context.Reference<Shared> = Context.Reference<Shared>(
  "effect-cli-usage/services/UsageContext",
  { defaultValue: () => ({}) }
)
