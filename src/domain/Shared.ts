/**
 * What several events have in common.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"

/**
 * Properties and PostHog groups that several events share.
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

/** Both together; of a name that both have, the second one's. */
export const combine = (first: Shared, second: Shared): Shared => ({
  properties: { ...first.properties, ...second.properties },
  groups: { ...first.groups, ...second.groups }
})
