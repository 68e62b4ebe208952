/**
 * Consent that a test decides.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { ConsentDecision } from "../domain/ConsentDecision.ts"
import { given } from "../domain/ConsentDecision.ts"
import { Consent } from "../services/Consent.ts"

/**
 * Always the same decision; given where none is named.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (decision: ConsentDecision = given): Layer.Layer<Consent> =>
  Layer.succeed(Consent, Consent.of({ decision: Effect.succeed(decision) }))

/**
 * The decision of a `Ref`, so that a test can change it while a command runs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRef = (decision: Ref.Ref<ConsentDecision>): Layer.Layer<Consent> =>
  Layer.succeed(Consent, Consent.of({ decision: Ref.get(decision) }))
