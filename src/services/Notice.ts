/**
 * What the author tells the user, once, before the first command that can show it is recorded.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * Shows the notice.
 *
 * @category services
 * @since 0.1.0
 */
export class Notice extends Context.Service<Notice, {
  /** Shows it on stderr, once on a device, where stderr is a terminal and there is a notice. */
  readonly show: Effect.Effect<void>
}>()("effect-cli-usage/services/Notice") {}
