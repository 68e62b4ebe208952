/**
 * The cache of the session and of resolved credentials, in `usage/known.json`. The last write wins. If the format of
 * the identity file has a session, then the session of that file is used.
 */
import type { AnonId } from "../domain/AnonId.ts"
import { type Credential, isReadable, key } from "../domain/Credential.ts"
import type { IdentityCodec } from "../domain/IdentityCodec.ts"
import * as Known from "../domain/Known.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { isStateless } from "../domain/Runtime.ts"
import * as Session from "../domain/Session.ts"
import { isIrregular } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import * as PointerFile from "./PointerFile.ts"
import type { StateFiles } from "./StateFiles.ts"

/** The cache of one command. Times are in milliseconds since 1970. */
export interface KnownFile {
  /** Reads the cache; returns a new cache if its file is absent or invalid. */
  readonly read: () => Known.Known
  /** Returns the session of an event: a new session after 30 minutes without a command, and for every new anon id. */
  readonly sessionOf: (anonId: AnonId, now: number) => Session.Session
  /**
   * Writes the session, at most once a minute, and the noted input. The session of an identity in memory is not
   * written, and no session a second time over that of another anon id.
   */
  readonly save: (session: Session.Session, now: number, isDurable: boolean) => void
  /** Returns the cached knowledge of a credential; undefined for a new credential. */
  readonly recall: (credential: Credential, now: number) => Known.Knowledge | undefined
  /** Writes the result of a request; `principal` is undefined if there was no answer. */
  readonly remember: (credential: Credential, principal: PrincipalId | undefined, now: number) => void
  /** Notes the result of parsing a credential input, for `save`. */
  readonly noteInput: (text: string, credential: Credential | undefined) => void
  /** Returns the cached result of parsing an input; undefined for a new input. */
  readonly recallInput: (known: Known.Known, text: string) => Known.ParsedInput | undefined
}

export const make = (
  files: StateFiles,
  runtime: HostRuntime["Service"],
  codec: IdentityCodec,
  configuration: string
): KnownFile => {
  const { disk, sha256, uid, uuid } = runtime
  const file = files.home.known
  // The session of this command.
  let session: Session.Session | undefined
  let input: { readonly text: string; readonly credential: Credential | undefined } | undefined
  // The salt of a cache that is not written yet.
  let salt: string | undefined
  // After an I/O error, or a lack of descriptors, the cache may still be valid: it is not replaced.
  let isUnreadable = false

  const read = (): Known.Known => {
    const found = files.read(file, uid?.effective)
    if (found._tag === "Unreadable" && !isIrregular(disk, file, found.code, uid?.effective)) isUnreadable = true
    const known = found._tag === "Text" ? Known.decode(found.text) : undefined
    return known ?? { salt: salt ??= uuid(), session: undefined, input: undefined, credentials: [] }
  }

  const update = (change: (known: Known.Known) => Known.Known): void => {
    if (isStateless(runtime)) return
    const known = read()
    if (isUnreadable) return
    const changed = change(known)
    const code = changed === known ? undefined : files.replace(file, Known.encode(changed))
    if (code !== undefined) files.notes.add(`could not write the cache: ${code}`)
  }

  const fingerprintOf = (known: Known.Known, credential: Credential): string =>
    isReadable(credential) ? sha256(`${known.salt}\n${configuration}\n${key(credential)}`) : ""

  const hashOf = (known: Known.Known, text: string): string => sha256(`${known.salt}\ninput\n${text}`)

  const withInput = (known: Known.Known, text: string, credential: Credential | undefined): Known.Known => {
    const parsed: Known.ParsedInput = {
      hash: hashOf(known, text),
      source: credential?.source ?? "none",
      fingerprint: credential === undefined ? "" : fingerprintOf(known, credential)
    }
    const { fingerprint, hash, source } = known.input ?? {}
    const isSame = parsed.hash === hash && parsed.source === source && parsed.fingerprint === fingerprint
    return isSame ? known : { ...known, input: parsed }
  }

  return {
    read,
    sessionOf: (anonId, now) => {
      const readSession = () =>
        codec.session === undefined
          ? read().session
          : files.decode(files.home.identityFile(codec.fileName), codec.session)
      const isCurrent = session !== undefined && Session.continues(session, anonId, now)
      return Session.touch(isCurrent ? session : readSession(), anonId, now, uuid)
    },
    save: (touched, now, isDurable) => {
      const isDue = Session.isDue(touched, now)
      const { anon_id: anonId } = touched
      const isFirst = session?.anon_id !== anonId
      session = isDue ? { ...touched, last_active: now } : touched
      const mustWrite = isDue && isDurable
      const isForCache = mustWrite && codec.session === undefined
      if (mustWrite && !isForCache && !isStateless(runtime)) PointerFile.touch(files, codec, session, uuid)
      if (!isForCache && input === undefined) return
      update((known) => {
        // In the place of a session that this command has written, one of another anon id is that of a later command.
        const isOwn = isFirst || (known.session ?? touched).anon_id === anonId
        const withSession = isForCache && isOwn ? { ...known, session } : known
        return input === undefined ? withSession : withInput(withSession, input.text, input.credential)
      })
      input = undefined
    },
    recall: (credential, now) => {
      const known = read()
      return Known.recall(known, fingerprintOf(known, credential), now)
    },
    remember: (credential, principal, now) => {
      if (!isReadable(credential)) return
      update((known) => Known.remember(known, fingerprintOf(known, credential), principal, now))
    },
    noteInput: (text, credential) => {
      input = { text, credential }
    },
    recallInput: (known, text) => known.input?.hash === hashOf(known, text) ? known.input : undefined
  }
}
