/**
 * How an identity file is written, so that a CLI with users keeps their ids.
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

/**
 * What an identity file says.
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
 * The formats that there are. A worker must know a format too: it looks for a denial in the file before each request.
 *
 * @category models
 * @since 0.1.0
 */
export type Name = "arcade" | "supabase"

/**
 * The format of an identity file.
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
  /** Writes a file's text, over the keys that were there. */
  readonly encode: (pointer: Pointer, document: Schema.JsonObject) => string
  /** Whether the file, given its text, denies consent; a format without consent never does. */
  readonly denies: (text: string) => boolean
  /** The file's text with consent denied or given in it; undefined for a format without consent. */
  readonly withConsent: ((text: string | undefined, given: boolean) => string) | undefined
}

// An editor or another tool may have put a byte order mark in front of the text.
const document = (text: string): Option.Option<Schema.JsonObject> =>
  JsonDocument.parse(text.startsWith("\ufeff") ? text.slice(1) : text)

/**
 * Every key of an identity file, so that what other tools keep there survives a rewrite; none where it is no object.
 *
 * @category codecs
 * @since 0.1.0
 */
export const keysOf = (text: string): Schema.JsonObject => Option.getOrElse(document(text), () => ({}))

const print = (document: Schema.JsonObject): string => JSON.stringify(document, null, 2) + "\n"

const decodeKeys = (anonKey: string, principalKey: string) => (text: string): Option.Option<Pointer> =>
  Option.flatMap(document(text), (document) =>
    Option.map(AnonId.decode(document[anonKey]), (anonId) => ({
      anonId,
      // Another tool may write the id that it sends: before a login that is the device's own.
      linkedPrincipal: document[principalKey] === document[anonKey]
        ? undefined
        : Result.getOrUndefined(PrincipalId.decode(document[principalKey]))
    })))

/**
 * Arcade's `usage.json`: `{ "anon_id": "…", "linked_principal_id": "…" | null }`, indented by two spaces.
 *
 * @category codecs
 * @since 0.1.0
 */
export const arcade: IdentityCodec = {
  name: "arcade",
  fileName: "usage.json",
  decode: decodeKeys("anon_id", "linked_principal_id"),
  encode: ({ anonId, linkedPrincipal }, document) =>
    print({ ...document, anon_id: anonId, linked_principal_id: linkedPrincipal ?? null }),
  denies: () => false,
  withConsent: undefined
}

/**
 * Supabase's `telemetry.json`: `device_id`, `distinct_id`, and consent as `enabled` or `consent`.
 *
 * **Details**
 *
 * `enabled: false` and `consent: "denied"` both deny, and so does a file that cannot be read.
 *
 * @category codecs
 * @since 0.1.0
 */
export const supabase: IdentityCodec = {
  name: "supabase",
  fileName: "telemetry.json",
  decode: decodeKeys("device_id", "distinct_id"),
  encode: ({ anonId, linkedPrincipal }, document) => {
    const { distinct_id: _, ...rest } = document
    return print({
      ...rest,
      device_id: anonId,
      ...(linkedPrincipal === undefined ? {} : { distinct_id: linkedPrincipal }),
      schema_version: rest["schema_version"] ?? 1
    })
  },
  denies: (text) =>
    Option.match(document(text), {
      onNone: () => true,
      onSome: (document) => document["enabled"] === false || document["consent"] === "denied"
    }),
  // A denial takes the ids with it, that of the session included, which the CLI before this module kept here.
  withConsent: (text, given) => {
    const { device_id: _, distinct_id: __, session_id: ___, session_last_active: ____, ...rest } = keysOf(text ?? "")
    return print({ ...rest, enabled: given, consent: given ? "granted" : "denied" })
  }
}

const isJson = (text: string): boolean => Option.isSome(Option.liftThrowable(JSON.parse)(text))

/**
 * Whether a text is certainly not of this format: the host, or another tool, may have a JSON file of the same name.
 *
 * @category codecs
 * @since 0.1.0
 */
export const isForeign = (codec: IdentityCodec, text: string): boolean => {
  const ofDenial = Option.exists(
    document(text),
    ({ consent, enabled }) => Predicate.isString(consent) || Predicate.isBoolean(enabled)
  )
  return isJson(text) && Option.isNone(codec.decode(text)) && !ofDenial
}

/**
 * Every codec of this module.
 *
 * @category codecs
 * @since 0.1.0
 */
export const codecs: ReadonlyArray<IdentityCodec> = [arcade, supabase]

/**
 * The formats that a host of this one may have had before.
 *
 * @category getters
 * @since 0.1.0
 */
export const formers = (codec: IdentityCodec): ReadonlyArray<IdentityCodec> =>
  codecs.filter(({ fileName }) => fileName !== codec.fileName)

/**
 * Returns whether a value names a codec.
 *
 * @category guards
 * @since 0.1.0
 */
export const isName = (value: unknown): value is Name => value === "arcade" || value === "supabase"

/**
 * The codec of a name.
 *
 * @category getters
 * @since 0.1.0
 */
export const byName = (name: Name): IdentityCodec => name === "arcade" ? arcade : supabase
