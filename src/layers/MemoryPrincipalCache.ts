/**
 * What is known of credentials, in memory.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isKnown, key } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { PrincipalCache } from "../services/PrincipalCache.ts"

const noAnswerMillis = 60 * 60 * 1000

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<PrincipalCache> = Layer.sync(PrincipalCache, () => {
  const known = new Map<string, { readonly principal: PrincipalId | undefined; readonly at: number }>()
  return PrincipalCache.of({
    recall: (credential) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const entry = known.get(key(credential))
        if (entry === undefined) return undefined
        if (entry.principal !== undefined) return { _tag: "Principal", principal: entry.principal }
        return Math.abs(now - entry.at) < noAnswerMillis ? { _tag: "NoAnswer" } : undefined
      }),
    remember: (credential, principal) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        if (!isKnown(credential)) return
        // That nobody answered this time does not undo an answer.
        known.set(key(credential), { principal: principal ?? known.get(key(credential))?.principal, at })
      })
  })
})
