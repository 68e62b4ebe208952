/**
 * Events that wait in memory until the API has answered whose they are, in a runtime where no later command can say so.
 */
import * as Effect from "effect/Effect"
import type { Credential } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { remembersNothing } from "../domain/Runtime.ts"
import * as StitchState from "../domain/StitchState.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import type { KnownFile } from "./KnownFile.ts"
import type * as Recorder from "./Recorder.ts"
import type { Belongs } from "./SteadyStitch.ts"

/** The events of a command that wait for an answer, in their order. */
export interface HeldEvents {
  /** Holds events under a credential from here on: the API is asked whose it is. */
  readonly wait: (about: Credential) => void
  /**
   * Records an event, or holds it: where an answer can still attribute it, and where an earlier event is held.
   *
   * `current` is the credential under which the event was recorded.
   */
  readonly record: (
    event: Recorder.Event,
    belongs: Belongs,
    now: number,
    current: StitchState.ReadCredential
  ) => Effect.Effect<void>
  /** Records what is held, what has no person under the principal where one is given; holds no event any more. */
  readonly release: (principal: PrincipalId | undefined) => Effect.Effect<void>
}

/**
 * Holds no event yet. The events are recorded without an answer when the scope closes, at SIGINT and SIGTERM, and when the
 * process exits.
 */
export const make = Effect.fnUntraced(function*(record: Recorder.Record, known: KnownFile) {
  const runtime = yield* HostRuntime
  const context = yield* Effect.context<never>()
  let held: Array<(principal: PrincipalId | undefined) => Effect.Effect<void>> = []
  let awaited: Credential | undefined
  let isOver = false
  let stopListening = () => {}

  const release: HeldEvents["release"] = (principal) =>
    Effect.suspend(() => {
      const all = held
      held = []
      awaited = undefined
      stopListening()
      return Effect.forEach(all, (write) => write(principal), { discard: true })
    })

  // From here on nothing is waited for.
  const end = Effect.suspend(() => {
    isOver = true
    return release(undefined)
  })
  const endNow = (): void => void Effect.runSyncExitWith(context)(end)
  yield* Effect.addFinalizer(() => end)
  yield* runtime.onExit(endNow)

  return {
    wait: (about) => {
      if (!isOver) awaited = about
    },
    record: (event, belongs, now, current) =>
      Effect.suspend(() => {
        const { identity, to } = belongs
        const isHeld = awaited !== undefined && (held.length > 0 ||
          (to.personless && remembersNothing(runtime, identity) && StitchState.is(current, awaited)))
        if (!isHeld) return record(event, belongs, now)
        if (held.length === 0) stopListening = runtime.onSignal(endNow)
        // The session is the one of now: another process may begin a new one before the answer.
        known.keep(known.sessionOf(identity.anonId, now), now, identity.durable)
        held.push((principal) => {
          const isTheirs = principal !== undefined && to.personless
          return record(event, isTheirs ? { identity, to: { distinctId: principal, personless: false } } : belongs, now)
        })
        return Effect.void
      }),
    release
  } satisfies HeldEvents
})
