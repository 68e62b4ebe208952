/**
 * The full identity rules, for a command that is not steady: a claim, a switch, a rotation, a login, a logout or a new
 * credential.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { consequenceOf, isSignedOutElsewhere, type SeenBy } from "../domain/Attribution.ts"
import * as Credential from "../domain/Credential.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import { isEphemeral, isStateless } from "../domain/Runtime.ts"
import * as StitchState from "../domain/StitchState.ts"
import { Consent } from "../services/Consent.ts"
import { type CommandRun, trackedCommand } from "../services/CurrentCommand.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import type { Identity, Publication, Rotation } from "../services/IdentityStore.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { abandonAfter } from "./AbandonAfter.ts"
import * as CredentialReader from "./CredentialReader.ts"
import { debug, debugFailure } from "./Debug.ts"
import * as FileIdentityStore from "./FileIdentityStore.ts"
import * as HeldEvents from "./HeldEvents.ts"
import * as Lock from "./Lock.ts"
import * as PrincipalClaim from "./PrincipalClaim.ts"
import type * as Recorder from "./Recorder.ts"
import { type Handover, isNoticeDue, noAnswer, noPrincipal, ownerOf } from "./SteadyStitch.ts"

// Each retry follows a claim or rotation that another process published during the attempt.
const maxAttempts = 8

/** The maximum time that a command waits for the API, from the request. */
const answerLimit = Duration.seconds(2)

// Runs an effect again, once, if it has failed. A host reports a login and a logout only once.
const again = <A, E, R>(effect: Effect.Effect<A, E, R>, hasFailed: (result: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.flatMap(effect, (result) => hasFailed(result) ? effect : Effect.succeed(result))

const isUnwritable = ({ _tag }: Publication | Rotation): boolean => _tag === "Unwritable"

// Returns whether a command is `outer`, or runs within its handler.
const isWithin = (command: CommandRun | undefined, outer: CommandRun): boolean =>
  command !== undefined && (command === outer || isWithin(command.outer, outer))

/** Creates the full stitch of a command that was steady until now, with its identity store. */
export const make = Effect.fnUntraced(function*(handover: Handover, record: Recorder.Record) {
  const { initial, initialDevice, shared, snapshot } = handover
  const { files, known, running } = shared
  const { notes } = files
  const consent = yield* Consent
  const store = yield* FileIdentityStore.makeWith(files, snapshot?.identity)
  const { input, ...resolver } = yield* PrincipalResolver
  const runtime = yield* HostRuntime
  const settings = yield* UsageSettings
  const scope = yield* Effect.scope

  const lock = Lock.make()
  // Runs one effect at a time: the attribution must not change before the event is recorded. While the process exits, an
  // effect that holds the lock never continues, so the lock is not awaited.
  const locked = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(runtime.isExiting, (isExiting) => isExiting ? effect : lock(effect))
  const now = Clock.currentTimeMillis

  let state = StitchState.idle
  const facts = () => StitchState.facts(state.current, shared.absent)
  const isAllowed = Effect.map(consent.decision, ({ enabled }) => enabled)

  // Paused: later commands may use the identity on disk again, so a login and a logout must count (ADR 0036). An opt-out
  // deletes the identity, and nothing is changed in an unsafe home.
  const readConsent = Effect.gen(function*() {
    const { decidedBy, enabled } = yield* again(consent.decision, ({ enabled }) => !enabled)
    if (enabled) return "Given"
    if (decidedBy._tag === "OptOutFile") return (yield* consent.stillGiven) === undefined ? "Paused" : "Denied"
    // With a resolver, the next command sees the other credential.
    const mustStay = decidedBy._tag === "UnsafeHome" || decidedBy._tag === "TestRun"
    return shared.absent === "unknown" && !mustStay ? "Paused" : "Denied"
  })

  // == the credential

  const credentials = yield* CredentialReader.make(shared)
  const cacheAnswer = (about: Credential.Credential, principal: PrincipalId.PrincipalId | undefined) =>
    Effect.flatMap(now, (now) => notes.run(() => known.remember(about, principal, now)))

  // The first credential of the command is parsed from the input that was read then: the host may have changed the files
  // since.
  if (initial !== undefined && input !== undefined) {
    const { knowledge } = snapshot ?? initial
    const first = yield* credentials.parse(input, initial.text, knowledge)
    state = StitchState.begin(state, first)
    if (snapshot !== undefined) {
      state = StitchState.observe(StitchState.replaceCurrent(StitchState.open(state), first), shared.observed)
    }
    if (initial.text !== undefined && first.found === undefined) yield* debug("no credential was found")
  }

  const held = yield* HeldEvents.make(record, known)

  const remember = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    const { found } = state.current
    if (found === undefined) return
    yield* cacheAnswer(found, principal)
    state = StitchState.identify(state, principal)
    // The claim was published before the credential was stored: during a login, by another tool, or with a variable.
    // From now on it ends with the stored credential.
    if (found.source !== "stored") return
    const { claim } = yield* store.get
    if (claim?.principal_id === principal) yield* store.confirmStored
  })

  // A response may be about the credential of a login that is not complete yet. So its principal is cached only if the
  // command succeeds without a later login or logout.
  yield* Effect.addFinalizer((exit) =>
    state.observed === undefined || Exit.isFailure(exit) ? Effect.void : remember(state.observed)
  )

  // == acting on a principal

  // Returns whether an observed principal may be that of a user who has logged out: another process gave the device a new
  // anon id since the command began, and no credential tells for which account.
  const isOutdated = (seenBy: SeenBy, { anonId, published }: Identity): boolean => {
    const isNewer = initialDevice !== undefined && initialDevice !== anonId && !published
    return isNewer && seenBy === "observe" && state.current.found === undefined
  }

  const publish = PrincipalClaim.make(shared, store, settings)

  const unstamp = (): void => {
    shared.stitchAttempted = false
    shared.slot = undefined
  }

  // Applies the consequence of a sighting. Retries if another process or tool changed the identity in the meantime.
  const apply = (
    principal: PrincipalId.PrincipalId,
    seenBy: SeenBy,
    identity: Identity,
    attempt = 0
  ): Effect.Effect<void> =>
    Effect.gen(function*() {
      const consequence = consequenceOf({
        principal,
        seenBy,
        slot: attempt === 0 ? shared.slot : undefined,
        claim: identity.claim,
        credential: facts(),
        ephemeral: isEphemeral(runtime, identity)
      })
      if (consequence === "Nothing") return
      shared.slot = principal
      if (consequence === "Stamp" || attempt === maxAttempts) return
      const isLogin = seenBy === "login"
      const hasFailed = isLogin ? isUnwritable : () => false
      let claimed = identity
      if (consequence === "Switch") {
        const rotation = yield* again(store.rotate, hasFailed)
        if (rotation._tag === "Unwritable") {
          if (!isLogin) return unstamp()
          // The events of this command and of later ones must not belong to the former account (ADR 0036).
          claimed = yield* store.discard
          if (!claimed.durable) return
        } else if (rotation._tag === "Overtaken") {
          // The other process may have logged out. Only a login in this command is newer than that.
          return isLogin ? yield* apply(principal, seenBy, rotation.identity, attempt + 1) : undefined
        } else claimed = rotation.identity
      }
      const { source } = facts()
      const request = { identity: claimed, principal, learnedBy: seenBy, source, withAlias: consequence === "Claim" }
      const result = yield* again(publish(request), hasFailed)
      if (result._tag === "Unwritable") return unstamp()
      if (result._tag === "Held") {
        return yield* apply(principal, seenBy, { ...claimed, claim: result.claim }, attempt + 1)
      }
      if (result._tag !== "Replaced" || isOutdated(seenBy, result.identity)) return
      return yield* apply(principal, seenBy, result.identity, attempt + 1)
    })

  const decodePrincipal = (input: unknown): Effect.Effect<PrincipalId.PrincipalId | undefined> =>
    Result.match(PrincipalId.decode(input), {
      onFailure: (reason) => Effect.as(debug(`ignored a principal: ${reason}`), undefined),
      onSuccess: Effect.succeed
    })

  // Stamps the principal of this command. The device and the current credential may have another principal.
  const stampOnly = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    if (state.phase === "SignedOut" || !(yield* isAllowed) || !(yield* open)) return
    shared.slot ??= principal
  })

  // Returns whether a request was made with the current credential; true if the credential is not read yet.
  const isForCurrent = (authorization: string | undefined): boolean => {
    const found = state.current.found ?? state.initial?.found
    return found === undefined || authorization === undefined || Credential.authorizes(found, authorization)
  }

  const handleSighting = Effect.fnUntraced(function*(
    principal: PrincipalId.PrincipalId,
    seenBy: "observe" | "resolver",
    authorization?: string
  ) {
    if (shared.stitchAttempted) return
    shared.stitchAttempted = true
    if (state.phase === "SignedOut" || !(yield* isAllowed) || !(yield* open)) return
    // A response to an earlier request is about the previous credential. The first one of a command is unknown if consent
    // was denied, or could not be read, when the command began.
    const isUnknown = state.initial === undefined && running.size > 0
    if (seenBy === "observe" && (isUnknown || StitchState.hasChanged(state) || !isForCurrent(authorization))) {
      return yield* stampOnly(principal)
    }
    const identity = yield* store.get
    if (isOutdated(seenBy, identity)) return yield* stampOnly(principal)
    yield* apply(principal, seenBy, identity)
    const isStamped = shared.slot === principal
    if (isStamped) yield* held.release(principal)
    if (seenBy === "resolver") yield* remember(principal)
    else if (isStamped) state = StitchState.observe(state, principal)
  })

  // == the request to the API

  let pendingRequest: Fiber.Fiber<void> | undefined

  // Before the first event, an answer changes nothing on disk: a usage error must leave no trace.
  const handleAnswer = Effect.fnUntraced(function*({ about, principal }: StitchState.Answer) {
    if (!state.isOpen) return
    if (principal === undefined) return yield* cacheAnswer(about, undefined)
    if (!(yield* open)) return
    // The credential may have been replaced or removed since.
    if (StitchState.holds(state.current, about)) yield* handleSighting(principal, "resolver")
  })

  const requestPrincipal = Effect.fnUntraced(function*(credential: Credential.Credential) {
    if (pendingRequest !== undefined) return
    if (!Credential.isReadable(credential)) return yield* debug(`${noPrincipal}: it cannot be read`)
    const request = Effect.gen(function*() {
      const reply = yield* Effect.suspend(() => resolver.resolve(credential)).pipe(
        abandonAfter(answerLimit),
        // A resolver of the host may die or interrupt itself, also its own fiber.
        Effect.catchCause((cause) => Effect.as(debug(noPrincipal, cause), Option.some(undefined)))
      )
      if (Option.isNone(reply)) yield* debug(`${noPrincipal}: no answer in 2 seconds`)
      const found = Option.getOrUndefined(reply)
      // The resolver of a host may be JavaScript, or assert the type of an id.
      const answer = { about: credential, principal: found === undefined ? undefined : yield* decodePrincipal(found) }
      state = StitchState.answer(state, answer)
      yield* Effect.uninterruptible(locked(Effect.andThen(handleAnswer(answer), held.release(answer.principal))))
    })
    held.hold(credential)
    pendingRequest = yield* Effect.forkIn(Effect.interruptible(request), scope)
  })

  const cancelRequest = Effect.suspend(() => {
    pendingRequest?.interruptUnsafe()
    return held.release(undefined)
  })

  // == the identity

  const { notice } = settings
  const showNotice = Effect.flatMap(
    notes.run(() =>
      isNoticeDue(files, runtime, notice) && files.publish(files.home.notice, "") === undefined ? notice : undefined
    ),
    (text) => text === undefined ? Effect.void : Console.error(text)
  )

  // Whether the first event waits for the credential.
  let isReading = false

  // Reads the identity, once. Returns false if consent is denied or cannot be read: then the identity is unknown, and
  // the command must not use the principal of the claim.
  const open: Effect.Effect<boolean> = yield* Effect.cached(Effect.gen(function*() {
    if (state.isOpen) return true
    state = StitchState.open(state)
    if (!(yield* isAllowed)) return false
    yield* showNotice
    // The identity is read first: with a newer credential the account was switched, but not with a newer identity.
    const identity = yield* store.get
    // The host removes the credential before it reports a logout, so the first credential names the account. While the
    // process exits, no credential is read: that may need a promise.
    const { initial, phase } = state
    const isExiting = yield* runtime.isExiting
    const former = initial !== undefined && (isExiting || phase === "SigningOut")
      ? initial
      : isExiting
      ? StitchState.unreadable
      : undefined
    isReading = former === undefined
    const credential = former ?? (yield* credentials.read)
    isReading = false
    state = StitchState.replaceCurrent(state, credential)
    const { found, known: knowledge } = credential
    if (isSignedOutElsewhere({ claim: identity.claim, credential: facts() })) {
      yield* debug("the device gets a new anon id: its stored credential was removed")
      // A stateless runtime may be without the credential of a device that uses it elsewhere.
      const isRotated = !isStateless(runtime) && (yield* store.rotate)._tag !== "Unwritable"
      if (!isRotated) yield* store.forget
    }
    // Another process has logged out or logged in: this command keeps the principal of its first credential.
    if (initial?.found !== undefined && Credential.isReadable(initial.found) && StitchState.hasChanged(state)) {
      const initialPrincipal = initial.known ?? StitchState.answerAbout(state, initial)?.principal
      if (initialPrincipal !== undefined || knowledge) {
        shared.stitchAttempted = true
        shared.slot = initialPrincipal
        if (initialPrincipal === undefined) state = StitchState.replaceCurrent(state, StitchState.unattributable)
        return true
      }
    }
    if (found === undefined) return true
    const fresh = StitchState.answerAbout(state, credential)
    const principal = knowledge ?? fresh?.principal
    if (principal !== undefined) {
      // Set also during a response: the principal of the credential was known before it.
      shared.stitchAttempted = true
      yield* apply(principal, "resolver", yield* store.get)
      yield* remember(principal)
    } else if (fresh !== undefined) yield* cacheAnswer(found, undefined)
    // During a login or a response, the principal is named without a request.
    else if (knowledge === undefined && !shared.stitchAttempted) yield* requestPrincipal(found)
    return true
  }))

  const attribution = Effect.gen(function*() {
    const wasOpen = state.isOpen
    if (!(yield* open)) return undefined
    const check = wasOpen ? yield* store.check : "Current"
    if (check === "Deleted") return undefined
    // Another tool gave the device another anon id, which is used from now on.
    const identity = check === "Replaced" ? yield* store.refresh : yield* store.get
    return ownerOf(shared, identity, facts())
  })

  // == the operations

  let isFirst = true
  const begin = Effect.gen(function*() {
    if (state.isOpen || !(yield* isAllowed)) return
    // Another process may have logged out while this one loaded the full stitch.
    const credential = (isFirst ? state.initial : undefined) ?? (yield* credentials.read)
    isFirst = false
    state = StitchState.begin(state, credential)
    if (credential.found !== undefined && credential.known === undefined) yield* requestPrincipal(credential.found)
    // With an input, these lines were written before.
    else if (input === undefined && !credential.known) {
      yield* credential.found === undefined
        ? debug("no credential was found")
        : debug(`${noPrincipal}: ${noAnswer}`)
    }
  })

  const observe = (principalId: string, authorization?: string) =>
    Effect.gen(function*() {
      const principal = yield* decodePrincipal(principalId)
      if (principal === undefined) return
      return yield* isForCurrent(authorization)
        ? handleSighting(principal, "observe", authorization)
        : stampOnly(principal)
    })

  const claimOnDisk = Effect.map(store.peek, (identity) => identity?.claim)

  // A login without consent claims nothing, and ends the use of another account (ADR 0036).
  const signInUnclaimed = Effect.fnUntraced(function*(principal: PrincipalId.PrincipalId) {
    yield* cancelRequest
    const credential = yield* credentials.read
    state = StitchState.signIn(state, credential)
    shared.slot = principal
    const claim = yield* claimOnDisk
    if (claim !== undefined && claim.principal_id !== principal) yield* store.discard
  })

  const login = (principalId: string) =>
    Effect.gen(function*() {
      state = StitchState.observe(state, undefined)
      const principal = yield* decodePrincipal(principalId)
      if (principal === undefined) return
      // From now on responses are about another credential, also without consent.
      shared.stitchAttempted = true
      const consentNow = yield* readConsent
      if (consentNow === "Paused") return yield* signInUnclaimed(principal)
      if (consentNow === "Denied") return
      yield* open
      // The pending request is about the previous credential.
      yield* cancelRequest
      const identity = yield* again(store.refresh, ({ durable }) => !durable)
      const credential = yield* credentials.read
      // Another login may have replaced the credential since, and named its account. The account of a credential that
      // stays may change, as between the organizations of a user.
      const before = state.initial?.found
      const isUnchanged = before !== undefined && StitchState.holds(credential, before)
      const isOwn = isUnchanged || (credential.known ?? principal) === principal
      state = StitchState.signIn(state, credential)
      yield* apply(principal, "login", identity)
      if (isOwn && credential.found?.source === "stored") yield* remember(principal)
    })

  // The first step of a logout. Returns whether the running commands must record their success; undefined if no user was
  // signed in.
  const beginLogout = Effect.gen(function*() {
    const consentNow = yield* readConsent
    if (consentNow !== "Given") {
      // Nothing is recorded, and this process must not use the account any more.
      const { current, initial = current } = state
      const wasSignedIn = initial.found !== undefined || shared.slot !== undefined ||
        (yield* claimOnDisk) !== undefined
      state = StitchState.forget(state)
      shared.slot = undefined
      yield* consentNow === "Paused" && wasSignedIn ? store.discard : store.forget
      return undefined
    }
    state = StitchState.beginSignOut(state)
    const isKnown = yield* open
    const before = yield* store.get
    // Without a claim the logout may change nothing, so a read that failed must not count as one.
    const identity = yield* again(store.refresh, ({ claim }) => claim === undefined)
    const { current, phase } = state
    const isActive = phase !== "SignedOut"
    const hasCredential = isActive && current.found !== undefined
    const wasSignedIn = !isKnown || hasCredential || shared.slot !== undefined || before.claim !== undefined ||
      identity.claim !== undefined
    return wasSignedIn ? isActive : undefined
  })

  const endLogout = Effect.gen(function*() {
    shared.stitchAttempted = true
    yield* cancelRequest
    shared.slot = undefined
    state = StitchState.signOut(state)
    const rotation = yield* again(store.rotate, isUnwritable)
    if (rotation._tag === "Unwritable") yield* store.discard
    // The other process may have logged in: then the new anon id is claimed by that account.
    if (rotation._tag === "Overtaken") state = StitchState.replaceCurrent(state, StitchState.unattributable)
  })

  const logout = Effect.gen(function*() {
    const isFirst = yield* locked(beginLogout)
    if (isFirst === undefined) return
    // A second logout must not be recorded under the previous principal. A logout outside any command counts for every
    // running command.
    const command = yield* trackedCommand
    for (const run of isFirst ? [...running] : []) {
      if (command === undefined || isWithin(command, run)) yield* run.recordSuccess
    }
    yield* locked(endLogout)
  })

  const operation = (what: string) => (effect: Effect.Effect<void>) =>
    locked(effect).pipe(Effect.uninterruptible, debugFailure(what))

  const start = operation("could not begin a command")(begin)

  const awaitPrincipal = Effect.gen(function*() {
    if (pendingRequest === undefined) return
    // A finalizer is not interruptible, but a user who interrupts must not wait.
    const awaited = yield* Effect.exit(Effect.interruptible(Fiber.await(pendingRequest)))
    if (Exit.isFailure(awaited)) yield* cancelRequest
  })

  const service = IdentityStitch.of({
    observe: (principalId, authorization) =>
      operation("could not act on an observed principal")(observe(principalId, authorization)),
    login: (principalId) => operation("could not act on a login")(login(principalId)),
    logout: logout.pipe(Effect.uninterruptible, debugFailure("could not act on a logout"))
  })

  const capture = (event: Recorder.Event): Effect.Effect<void> =>
    locked(Effect.gen(function*() {
      const owner = yield* attribution
      const at = yield* now
      yield* owner === undefined ? record(event, owner, at) : held.record(event, owner, at, state.current)
    }))

  return { service, current: () => state.current, capture, awaitPrincipal, isReading: () => isReading, start, store }
})
