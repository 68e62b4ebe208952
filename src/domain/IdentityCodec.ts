/** The formats of the identity file. With the format of an existing CLI, its users keep their ids. */
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as AnonId from "./AnonId.ts"
import * as JsonDocument from "./JsonDocument.ts"
import * as PrincipalId from "./PrincipalId.ts"
import type { Session } from "./Session.ts"
import { maxFileBytes } from "./StateHome.ts"

/**
 * The contents of an identity file: the anon id, and the principal that the file links it to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pointer {
  readonly anonId: AnonId.AnonId
  /** The principal of the file: a copy of the claim's principal, or a link that another tool wrote. */
  readonly linkedPrincipal: PrincipalId.PrincipalId | undefined
}

/**
 * The name of a format: `arcade` is `usage.json` of Arcade's CLI, `supabase` is `telemetry.json` of Supabase's.
 *
 * **Details**
 *
 * A custom format is not possible: the worker decodes the file before each request, because it may deny consent.
 *
 * @category models
 * @since 0.1.0
 */
export type Name = "arcade" | "supabase"

/**
 * The format of an identity file: decodes and encodes its text.
 *
 * @category models
 * @since 0.1.0
 */
export interface IdentityCodec {
  /** The name of the format. */
  readonly name: Name
  /** The file's name in the state home. */
  readonly fileName: string
  /** Decodes a file's text; undefined if the text is not usable. */
  readonly decode: (text: string) => Pointer | undefined
  /**
   * Encodes a file's text. It keeps the other keys of `document`.
   *
   * A format with sessions writes `session`. By default, a file of the same anon id keeps its session, and any other
   * file gets a new session that was never active.
   */
  readonly encode: (pointer: Pointer, document: Schema.JsonObject, newId: () => string, session?: Session) => string
  /** Returns whether a file's text denies consent; always false for a format without consent. */
  readonly denies: (text: string) => boolean
  /** Returns the session of a file's text, if other tools can read it. Absent for a format without sessions. */
  readonly session?: (text: string) => Session | undefined
  /** Encodes a file's text with new ids and with consent given or denied. Absent for a format without consent. */
  readonly withConsent?: (text: string, given: boolean, newId: () => string) => string
}

/**
 * Returns whether a text begins with a byte order mark, which some editors write. Other tools cannot read such a file.
 */
export const hasByteOrderMark = (text: string): boolean => text.startsWith("\ufeff")

const withoutMark = (text: string): string => hasByteOrderMark(text) ? text.slice(1) : text

const document = (text: string): Schema.JsonObject | undefined => JsonDocument.parse(withoutMark(text))

/** Returns whether an identity file is complete JSON: another tool may be writing it. */
export const isComplete = (text: string): boolean => JsonDocument.isJson(withoutMark(text))

/**
 * Returns every key of an identity file, so that a rewrite keeps the keys of other tools; none if it is not an object.
 */
export const keysOf = (text: string): Schema.JsonObject => document(text) ?? {}

// A file above the limit of a disk would never be read again.
const print = (document: object): string => {
  const text = JSON.stringify(document, null, 2) + "\n"
  if (new TextEncoder().encode(text).length > maxFileBytes) throw new RangeError()
  return text
}

const decodeKeys = (anonKey: string, principalKey: string) => (text: string): Pointer | undefined => {
  const { [anonKey]: anonId, [principalKey]: principal } = keysOf(text)
  if (!AnonId.isAnonId(anonId)) return undefined
  // Another tool may write its distinct id there. Before a login that is the anon id.
  const isLinked = principal !== anonId && PrincipalId.isPrincipalId(principal)
  return { anonId, linkedPrincipal: isLinked ? principal : undefined }
}

/** The format of Arcade's `usage.json`: `{ "anon_id": "…", "linked_principal_id": "…" | null }`, indented by two. */
export const arcade = {
  name: "arcade",
  fileName: "usage.json",
  decode: decodeKeys("anon_id", "linked_principal_id"),
  encode: ({ anonId, linkedPrincipal }: Pointer, document: Schema.JsonObject) =>
    print({ ...document, anon_id: anonId, linked_principal_id: linkedPrincipal ?? null }),
  denies: () => false
} satisfies IdentityCodec

const isChoice = (consent: unknown): boolean => consent === "granted" || consent === "denied"

const holdsDenial = ({ consent, enabled }: Schema.JsonObject): boolean => enabled === false || consent === "denied"

// The form that other tools read: the time is a text beside `enabled`, or a number beside `consent`.
const sessionIn = (document: Schema.JsonObject): Session | undefined => {
  const { consent, device_id, enabled, session_id, session_last_active: at } = document
  const isTime = (Predicate.isString(at) && Predicate.isBoolean(enabled)) ||
    (Predicate.isNumber(at) && isChoice(consent))
  const last_active = isTime ? new Date(at).getTime() : NaN
  // Both ids are UUIDs: no other text of the file is sent.
  return AnonId.isAnonId(device_id) && AnonId.isAnonId(session_id) && !Number.isNaN(last_active)
    ? { anon_id: device_id, session_id, last_active }
    : undefined
}

// Every field, in the form of the document. A key with the value undefined is not printed.
const printComplete = (
  document: Schema.JsonObject,
  device_id: string,
  distinct_id: string | undefined,
  { last_active, session_id }: Pick<Session, "last_active" | "session_id">,
  given: boolean
): string => {
  const { consent, enabled, schema_version: version } = document
  const hasEnabled = Predicate.isBoolean(enabled) || !isChoice(consent)
  const choice = given ? "granted" : "denied"
  return print({
    ...document,
    enabled: hasEnabled ? given : undefined,
    consent: isChoice(consent) ? choice : undefined,
    device_id,
    distinct_id,
    session_id,
    session_last_active: hasEnabled ? new Date(last_active).toISOString() : last_active,
    schema_version: Number.isInteger(version) ? version : 1
  })
}

// A session that was never active has ended, so the next command of any tool begins a new session.
const newSession = (newId: () => string) => ({ session_id: newId(), last_active: 0 })

/**
 * The format of Supabase's `telemetry.json`: `device_id`, `distinct_id`, `session_id`, `session_last_active`,
 * `schema_version`, and consent as `enabled` or `consent`.
 *
 * **Details**
 *
 * `enabled: false`, `consent: "denied"` and a text that is not an object deny consent.
 *
 * If a field is missing or has another type, then Supabase's CLI creates a new file with a new id and with consent
 * given. So every encoded text is complete, also with consent denied.
 */
export const supabase = {
  name: "supabase",
  fileName: "telemetry.json",
  decode: decodeKeys("device_id", "distinct_id"),
  encode: (
    { anonId, linkedPrincipal }: Pointer,
    document: Schema.JsonObject,
    newId: () => string,
    session: Session | undefined = sessionIn(document)
  ) =>
    printComplete(
      document,
      anonId,
      linkedPrincipal,
      session?.anon_id === anonId ? session : newSession(newId),
      !holdsDenial(document)
    ),
  denies: (text) => {
    const found = document(text)
    return found === undefined || holdsDenial(found)
  },
  session: (text: string) => sessionIn(keysOf(text)),
  // After a change of consent, a file has no id of a sent event.
  withConsent: (text: string, given: boolean, newId: () => string) =>
    printComplete(keysOf(text), newId(), undefined, newSession(newId), given)
} satisfies IdentityCodec

// A file that a crash or another encoding made unreadable, or in which a person wrote a choice, may be a denial.
const mayBeDenial = /[\0\ufffd]|enabled|consent|device_id/i

/**
 * Returns whether a text has another format: a host may have a file of the same name, such as a log with a JSON object
 * in each line. The beginning of an object is not foreign: another tool may be writing the file.
 */
export const isForeign = (codec: IdentityCodec, text: string): boolean => {
  const start = withoutMark(text).trimStart()
  const [line = ""] = start.split("\n", 1)
  const json = [text, line].find(isComplete)
  if (json === undefined) return start !== "" && !start.startsWith("{") && !mayBeDenial.test(start)
  const { consent, enabled } = keysOf(json)
  const holdsConsent = Predicate.isString(consent) || Predicate.isBoolean(enabled)
  return codec.decode(json) === undefined && !holdsConsent
}

/** Returns the other codec: the host may have used it in an earlier version. */
export const formerOf = ({ name }: IdentityCodec): IdentityCodec => byName(name === "arcade" ? "supabase" : "arcade")

/** Returns whether a value is the name of a codec. */
export const isName = (value: unknown): value is Name => value === "arcade" || value === "supabase"

/** Returns the codec of a name. */
export const byName = (name: Name): IdentityCodec => name === "arcade" ? arcade : supabase
