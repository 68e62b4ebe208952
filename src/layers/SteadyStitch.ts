/**
 * The identity rules of a steady command, which changes no identity: it reads one snapshot of identity and credential.
 * If the rules require more than an event, then it hands over to the full stitch.
 */
import type { AnonId } from "../domain/AnonId.ts"
import {
  attribute,
  type Attribution,
  consequenceOf,
  type CredentialFacts,
  isSignedOutElsewhere
} from "../domain/Attribution.ts"
import * as Claim from "../domain/Claim.ts"
import { hasByteOrderMark } from "../domain/IdentityCodec.ts"
import * as Known from "../domain/Known.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { isEphemeral, isStateless } from "../domain/Runtime.ts"
import type { CommandRun } from "../services/CurrentCommand.ts"
import { isRefused } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { Identity } from "../services/IdentityStore.ts"
import type { CredentialInput } from "../services/PrincipalResolver.ts"
import type { UsageSettings } from "../services/UsageSettings.ts"
import * as ClaimFiles from "./ClaimFiles.ts"
import * as CredentialText from "./CredentialText.ts"
import type { KnownFile } from "./KnownFile.ts"
import * as NewIdentity from "./NewIdentity.ts"
import type { Recorder } from "./Recorder.ts"
import type { StateFiles } from "./StateFiles.ts"

/** The debug line of a credential without a principal, before its reason. */
export const noPrincipal = "no principal is known for the credential"

/** The reason if an earlier command got no answer. */
export const noAnswer = "there was no answer, and it is asked again after an hour"

/** The state that the steady and the full stitch of a command share. */
export interface Shared {
  readonly files: StateFiles
  readonly known: KnownFile
  readonly recorder: Recorder
  /** The source of a missing credential. */
  readonly absent: "none" | "unknown"
  /** The tracked commands that run. */
  readonly running: Set<CommandRun>
  /** The identity slot. */
  slot: PrincipalId | undefined
  /** The principal of the first response, if it is that of the slot. */
  observed: PrincipalId | undefined
  /** Whether a sighting was handled: of several at the same time, one stitches. A login always does. */
  stitchAttempted: boolean
}

/** The identity and the credential that a command acts on. */
export interface Snapshot {
  readonly identity: Identity
  readonly credential: CredentialFacts
  readonly knowledge: Known.Knowledge | undefined
}

/** The state of a command at the handover to the full stitch. */
export interface Handover {
  readonly shared: Shared
  /** The first credential input of the command, and its cached knowledge; undefined before it was read. */
  readonly initial: { readonly text: string | undefined; readonly knowledge: Known.Knowledge | undefined } | undefined
  /** The anon id when a command without a resolver began; undefined in a command with one. */
  readonly initialDevice: AnonId | "none" | undefined
  /** The snapshot of the command; undefined before its first event. */
  readonly snapshot: Snapshot | undefined
}

/** The owner of an event: the attribution, and the identity for its session. */
export interface EventOwner {
  readonly identity: Identity
  readonly attribution: Attribution
}

/** Returns the owner of an event. */
export const ownerOf = ({ recorder, slot }: Shared, identity: Identity, credential: CredentialFacts): EventOwner => {
  const { anonId, claim } = identity
  return { identity, attribution: attribute({ slot, anonId, claim, credential, invocationId: recorder.id }) }
}

/** The stitch of a steady command. Times are in milliseconds since 1970. */
export interface SteadyStitch {
  /** Reads the first credential input. Returns whether it must be parsed, or its principal requested. */
  readonly begin: (now: number) => boolean
  /** Returns the owner of an event; undefined if the command is not steady. */
  readonly attribution: (now: number) => EventOwner | undefined
  /** Returns an anonymous owner, for when the full stitch cannot be loaded; undefined before the notice was shown. */
  readonly fallback: () => EventOwner | undefined
  readonly handover: () => Handover
}

/**
 * Returns whether the host's notice must be shown. It is shown once per device, and then `usage/notice` exists. It is not
 * shown in a stateless runtime, where it would be shown each time.
 */
export const isNoticeDue = (
  files: StateFiles,
  runtime: HostRuntime["Service"],
  notice: string | undefined
): notice is string =>
  notice !== undefined && runtime.stderrIsTerminal && !isStateless(runtime) &&
  files.read(files.home.notice)._tag === "Missing"

interface Recalled extends Pick<CredentialFacts, "source">, Pick<Snapshot, "knowledge"> {}

export const make = (
  shared: Shared,
  runtime: HostRuntime["Service"],
  settings: UsageSettings["Service"],
  input: CredentialInput | undefined
): SteadyStitch => {
  const { absent, files, known, recorder } = shared
  const { codec, home, notice } = settings
  const pointerFile = home.identityFile(codec.fileName)
  let initial: Handover["initial"]
  let initialDevice: Handover["initialDevice"]
  let snapshot: Snapshot | undefined

  // Returns the identity on disk; undefined if it must be repaired, adopted from another tool, or has a successor.
  const readIdentity = (): Identity | undefined => {
    const file = files.read(pointerFile)
    const pointer = file._tag === "Text" && !hasByteOrderMark(file.text) ? codec.decode(file.text) : undefined
    if (pointer === undefined) return undefined
    const { anonId, linkedPrincipal } = pointer
    if (files.read(`${home.successors}/${anonId}.json`)._tag !== "Missing") return undefined
    const claim = ClaimFiles.read(files, anonId)
    if (claim === "Unknown" || (claim !== undefined && !Claim.isReadable(claim))) return undefined
    if (linkedPrincipal !== claim?.principal_id) return undefined
    return { anonId, claim, durable: true, firstRun: false, published: false }
  }

  // Returns what the cache has of a credential input; undefined if it must be parsed, or its principal requested.
  const recall = (text: string | undefined, now: number): Recalled | undefined => {
    if (text === undefined) return { source: absent, knowledge: undefined }
    // Read again each time: another process may have changed the cache since the command began.
    const cache = known.read()
    const parsed = known.recallInput(cache, text)
    if (parsed === undefined) return undefined
    const { source } = parsed
    if (source === "none") return { source, knowledge: undefined }
    const knowledge = Known.recall(cache, parsed.fingerprint, now)
    return knowledge === undefined ? undefined : { source, knowledge }
  }

  // Reads the snapshot; undefined if the command is not steady.
  const readSnapshot = (now: number): Snapshot | undefined => {
    if (input === undefined || isStateless(runtime) || isNoticeDue(files, runtime, notice)) return undefined
    // The identity is read first: with a newer credential the account was switched.
    const identity = readIdentity()
    if (identity === undefined) return undefined
    const text = CredentialText.read(runtime.disk, input)
    const found = recall(text, now)
    initial ??= { text, knowledge: found?.knowledge }
    if (initial.text !== text || found === undefined) return undefined
    const { knowledge, source } = found
    const principal = knowledge ?? undefined
    const credential = { source, principal }
    const { claim } = identity
    if (isSignedOutElsewhere({ claim, credential })) return undefined
    if (principal !== undefined) {
      const consequence = consequenceOf({
        principal,
        seenBy: "resolver",
        slot: shared.slot,
        claim,
        credential,
        ephemeral: isEphemeral(runtime, identity)
      })
      if (consequence === "Claim" || consequence === "Switch") return undefined
      // The full stitch must record that the credential of the claim is stored.
      if (source === "stored" && claim?.principal_id === principal && claim.credential !== "stored") return
      shared.stitchAttempted = true
      if (consequence === "Stamp") shared.slot = principal
    }
    return { identity, credential, knowledge }
  }

  // Returns the identity of a first run that must not wait for the full stitch: otherwise a host whose commands end by
  // `process.exit` would never have an identity.
  const newIdentity = (): Identity => {
    const mayCreate = !isStateless(runtime) && !NewIdentity.mayImport(files, codec)
    const created = mayCreate ? NewIdentity.create(files, codec, runtime.uuid) : "EEXIST"
    return isRefused(created) ? NewIdentity.inMemory(runtime.uuid, false) : created
  }

  const isSame = (before: Identity, now: Identity | undefined): boolean =>
    now !== undefined && before.anonId === now.anonId &&
    before.claim?.principal_id === now.claim?.principal_id

  return {
    begin: (now) => {
      if (input === undefined) return true
      const text = CredentialText.read(runtime.disk, input)
      const found = recall(text, now)
      initial = { text, knowledge: found?.knowledge }
      if (absent === "unknown") initialDevice = readIdentity()?.anonId ?? "none"
      else if (found?.source === "none") {
        const sources = [...input.files, ...Object.keys(input.variables)]
        files.notes.add(`no credential was found in ${sources.join(" or ")}`)
      } else if (found?.knowledge === null) files.notes.add(`${noPrincipal}: ${noAnswer}`)
      return found === undefined
    },
    attribution: (now) => {
      // Each event checks that the identity on disk is unchanged.
      if (snapshot === undefined) snapshot = readSnapshot(now)
      else if (!isSame(snapshot.identity, readIdentity())) return undefined
      if (snapshot === undefined) return undefined
      return ownerOf(shared, snapshot.identity, snapshot.credential)
    },
    fallback: () => {
      if (isNoticeDue(files, runtime, notice)) {
        files.notes.add("nothing is recorded: the notice could not be shown before the end of the process")
        return undefined
      }
      // The session of the device is used, if its identity can be read. That of the snapshot may have ended by a logout.
      const identity = readIdentity() ??
        (snapshot === undefined ? newIdentity() : NewIdentity.inMemory(runtime.uuid, false))
      return { identity, attribution: { distinctId: recorder.id, personless: true } }
    },
    handover: () => ({ shared, initial, initialDevice, snapshot })
  }
}
