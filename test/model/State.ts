/**
 * What the model of design §4 knows of a device and its processes, and the rules that need no more. Ids are tokens.
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

export type Source = "stored" | "environment" | "none"

export interface Pointer {
  readonly anonId: string
  readonly linked: string | undefined
}

export interface Session {
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
  /** The principal of a credential; null where there was no answer at that time. */
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

export interface Credential {
  readonly secret: Program.Secret
  readonly source: Source
  readonly knownPrincipal: string | undefined
  /** Whether neither a principal nor the lack of an answer is known. */
  readonly isNew: boolean
}

export interface Identity {
  readonly anonId: string
  readonly claim: Claim | undefined
  readonly durable: boolean
  readonly firstRun: boolean
  /** Whether this process made it. */
  readonly isOwn: boolean
}

/** What a process holds in memory. */
export interface Process {
  readonly command: Program.Command
  readonly slot?: string | undefined
  readonly attempted: boolean
  readonly loggedOut: boolean
  readonly opened: boolean
  readonly identity?: Identity | undefined
  readonly credential?: Credential | undefined
  /** The credential that it began with. */
  readonly atStart?: Credential | undefined
  /** The anon id in the identity file when it began, in a host without a resolver. */
  readonly deviceAtStart?: string | "none"
  /** The credential that the host loaded. */
  readonly loaded?: Program.Secret | undefined
  readonly question?: { readonly secret: Program.Secret; readonly since: number } | undefined
  readonly hasAsked: boolean
  /** What the API answered; null for no principal. */
  readonly answer?: { readonly secret: Program.Secret; readonly principal: string | null }
  /** Whether another account may have taken the device over while it logged out. */
  readonly isStranger: boolean
  /** The principal that a response named, until a login or logout. */
  readonly observed?: string | undefined
  readonly succeeded: boolean
  /** The consent with which it began. */
  readonly consent?: number
  readonly session?: Session
  readonly sequence: number
  /** Events that wait for an answer, in their order. */
  readonly held: ReadonlyArray<Held>
}

export type Held = Pick<Message, "to" | "isPersonless" | "session">

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

/** The id of the command itself, of an event without an account. */
export const ownId = "the command's own id"

/** The anon id of an identity file that was there before. */
const given = "the anon id that was there"

export const unusableFile = "the unusable file"

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

export const minute = 60_000

export const isStateless = (runtime: Program.Runtime) => runtime.ci || (runtime.container && !runtime.terminal)

export const isEphemeral = (runtime: Program.Runtime, identity: Identity) =>
  isStateless(runtime) || !identity.durable || (identity.firstRun && !runtime.terminal)

/** §4.2: who an event belongs to. */
export const attribute = (
  process: Process,
  identity: Identity
): { readonly to: string; readonly isPersonless: boolean } => {
  const { credential, isStranger, slot } = process
  const { claim } = identity
  if (slot !== undefined) return { to: slot, isPersonless: false }
  if (claim === undefined) return { to: identity.anonId, isPersonless: true }
  if (isStranger) return { to: ownId, isPersonless: true }
  const isClaimed = credential === undefined ? claim.source !== "stored" : credential.knownPrincipal === claim.principal
  return isClaimed ? { to: claim.principal, isPersonless: false } : { to: ownId, isPersonless: true }
}

/** §4.3: what follows from a principal that is seen. */
export const follows = (facts: {
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
  const isNewStored = credential?.source === "stored" && credential.knownPrincipal !== claimed
  return isNewStored ? "switch" : "stamp"
}

// == what happens outside of commands

/** The device after something else happened on it. */
export const outside = (device: Device, op: Program.Outside): Device => {
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
    case "Link": {
      const { pointer } = device
      const isFree = pointer !== "missing" && pointer !== "unusable" && pointer.linked === undefined
      return isFree ? { ...device, pointer: { ...pointer, linked: op.principal } } : device
    }
    case "Replace": {
      if (device.pointer === "missing") return device
      const made = device.made + 1
      return { ...device, made, pointer: { anonId: `anon ${made}`, linked: undefined } }
    }
    case "Tamper":
      throw new Error("the model does not say what follows from tampering")
    case "Truncate":
      return device.pointer === "missing" ? device : { ...device, pointer: "unusable" }
    case "Rewrite":
      return device
    case "Wait":
      return { ...device, now: device.now + op.minutes * minute }
    case "Drain":
    case "Work":
    case "Telemetry":
      return device
  }
}

/** A process that knows nothing yet. */
export const newProcess = (command: Program.Command): Process => ({
  command,
  attempted: false,
  loggedOut: false,
  opened: false,
  hasAsked: false,
  isStranger: false,
  succeeded: false,
  sequence: 0,
  held: []
})
