/**
 * The opt-out in memory, for a test: consent that a host's user takes back and gives again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { type ConsentDecision, denied, given } from "../domain/ConsentDecision.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { OptOut } from "../services/OptOut.ts"
import { Outbox } from "../services/Outbox.ts"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(decision: Ref.Ref<ConsentDecision>) {
  const outbox = yield* Outbox
  const store = yield* IdentityStore
  return OptOut.of({
    publish: Effect.gen(function*() {
      yield* Ref.set(decision, denied({ _tag: "OptOutFile" }))
      yield* Effect.flatMap(outbox.entries, outbox.remove)
      yield* store.rotate
    }),
    withdraw: Ref.set(decision, given)
  })
})

/**
 * Changes the decision of a `Ref`, which `FixedConsent.layerRef` reads.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (decision: Ref.Ref<ConsentDecision>): Layer.Layer<OptOut, never, Outbox | IdentityStore> =>
  Layer.effect(OptOut, make(decision))
