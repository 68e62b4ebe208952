/**
 * Stamps in every runtime, and claims where the device will still be there tomorrow.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import { attribute, type ClaimFacts, onSighting, signedOutElsewhere } from "../domain/Attribution.ts"
import * as Claim from "../domain/Claim.ts"
import * as Credentials from "../domain/Credential.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import { isEphemeral } from "../domain/Runtime.ts"
import type { Publication } from "../services/Claims.ts"
import { Consent } from "../services/Consent.ts"
import { CurrentCommand, IsUntracked, type Tracked } from "../services/CurrentCommand.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { type Identity, IdentityStore } from "../services/IdentityStore.ts"
import { Invocation } from "../services/Invocation.ts"
import { Notice } from "../services/Notice.ts"
import { PrincipalCache } from "../services/PrincipalCache.ts"
import type { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as CredentialAtHand from "./CredentialAtHand.ts"
import { debug, quietly } from "./Debug.ts"
import * as PrincipalQuestion from "./PrincipalQuestion.ts"

type SeenBy = "login" | "observe" | "resolver"

// Every turn follows another process's claim or rotation in the middle of ours.
const maxTurns = 8

const claimFacts = (identity: Identity): ClaimFacts | undefined =>
  identity.claim === undefined ? undefined : {
    principal: Claim.principalOf(identity.claim),
    credential: Claim.isReadable(identity.claim) ? identity.claim.credential : "none"
  }

// Who logs out is the command that runs, and those that run it; what else runs in the process goes on.
const isWithin = (command: Tracked | undefined, outer: Tracked | undefined): boolean =>
  command === outer || (command?.outer !== undefined && isWithin(command.outer, outer))

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const consent = yield* Consent
  const store = yield* IdentityStore
  const slot = yield* IdentitySlot
  const cache = yield* PrincipalCache
  const invocation = yield* Invocation
  const notice = yield* Notice
  const runtime = yield* RuntimeEnvironment
  const settings = yield* UsageSettings
  const credential = yield* CredentialAtHand.make
  const facts = Effect.map(credential.now, CredentialAtHand.facts)

  // Of many sightings at once one stitches; a login is always another.
  const stitchAttempted = yield* Ref.make(false)
  const hasLoggedOut = yield* Ref.make(false)
  // Somebody is logging out: the host has removed the credential already.
  const isLeaving = yield* Ref.make(false)
  // There was something to record, so the device's identity was read.
  const isOpen = yield* Ref.make(false)
  const observed = yield* Ref.make<PrincipalId.PrincipalId | undefined>(undefined)
  const beforeLogout = new Set<{ readonly of: Tracked | undefined; readonly effect: Effect.Effect<void> }>()

  const remember = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    const { found } = yield* credential.now
    if (found === undefined) return
    yield* cache.remember(found, principal)
    yield* credential.set({ found, known: { _tag: "Principal", principal } })
    // The claim was made before the credential was stored, by the validating response of its login, by another tool or
    // under a variable: from now on it lasts only as long as the credential.
    if (found.source !== "stored") return
    const { claim } = yield* store.get
    if (claim !== undefined && Claim.principalOf(claim) === principal) yield* store.confirmStored
  })

  // A response may be about another credential than the one at hand: that of a login which is not over yet. So what it
  // said is remembered only when the command has ended well and nobody has logged in or out.
  yield* Effect.addFinalizer((exit) =>
    Effect.flatMap(
      Ref.get(observed),
      (principal) => principal === undefined || Exit.isFailure(exit) ? Effect.void : remember(principal)
    )
  )

  const publish = Effect.fnUntraced(function*(
    identity: Identity,
    principal: PrincipalId.PrincipalId,
    seenBy: SeenBy,
    withAlias: boolean
  ) {
    const { source } = yield* facts
    const claim: Claim.Claim = {
      version: 1,
      anon_id: identity.anonId,
      principal_id: principal,
      learned_by: seenBy,
      // A login stores what it was given, even where a variable wins over it in this command.
      credential: seenBy === "login" && source === "environment" ? "stored" : source,
      destination: null,
      alias: null
    }
    if (!withAlias) return yield* store.claim(claim)
    return yield* invocation.record(
      {
        event: "$create_alias",
        distinctId: principal,
        // A personless alias is dropped by PostHog.
        personless: false,
        properties: { distinct_id: principal, alias: identity.anonId }
      },
      identity,
      (alias) =>
        Effect.map(
          store.claim({ ...claim, destination: settings.destinationId, alias }),
          (result): readonly [boolean, Publication] => [result._tag === "Published", result]
        )
    )
  })

  const takeBack = Effect.andThen(slot.set(undefined), Ref.set(stitchAttempted, false))

  // Carries out the table, and again where another process changed the state in between.
  const apply = (
    principal: PrincipalId.PrincipalId,
    seenBy: SeenBy,
    identity: Identity,
    turn = 0
  ): Effect.Effect<void> =>
    Effect.gen(function*() {
      const consequence = onSighting({
        principal,
        seenBy,
        slot: turn === 0 ? yield* slot.get : undefined,
        claim: claimFacts(identity),
        credential: yield* facts,
        ephemeral: isEphemeral(runtime, identity)
      })
      if (consequence === "Nothing") return
      yield* slot.set(principal)
      if (consequence === "Stamp" || turn === maxTurns) return
      let claimed = identity
      if (consequence === "Switch") {
        const rotation = yield* store.rotate
        if (rotation._tag === "Unwritable") return yield* takeBack
        if (rotation._tag === "Overtaken") {
          // Whoever was faster may have logged out: only a login here and now is newer than that.
          return seenBy === "login" ? yield* apply(principal, seenBy, rotation.identity, turn + 1) : undefined
        }
        claimed = rotation.identity
      }
      const result = yield* publish(claimed, principal, seenBy, consequence === "Claim")
      if (result._tag === "Unwritable") yield* takeBack
      if (result._tag === "Held") yield* apply(principal, seenBy, { ...claimed, claim: result.claim }, turn + 1)
    })

  const isAllowed = Effect.map(consent.decision, (decision) => decision.enabled)

  const legal = (input: string): Effect.Effect<PrincipalId.PrincipalId | undefined> =>
    Result.match(PrincipalId.decode(input), {
      onFailure: (reason) => Effect.as(debug(`a principal was refused: ${reason}`), undefined),
      onSuccess: Effect.succeed
    })

  // This command was the account's, but neither the device nor the credential at hand need be.
  const stampOnly = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    if ((yield* Ref.get(hasLoggedOut)) || !(yield* isAllowed) || !(yield* open)) return
    if ((yield* slot.get) === undefined) yield* slot.set(principal)
  }, Effect.uninterruptible)

  const see = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId, seenBy: "observe" | "resolver") {
    // Set before anything is waited for, so that of many responses at once one stitches.
    if (yield* Ref.getAndSet(stitchAttempted, true)) return
    if ((yield* Ref.get(hasLoggedOut)) || !(yield* isAllowed) || !(yield* open)) return
    // A response to a request that was under way is about the former credential.
    if (seenBy === "observe" && (yield* credential.isAnotherNow)) return yield* stampOnly(principal)
    yield* apply(principal, seenBy, yield* store.get)
    if (seenBy === "resolver") yield* remember(principal)
    else if ((yield* slot.get) === principal) yield* Ref.set(observed, principal)
  }, Effect.uninterruptible)

  // An answer that comes before anything was recorded waits for that: a command that turns out to be a usage error
  // leaves no trace.
  const hear = Effect.fnUntraced(function*({ about, principal }: PrincipalQuestion.Answer) {
    if (!(yield* Ref.get(isOpen))) return
    if (principal === undefined) return yield* cache.remember(about, undefined)
    if (!(yield* open)) return
    // It may have been replaced or removed since.
    if (CredentialAtHand.is(yield* credential.now, about)) yield* see(principal, "resolver")
  })

  const question = yield* PrincipalQuestion.make(hear)

  // Reads whose device this is, once; says whether it was allowed to. Where consent was denied, or unreadable, at just
  // that moment nothing is known, and nobody must pass for the one whom the claim names.
  const open: Effect.Effect<boolean> = yield* Effect.cached(
    Effect.gen(function*() {
      yield* Ref.set(isOpen, true)
      if (!(yield* isAllowed)) return false
      yield* notice.show
      // The identity first: a credential that is newer than the identity means a switch, never the other way round.
      const identity = yield* store.get
      // Whoever logs out has removed the credential already: the account is the one that the command began with.
      const former = (yield* Ref.get(isLeaving)) ? yield* credential.atStart : undefined
      if (former !== undefined) yield* credential.set(former)
      const { found, known } = former ?? (yield* credential.read)
      if (signedOutElsewhere({ claim: claimFacts(identity), credential: yield* facts })) {
        yield* debug("the device gets a new id: its account's stored credential is gone")
        const rotation = yield* store.rotate
        if (rotation._tag === "Unwritable") yield* store.forget
      }
      // Another process has logged out, or in as somebody else, while this command ran: it stays whose it began.
      const began = (yield* credential.atStart)?.known
      if (began?._tag === "Principal" && (yield* credential.isAnotherNow)) {
        yield* Ref.set(stitchAttempted, true)
        yield* slot.set(began.principal)
        return true
      }
      if (found === undefined) return true
      const early = yield* question.answer
      const fresh = early !== undefined && CredentialAtHand.is({ found, known }, early.about) ? early : undefined
      const principal = known?._tag === "Principal" ? known.principal : fresh?.principal
      if (principal !== undefined) {
        // Also where a response waits for this: whose the credential at hand is was known before it.
        yield* Ref.set(stitchAttempted, true)
        yield* apply(principal, "resolver", yield* store.get)
        yield* remember(principal)
      } else if (fresh !== undefined) yield* cache.remember(found, undefined)
      // Who logs in this moment, or has just been seen, is not asked for.
      else if (known === undefined && !(yield* Ref.get(stitchAttempted))) yield* question.ask(found)
      return true
    }).pipe(Effect.uninterruptible)
  )

  const begin = Effect.gen(function*() {
    if ((yield* Ref.get(isOpen)) || !(yield* isAllowed)) return
    const { found, known } = yield* credential.begin
    if (found === undefined) yield* debug("no credential was found")
    if (found !== undefined && known === undefined) yield* question.ask(found)
  }).pipe(quietly("a command was not begun", undefined))

  return IdentityStitch.of({
    begin,
    settle: question.wait,
    observe: (principalId, authorization) =>
      Effect.gen(function*() {
        if ((yield* IsUntracked) && (yield* CurrentCommand) === undefined) return
        const principal = yield* legal(principalId)
        if (principal === undefined) return
        const found = (yield* credential.now).found ?? (yield* credential.atStart)?.found
        const isAbout = found === undefined || authorization === undefined ||
          Credentials.authorizes(found, authorization)
        return yield* isAbout ? see(principal, "observe") : stampOnly(principal)
      }).pipe(quietly("a principal could not be observed", undefined)),
    login: (principalId) =>
      Effect.gen(function*() {
        yield* Ref.set(observed, undefined)
        const principal = yield* legal(principalId)
        if (principal === undefined) return
        // Responses are about another credential from here on, also where consent cannot be read at this moment.
        yield* Ref.set(stitchAttempted, true)
        if (!(yield* isAllowed)) return
        yield* open
        // It was about the credential before this login, and nobody waits for that any more.
        yield* question.withdraw
        yield* Ref.set(observed, undefined)
        yield* Ref.set(hasLoggedOut, false)
        const identity = yield* store.refresh
        const now = yield* credential.read
        yield* credential.beginWith(now)
        yield* apply(principal, "login", identity)
        if (now.found?.source === "stored") yield* remember(principal)
      }).pipe(Effect.uninterruptible, quietly("a login was not noted", undefined)),
    logout: Effect.gen(function*() {
      if (!(yield* isAllowed)) {
        // Consent may only have been unreadable at this moment, and this process must not be the account's any more.
        yield* Ref.set(hasLoggedOut, true)
        yield* slot.set(undefined)
        yield* credential.beginWith(undefined)
        yield* credential.set(CredentialAtHand.none)
        yield* store.forget
        return
      }
      yield* Ref.set(isLeaving, true)
      const isKnown = yield* open
      const before = yield* store.get
      const identity = yield* store.refresh
      const now = yield* credential.now
      const hasCredential = now.found !== undefined && now !== CredentialAtHand.nobodys
      const wasSignedIn = !isKnown || hasCredential || (yield* slot.get) !== undefined ||
        before.claim !== undefined || identity.claim !== undefined
      if (!wasSignedIn) return
      // Whoever has logged out before is nobody now, whatever the device's claim says.
      if (!(yield* Ref.getAndSet(hasLoggedOut, true))) {
        // Outside of any command it may be each of them.
        const command = yield* CurrentCommand
        for (const { effect, of } of beforeLogout) if (command === undefined || isWithin(command, of)) yield* effect
      }
      yield* Ref.set(stitchAttempted, true)
      yield* question.withdraw
      yield* slot.set(undefined)
      yield* credential.set(CredentialAtHand.none)
      const rotation = yield* store.rotate
      if (rotation._tag === "Unwritable") yield* store.forget
      // Whoever was faster may have logged in: then the new anon id is theirs, and this command is nobody's.
      if (rotation._tag === "Overtaken") yield* credential.set(CredentialAtHand.nobodys)
    }).pipe(Effect.uninterruptible, quietly("a logout was not noted", undefined)),
    beforeLogout: Effect.fnUntraced(function*(effect) {
      const entry = { of: yield* CurrentCommand, effect }
      yield* Effect.acquireRelease(
        Effect.sync(() => void beforeLogout.add(entry)),
        () => Effect.sync(() => void beforeLogout.delete(entry))
      )
    }),
    attribution: Effect.gen(function*() {
      const wasOpen = yield* Ref.get(isOpen)
      if (!(yield* open) || (wasOpen && !(yield* store.stands))) return undefined
      const identity = yield* store.get
      const to = attribute({
        slot: yield* slot.get,
        anonId: identity.anonId,
        claim: claimFacts(identity),
        credential: yield* facts,
        invocationId: invocation.id
      })
      return { identity, to }
    })
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  IdentityStitch,
  never,
  | Consent
  | IdentityStore
  | IdentitySlot
  | PrincipalResolver
  | PrincipalCache
  | Invocation
  | Notice
  | RuntimeEnvironment
  | UsageSettings
> = Layer.effect(IdentityStitch, make)
