/**
 * The formats of the identity file. A CLI that has users keeps their ids by its own format.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as AnonId from "./AnonId.ts"
import * as JsonDocument from "./JsonDocument.ts"
import * as PrincipalId from "./PrincipalId.ts"
import type { Session } from "./Session.ts"

/**
 * The contents of an identity file: the anon id, and the principal that the file links it to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pointer {
  readonly anonId: AnonId.AnonId
  /** The principal that the file names: a copy of the claim's, or a link that another tool made. */
  readonly linkedPrincipal: PrincipalId.PrincipalId | undefined
}

/**
 * The name of a format: `arcade` is `usage.json` of Arcade's CLI, `supabase` is `telemetry.json` of Supabase's.
 *
 * **Details**
 *
 * A custom format is not possible: the worker must know the format, because it looks in the file for a denial of
 * consent before each request.
 *
 * @category models
 * @since 0.1.0
 */
export type Name = "arcade" | "supabase"

/**
 * The format of an identity file: reads and writes its text.
 *
 * @category models
 * @since 0.1.0
 */
export interface IdentityCodec {
  /** What the format is called. */
  readonly name: Name
  /** The file's name in the state home. */
  readonly fileName: string
  /** Reads a file's text; nothing where it is not usable. */
  readonly decode: (text: string) => Option.Option<Pointer>
  /**
   * Writes a file's text, over the keys that were there.
   *
   * A format with sessions writes the given one. Without one, a file of the same anon id keeps its session, and any other
   * gets a new one that was never active.
   */
  readonly encode: (pointer: Pointer, document: Schema.JsonObject, newId: () => string, session?: Session) => string
  /** Whether the file, given its text, denies consent; a format without consent never does. */
  readonly denies: (text: string) => boolean
  /** Returns the session in a file's text, if there is one and other tools can read it; undefined without sessions. */
  readonly session?: (text: string) => Session | undefined
  /** Writes a file's text with consent denied or given in it, under new ids; undefined for a format without consent. */
  readonly withConsent?: (text: string, given: boolean, newId: () => string) => string
}

/**
 * Returns whether a text begins with a byte order mark, as some editors write it. Other tools cannot read such a file.
 */
export const isMarked = (text: string): boolean => text.startsWith("\ufeff")

const document = (text: string): Option.Option<Schema.JsonObject> =>
  JsonDocument.parse(isMarked(text) ? text.slice(1) : text)

/**
 * Every key of an identity file, so that what other tools keep there survives a rewrite; none where it is no object.
 */
export const keysOf = (text: string): Schema.JsonObject => Option.getOrElse(document(text), () => ({}))

const maxBytes = 1024 * 1024

// A file above the limit of a disk would never be read again.
const print = (document: object): string => {
  const text = JSON.stringify(document, null, 2) + "\n"
  if (new TextEncoder().encode(text).length > maxBytes) throw new RangeError()
  return text
}

const decodeKeys = (anonKey: string, principalKey: string) => (text: string): Option.Option<Pointer> =>
  Option.flatMap(document(text), (document) =>
    Option.map(AnonId.decode(document[anonKey]), (anonId) => ({
      anonId,
      // Another tool may write the id that it sends: before a login that is the device's own.
      linkedPrincipal: document[principalKey] === document[anonKey]
        ? undefined
        : Result.getOrUndefined(PrincipalId.decode(document[principalKey]))
    })))

/** Arcade's `usage.json`: `{ "anon_id": "…", "linked_principal_id": "…" | null }`, indented by two spaces. */
export const arcade = {
  name: "arcade",
  fileName: "usage.json",
  decode: decodeKeys("anon_id", "linked_principal_id"),
  encode: ({ anonId, linkedPrincipal }: Pointer, document: Schema.JsonObject) =>
    print({ ...document, anon_id: anonId, linked_principal_id: linkedPrincipal ?? null }),
  denies: () => false
} satisfies IdentityCodec

const isChoice = (consent: unknown): boolean => consent === "granted" || consent === "denied"

const isDenied = ({ consent, enabled }: Schema.JsonObject): boolean => enabled === false || consent === "denied"

// As other tools read it: the time is a text beside `enabled`, or a number beside `consent`.
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

// Whole, and in the form that the file has. A key whose value is undefined is not printed.
const printWhole = (
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

// A session that was never active is over: the next command of any tool begins one.
const newSession = (newId: () => string) => ({ session_id: newId(), last_active: 0 })

/**
 * Supabase's `telemetry.json`: `device_id`, `distinct_id`, `session_id`, `session_last_active`, `schema_version`, and
 * consent as `enabled` or `consent`.
 *
 * **Details**
 *
 * `enabled: false` and `consent: "denied"` both deny, and so does a file that cannot be read.
 *
 * Supabase's CLI takes a file as a whole: where a field is missing or of another type, it makes a new file with a new id
 * and with consent given. So every text that is written here is complete, a denial included.
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
    printWhole(
      document,
      anonId,
      linkedPrincipal,
      session?.anon_id === anonId ? session : newSession(newId),
      !isDenied(document)
    ),
  denies: (text) => Option.match(document(text), { onNone: () => true, onSome: isDenied }),
  session: (text: string) => sessionIn(keysOf(text)),
  // A file under a changed consent keeps no id that something was sent under.
  withConsent: (text: string, given: boolean, newId: () => string) =>
    printWhole(keysOf(text), newId(), undefined, newSession(newId), given)
} satisfies IdentityCodec

const isJson = (text: string): boolean => Option.isSome(Option.liftThrowable(JSON.parse)(text))

/** Whether a text is certainly not of this format: the host, or another tool, may have a JSON file of the same name. */
export const isForeign = (codec: IdentityCodec, text: string): boolean => {
  const ofDenial = Option.exists(
    document(text),
    ({ consent, enabled }) => Predicate.isString(consent) || Predicate.isBoolean(enabled)
  )
  return isJson(text) && Option.isNone(codec.decode(text)) && !ofDenial
}

/** Every codec of this module. */
export const codecs: ReadonlyArray<IdentityCodec> = [arcade, supabase]

/** The formats that a host of this one may have had before. */
export const formers = (codec: IdentityCodec): ReadonlyArray<IdentityCodec> =>
  codecs.filter(({ fileName }) => fileName !== codec.fileName)

/** Returns whether a value names a codec. */
export const isName = (value: unknown): value is Name => value === "arcade" || value === "supabase"

/** The codec of a name. */
export const byName = (name: Name): IdentityCodec => name === "arcade" ? arcade : supabase
