/**
 * The session that commands in a row belong to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AnonId } from "../domain/AnonId.ts"

/**
 * Gives the id of the running session.
 *
 * @category services
 * @since 0.1.0
 */
export class SessionStore extends Context.Service<SessionStore, {
  /**
   * The session of a device, prolonged: a new one after 30 minutes of silence and for every new anon id.
   */
  readonly touch: (anonId: AnonId) => Effect.Effect<string>
}>()("effect-cli-usage/services/SessionStore") {}
