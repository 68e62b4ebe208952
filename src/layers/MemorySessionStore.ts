/**
 * The session, in memory.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { AnonId } from "../domain/AnonId.ts"
import { goesOn, type Session } from "../domain/Session.ts"
import { SessionStore } from "../services/SessionStore.ts"

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SessionStore, never, SecureRandom.SecureRandom> = Layer.effect(
  SessionStore,
  Effect.gen(function*() {
    const random = yield* SecureRandom.SecureRandom
    const held = yield* Ref.make<Session | undefined>(undefined)
    return SessionStore.of({
      touch: Effect.fnUntraced(function*(anonId: AnonId) {
        const now = yield* Clock.currentTimeMillis
        const known = yield* Ref.get(held)
        const session_id = known !== undefined && goesOn(known, anonId, now)
          ? known.session_id
          : yield* random.uuidV4()
        const session: Session = { version: 1, anon_id: anonId, session_id, last_active: now }
        yield* Ref.set(held, session)
        return session_id
      })
    })
  })
)
