/**
 * Design §4 as a small state machine: what each operation makes of a device and its processes.
 *
 * It knows nothing of files, fibers or races: an operation is one step, and nothing fails.
 */
import { IdentityDraft } from "./IdentityDraft.ts"
import * as Program from "./Program.ts"
import * as State from "./State.ts"

type SeenBy = "login" | "observe" | "resolver"

// == the steps

/** One operation of one process, on a draft of the state. */
class Step extends IdentityDraft {
  // -- credentials

  private lookUp(): State.Credential | undefined {
    const { env, resolver } = this.process.command
    const secret = env ?? this.device.stored
    if (secret === undefined || resolver === "none") return undefined
    const known = this.device.known.get(secret)
    return {
      secret,
      source: env === undefined ? "stored" : "environment",
      knownPrincipal: known?.principal ?? undefined,
      isNew: known === undefined || (known.principal === null && this.device.now - known.at >= 60 * State.minute)
    }
  }

  private remember(secret: Program.Secret, principal: string | null): void {
    if (State.isStateless(this.runtime) || !this.isAllowed) return
    const known = this.device.known.get(secret)?.principal ?? null
    if (known !== null && (principal === null || principal === known)) return
    this.device.known = new Map(this.device.known).set(secret, { principal, at: this.device.now })
  }

  private rememberAtHand(principal: string): void {
    const { credential } = this.process
    if (credential === undefined) return
    this.remember(credential.secret, principal)
    this.process.credential = { ...credential, knownPrincipal: principal }
    if (credential.source === "stored") this.confirmStored(principal)
  }

  // -- principals

  /** Claims the anon id; gives the identity with which to begin anew, where that changed meanwhile. */
  private publish(principal: string, seenBy: SeenBy, hasAlias: boolean): "done" | "again" {
    const { fate, identity } = this
    if (fate === "deleted") {
      this.process.slot = undefined
      this.process.attempted = false
      return "done"
    }
    if (fate === "replaced") {
      this.refresh()
      return seenBy === "observe" && this.isOutdated ? "done" : "again"
    }
    const held = this.device.claims.get(identity.anonId) ?? this.adopted(identity.anonId, true)
    if (held !== undefined) {
      this.process.identity = { ...identity, claim: held }
      return "again"
    }
    const source = this.process.credential?.source ?? "none"
    const claim: State.Claim = {
      anonId: identity.anonId,
      principal,
      seenBy,
      source: seenBy === "login" && source === "environment" ? "stored" : source,
      hasAlias
    }
    this.process.identity = { ...identity, claim }
    this.device.claims = new Map(this.device.claims).set(identity.anonId, claim)
    if (hasAlias) this.send({ to: principal, isPersonless: false, alias: identity.anonId }, identity.anonId)
    this.repoint(this.process.identity)
    return "done"
  }

  private apply(principal: string, seenBy: SeenBy, turn = 0): void {
    const { identity } = this
    const what = State.follows({
      seenBy,
      slot: turn === 0 ? this.process.slot : undefined,
      claimed: identity.claim?.principal,
      principal,
      credential: this.process.credential,
      isEphemeral: State.isEphemeral(this.runtime, identity)
    })
    if (what === "nothing") return
    this.process.slot = principal
    if (what === "stamp") return
    if (what === "switch" && !this.rotate()) {
      // The process that was faster may have logged out: only a login in this command is newer than that.
      if (seenBy === "login") this.apply(principal, seenBy, turn + 1)
      return
    }
    if (this.publish(principal, seenBy, what === "claim") === "again") this.apply(principal, seenBy, turn + 1)
  }

  /** Whether a request carried the credential of the command, as far as the host tells what it carried. */
  private isAbout(secret: Program.Secret | undefined): boolean {
    const { atStart, command, credential } = this.process
    const found = credential ?? atStart
    return secret === undefined || command.resolver !== "input" || found === undefined || found.secret === secret
  }

  /** The command was the account's, but neither the device nor the current credential need be. */
  private stamp(principal: string): void {
    if (this.process.loggedOut || !this.isAllowed) return
    this.open()
    this.process.slot ??= principal
  }

  private see(principal: string, seenBy: "observe" | "resolver", secret?: Program.Secret): void {
    if (this.process.attempted) return
    this.process.attempted = true
    if (this.process.loggedOut || !this.isAllowed) return
    this.open()
    // A response to a request that was under way is about the credential that the command began with.
    const { atStart, credential } = this.process
    const hasChanged = atStart !== undefined && atStart.secret !== credential?.secret
    if (seenBy === "observe" && (hasChanged || !this.isAbout(secret))) return this.stamp(principal)
    if (seenBy === "observe" && this.isOutdated) return this.stamp(principal)
    this.apply(principal, seenBy)
    if (this.process.slot === principal) this.release(principal)
    // A response may be about a credential that is only about to be stored; the resolver's answer is about this one.
    if (seenBy === "resolver") this.rememberAtHand(principal)
    else if (this.process.slot === principal) this.process.observed = principal
  }

  private ask(secret: Program.Secret): void {
    if (this.process.hasAsked) return
    this.process.hasAsked = true
    this.process.question = { secret, since: this.device.now }
  }

  private answerAbout(secret: Program.Secret): State.Process["answer"] {
    return this.process.answer?.secret === secret ? this.process.answer : undefined
  }

  /** The identity and then the credential, once in a command, when there is something to record. */
  private open(isLeaving = false): void {
    if (this.process.opened) return
    this.process.opened = true
    if (!this.isAllowed) return
    const { claim } = this.identity
    const credential = (isLeaving ? this.process.atStart : undefined) ?? this.lookUp()
    this.process.credential = credential
    if (claim?.source === "stored" && credential === undefined) {
      if (State.isStateless(this.runtime)) this.process.identity = this.inMemory(this.identity.firstRun)
      else this.rotate()
    }
    const { atStart } = this.process
    if (atStart !== undefined && atStart.secret !== credential?.secret) {
      const first = atStart.knownPrincipal ?? this.answerAbout(atStart.secret)?.principal ?? undefined
      if (first !== undefined || credential?.knownPrincipal !== undefined) {
        this.process.attempted = true
        this.process.slot = first
        this.process.isStranger = first === undefined
        return
      }
    }
    if (credential === undefined) return
    const answer = this.answerAbout(credential.secret)
    const principal = credential.knownPrincipal ?? answer?.principal ?? undefined
    if (principal !== undefined) {
      this.process.attempted = true
      this.apply(principal, "resolver")
      this.rememberAtHand(principal)
    } else if (answer !== undefined) this.remember(credential.secret, null)
    else if (credential.isNew && !this.process.attempted) this.ask(credential.secret)
  }

  /** What the API says to the question, if it says anything. */
  private answered(outcome: "answer" | "time-out"): void {
    const { question } = this.process
    if (question === undefined) return
    this.process.question = undefined
    const said = outcome === "answer" && this.process.command.api === "up" ? Program.ownerOf[question.secret] : ""
    const principal = Program.legal.has(said) ? said : null
    this.process.answer = { secret: question.secret, principal }
    // Nothing is made or claimed before there is something to record.
    if (!this.process.opened) return
    if (principal === null) this.remember(question.secret, null)
    else if (this.process.credential?.secret === question.secret) this.see(principal, "resolver")
    this.release(principal ?? undefined)
  }

  private cancelRequest(): void {
    this.process.question = undefined
    this.release(undefined)
  }

  // -- messages

  /** The session of a message: a new one after half an hour of silence, and for every new anon id. */
  private touch(anonId: string): State.Session {
    const { now } = this.device
    const session =
      [this.process.session, this.device.session].find((known) =>
        known !== undefined && known.anonId === anonId && now - known.lastActive < 30 * State.minute
      ) ?? { anonId, id: this.token("session"), lastActive: -Infinity }
    const isDue = now - session.lastActive >= State.minute
    const current = isDue ? { ...session, lastActive: now } : session
    // A command that lives on does not end the session that another one began under a newer anon id.
    const isFirst = this.process.session?.anonId !== anonId
    const isOwn = isFirst || (this.device.session?.anonId ?? anonId) === anonId
    this.process.session = current
    if (isDue && isOwn && !State.isStateless(this.runtime) && this.isAllowed) this.device.session = current
    return current
  }

  private send(message: Pick<State.Message, "to" | "isPersonless" | "alias">, anonId: string): void {
    this.push({ ...message, session: this.touch(anonId).id })
  }

  private push(message: Omit<State.Message, "actor" | "sequence">): void {
    this.messages.push({ ...message, actor: this.actor, sequence: this.process.sequence })
    this.process.sequence += 1
  }

  /** Whether it may still be said whose an event is, where no later command can. */
  private isAwaited(event: Pick<State.Message, "isPersonless">): boolean {
    const { credential, held, question } = this.process
    if (held.length > 0) return true
    return event.isPersonless && question !== undefined && question.secret === credential?.secret &&
      State.isEphemeral(this.runtime, this.identity)
  }

  private release(principal: string | undefined): void {
    const { held } = this.process
    this.process.held = []
    if (!this.isAllowed) return
    for (const event of held) {
      const isTheirs = principal !== undefined && event.isPersonless
      this.push({ ...event, ...(isTheirs ? { to: principal, isPersonless: false } : {}), alias: undefined })
    }
  }

  private record(): void {
    if (!this.isAllowed) return
    const wasOpen = this.process.opened
    this.open()
    if (wasOpen && this.fate === "deleted") return
    // What is recorded follows an anon id that another tool made.
    if (wasOpen && this.fate === "replaced") this.refresh()
    const { identity } = this
    const event = State.attribute(this.process, identity)
    if (!this.isAwaited(event)) return this.send({ ...event, alias: undefined }, identity.anonId)
    this.process.held = [...this.process.held, { ...event, session: this.touch(identity.anonId).id }]
  }

  private succeed(): void {
    if (this.process.succeeded) return
    this.process.succeeded = true
    this.record()
  }

  // -- operations

  /** What its timers did since its last turn. */
  wake(): void {
    const { question } = this.process
    if (question !== undefined && this.device.now - question.since >= 2000) this.answered("time-out")
  }

  /**
   * A steady command notes its consent, reads its credential, and nothing more; whether it may record is asked with its
   * first event.
   */
  begin(isSteady: boolean): void {
    this.process.consent = this.device.consent
    const credential = this.lookUp()
    const { env, resolver } = this.process.command
    // A host without a resolver has a credential all the same.
    this.process.loaded = env ?? this.device.stored
    if (resolver === "input") this.process.atStart = credential
    if (resolver === "none") this.process.deviceAtStart = this.plain ?? "none"
    if (isSteady || !this.isAllowed) return
    this.process.atStart = credential
    if (credential?.isNew === true) this.ask(credential.secret)
  }

  operate(op: Program.Op): void {
    switch (op._tag) {
      case "Event":
        return this.record()
      case "Request": {
        const { loaded } = this.process
        return loaded === undefined ? undefined : this.observe(Program.ownerOf[loaded], loaded)
      }
      case "Observe":
        return op.principals.forEach((principal) => this.observe(principal))
      case "Login": {
        const principal = Program.ownerOf[op.secret]
        if (op.validated) this.observe(principal, op.secret)
        this.device.stored = op.secret
        this.process.loaded = this.process.command.env ?? op.secret
        return this.login(principal)
      }
      case "Logout":
        this.device.stored = undefined
        this.process.loaded = this.process.command.env
        return this.logout()
      case "Answer":
        return this.process.command.api === "hangs" ? undefined : this.answered("answer")
    }
  }

  /** Only what is answered to the current credential counts. */
  private observe(principal: string, secret?: Program.Secret): void {
    if (!Program.legal.has(principal)) return
    if (this.isAbout(secret)) this.see(principal, "observe", secret)
    else this.stamp(principal)
  }

  private login(principal: string): void {
    this.process.observed = undefined
    if (!Program.legal.has(principal)) return
    this.process.attempted = true
    if (!this.isAllowed && !this.isPaused) return
    const isAllowed = this.isAllowed
    if (isAllowed) this.open()
    this.cancelRequest()
    this.process.loggedOut = false
    if (isAllowed) this.refresh()
    this.process.isStranger = false
    const { atStart } = this.process
    const credential = this.lookUp()
    const isUnchanged = atStart !== undefined && atStart.secret === credential?.secret
    this.process.credential = credential
    this.process.atStart = credential
    if (!isAllowed) return this.signInUnclaimed(principal)
    this.apply(principal, "login")
    const isOwn = isUnchanged || (credential?.knownPrincipal ?? principal) === principal
    if (isOwn && credential?.source === "stored") this.rememberAtHand(principal)
  }

  /** A claim may have been made before the credential was stored that is now known to be its principal's. */
  private confirmStored(principal: string): void {
    const { identity } = this.process
    if (identity?.claim?.principal !== principal || !identity.durable || !this.mayMake || !this.isAllowed) return
    const claim: State.Claim = { ...identity.claim, source: "stored" }
    this.process.identity = { ...identity, claim }
    this.device.claims = new Map(this.device.claims).set(claim.anonId, claim)
  }

  /** What a host without a resolver reports once must count for later commands, which may record. */
  private signInUnclaimed(principal: string): void {
    this.process.slot = principal
    const claimed = this.claimedOnDisk
    if (claimed !== undefined && claimed !== principal) this.discard()
  }

  private logout(): void {
    if (!this.isAllowed) {
      const wasSignedIn = this.process.slot !== undefined || this.claimedOnDisk !== undefined
      if (this.isPaused && wasSignedIn) this.discard()
      else this.process.identity = this.inMemory(this.process.identity?.firstRun ?? false)
      this.process.loggedOut = true
      this.process.slot = undefined
      this.process.atStart = undefined
      this.process.credential = undefined
      return
    }
    this.open(true)
    const before = this.identity
    const identity = this.refresh()
    const wasSignedIn = this.process.credential !== undefined || this.process.slot !== undefined ||
      before.claim !== undefined || identity.claim !== undefined
    if (!wasSignedIn) return
    if (!this.process.loggedOut) this.succeed()
    this.process.loggedOut = true
    this.process.attempted = true
    this.cancelRequest()
    this.process.slot = undefined
    this.process.credential = undefined
    // The process that was faster may have logged in: the new anon id is then that account's.
    this.process.isStranger = !this.rotate()
  }

  finish(): void {
    const { question } = this.process
    if (question !== undefined && this.process.command.api === "hangs") {
      this.device.now = Math.max(this.device.now, question.since + 2000)
      this.answered("time-out")
    } else this.answered("answer")
    this.succeed()
    this.cancelRequest()
    if (this.process.observed !== undefined) this.rememberAtHand(this.process.observed)
  }
}

/** The state after an operation of an actor. */
export const next = (
  state: State.State,
  actor: Program.Actor,
  index: number,
  name: string,
  op: Program.Op | undefined,
  isSteady: boolean
): State.State => {
  if (actor._tag !== "Command") return { ...state, device: State.outside(state.device, actor) }
  const step = new Step(state, index, state.processes.get(index) ?? State.newProcess(actor))
  step.wake()
  if (name === "begin") step.begin(isSteady)
  else if (op === undefined) step.finish()
  else step.operate(op)
  return {
    device: step.device,
    processes: new Map(state.processes).set(index, step.process),
    messages: step.messages
  }
}
