/**
 * Whether this command may record anything.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ConsentDecision } from "../domain/ConsentDecision.ts"

/**
 * The user's decision, read from where users make it: environment, policy file, opt-out file.
 *
 * @category services
 * @since 0.1.0
 */
export class Consent extends Context.Service<Consent, {
  /**
   * The decision as it stands at this moment, and what decided it.
   *
   * **Details**
   *
   * It is asked again before every write and every request, so that `telemetry disable` reaches processes that run
   * already. What cannot be read denies. It never fails and changes nothing.
   */
  readonly decision: Effect.Effect<ConsentDecision>
}>()("effect-cli-usage/services/Consent") {}
