/**
 * The identity in memory, for a test.
 *
 * @since 0.1.0
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { AnonId } from "../domain/AnonId.ts"
import { isReadable } from "../domain/Claim.ts"
import { Claims } from "../services/Claims.ts"
import { type Identity, IdentityStore } from "../services/IdentityStore.ts"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const random = yield* SecureRandom.SecureRandom
  const claims = yield* Claims
  const fresh = Effect.fnUntraced(function*(durable: boolean): Effect.fn.Return<Identity> {
    return {
      anonId: AnonId.make(yield* random.uuidV4()),
      claim: undefined,
      published: false,
      durable,
      firstRun: false
    }
  })
  const first = yield* fresh(true)
  const state = yield* Ref.make(first)
  // As if on disk: the identity that stands there, and the anon ids that have.
  const durable = yield* Ref.make(first)
  const known = new Set([first.anonId])

  // What the next command would find.
  const peek = Effect.gen(function*() {
    const identity = yield* Ref.get(durable)
    return { ...identity, claim: yield* claims.find(identity.anonId) }
  })

  const set = Effect.fnUntraced(function*(identity: Identity) {
    yield* Ref.set(state, identity)
    if (!identity.durable) return
    yield* Ref.set(durable, identity)
    known.add(identity.anonId)
  })

  return IdentityStore.of({
    get: Ref.get(state),
    refresh: Effect.gen(function*() {
      const identity = yield* peek
      yield* Ref.set(state, identity)
      return identity
    }),
    stands: Effect.succeed(true),
    peek,
    claim: Effect.fnUntraced(function*(claim) {
      if (!known.has(claim.anon_id)) return { _tag: "Unwritable" } as const
      const result = yield* claims.publish(claim)
      const identity = yield* Ref.get(state)
      const held = result._tag === "Published" ? claim : result._tag === "Held" ? result.claim : undefined
      // The claim of an anon id that was rotated meanwhile stands, but it is not the new one's.
      if (identity.anonId === claim.anon_id && held !== undefined) yield* set({ ...identity, claim: held })
      return result
    }),
    confirmStored: Effect.gen(function*() {
      const identity = yield* Ref.get(state)
      const { claim } = identity
      if (claim === undefined || !isReadable(claim)) return
      yield* claims.confirmStored(identity.anonId)
      yield* set({ ...identity, claim: { ...claim, credential: "stored" } })
    }),
    rotate: Effect.gen(function*() {
      const identity = yield* fresh((yield* Ref.get(state)).durable)
      yield* set(identity)
      return { _tag: "Rotated", identity } as const
    }),
    forget: Effect.tap(fresh(false), (identity) => Ref.set(state, identity))
  })
})

/**
 * A device that was seen before, as if its identity stood on disk.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<IdentityStore, never, SecureRandom.SecureRandom | Claims> = Layer.effect(
  IdentityStore,
  make
)
