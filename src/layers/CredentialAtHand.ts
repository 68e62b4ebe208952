/**
 * The credential of the user, as one command sees it: when it began, and now.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import type { CredentialFacts } from "../domain/Attribution.ts"
import * as Credentials from "../domain/Credential.ts"
import type { Credential } from "../domain/Credential.ts"
import { type Known, PrincipalCache } from "../services/PrincipalCache.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { debug, quietly } from "./Debug.ts"
import { within } from "./Within.ts"

/** How long a command waits for it: a keychain may ask its user first. */
const limit = Duration.seconds(1)

/**
 * A credential as it was found, and what was known of it then.
 *
 * @category models
 * @since 0.1.0
 */
export interface AtHand {
  readonly found: Credential | undefined
  readonly known: Known | undefined
}

/**
 * Nobody is logged in.
 *
 * @category constants
 * @since 0.1.0
 */
export const none: AtHand = { found: undefined, known: undefined }

/**
 * After a logout that another process was part of: the claim that stands may be of whoever logged in since.
 *
 * @category constants
 * @since 0.1.0
 */
export const nobodys: AtHand = { found: { source: "environment", secret: Redacted.make("") }, known: undefined }

const unreadable: AtHand = { found: Credentials.unreadable, known: undefined }

/**
 * What the rules ask of it.
 *
 * @category getters
 * @since 0.1.0
 */
export const facts = ({ found, known }: AtHand): CredentialFacts => ({
  source: found?.source ?? "none",
  knownAs: known?._tag === "Principal" ? known.principal : undefined
})

/**
 * Whether it is this credential.
 *
 * @category guards
 * @since 0.1.0
 */
export const is = ({ found }: AtHand, credential: Credential): boolean =>
  found !== undefined && Credentials.key(found) === Credentials.key(credential)

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const resolver = yield* PrincipalResolver
  const cache = yield* PrincipalCache
  const atStart = yield* Ref.make<AtHand | undefined>(undefined)
  const atHand = yield* Ref.make(none)
  const isSilent = yield* Ref.make(false)

  const lookUp: Effect.Effect<AtHand> = Effect.gen(function*() {
    if (yield* Ref.get(isSilent)) return unreadable
    // A host's own resolver may die, and it may hang.
    const answer = yield* resolver.credential.pipe(
      within(limit),
      quietly("the credential could not be read", undefined)
    )
    if (answer === undefined) return unreadable
    if (Option.isNone(answer)) {
      yield* Ref.set(isSilent, true)
      return yield* Effect.as(debug("no credential came in time"), unreadable)
    }
    const found = answer.value
    return found === undefined ? none : { found, known: yield* cache.recall(found) }
  })

  const now = Ref.get(atHand)
  const set = (other: AtHand) => Ref.set(atHand, other)

  return {
    /** What the command began with, where it has looked. */
    atStart: Ref.get(atStart),
    /** Looks what the command begins with; nothing is at hand by that. */
    begin: Effect.tap(lookUp, (found) => Ref.set(atStart, found)),
    /** Lets the command begin anew, with this or with nothing. */
    beginWith: (other: AtHand | undefined) => Ref.set(atStart, other),
    now,
    /** Looks what is at hand now. */
    read: Effect.tap(lookUp, set),
    set,
    /** Whether another process has replaced or removed the credential that this command began with. */
    isAnotherNow: Effect.gen(function*() {
      const before = (yield* Ref.get(atStart))?.found
      return before !== undefined && !is(yield* now, before)
    })
  }
})
