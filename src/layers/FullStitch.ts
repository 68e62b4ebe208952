/**
 * The full stitch of a command that is not steady: a claim, a switch, a rotation, a login, a logout or a new
 * credential.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as StitchState from "../domain/StitchState.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { abandonAfter } from "./AbandonAfter.ts"
import * as CredentialText from "./CredentialText.ts"
import { debugFailure } from "./Debug.ts"
import * as FileIdentityStore from "./FileIdentityStore.ts"
import * as HeldEvents from "./HeldEvents.ts"
import * as HybridIdentityStitch from "./HybridIdentityStitch.ts"
import type * as Recorder from "./Recorder.ts"
import type { Handover } from "./SteadyStitch.ts"

// Parses the first credential of the command from its input: the host may have changed the files since.
const initialCredential = Effect.fnUntraced(function*({ initial, snapshot, shared: { known } }: Handover) {
  const { input } = yield* PrincipalResolver
  if (initial === undefined || input === undefined) return undefined
  const { text } = initial
  if (text === undefined) return StitchState.none
  // A parser of the host may die or hang. Then nothing is cached: the credential is unreadable, not absent.
  const answer = yield* input.parse(CredentialText.decode(text)).pipe(
    abandonAfter(HybridIdentityStitch.credentialLimit),
    debugFailure("could not parse the credential", undefined)
  )
  if (answer === undefined) return StitchState.unreadable
  if (Option.isNone(answer)) return "TimedOut" as const
  const found = answer.value
  known.noteInput(text, found)
  if (found === undefined) return StitchState.none
  const now = yield* Clock.currentTimeMillis
  return { found, known: snapshot?.knowledge ?? initial.knowledge ?? known.recall(found, now) }
})

/** Creates the full stitch of a command that was steady until now, with its identity store. */
export const make = Effect.fnUntraced(function*(handover: Handover, record: Recorder.Record) {
  const { snapshot, shared } = handover
  const store = yield* FileIdentityStore.makeWith(shared.files, snapshot?.identity)
  const answer = yield* initialCredential(handover)
  const isSilent = answer === "TimedOut"
  const initial = isSilent ? StitchState.unreadable : answer
  const idle = isSilent ? StitchState.timeOut(StitchState.idle) : StitchState.idle
  const begun = initial === undefined ? idle : StitchState.begin(idle, initial)
  const state = snapshot === undefined || initial === undefined
    ? begun
    : StitchState.replaceCurrent(StitchState.open(begun), initial)
  const held = yield* HeldEvents.make(record, shared.known)
  const stitch = yield* HybridIdentityStitch.make(shared, state, held).pipe(Effect.provideService(IdentityStore, store))

  const capture = (event: Recorder.Event): Effect.Effect<void> =>
    stitch.locked(Effect.gen(function*() {
      const owner = yield* stitch.attribution
      const now = yield* Clock.currentTimeMillis
      if (owner === undefined) return yield* record(event, owner, now)
      yield* held.record(event, owner, now, yield* stitch.current)
    }))

  return { ...stitch, capture, store }
})
