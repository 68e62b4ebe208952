/**
 * The cache of what is slow to find out: the session, and what credentials resolved to.
 *
 * It holds facts and never decisions, no secret, and no hash of anything but credentials. Every entry is keyed by a salted
 * hash that includes the resolver's configuration, so that hosts with other settings find nothing of theirs in it.
 */
import * as Predicate from "effect/Predicate"
import { isAnonId } from "./AnonId.ts"
import type { CredentialSource } from "./Claim.ts"
import * as JsonDocument from "./JsonDocument.ts"
import { isPrincipalId, type PrincipalId } from "./PrincipalId.ts"
import type { Session } from "./Session.ts"

/** What a credential resolved to: a principal, or no answer, by its fingerprint. */
export interface Resolution {
  /** The salted hash of the credential. */
  readonly fingerprint: string
  readonly principal_id: PrincipalId | null
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What was parsed from the last credential input. */
export interface ParsedInput {
  /** The salted hash of the whole input. */
  readonly hash: string
  readonly source: CredentialSource
  /** Empty where the input holds no credential that can be told from others. */
  readonly fingerprint: string
}

export interface Known {
  readonly salt: string
  readonly session: Session | undefined
  readonly input: ParsedInput | undefined
  readonly credentials: ReadonlyArray<Resolution>
}

/** What is known of a credential: its principal, or that nobody answered less than an hour ago. */
export type Knowledge =
  | { readonly _tag: "Principal"; readonly principal: PrincipalId }
  | { readonly _tag: "NoAnswer" }

/** How long a credential without an answer is not asked about again. */
const noAnswerMillis = 60 * 60 * 1000

// A device has seen a handful of accounts; the oldest are asked about again.
const maxCredentials = 20

const text = /^[\w-]{1,128}$/

const isText = (value: unknown): value is string => Predicate.isString(value) && text.test(value)

const decodeSession = (value: unknown): Session | undefined => {
  if (!Predicate.isObject(value)) return undefined
  const { anon_id, last_active, session_id } = value
  // Both are UUIDs.
  return isAnonId(anon_id) && isAnonId(session_id) && JsonDocument.isNumber(last_active)
    ? { anon_id, session_id, last_active }
    : undefined
}

const decodeInput = (value: unknown): ParsedInput | undefined => {
  if (!Predicate.isObject(value)) return undefined
  const { fingerprint, hash, source } = value
  const isSource = source === "stored" || source === "environment" || source === "none"
  return isText(hash) && isSource && (isText(fingerprint) || fingerprint === "")
    ? { hash, source, fingerprint }
    : undefined
}

const decodeResolution = (value: unknown): Resolution | undefined => {
  if (!Predicate.isObject(value)) return undefined
  const { at, fingerprint, principal_id } = value
  return isText(fingerprint) && (principal_id === null || isPrincipalId(principal_id)) && JsonDocument.isNumber(at)
    ? { fingerprint, principal_id, at }
    : undefined
}

/** Decodes the cache's file; a file with any invalid part is absent as a whole. */
export const decode = JsonDocument.decoder<Known>(({ credentials, input, salt, session, version }) => {
  if (version !== 1 || !isText(salt) || !Array.isArray(credentials) || credentials.length > maxCredentials) return
  const known = {
    salt,
    session: decodeSession(session),
    input: decodeInput(input),
    credentials: credentials.flatMap((value) => decodeResolution(value) ?? [])
  }
  const isWhole = known.credentials.length === credentials.length &&
    (session === undefined || known.session !== undefined) && (input === undefined || known.input !== undefined)
  return isWhole ? known : undefined
})

/** Encodes the cache's file. */
export const encode = (known: Known): string => JSON.stringify({ version: 1, ...known })

/** Returns what is known of a credential; undefined for a new one. */
export const recall = (known: Known, fingerprint: string, now: number): Knowledge | undefined => {
  const found = known.credentials.find((resolution) => resolution.fingerprint === fingerprint)
  if (found === undefined) return undefined
  if (found.principal_id !== null) return { _tag: "Principal", principal: found.principal_id }
  // An entry from the future, after a clock was set back, must not silence the resolver for longer than an hour.
  return Math.abs(now - found.at) < noAnswerMillis ? { _tag: "NoAnswer" } : undefined
}

/**
 * Returns the cache with an answer, or with the fact that there was none; the same cache where that changes nothing.
 *
 * No answer does not undo an answer: a response may have named the account meanwhile.
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
