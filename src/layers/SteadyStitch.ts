/**
 * The identity rules of a usual command, which change nothing: it reads one snapshot, and hands over to the whole stitch
 * where the rules ask for more than an event.
 */
import { decode as decodeAnonId } from "../domain/AnonId.ts"
import {
  attribute,
  type Attribution,
  type CredentialFacts,
  onSighting,
  signedOutElsewhere
} from "../domain/Attribution.ts"
import * as Claim from "../domain/Claim.ts"
import { isMarked } from "../domain/IdentityCodec.ts"
import * as Known from "../domain/Known.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { isEphemeral, keepsNothing } from "../domain/Runtime.ts"
import type { CommandRun } from "../services/CurrentCommand.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { Identity } from "../services/IdentityStore.ts"
import type { CredentialInput } from "../services/PrincipalResolver.ts"
import type { UsageSettings } from "../services/UsageSettings.ts"
import * as ClaimFiles from "./ClaimFiles.ts"
import * as CredentialText from "./CredentialText.ts"
import type { KnownFile } from "./KnownFile.ts"
import * as Notice from "./Notice.ts"
import type { Recorder } from "./Recorder.ts"
import type { StateFiles } from "./StateFiles.ts"

/** What the steady and the whole stitch of a command share. */
export interface Shared {
  readonly files: StateFiles
  readonly known: KnownFile
  readonly recorder: Recorder
  /** The tracked commands that run. */
  readonly running: Set<CommandRun>
  /** The identity slot. */
  slot: PrincipalId | undefined
  /** Whether a sighting was acted on: of many at once, one stitches. A login always does. */
  stitchAttempted: boolean
}

/** The identity and the credential that a command acts on. */
export interface Opened {
  readonly identity: Identity
  readonly credential: CredentialFacts
  readonly knowledge: Known.Knowledge | undefined
}

/** What the whole stitch continues with. */
export interface Handover {
  readonly shared: Shared
  /** The credential input that the command began with, and what was known of it; undefined before it was read. */
  readonly initial: { readonly text: string | undefined; readonly knowledge: Known.Knowledge | undefined } | undefined
  /** What the command has acted on; undefined before its first event. */
  readonly opened: Opened | undefined
}

/** Who an event belongs to, with the identity that its session is of. */
export interface Belongs {
  readonly identity: Identity
  readonly to: Attribution
}

/** The stitch of a command that is steady until it is not. Times are in milliseconds since 1970. */
export interface SteadyStitch {
  /** Reads the credential that the command begins with; returns whether it has to be parsed or asked about. */
  readonly begin: (now: number) => boolean
  /** Returns who an event belongs to; undefined where the command is not steady. */
  readonly attribution: (now: number) => Belongs | undefined
  /** Returns an event that is the command's own, where nothing can be loaded any more; none on a first run. */
  readonly ownAttribution: () => Belongs | undefined
  readonly handover: () => Handover
}

/** Returns an identity that ends with the process. */
export const identityInMemory = (uuid: () => string, firstRun: boolean): Identity => {
  const anonId = decodeAnonId(uuid())
  return anonId._tag === "Some"
    ? { anonId: anonId.value, claim: undefined, durable: false, firstRun, published: false }
    : identityInMemory(uuid, firstRun)
}

export const make = (
  shared: Shared,
  runtime: HostRuntime["Service"],
  settings: UsageSettings["Service"],
  input: CredentialInput | undefined
): SteadyStitch => {
  const { files, known, recorder } = shared
  const { codec, home, notice } = settings
  const pointerFile = home.identityFile(codec.fileName)
  let initial: Handover["initial"]
  let opened: Opened | undefined

  // The identity, where it is on disk, whole, and nothing has to be repaired, adopted or followed.
  const readIdentity = (): Identity | undefined => {
    const file = files.read(pointerFile)
    const pointer = file._tag === "Text" && !isMarked(file.text) ? codec.decode(file.text) : undefined
    if (pointer?._tag !== "Some") return undefined
    const { anonId, linkedPrincipal } = pointer.value
    if (files.read(`${home.successors}/${anonId}.json`)._tag !== "Missing") return undefined
    const claim = ClaimFiles.find(files, anonId)
    if (claim !== undefined && !Claim.isReadable(claim)) return undefined
    if (linkedPrincipal !== claim?.principal_id) return undefined
    return { anonId, claim, durable: true, firstRun: false, published: false }
  }

  // What is known of a credential input without parsing it; undefined where it has to be parsed or asked about.
  const recall = (text: string | undefined, now: number): Pick<Opened, "credential" | "knowledge"> | undefined => {
    if (text === undefined) return { credential: { source: "none", knownAs: undefined }, knowledge: undefined }
    // Anew each time: another process may have learned whose the credential is since the command began.
    const cache = known.read()
    const parsed = known.parsed(cache, text)
    if (parsed === undefined) return undefined
    const { source } = parsed
    if (source === "none") return { credential: { source, knownAs: undefined }, knowledge: undefined }
    const knowledge = Known.recall(cache, parsed.fingerprint, now)
    if (knowledge === undefined) return undefined
    return {
      credential: { source, knownAs: knowledge._tag === "Principal" ? knowledge.principal : undefined },
      knowledge
    }
  }

  // Reads what the command acts on; undefined where it is not steady.
  const open = (now: number): Opened | undefined => {
    if (input === undefined || keepsNothing(runtime) || Notice.isDue(files, runtime, notice)) return undefined
    // The identity first: a credential that is newer than the identity means a switch.
    const identity = readIdentity()
    if (identity === undefined) return undefined
    const text = CredentialText.read(runtime.disk, input)
    const found = recall(text, now)
    initial ??= { text, knowledge: found?.knowledge }
    if (initial.text !== text) return undefined
    if (found === undefined) return undefined
    const { credential } = found
    const claim = Claim.facts(identity.claim)
    if (signedOutElsewhere({ claim, credential })) return undefined
    const principal = credential.knownAs
    if (principal !== undefined) {
      const consequence = onSighting({
        principal,
        seenBy: "resolver",
        slot: shared.slot,
        claim,
        credential,
        ephemeral: isEphemeral(runtime, identity)
      })
      if (consequence === "Claim" || consequence === "Switch") return undefined
      // The claim is to be noted as that of a stored credential.
      if (credential.source === "stored" && claim?.principal === principal && claim.credential !== "stored") return
      shared.stitchAttempted = true
      if (consequence === "Stamp") shared.slot = principal
    }
    return { identity, ...found }
  }

  const isSame = (before: Identity, now: Identity | undefined): boolean =>
    now !== undefined && before.anonId === now.anonId &&
    Claim.facts(before.claim)?.principal === Claim.facts(now.claim)?.principal

  return {
    begin: (now) => {
      if (input === undefined) return true
      const text = CredentialText.read(runtime.disk, input)
      const found = recall(text, now)
      initial = { text, knowledge: found?.knowledge }
      const isSought = input.files.length + Object.keys(input.variables).length > 0
      if (text === undefined && isSought) files.notes.add("no credential was found")
      return found === undefined
    },
    attribution: (now) => {
      // Each event looks again whether the identity is still the device's.
      if (opened === undefined) opened = open(now)
      else if (!isSame(opened.identity, readIdentity())) return undefined
      if (opened === undefined) return undefined
      const { credential, identity } = opened
      const to = attribute({
        slot: shared.slot,
        anonId: identity.anonId,
        claim: Claim.facts(identity.claim),
        credential,
        invocationId: recorder.id
      })
      return { identity, to }
    },
    ownAttribution: () => {
      if (!keepsNothing(runtime) && files.read(pointerFile)._tag === "Missing") return undefined
      // The session is the device's, where its identity can be read.
      const identity = opened?.identity ?? readIdentity() ?? identityInMemory(runtime.uuid, false)
      return { identity, to: { distinctId: recorder.id, personless: true } }
    },
    handover: () => ({ shared, initial, opened })
  }
}
