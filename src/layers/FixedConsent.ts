/**
 * Consent with a fixed decision, for tests.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { type ConsentDecision, denied, given } from "../domain/ConsentDecision.ts"
import { Consent } from "../services/Consent.ts"

/**
 * Provides the decision of a `Ref`, so that a test can change it while a command runs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRef = (decision: Ref.Ref<ConsentDecision>): Layer.Layer<Consent> =>
  Layer.succeed(
    Consent,
    Consent.of({
      begin: Effect.void,
      decision: Ref.get(decision),
      stillGiven: Effect.map(Ref.get(decision), ({ enabled }) => enabled),
      deny: Ref.set(decision, denied({ _tag: "OptOutFile" })),
      allow: Ref.set(decision, given)
    })
  )

/**
 * Provides one decision. Default: consent is given.
 *
 * **Example** (Testing a user who opted out)
 *
 * ```ts
 * const consent = FixedConsent.layer({ enabled: false, decidedBy: { _tag: "OptOutFile" } })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (decision: ConsentDecision = given): Layer.Layer<Consent> =>
  Layer.unwrap(Effect.map(Ref.make(decision), layerRef))
