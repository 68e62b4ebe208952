/**
 * Events in memory until the API names their principal, in an ephemeral runtime: this command does not claim the anon id,
 * and after a first run without a terminal a later one may claim it for another account.
 */
import * as Effect from "effect/Effect"
import type { Credential } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { isEphemeral } from "../domain/Runtime.ts"
import * as StitchState from "../domain/StitchState.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import type { KnownFile } from "./KnownFile.ts"
import type * as Recorder from "./Recorder.ts"
import type { EventOwner } from "./SteadyStitch.ts"

/** Holds the events of a command until the API answers, in their order. */
export interface HeldEvents {
  /** Starts to hold the events of a credential: its principal is requested. */
  readonly hold: (about: Credential) => void
  /**
   * Records an event, or holds it: if the answer may change its attribution, or if an earlier event is held.
   *
   * `current` is the current credential at the time of the event.
   */
  readonly record: (
    event: Recorder.Event,
    owner: EventOwner,
    now: number,
    current: StitchState.ReadCredential
  ) => Effect.Effect<void>
  /** Records the held events, anonymous ones under `principal` if it is given. It stops holding events. */
  readonly release: (principal: PrincipalId | undefined) => Effect.Effect<void>
}

/**
 * Creates a `HeldEvents` without events. It releases its events when the scope closes, at SIGINT and SIGTERM, and when
 * the process exits.
 */
export const make = Effect.fnUntraced(function*(record: Recorder.Record, known: KnownFile) {
  const runtime = yield* HostRuntime
  const context = yield* Effect.context<never>()
  let held: Array<(principal: PrincipalId | undefined) => Effect.Effect<void>> = []
  let awaited: Credential | undefined
  let isClosed = false
  let stopListening = () => {}

  const release: HeldEvents["release"] = (principal) =>
    Effect.suspend(() => {
      const all = held
      held = []
      awaited = undefined
      stopListening()
      return Effect.forEach(all, (write) => write(principal), { discard: true })
    })

  // From now on no event is held.
  const end = Effect.suspend(() => {
    isClosed = true
    return release(undefined)
  })
  const endSync = (): void => void Effect.runSyncExitWith(context)(end)
  yield* Effect.addFinalizer(() => end)
  yield* runtime.onExit(endSync)

  return {
    hold: (about) => {
      if (!isClosed) awaited = about
    },
    record: (event, owner, now, current) =>
      Effect.suspend(() => {
        const { identity, attribution } = owner
        const isAnonymous = attribution.personless && isEphemeral(runtime, identity)
        const isHeld = awaited !== undefined &&
          (held.length > 0 || (isAnonymous && StitchState.holds(current, awaited)))
        if (!isHeld) return record(event, owner, now)
        if (held.length === 0) stopListening = runtime.onSignal(endSync)
        known.save(known.sessionOf(identity.anonId, now), now, identity.durable)
        // The session of now, as it is written: before the answer, another process may begin a new one, or replace the
        // anon id.
        const session = known.sessionOf(identity.anonId, now)
        held.push((principal) =>
          Effect.suspend(() => {
            known.save(session, now, identity.durable)
            const hasPerson = principal !== undefined && attribution.personless
            return record(
              event,
              hasPerson ? { identity, attribution: { distinctId: principal, personless: false } } : owner,
              now
            )
          })
        )
        return Effect.void
      }),
    release
  } satisfies HeldEvents
})
