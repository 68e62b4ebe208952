/**
 * Claims in memory, for a test or for a process that may write nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AnonId } from "../domain/AnonId.ts"
import type { Claim } from "../domain/Claim.ts"
import { type Alias, Claims } from "../services/Claims.ts"

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Claims> = Layer.sync(Claims, () => {
  const claims = new Map<AnonId, Claim>()
  const settled = new Set<AnonId>()
  return Claims.of({
    find: (anonId) => Effect.sync(() => claims.get(anonId)),
    publish: (claim) =>
      Effect.sync(() => {
        const held = claims.get(claim.anon_id)
        if (held !== undefined) return { _tag: "Held", claim: held }
        claims.set(claim.anon_id, claim)
        return { _tag: "Published" }
      }),
    confirmStored: (anonId) =>
      Effect.sync(() => {
        const held = claims.get(anonId)
        if (held !== undefined) claims.set(anonId, { ...held, credential: "stored" })
      }),
    undelivered: (destination) =>
      Effect.sync(() =>
        [...claims.values()].flatMap(({ alias, anon_id: anonId, destination: to }): ReadonlyArray<Alias> =>
          alias === null || to !== destination || settled.has(anonId)
            ? []
            : [{ _tag: "Alias", anonId, message: alias }]
        )
      ),
    settle: (anonId) => Effect.sync(() => void settled.add(anonId))
  })
})
