/**
 * The common properties and groups of several events.
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
  /** Properties. If an event declares the same name, then the event's own value is sent. */
  readonly properties?: Schema.JsonObject | undefined
  /** PostHog's groups, by type: `{ organization: "org_1", project: "prj_2" }`. */
  readonly groups?: Readonly<Record<string, string>> | undefined
}

/** Merges properties and groups. For a name in both, the value of `second` is used. */
export const merge = (first: Shared, second: Shared): Shared => ({
  properties: { ...first.properties, ...second.properties },
  groups: { ...first.groups, ...second.groups }
})
