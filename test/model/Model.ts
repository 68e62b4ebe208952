/**
 * Design §4 as a small state machine: a device, its processes, and what each operation makes of them.
 *
 * It knows nothing of files, fibers or races: an operation is one step, and nothing fails. Ids are tokens.
 */
import * as Program from "./Program.ts"

// == the state

export interface Claim {
  readonly anonId: string
  readonly principal: string
  readonly seenBy: "login" | "observe" | "resolver" | "adopted"
  readonly source: Source
  readonly hasAlias: boolean
}

type Source = "stored" | "environment" | "none"

export interface Pointer {
  readonly anonId: string
  readonly linked: string | undefined
}

interface Session {
  readonly anonId: string
  readonly id: string
  readonly lastActive: number
}

/** What the device's disk holds. */
export interface Device {
  readonly pointer: "missing" | "unusable" | Pointer
  /** What came after an anon id, or after the unusable file, and since when. */
  readonly successors: ReadonlyMap<string, { readonly anonId: string; readonly at: number }>
  readonly claims: ReadonlyMap<string, Claim>
  /** Whose a credential is; null: nobody answered, at that time. */
  readonly known: ReadonlyMap<Program.Secret, { readonly principal: string | null; readonly at: number }>
  readonly session: Session | undefined
  readonly stored: Program.Secret | undefined
  readonly optOut: boolean
  /** How often an opt-out was withdrawn. */
  readonly consent: number
  readonly now: number
  /** How many ids were made. */
  readonly made: number
}

interface Credential {
  readonly secret: Program.Secret
  readonly source: Source
  readonly knownAs: string | undefined
  /** Whether anything is known of it, were it that nobody answers. */
  readonly isNew: boolean
}

export interface Identity {
  readonly anonId: string
  readonly claim: Claim | undefined
  readonly durable: boolean
  readonly firstRun: boolean
}

/** What a process holds in memory. */
export interface Process {
  readonly command: Program.Command
  readonly slot: string | undefined
  readonly attempted: boolean
  readonly loggedOut: boolean
  readonly opened: boolean
  readonly identity: Identity | undefined
  readonly credential: Credential | undefined
  /** The credential that it began with. */
  readonly atStart: Credential | undefined
  /** The credential that the host loaded. */
  readonly loaded: Program.Secret | undefined
  readonly question: { readonly secret: Program.Secret; readonly since: number } | undefined
  readonly hasAsked: boolean
  /** What the API answered; null: that it knows nobody, or nothing at all. */
  readonly answer: { readonly secret: Program.Secret; readonly principal: string | null } | undefined
  /** Whether the device may have become somebody else's while it logged out. */
  readonly isStranger: boolean
  /** The principal that a response named, and that nobody contradicted since. */
  readonly observed: string | undefined
  readonly succeeded: boolean
  /** The consent that it found first. */
  readonly consent: number | undefined
  readonly session: Session | undefined
  readonly sequence: number
}

/** A message, and who it belongs to: a principal, an anon id, or the command's own id. */
export interface Message {
  readonly actor: number
  readonly to: string
  readonly isPersonless: boolean
  readonly alias: string | undefined
  readonly session: string
  readonly sequence: number
}

export interface State {
  readonly device: Device
  readonly processes: ReadonlyMap<number, Process>
  readonly messages: ReadonlyArray<Message>
}

/** The id of the command itself, where an event belongs to nobody. */
export const ownId = "the command's own id"

/** The anon id of an identity file that was there before. */
export const given = "the anon id that was there"

const unusableFile = "the unusable file"

export const initial = (program: Program.Program, now: number): State => ({
  device: {
    pointer: {
      empty: "missing" as const,
      unusable: "unusable" as const,
      identity: { anonId: given, linked: undefined },
      linked: { anonId: given, linked: "acct_a" },
      // Placeholders are not accounts.
      "linked illegally": { anonId: given, linked: undefined }
    }[program.initial],
    successors: new Map(),
    claims: new Map(),
    known: new Map(),
    session: undefined,
    stored: undefined,
    optOut: false,
    consent: 0,
    now,
    made: 0
  },
  processes: new Map(),
  messages: []
})

// == the rules

const minute = 60_000

const keepsNothing = (runtime: Program.Runtime) => runtime.ci || (runtime.container && !runtime.terminal)

const isEphemeral = (runtime: Program.Runtime, identity: Identity) =>
  keepsNothing(runtime) || !identity.durable || (identity.firstRun && !runtime.terminal)

/** §4.2: who an event belongs to. */
const attribute = (process: Process, identity: Identity): { readonly to: string; readonly isPersonless: boolean } => {
  const { credential, isStranger, slot } = process
  const { claim } = identity
  if (slot !== undefined) return { to: slot, isPersonless: false }
  if (claim === undefined) return { to: identity.anonId, isPersonless: true }
  if (isStranger) return { to: ownId, isPersonless: true }
  const isTheirs = credential === undefined ? claim.source !== "stored" : credential.knownAs === claim.principal
  return isTheirs ? { to: claim.principal, isPersonless: false } : { to: ownId, isPersonless: true }
}

/** §4.3: what follows from a principal that is seen. */
const follows = (facts: {
  readonly seenBy: "login" | "observe" | "resolver"
  readonly slot: string | undefined
  readonly claimed: string | undefined
  readonly principal: string
  readonly credential: Credential | undefined
  readonly isEphemeral: boolean
}): "nothing" | "stamp" | "claim" | "switch" => {
  const { claimed, credential, isEphemeral, principal, seenBy, slot } = facts
  if (seenBy !== "login" && slot !== undefined) return "nothing"
  if (isEphemeral || claimed === principal) return "stamp"
  if (claimed === undefined) return "claim"
  if (seenBy === "login") return "switch"
  const isNewStored = credential?.source === "stored" && credential.knownAs !== claimed
  return isNewStored ? "switch" : "stamp"
}

// == the steps

type Draft<A> = { -readonly [K in keyof A]: A[K] }

/** One operation of one process, on a draft of the state. */
class Step {
  readonly device: Draft<Device>
  readonly process: Draft<Process>
  readonly messages: Array<Message>
  private readonly actor: number
  private readonly runtime: Program.Runtime

  constructor(state: State, actor: number, process: Process) {
    this.device = { ...state.device }
    this.process = { ...process }
    this.messages = [...state.messages]
    this.actor = actor
    this.runtime = Program.runtimes[process.command.runtime]
  }

  private token(kind: string): string {
    this.device.made += 1
    return `${kind} ${this.device.made}`
  }

  /** Not where the user has opted out since it first asked, though they have come back. */
  private get isAllowed(): boolean {
    if (this.device.optOut) return false
    this.process.consent ??= this.device.consent
    return this.process.consent === this.device.consent
  }

  // -- the identity on the disk

  private get mayMake(): boolean {
    return !keepsNothing(this.runtime)
  }

  private succeedTo(key: string): string {
    const next = this.device.successors.get(key) ?? { anonId: this.token("anon"), at: this.device.now }
    this.device.successors = new Map(this.device.successors).set(key, next)
    return next.anonId
  }

  private end(anonId: string): string {
    const next = this.device.successors.get(anonId)
    return next === undefined ? anonId : this.end(next.anonId)
  }

  private inMemory(firstRun: boolean): Identity {
    return { anonId: this.token("anon"), claim: undefined, durable: false, firstRun }
  }

  private read(firstRun: boolean): Identity {
    const { pointer } = this.device
    const mayWrite = this.mayMake && this.isAllowed
    if (pointer === "missing") {
      if (!mayWrite) return this.inMemory(true)
      const anonId = this.token("anon")
      this.device.pointer = { anonId, linked: undefined }
      return { anonId, claim: undefined, durable: true, firstRun: true }
    }
    if (pointer === "unusable") {
      if (!mayWrite && !this.device.successors.has(unusableFile)) return this.inMemory(firstRun)
    }
    const anonId = this.end(pointer === "unusable" ? this.succeedTo(unusableFile) : pointer.anonId)
    const linked = pointer !== "unusable" && pointer.anonId === anonId ? pointer.linked : undefined
    let claim = this.device.claims.get(anonId)
    if (claim === undefined && linked !== undefined) {
      claim = { anonId, principal: linked, seenBy: "adopted", source: "none", hasAlias: false }
      if (mayWrite) this.device.claims = new Map(this.device.claims).set(anonId, claim)
    }
    if (mayWrite) this.device.pointer = { anonId, linked: claim?.principal }
    return { anonId, claim, durable: true, firstRun }
  }

  private get identity(): Identity {
    const identity = this.process.identity ?? this.read(false)
    this.process.identity = identity
    return identity
  }

  private refresh(): Identity {
    const known = this.process.identity
    const found = this.read(known?.firstRun ?? false)
    const identity = !found.durable && known !== undefined && !known.durable ? known : found
    this.process.identity = identity
    return identity
  }

  private repoint(identity: Identity): void {
    if (this.device.pointer === "missing") return
    this.device.pointer = { anonId: identity.anonId, linked: identity.claim?.principal }
  }

  /** Gives the device a new anon id; says whether nobody else had. */
  private rotate(): boolean {
    const from = this.identity
    if (!from.durable) {
      this.process.identity = this.inMemory(from.firstRun)
      return true
    }
    const isFirst = !this.device.successors.has(from.anonId)
    const anonId = this.end(this.succeedTo(from.anonId))
    const identity = { ...from, anonId, claim: this.device.claims.get(anonId) }
    this.process.identity = identity
    this.repoint(identity)
    if (isFirst) this.prune()
    return isFirst
  }

  /** Forgets what only a process of 90 days ago could still ask for. */
  private prune(): void {
    const isOld = ({ at }: { readonly at: number }) => this.device.now - at > 90 * 24 * 60 * minute
    this.device.successors = new Map([...this.device.successors].filter(([, next]) => !isOld(next)))
  }

  /** Whether the disk leads neither to an anon id nor on from it: nobody knows any more whether it was claimed. */
  private isForgotten(anonId: string): boolean {
    const { pointer, successors } = this.device
    if (pointer === "missing") return true
    const start = pointer === "unusable" ? successors.get(unusableFile)?.anonId : pointer.anonId
    return !successors.has(anonId) && (start === undefined || this.end(start) !== anonId)
  }

  // -- credentials

  private lookUp(): Credential | undefined {
    const { env } = this.process.command
    const secret = env ?? this.device.stored
    if (secret === undefined) return undefined
    const known = this.device.known.get(secret)
    return {
      secret,
      source: env === undefined ? "stored" : "environment",
      knownAs: known?.principal ?? undefined,
      isNew: known === undefined || (known.principal === null && this.device.now - known.at >= 60 * minute)
    }
  }

  private remember(secret: Program.Secret, principal: string | null): void {
    if (keepsNothing(this.runtime) || !this.isAllowed) return
    const known = this.device.known.get(secret)?.principal ?? null
    if (known !== null && (principal === null || principal === known)) return
    this.device.known = new Map(this.device.known).set(secret, { principal, at: this.device.now })
  }

  private rememberAtHand(principal: string): void {
    const { credential } = this.process
    if (credential === undefined) return
    this.remember(credential.secret, principal)
    this.process.credential = { ...credential, knownAs: principal }
    if (credential.source === "stored") this.confirmStored(principal)
  }

  // -- principals

  private publish(principal: string, seenBy: "login" | "observe" | "resolver", hasAlias: boolean): Claim | undefined {
    const identity = this.identity
    const source = this.process.credential?.source ?? "none"
    const session = hasAlias ? this.touch(identity.anonId) : ""
    if (this.isForgotten(identity.anonId)) {
      this.process.slot = undefined
      this.process.attempted = false
      return undefined
    }
    const held = this.device.claims.get(identity.anonId)
    const claim: Claim = held ?? {
      anonId: identity.anonId,
      principal,
      seenBy,
      source: seenBy === "login" && source === "environment" ? "stored" : source,
      hasAlias
    }
    this.process.identity = { ...identity, claim }
    if (held !== undefined) return held
    this.device.claims = new Map(this.device.claims).set(identity.anonId, claim)
    if (hasAlias) this.send({ to: principal, isPersonless: false, alias: identity.anonId, session })
    this.repoint(this.process.identity)
    return undefined
  }

  private apply(principal: string, seenBy: "login" | "observe" | "resolver", turn = 0): void {
    const identity = this.identity
    const what = follows({
      seenBy,
      slot: turn === 0 ? this.process.slot : undefined,
      claimed: identity.claim?.principal,
      principal,
      credential: this.process.credential,
      isEphemeral: isEphemeral(this.runtime, identity)
    })
    if (what === "nothing") return
    this.process.slot = principal
    if (what === "stamp") return
    if (what === "switch" && !this.rotate()) {
      // Whoever was faster may have logged out: only a login here and now is newer than that.
      if (seenBy === "login") this.apply(principal, seenBy, turn + 1)
      return
    }
    if (this.publish(principal, seenBy, what === "claim") !== undefined) this.apply(principal, seenBy, turn + 1)
  }

  private see(principal: string, seenBy: "observe" | "resolver"): void {
    if (this.process.attempted) return
    this.process.attempted = true
    if (this.process.loggedOut || !this.isAllowed) return
    this.open()
    // A response to a request that was under way is about the credential that the command began with.
    const { atStart, credential } = this.process
    if (seenBy === "observe" && atStart !== undefined && atStart.secret !== credential?.secret) {
      this.process.slot ??= principal
      return
    }
    this.apply(principal, seenBy)
    // A response may be about a credential that is only about to be stored; the resolver's answer is about this one.
    if (seenBy === "resolver") this.rememberAtHand(principal)
    else if (this.process.slot === principal) this.process.observed = principal
  }

  private ask(secret: Program.Secret): void {
    if (this.process.hasAsked) return
    this.process.hasAsked = true
    this.process.question = { secret, since: this.device.now }
  }

  /** The identity and then the credential, once in a command, when there is something to record. */
  private open(isLeaving = false): void {
    if (this.process.opened) return
    this.process.opened = true
    if (!this.isAllowed) return
    const { claim } = this.identity
    const credential = (isLeaving ? this.process.atStart : undefined) ?? this.lookUp()
    this.process.credential = credential
    if (claim?.source === "stored" && credential === undefined) this.rotate()
    const { atStart } = this.process
    if (atStart?.knownAs !== undefined && atStart.secret !== credential?.secret) {
      this.process.attempted = true
      this.process.slot = atStart.knownAs
      return
    }
    if (credential === undefined) return
    const answer = this.process.answer?.secret === credential.secret ? this.process.answer : undefined
    const principal = credential.knownAs ?? answer?.principal ?? undefined
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
    // Nothing is made, and nobody is stitched, before there is something to record.
    if (!this.process.opened) return
    if (principal === null) return this.remember(question.secret, null)
    if (this.process.credential?.secret === question.secret) this.see(principal, "resolver")
  }

  // -- messages

  private touch(anonId: string): string {
    const { now } = this.device
    const known = this.process.session ?? this.device.session
    const goesOn = known !== undefined && known.anonId === anonId && now - known.lastActive < 30 * minute
    const session = goesOn ? known : { anonId, id: this.token("session"), lastActive: -Infinity }
    const isDue = now - session.lastActive >= minute
    const current = isDue ? { ...session, lastActive: now } : session
    this.process.session = current
    if (isDue && !keepsNothing(this.runtime) && this.isAllowed) this.device.session = current
    return current.id
  }

  private send(message: Omit<Message, "actor" | "sequence">): void {
    this.messages.push({ ...message, actor: this.actor, sequence: this.process.sequence })
    this.process.sequence += 1
  }

  private record(): void {
    if (!this.isAllowed) return
    const wasOpen = this.process.opened
    this.open()
    const { identity } = this
    if (wasOpen && identity.durable && this.isForgotten(identity.anonId)) return
    const { isPersonless, to } = attribute(this.process, identity)
    this.send({ to, isPersonless, alias: undefined, session: this.touch(identity.anonId) })
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

  begin(): void {
    const credential = this.lookUp()
    this.process.loaded = credential?.secret
    if (!this.isAllowed) return
    this.process.atStart = credential
    if (credential?.isNew === true) this.ask(credential.secret)
  }

  operate(op: Program.Op): void {
    switch (op._tag) {
      case "Event":
        return this.record()
      case "Request": {
        const { loaded } = this.process
        return loaded === undefined ? undefined : this.observe(Program.ownerOf[loaded])
      }
      case "Observe":
        return op.principals.forEach((principal) => this.observe(principal))
      case "Login": {
        const principal = Program.ownerOf[op.secret]
        if (op.validated) this.observe(principal)
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

  private observe(principal: string): void {
    if (Program.legal.has(principal)) this.see(principal, "observe")
  }

  private login(principal: string): void {
    this.process.observed = undefined
    if (!Program.legal.has(principal)) return
    this.process.attempted = true
    if (!this.isAllowed) return
    this.open()
    this.process.question = undefined
    this.process.loggedOut = false
    this.refresh()
    this.process.isStranger = false
    this.process.credential = this.lookUp()
    this.process.atStart = this.process.credential
    this.apply(principal, "login")
    if (this.process.credential?.source === "stored") this.rememberAtHand(principal)
  }

  /** A claim may have been made before the credential was stored that is now known to be its principal's. */
  private confirmStored(principal: string): void {
    const { identity } = this.process
    if (identity?.claim?.principal !== principal || !identity.durable || !this.mayMake || !this.isAllowed) return
    const claim: Claim = { ...identity.claim, source: "stored" }
    this.process.identity = { ...identity, claim }
    this.device.claims = new Map(this.device.claims).set(claim.anonId, claim)
  }

  private logout(): void {
    if (!this.isAllowed) {
      this.process.loggedOut = true
      this.process.slot = undefined
      this.process.atStart = undefined
      this.process.credential = undefined
      this.process.identity = this.inMemory(this.process.identity?.firstRun ?? false)
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
    this.process.question = undefined
    this.process.slot = undefined
    this.process.credential = undefined
    // Whoever was faster may have logged in: then the new anon id is theirs.
    this.process.isStranger = !this.rotate()
  }

  finish(): void {
    const { question } = this.process
    if (question !== undefined && this.process.command.api === "hangs") {
      this.device.now = Math.max(this.device.now, question.since + 2000)
      this.answered("time-out")
    } else this.answered("answer")
    this.succeed()
    if (this.process.observed !== undefined) this.rememberAtHand(this.process.observed)
  }
}

const outside = (device: Device, op: Program.Outside): Device => {
  switch (op._tag) {
    case "Store":
      return { ...device, stored: op.secret }
    case "Lose":
      return { ...device, stored: undefined }
    case "Disable":
      return {
        ...device,
        optOut: true,
        pointer: "missing",
        successors: new Map(),
        claims: new Map(),
        known: new Map(),
        session: undefined
      }
    case "Enable":
      return device.optOut ? { ...device, optOut: false, consent: device.consent + 1 } : device
    case "Delete":
      return { ...device, pointer: "missing" }
    case "Wait":
      return { ...device, now: device.now + op.minutes * minute }
    case "Drain":
      return device
  }
}

const newProcess = (command: Program.Command): Process => ({
  command,
  slot: undefined,
  attempted: false,
  loggedOut: false,
  opened: false,
  identity: undefined,
  credential: undefined,
  atStart: undefined,
  loaded: undefined,
  question: undefined,
  hasAsked: false,
  answer: undefined,
  isStranger: false,
  observed: undefined,
  succeeded: false,
  consent: undefined,
  session: undefined,
  sequence: 0
})

/** The state after an operation of an actor. */
export const next = (
  state: State,
  actor: Program.Actor,
  index: number,
  name: string,
  op: Program.Op | undefined
): State => {
  if (actor._tag !== "Command") return { ...state, device: outside(state.device, actor) }
  const step = new Step(state, index, state.processes.get(index) ?? newProcess(actor))
  step.wake()
  if (name === "begin") step.begin()
  else if (op === undefined) step.finish()
  else step.operate(op)
  return {
    device: step.device,
    processes: new Map(state.processes).set(index, step.process),
    messages: step.messages
  }
}
