/**
 * The session, in `usage/session.json`; the last writer wins.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { AnonId } from "../domain/AnonId.ts"
import { keepsNothing } from "../domain/Runtime.ts"
import * as Session from "../domain/Session.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { SessionStore } from "../services/SessionStore.ts"
import { quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

// A burst of commands does not write the file each time.
const writeEveryMillis = 60 * 1000

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const files = yield* StateFiles
  const random = yield* SecureRandom.SecureRandom
  const runtime = yield* RuntimeEnvironment
  const held = yield* Ref.make<Session.Session | undefined>(undefined)

  const stored = files.decode(files.home.session, Session.decode)

  const touch = Effect.fnUntraced(function*(anonId: AnonId) {
    const now = yield* Clock.currentTimeMillis
    const known = (yield* Ref.get(held)) ?? (yield* stored)
    const session: Session.Session = known !== undefined && Session.goesOn(known, anonId, now)
      ? known
      : { version: 1, anon_id: anonId, session_id: yield* random.uuidV4(), last_active: 0 }
    const isDue = Math.abs(now - session.last_active) >= writeEveryMillis
    const current = isDue ? { ...session, last_active: now } : session
    yield* Ref.set(held, current)
    if (isDue && !keepsNothing(runtime)) {
      yield* quietly("the session was not written", undefined)(
        files.replace(files.home.session, Session.encode(current))
      )
    }
    return current.session_id
  })

  return SessionStore.of({ touch })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SessionStore, never, StateFiles | SecureRandom.SecureRandom | RuntimeEnvironment> =
  Layer.effect(SessionStore, make)
