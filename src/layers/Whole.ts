/**
 * The whole stitch of a command that is not steady: it claims, switches, rotates, logs in or out, or has a new credential.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as StitchState from "../domain/StitchState.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import * as CredentialText from "./CredentialText.ts"
import { quietly } from "./Debug.ts"
import * as FileIdentityStore from "./FileIdentityStore.ts"
import * as HeldEvents from "./HeldEvents.ts"
import * as HybridIdentityStitch from "./HybridIdentityStitch.ts"
import type * as Recorder from "./Recorder.ts"
import type { Handover } from "./SteadyStitch.ts"
import { within } from "./Within.ts"

// The credential that the command began with, from its input: the host may have changed it since.
const initialCredential = Effect.fnUntraced(function*({ initial, opened, shared: { known } }: Handover) {
  const { input } = yield* PrincipalResolver
  if (initial === undefined || input === undefined) return undefined
  const { text } = initial
  if (text === undefined) return StitchState.none
  // A parser of the host's may die or hang. Nothing is noted then: a credential must not become none.
  const answer = yield* input.parse(CredentialText.decode(text)).pipe(
    within(HybridIdentityStitch.credentialLimit),
    quietly("could not parse the credential", undefined)
  )
  if (answer === undefined) return StitchState.unreadable
  if (Option.isNone(answer)) return "TimedOut" as const
  const found = answer.value
  known.noteInput(text, found)
  if (found === undefined) return StitchState.none
  const now = yield* Clock.currentTimeMillis
  return { found, known: opened?.knowledge ?? initial.knowledge ?? known.recall(found, now) }
})

/** The whole stitch of a command that was steady until now, with its identity store. */
export const make = Effect.fnUntraced(function*(handover: Handover, record: Recorder.Record) {
  const { opened, shared } = handover
  const store = yield* FileIdentityStore.makeWith(shared.files, opened?.identity)
  const answer = yield* initialCredential(handover)
  const isSilent = answer === "TimedOut"
  const initial = isSilent ? StitchState.unreadable : answer
  const idle = isSilent ? StitchState.silenced(StitchState.idle) : StitchState.idle
  const begun = initial === undefined ? idle : StitchState.begun(idle, initial)
  const state = opened === undefined || initial === undefined
    ? begun
    : StitchState.read(StitchState.opened(begun), initial)
  const held = yield* HeldEvents.make(record, shared.known)
  const stitch = yield* HybridIdentityStitch.make(shared, state, held).pipe(Effect.provideService(IdentityStore, store))

  const capture = (event: Recorder.Event): Effect.Effect<void> =>
    stitch.locked(Effect.gen(function*() {
      const belongs = yield* stitch.attribution
      const now = yield* Clock.currentTimeMillis
      if (belongs === undefined) return yield* record(event, belongs, now)
      yield* held.record(event, belongs, now, yield* stitch.current)
    }))

  return { ...stitch, capture, store }
})
