/**
 * The identity in memory, for a test or for a process that may write nothing.
 *
 * @since 0.1.0
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { AnonId } from "../domain/AnonId.ts"
import { isReadable } from "../domain/Claim.ts"
import { Claims } from "../services/Claims.ts"
import { type Identity, IdentityStore } from "../services/IdentityStore.ts"

const decodeAnonId = Schema.decodeSync(AnonId)

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: { readonly durable: boolean; readonly firstRun: boolean }) {
  const random = yield* SecureRandom.SecureRandom
  const claims = yield* Claims
  const fresh = Effect.map(random.uuidV4(), (uuid): Identity => ({
    anonId: decodeAnonId(uuid),
    claim: undefined,
    published: options.firstRun && options.durable,
    ...options
  }))
  const state = yield* Ref.make(yield* fresh)
  return IdentityStore.of({
    get: Ref.get(state),
    refresh: Ref.get(state),
    stands: Effect.succeed(true),
    // It makes nothing, and what is in memory only is not there for the next command.
    peek: Effect.map(Ref.get(state), (identity) => identity.durable ? identity : undefined),
    claim: (claim) =>
      Effect.tap(claims.publish(claim), (result) =>
        result._tag === "Unwritable"
          ? Effect.void
          : Ref.update(state, (identity) => ({ ...identity, claim: result._tag === "Held" ? result.claim : claim }))),
    confirmStored: Effect.flatMap(
      Ref.get(state),
      ({ anonId, claim }) =>
        claim === undefined || !isReadable(claim) ? Effect.void : Effect.andThen(
          claims.confirmStored(anonId),
          Ref.update(state, (identity) => ({ ...identity, claim: { ...claim, credential: "stored" as const } }))
        )
    ),
    rotate: Effect.flatMap(
      fresh,
      (identity) => Effect.as(Ref.set(state, identity), { _tag: "Rotated", identity } as const)
    ),
    forget: Effect.tap(
      Effect.map(fresh, (identity): Identity => ({ ...identity, durable: false })),
      (identity) => Ref.set(state, identity)
    )
  })
})

/**
 * A device that was seen before, as if its identity stood on disk; or one in memory only.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: { readonly durable: boolean; readonly firstRun: boolean } = { durable: true, firstRun: false }
): Layer.Layer<IdentityStore, never, SecureRandom.SecureRandom | Claims> => Layer.effect(IdentityStore, make(options))
