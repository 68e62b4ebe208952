/**
 * The identity slot as a `Ref`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<IdentitySlot> = Layer.effect(
  IdentitySlot,
  Effect.map(
    Ref.make<PrincipalId | undefined>(undefined),
    (slot) => IdentitySlot.of({ get: Ref.get(slot), set: (principal) => Ref.set(slot, principal) })
  )
)
