/**
 * The cache of the session, and of the principals of credentials.
 *
 * It has no decisions and no secrets. The key of an entry is a salted hash of the credential and of the resolver's
 * configuration, so that a host with other settings finds no entry.
 */
import * as Predicate from "effect/Predicate"
import { isAnonId } from "./AnonId.ts"
import { type CredentialSource, isSource } from "./Claim.ts"
import * as JsonDocument from "./JsonDocument.ts"
import { isPrincipalId, type PrincipalId } from "./PrincipalId.ts"
import type { Session } from "./Session.ts"

/** The result of resolving a credential: a principal, or no answer. */
export interface Resolution {
  /** The salted hash of the credential. */
  readonly fingerprint: string
  readonly principal_id: PrincipalId | null
  /** Milliseconds since 1970. */
  readonly at: number
}

/** The result of parsing the last credential input. */
export interface ParsedInput {
  /** The salted hash of the whole input. */
  readonly hash: string
  readonly source: CredentialSource
  /** The salted hash of the credential; empty without a readable credential. */
  readonly fingerprint: string
}

export interface Known {
  readonly salt: string
  readonly session: Session | undefined
  readonly input: ParsedInput | undefined
  readonly credentials: ReadonlyArray<Resolution>
}

/** The cached knowledge of a credential: its principal; null after a request without an answer in the last hour. */
export type Knowledge = PrincipalId | null

/** The time without a new request after a request without an answer. */
const noAnswerMillis = 60 * 60 * 1000

// A device has a few accounts. The oldest entries are removed, and requested again.
const maxCredentials = 20

type Fields = Readonly<Record<PropertyKey, unknown>>

const text = /^[\w-]{1,128}$/

const isText = (value: unknown): value is string => Predicate.isString(value) && text.test(value)

const decodeSession = ({ anon_id, last_active, session_id }: Fields): Session | undefined =>
  // A session id is a UUID, as an anon id is.
  isAnonId(anon_id) && isAnonId(session_id) && JsonDocument.isNumber(last_active)
    ? { anon_id, session_id, last_active }
    : undefined

const decodeInput = ({ fingerprint, hash, source }: Fields): ParsedInput | undefined =>
  isText(hash) && isSource(source) && (isText(fingerprint) || fingerprint === "")
    ? { hash, source, fingerprint }
    : undefined

const decodeResolution = ({ at, fingerprint, principal_id }: Fields): Resolution | undefined =>
  isText(fingerprint) && (principal_id === null || isPrincipalId(principal_id)) && JsonDocument.isNumber(at)
    ? { fingerprint, principal_id, at }
    : undefined

/** Decodes the cache's file; none if any part is invalid. */
export const decode = JsonDocument.decoder<Known>((document) => {
  const { credentials, salt, version } = document
  if (version !== 1 || !isText(salt) || !Array.isArray(credentials) || credentials.length > maxCredentials) return
  const session = decodeSession(Object(document.session))
  const input = decodeInput(Object(document.input))
  const resolutions = credentials.flatMap((value) => decodeResolution(Object(value)) ?? [])
  const isValid = (session !== undefined || document.session === undefined) &&
    (input !== undefined || document.input === undefined) && resolutions.length === credentials.length
  return isValid ? { salt, session, input, credentials: resolutions } : undefined
})

/** Encodes the cache's file. */
export const encode = (known: Known): string => JSON.stringify({ version: 1, ...known })

/** Returns the cached knowledge of a credential; undefined for a new credential. */
export const recall = (known: Known, fingerprint: string, now: number): Knowledge | undefined => {
  const found = known.credentials.find((resolution) => resolution.fingerprint === fingerprint)
  if (found === undefined) return undefined
  if (found.principal_id !== null) return found.principal_id
  // After the clock was set back, an entry may be from the future. It must not prevent requests for more than an hour.
  return Math.abs(now - found.at) < noAnswerMillis ? null : undefined
}

/**
 * Returns the cache with the result of a request; the same cache if nothing changes.
 *
 * A request without an answer does not replace a principal, which a response may have named in the meantime.
 */
export const remember = (
  known: Known,
  fingerprint: string,
  principal: PrincipalId | undefined,
  at: number
): Known => {
  const before = known.credentials.find((resolution) => resolution.fingerprint === fingerprint)?.principal_id ?? null
  if (before !== null && (principal === undefined || principal === before)) return known
  const others = known.credentials.filter((resolution) => resolution.fingerprint !== fingerprint)
  const credentials = [...others, { fingerprint, principal_id: principal ?? null, at }].slice(-maxCredentials)
  return { ...known, credentials }
}
