/** Reads the credential of the user, in a command that is not steady. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Credential } from "../domain/Credential.ts"
import type { Knowledge } from "../domain/Known.ts"
import * as StitchState from "../domain/StitchState.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { type CredentialInput, PrincipalResolver } from "../services/PrincipalResolver.ts"
import { abandonAfter } from "./AbandonAfter.ts"
import * as CredentialText from "./CredentialText.ts"
import { debug } from "./Debug.ts"
import type { Shared } from "./SteadyStitch.ts"

/** The maximum time that a command waits for its credential: a keychain may prompt its user. */
const limit = Duration.seconds(1)

/** Creates the reader of one command. After a time limit the credential is not read again. */
export const make = Effect.fnUntraced(function*({ files: { notes }, known }: Pick<Shared, "files" | "known">) {
  const { input, ...resolver } = yield* PrincipalResolver
  const { disk } = yield* HostRuntime
  let isTooSlow = false

  const recall = (found: Credential) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => notes.run(() => known.recall(found, now)))

  // The result of parsing is cached with the next event, so that the next command does not parse the input.
  const parse = Effect.fnUntraced(function*(input: CredentialInput, text: string | undefined) {
    if (text === undefined) return undefined
    const found = yield* input.parse(CredentialText.decode(text))
    known.noteInput(text, found)
    return found
  })

  const readFrom = Effect.fnUntraced(function*(credential: Effect.Effect<Credential | undefined>, cached?: Knowledge) {
    if (isTooSlow) return StitchState.unreadable
    // A resolver of the host may die, hang or interrupt itself. Then the credential is unreadable, not absent.
    const answer = yield* credential.pipe(
      abandonAfter(limit),
      Effect.catchCause((cause) => Effect.as(debug("could not read the credential", cause), undefined))
    )
    if (answer === undefined) return StitchState.unreadable
    if (Option.isNone(answer)) {
      isTooSlow = true
      return yield* Effect.as(debug("the credential was not read within its time limit"), StitchState.unreadable)
    }
    const found = answer.value
    return found === undefined
      ? StitchState.none
      : { found, known: cached === undefined ? yield* recall(found) : cached }
  })

  return {
    read: readFrom(
      input === undefined ? resolver.credential : Effect.suspend(() => parse(input, CredentialText.read(disk, input)))
    ),
    /** Parses an input that the command has read before; `cached` is the knowledge of its credential. */
    parse: (input: CredentialInput, text: string | undefined, cached: Knowledge | undefined) =>
      readFrom(parse(input, text), cached)
  }
})
