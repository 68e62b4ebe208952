/** Stamps in every runtime, and claims where the device persists: the whole of the identity rules. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { attribute, onSighting, signedOutElsewhere } from "../domain/Attribution.ts"
import * as Claim from "../domain/Claim.ts"
import * as Credential from "../domain/Credential.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import { isEphemeral } from "../domain/Runtime.ts"
import * as StitchState from "../domain/StitchState.ts"
import { Consent } from "../services/Consent.ts"
import { type CommandRun, CurrentCommand } from "../services/CurrentCommand.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { type Identity, IdentityStore } from "../services/IdentityStore.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as CredentialText from "./CredentialText.ts"
import { debug, IsShown, quietly } from "./Debug.ts"
import type { HeldEvents } from "./HeldEvents.ts"
import * as Notice from "./Notice.ts"
import type { Belongs, Shared } from "./SteadyStitch.ts"
import { within } from "./Within.ts"

type SeenBy = "login" | "observe" | "resolver"

// Every turn follows a claim or rotation that another process made in the middle of this one's.
const maxTurns = 8

/** How long a command waits for its credential: a keychain may ask its user first. */
export const credentialLimit = Duration.seconds(1)

/** How long a command waits for the API, counted from the question. */
const answerLimit = Duration.seconds(2)

const noPrincipal = "no principal is known for the credential"

// The command that logs out, and the commands whose handlers run it; other commands of the process go on.
const isWithin = (command: CommandRun | undefined, outer: CommandRun): boolean =>
  command === outer || (command?.outer !== undefined && isWithin(command.outer, outer))

/** The stitch of a command. */
export interface Stitch {
  readonly service: IdentityStitch["Service"]
  /** Returns who an event belongs to; undefined where the device's identity was deleted while the command ran. */
  readonly attribution: Effect.Effect<Belongs | undefined>
  /** Returns the credential, as it was read last. */
  readonly current: Effect.Effect<StitchState.ReadCredential>
  /** Waits for the API's answer, until its time is over. */
  readonly settle: Effect.Effect<void>
  /** Runs one effect at a time: who an event belongs to must not change between the question and the event. */
  readonly locked: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Reads the credential that the command begins with, and asks about a new one. */
  readonly start: Effect.Effect<void>
}

/** The stitch of a command whose state is `initial`. */
export const make = Effect.fnUntraced(function*(shared: Shared, initial: StitchState.StitchState, held: HeldEvents) {
  const { files, known, recorder, running } = shared
  const { notes } = files
  const consent = yield* Consent
  const store = yield* IdentityStore
  const slot = yield* IdentitySlot
  const { input, ...resolver } = yield* PrincipalResolver
  const runtime = yield* HostRuntime
  const settings = yield* UsageSettings
  const scope = yield* Effect.scope

  const lock = yield* Semaphore.make(1)
  // While the process exits nobody waits: an effect that holds the lock never continues.
  const locked: Stitch["locked"] = (effect) =>
    Effect.flatMap(runtime.isExiting, (isExiting) => isExiting ? effect : lock.withPermit(effect))
  const now = Clock.currentTimeMillis
  const stitchAttempted = {
    get: Effect.sync(() => shared.stitchAttempted),
    set: (attempted: boolean) =>
      Effect.sync(() => {
        shared.stitchAttempted = attempted
      })
  }

  const state = yield* Ref.make(initial)
  const to = <A extends ReadonlyArray<unknown>>(
    transition: (state: StitchState.StitchState, ...args: A) => StitchState.StitchState,
    ...args: A
  ): Effect.Effect<void> => Ref.update(state, (before) => transition(before, ...args))
  const current = Effect.map(Ref.get(state), ({ current }) => current)
  const facts = Effect.map(current, StitchState.facts)
  const isAllowed = Effect.map(consent.decision, ({ enabled }) => enabled)

  // == the credential

  const recall = (found: Credential.Credential) =>
    Effect.flatMap(now, (now) => notes.run(() => known.recall(found, now)))
  const rememberAnswer = (about: Credential.Credential, principal: PrincipalId.PrincipalId | undefined) =>
    Effect.flatMap(now, (now) => notes.run(() => known.remember(about, principal, now)))

  // What is parsed from an input is kept with the next event, so that the next command need not parse it.
  const credentialNow = input === undefined ? resolver.credential : Effect.gen(function*() {
    const text = CredentialText.read(runtime.disk, input)
    if (text === undefined) return undefined
    const found = yield* input.parse(CredentialText.decode(text))
    known.noteInput(text, found)
    return found
  })

  const lookUp: Effect.Effect<StitchState.ReadCredential> = Effect.gen(function*() {
    if ((yield* Ref.get(state)).isSilent) return StitchState.unreadable
    // A host's own resolver may die or hang.
    const answer = yield* credentialNow.pipe(
      within(credentialLimit),
      quietly("could not read the credential", undefined)
    )
    if (answer === undefined) return StitchState.unreadable
    if (Option.isNone(answer)) {
      yield* to(StitchState.silenced)
      return yield* Effect.as(debug("the credential was not read within its time limit"), StitchState.unreadable)
    }
    const found = answer.value
    return found === undefined ? StitchState.none : { found, known: yield* recall(found) }
  })

  const readCredential = Effect.tap(lookUp, (credential) => to(StitchState.read, credential))

  const remember = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    const { found } = yield* current
    if (found === undefined) return
    yield* rememberAnswer(found, principal)
    yield* to(StitchState.identified, principal)
    // The claim was learned before the credential was stored: by the validating response of a login, by another tool, or
    // under a variable. From now on it lasts only as long as the credential.
    if (found.source !== "stored") return
    const { claim } = yield* store.get
    if (claim !== undefined && Claim.principalOf(claim) === principal) yield* store.confirmStored
  })

  // A response may be about another credential than the current one: that of a login which is not complete yet. So its
  // principal is remembered only when the command has succeeded and nobody has logged in or out since.
  yield* Effect.addFinalizer((exit) =>
    Effect.flatMap(
      Ref.get(state),
      ({ observed }) => observed === undefined || Exit.isFailure(exit) ? Effect.void : remember(observed)
    )
  )

  // == acting on a principal

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
      // A login stores its credential, even where a variable takes precedence in this command.
      credential: seenBy === "login" && source === "environment" ? "stored" : source,
      destination: null,
      alias: null
    }
    if (!withAlias) return yield* store.claim(claim)
    const command = yield* CurrentCommand
    const draft = {
      event: "$create_alias",
      distinctId: principal,
      // PostHog drops a personless alias.
      personless: false,
      properties: { distinct_id: principal, alias: identity.anonId },
      command: command === undefined || command === "untracked" ? undefined : command.name
    }
    const at = yield* now
    const { kept, message } = yield* notes.run(() => recorder.draw(draft, identity, at))
    const result = yield* store.claim({ ...claim, destination: settings.destinationId, alias: message })
    if (result._tag !== "Published") return result
    yield* notes.run(kept)
    if (yield* IsShown) yield* Console.error(JSON.stringify(message))
    return result
  })

  const unstamp = Effect.andThen(slot.set(undefined), stitchAttempted.set(false))

  // Carries out the table of sightings, and again where another process or tool changed the state in between.
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
        claim: Claim.facts(identity.claim),
        credential: yield* facts,
        ephemeral: isEphemeral(runtime, identity)
      })
      if (consequence === "Nothing") return
      yield* slot.set(principal)
      if (consequence === "Stamp" || turn === maxTurns) return
      let claimed = identity
      if (consequence === "Switch") {
        const rotation = yield* store.rotate
        if (rotation._tag === "Unwritable") return yield* unstamp
        if (rotation._tag === "Overtaken") {
          // The process that was faster may have logged out: only a login in this command is newer than that.
          return seenBy === "login" ? yield* apply(principal, seenBy, rotation.identity, turn + 1) : undefined
        }
        claimed = rotation.identity
      }
      const result = yield* publish(claimed, principal, seenBy, consequence === "Claim")
      if (result._tag === "Unwritable") return yield* unstamp
      if (result._tag === "Held") {
        return yield* apply(principal, seenBy, { ...claimed, claim: result.claim }, turn + 1)
      }
      if (result._tag === "Replaced") return yield* apply(principal, seenBy, result.identity, turn + 1)
    })

  const legal = (input: string): Effect.Effect<PrincipalId.PrincipalId | undefined> =>
    Result.match(PrincipalId.decode(input), {
      onFailure: (reason) => Effect.as(debug(`ignored a principal: ${reason}`), undefined),
      onSuccess: Effect.succeed
    })

  // The command was the account's, but neither the device nor the current credential need be.
  const stampOnly = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    if ((yield* Ref.get(state)).phase === "SignedOut" || !(yield* isAllowed) || !(yield* open)) return
    if ((yield* slot.get) === undefined) yield* slot.set(principal)
  })

  // A credential that is not known yet says nothing against a response.
  const isAbout = (authorization: string | undefined) =>
    Effect.map(Ref.get(state), ({ current, initial }) => {
      const found = current.found ?? initial?.found
      return found === undefined || authorization === undefined || Credential.authorizes(found, authorization)
    })

  const see = Effect.fnUntraced(function*(
    principal: PrincipalId.PrincipalId,
    seenBy: "observe" | "resolver",
    authorization?: string
  ) {
    if (yield* stitchAttempted.get) return
    yield* stitchAttempted.set(true)
    if ((yield* Ref.get(state)).phase === "SignedOut" || !(yield* isAllowed) || !(yield* open)) return
    // The response to an earlier request is about the former credential.
    if (seenBy === "observe" && (StitchState.hasChanged(yield* Ref.get(state)) || !(yield* isAbout(authorization)))) {
      return yield* stampOnly(principal)
    }
    yield* apply(principal, seenBy, yield* store.get)
    const isTheirs = (yield* slot.get) === principal
    if (isTheirs) yield* held.release(principal)
    if (seenBy === "resolver") yield* remember(principal)
    else if (isTheirs) yield* to(StitchState.observed, principal)
  })

  // == the question to the API

  const asked = yield* Ref.make<Fiber.Fiber<void> | undefined>(undefined)

  // An answer that comes before anything was recorded waits for that: a usage error leaves no trace.
  const onAnswer = Effect.fnUntraced(function*({ about, principal }: StitchState.Answer) {
    if (!(yield* Ref.get(state)).isOpen) return
    if (principal === undefined) return yield* rememberAnswer(about, undefined)
    if (!(yield* open)) return
    // The credential may have been replaced or removed since.
    if (StitchState.is(yield* current, about)) yield* see(principal, "resolver")
  })

  const ask = Effect.fnUntraced(function*(credential: Credential.Credential) {
    if ((yield* Ref.get(asked)) !== undefined) return
    if (!Credential.isKnown(credential)) return yield* debug(`${noPrincipal}: it cannot be read`)
    const question = Effect.gen(function*() {
      const reply = yield* Effect.suspend(() => resolver.resolve(credential)).pipe(
        quietly(noPrincipal, undefined),
        within(answerLimit)
      )
      const answer = { about: credential, principal: Option.getOrUndefined(reply) }
      yield* to(StitchState.answered, answer)
      yield* Effect.uninterruptible(locked(Effect.andThen(onAnswer(answer), held.release(answer.principal))))
    })
    held.wait(credential)
    yield* Ref.set(asked, yield* Effect.forkIn(Effect.interruptible(question), scope))
  })

  const withdrawQuestion = Effect.flatMap(
    Ref.get(asked),
    (fiber) => Effect.andThen(Effect.sync(() => fiber?.interruptUnsafe()), held.release(undefined))
  )

  // == the identity

  const { notice } = settings
  const showNotice = Effect.flatMap(
    notes.run(() =>
      Notice.isDue(files, runtime, notice) && files.publish(files.home.notice, "") === undefined ? notice : undefined
    ),
    (text) => text === undefined ? Effect.void : Console.error(text)
  )

  // Reads the identity, once; returns whether consent allowed it. Where consent was denied, or could not be read, nothing
  // is known, and the command must not pass for the principal of the claim.
  const open: Effect.Effect<boolean> = yield* Effect.cached(Effect.gen(function*() {
    if ((yield* Ref.get(state)).isOpen) return true
    yield* to(StitchState.opened)
    if (!(yield* isAllowed)) return false
    yield* showNotice
    // The identity first: a credential that is newer than the identity means a switch, never the other way round.
    const identity = yield* store.get
    // The host has removed the credential before it reports a logout: the account is that of the first credential.
    const { initial, phase } = yield* Ref.get(state)
    const former = phase === "SigningOut" ? initial : undefined
    if (former !== undefined) yield* to(StitchState.read, former)
    const { found, known: knowledge } = former ?? (yield* readCredential)
    if (signedOutElsewhere({ claim: Claim.facts(identity.claim), credential: yield* facts })) {
      yield* debug("the device gets a new anon id: the stored credential of its account is gone")
      if ((yield* store.rotate)._tag === "Unwritable") yield* store.forget
    }
    // Another process has logged out, or in as somebody else: this command stays that of its first credential.
    const began = initial?.known
    if (began?._tag === "Principal" && StitchState.hasChanged(yield* Ref.get(state))) {
      yield* stitchAttempted.set(true)
      yield* slot.set(began.principal)
      return true
    }
    if (found === undefined) return true
    const { answer } = yield* Ref.get(state)
    const fresh = answer !== undefined && StitchState.is({ found, known: knowledge }, answer.about) ? answer : undefined
    const principal = knowledge?._tag === "Principal" ? knowledge.principal : fresh?.principal
    if (principal !== undefined) {
      // Also where a response caused this: the principal of the credential was known before it.
      yield* stitchAttempted.set(true)
      yield* apply(principal, "resolver", yield* store.get)
      yield* remember(principal)
    } else if (fresh !== undefined) yield* rememberAnswer(found, undefined)
    // A login in progress, or a response, names the principal without a question.
    else if (knowledge === undefined && !(yield* stitchAttempted.get)) yield* ask(found)
    return true
  }))

  const attribution = Effect.gen(function*() {
    const wasOpen = (yield* Ref.get(state)).isOpen
    if (!(yield* open)) return undefined
    const check = wasOpen ? yield* store.check : "Current"
    if (check === "Deleted") return undefined
    // Another tool gave the device another anon id: it is followed.
    const identity = check === "Replaced" ? yield* store.refresh : yield* store.get
    const to = attribute({
      slot: yield* slot.get,
      anonId: identity.anonId,
      claim: Claim.facts(identity.claim),
      credential: yield* facts,
      invocationId: recorder.id
    })
    return { identity, to } satisfies Belongs
  })

  // == the operations

  const begin = Effect.gen(function*() {
    const { isOpen } = yield* Ref.get(state)
    if (isOpen || !(yield* isAllowed)) return
    const credential = yield* lookUp
    yield* to(StitchState.begun, credential)
    if (credential.found === undefined) yield* debug("no credential was found")
    else if (credential.known === undefined) yield* ask(credential.found)
  })

  const observe = (principalId: string, authorization?: string) =>
    Effect.gen(function*() {
      if ((yield* CurrentCommand) === "untracked") return
      const principal = yield* legal(principalId)
      if (principal === undefined) return
      return yield* (yield* isAbout(authorization)) ? see(principal, "observe", authorization) : stampOnly(principal)
    })

  const login = (principalId: string) =>
    Effect.gen(function*() {
      yield* to(StitchState.observed, undefined)
      const principal = yield* legal(principalId)
      if (principal === undefined) return
      // From here on responses are about another credential, also where consent cannot be read now.
      yield* stitchAttempted.set(true)
      if (!(yield* isAllowed)) return
      yield* open
      // The question was about the former credential.
      yield* withdrawQuestion
      const identity = yield* store.refresh
      const credential = yield* lookUp
      yield* to(StitchState.signedIn, credential)
      yield* apply(principal, "login", identity)
      if (credential.found?.source === "stored") yield* remember(principal)
    })

  // The first step of a logout: returns whether somebody was signed in, and whether a command is to record its success.
  const beginLogout = Effect.gen(function*() {
    if (!(yield* isAllowed)) {
      // Consent may only be unreadable now, and this process must not be the account's any more.
      yield* to(StitchState.forgotten)
      yield* slot.set(undefined)
      yield* store.forget
      return undefined
    }
    yield* to(StitchState.signingOut)
    const isKnown = yield* open
    const before = yield* store.get
    const identity = yield* store.refresh
    const { current, phase } = yield* Ref.get(state)
    const hasCredential = current.found !== undefined && current !== StitchState.nobodys
    const wasSignedIn = !isKnown || hasCredential || (yield* slot.get) !== undefined || before.claim !== undefined ||
      identity.claim !== undefined
    return wasSignedIn ? { isFirst: phase !== "SignedOut" } : undefined
  })

  const endLogout = Effect.gen(function*() {
    yield* stitchAttempted.set(true)
    yield* withdrawQuestion
    yield* slot.set(undefined)
    yield* to(StitchState.signedOut, StitchState.none)
    const rotation = yield* store.rotate
    if (rotation._tag === "Unwritable") yield* store.forget
    // The process that was faster may have logged in: the new anon id is then that account's.
    if (rotation._tag === "Overtaken") yield* to(StitchState.signedOut, StitchState.nobodys)
  })

  const logout = Effect.gen(function*() {
    const begun = yield* locked(beginLogout)
    if (begun === undefined) return
    // A second logout must not be recorded under the former principal. Outside of any command the logout may be that of
    // each of them.
    const current = yield* CurrentCommand
    const command = current === "untracked" ? undefined : current
    const ends = begun.isFirst ? [...running].filter((run) => command === undefined || isWithin(command, run)) : []
    for (const run of ends) yield* run.recordSuccess
    yield* locked(endLogout)
  })

  const operation = (what: string) => (effect: Effect.Effect<void>) =>
    locked(effect).pipe(Effect.uninterruptible, quietly(what, undefined))

  const start = operation("could not begin a command")(begin)

  const settle = Effect.gen(function*() {
    const fiber = yield* Ref.get(asked)
    if (fiber === undefined) return
    // A finalizer is not interrupted, but a user who wants to leave must not wait.
    const awaited = yield* Effect.exit(Effect.interruptible(Fiber.await(fiber)))
    if (Exit.isFailure(awaited)) yield* withdrawQuestion
  })

  const service = IdentityStitch.of({
    observe: (principalId, authorization) =>
      operation("could not act on an observed principal")(observe(principalId, authorization)),
    login: (principalId) => operation("could not act on a login")(login(principalId)),
    logout: logout.pipe(Effect.uninterruptible, quietly("could not act on a logout", undefined))
  })

  return { service, attribution, current, locked, settle, start } satisfies Stitch
})
