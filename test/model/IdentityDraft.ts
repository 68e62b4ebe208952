/**
 * The part of the model that has the identity on the disk: its pointer, its successors and its claims.
 */
import * as Program from "./Program.ts"
import * as State from "./State.ts"

type Draft<A> = { -readonly [K in keyof A]: A[K] }

/** A draft of the state, and what an operation reads of the identity and writes to it. */
export class IdentityDraft {
  readonly device: Draft<State.Device>
  readonly process: Draft<State.Process>
  readonly messages: Array<State.Message>
  protected readonly actor: number
  protected readonly runtime: Program.Runtime

  constructor(state: State.State, actor: number, process: State.Process) {
    this.device = { ...state.device }
    this.process = { ...process }
    this.messages = [...state.messages]
    this.actor = actor
    this.runtime = Program.runtimes[process.command.runtime]
  }

  protected token(kind: string): string {
    this.device.made += 1
    return `${kind} ${this.device.made}`
  }

  /** Not where the user has opted out since it began, though they have come back. */
  protected get isAllowed(): boolean {
    if (this.device.optOut) return false
    this.process.consent ??= this.device.consent
    return this.process.consent === this.device.consent
  }

  /** Not where the user has opted out. A host with a resolver sees the other credential in its next command. */
  protected get isPaused(): boolean {
    return !this.isAllowed && !this.device.optOut && this.process.command.resolver === "none"
  }

  // -- the identity on the disk

  protected get mayMake(): boolean {
    return !State.isStateless(this.runtime)
  }

  protected succeedTo(key: string): string {
    const next = this.device.successors.get(key) ?? { anonId: this.token("anon"), at: this.device.now }
    this.device.successors = new Map(this.device.successors).set(key, next)
    return next.anonId
  }

  protected end(anonId: string): string {
    const next = this.device.successors.get(anonId)
    return next === undefined ? anonId : this.end(next.anonId)
  }

  /**
   * The anon id that the unusable file leads to: past each one with a claim, as the same text may come back when the device
   * has had other accounts. Undefined if it is not made yet.
   */
  protected unusableEnd(mayWrite: boolean): string | undefined {
    let key = State.unusableFile
    for (;;) {
      if (!mayWrite && !this.device.successors.has(key)) return undefined
      const end = this.end(this.succeedTo(key))
      if (!this.device.claims.has(end)) return end
      key = `${key}, ${end}`
    }
  }

  protected inMemory(firstRun: boolean): State.Identity {
    return { anonId: this.token("anon"), claim: undefined, durable: false, firstRun, isOwn: false }
  }

  /** The claim that another tool's link comes to. */
  protected adopted(anonId: string, mayWrite: boolean): State.Claim | undefined {
    const { pointer } = this.device
    if (pointer === "missing" || pointer === "unusable") return undefined
    if (pointer.anonId !== anonId || pointer.linked === undefined) return undefined
    const claim: State.Claim = { anonId, principal: pointer.linked, seenBy: "adopted", source: "none", hasAlias: false }
    if (mayWrite) this.device.claims = new Map(this.device.claims).set(anonId, claim)
    return claim
  }

  protected read(firstRun: boolean): State.Identity {
    const { pointer } = this.device
    const mayWrite = this.mayMake && this.isAllowed
    if (pointer === "missing") {
      if (!mayWrite) return this.inMemory(true)
      const anonId = this.token("anon")
      this.device.pointer = { anonId, linked: undefined }
      return { anonId, claim: undefined, durable: true, firstRun: true, isOwn: this.process.identity?.isOwn ?? true }
    }
    const anonId = pointer === "unusable" ? this.unusableEnd(mayWrite) : this.end(pointer.anonId)
    if (anonId === undefined) return this.inMemory(firstRun)
    const claim = this.device.claims.get(anonId) ?? this.adopted(anonId, mayWrite)
    if (mayWrite) this.device.pointer = { anonId, linked: claim?.principal }
    return { anonId, claim, durable: true, firstRun, isOwn: this.process.identity?.isOwn ?? false }
  }

  protected get identity(): State.Identity {
    const identity = this.process.identity ?? this.read(false)
    this.process.identity = identity
    return identity
  }

  protected refresh(): State.Identity {
    const known = this.process.identity
    const found = this.read(known?.firstRun ?? false)
    // What cannot be read again stays.
    const isKept = !found.durable && known !== undefined && (!known.durable || this.fate === "current")
    const identity = isKept ? known : found
    this.process.identity = identity
    return identity
  }

  /** The anon id that the disk leads to. */
  protected get current(): string | undefined {
    const { pointer } = this.device
    if (pointer === "missing") return undefined
    return pointer === "unusable" ? this.unusableEnd(false) : this.end(pointer.anonId)
  }

  /** The principal of the anon id that the disk leads to. */
  protected get claimedOnDisk(): string | undefined {
    const { current } = this
    return current && (this.device.claims.get(current) ?? this.adopted(current, false))?.principal
  }

  /** Without consent nothing is written, so the identity file is removed. */
  protected discard(): void {
    const former = this.process.identity
    const { current } = this
    if (current !== undefined && (former?.durable !== true || former.anonId === current)) {
      this.device.pointer = "missing"
    }
    this.process.identity = this.inMemory(former?.firstRun ?? false)
  }

  /** Not over an anon id that another tool made. */
  protected repoint(identity: State.Identity): void {
    if (this.device.pointer === "missing") return
    if (this.current !== undefined && this.current !== this.end(identity.anonId)) return
    if (this.isSucceededBy(identity.anonId, this.device.pointer)) return
    this.device.pointer = { anonId: identity.anonId, linked: identity.claim?.principal }
  }

  /** Whether the pointer names an anon id that came later. */
  private isSucceededBy(anonId: string, pointer: State.Device["pointer"]): boolean {
    const next = this.device.successors.get(anonId)?.anonId
    if (next === undefined || typeof pointer === "string") return false
    return next === pointer.anonId || this.isSucceededBy(next, pointer)
  }

  /** Gives the device a new anon id; returns false where another process or tool was faster. */
  protected rotate(): boolean {
    const from = this.identity
    if (!from.durable) {
      this.process.identity = this.inMemory(from.firstRun)
      return true
    }
    const isFirst = !this.device.successors.has(from.anonId)
    // Another tool was faster, before or after another process.
    const isReplaced = this.current !== undefined && this.current !== this.end(from.anonId)
    if (isReplaced || this.fate === "replaced") {
      this.refresh()
      return false
    }
    const anonId = this.end(this.succeedTo(from.anonId))
    const identity = { ...from, anonId, claim: this.device.claims.get(anonId) }
    this.process.identity = identity
    this.repoint(identity)
    if (isFirst) this.prune()
    return isFirst
  }

  /** Forgets what only a process of 90 days ago could still ask for. */
  protected prune(): void {
    const isOld = ({ at }: { readonly at: number }) => this.device.now - at > 90 * 24 * 60 * State.minute
    this.device.successors = new Map([...this.device.successors].filter(([, next]) => !isOld(next)))
  }

  /** The anon id in the identity file, where nothing is to be written to it. */
  protected get plain(): string | undefined {
    const { claims, pointer, successors } = this.device
    if (pointer === "missing" || pointer === "unusable" || successors.has(pointer.anonId)) return undefined
    return claims.get(pointer.anonId)?.principal === pointer.linked ? pointer.anonId : undefined
  }

  /** Whether another process or tool gave the device its anon id since, and no credential tells for which account. */
  protected get isOutdated(): boolean {
    const { credential, deviceAtStart } = this.process
    const { anonId, isOwn } = this.identity
    return credential === undefined && deviceAtStart !== undefined && deviceAtStart !== anonId && !isOwn
  }

  /**
   * What became of the anon id in memory. After a deletion it is unknown whether it was claimed; one that another process
   * rotated goes on until its command ends.
   */
  protected get fate(): "current" | "replaced" | "deleted" {
    const { anonId, durable } = this.identity
    if (!durable) return "current"
    if (this.device.pointer === "missing") return "deleted"
    return this.current === anonId || this.device.successors.has(anonId) ? "current" : "replaced"
  }
}
