/**
 * Typed events: a name, a description for the data dictionary, and a schema of the properties.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import type { CommonProperties } from "./CommonProperties.ts"

/**
 * A declared event. `UsageEvent.make` creates it, and `UsageCapture.capture` records it.
 *
 * @category models
 * @since 0.1.0
 */
export interface UsageEvent<Properties> {
  readonly name: string
  readonly description: string
  readonly properties: Schema.Codec<Properties, unknown>
  /**
   * The names of the properties of an event of this package. They are JSON, and encoded without the schema, which every
   * command would compile.
   *
   * @internal
   */
  readonly ownNames?: ReadonlyArray<string> | undefined
}

// Of each member of a union.
type ReservedIn<Encoded> = Encoded extends unknown ? Extract<keyof Encoded, Reserved> : never

/**
 * Accepts encoded properties without the names of common properties. For others, the compiler's message names the common
 * property.
 *
 * @category models
 * @since 0.1.0
 */
export type OwnNames<Encoded> = [ReservedIn<Encoded>] extends [never] ? unknown
  : `every event has its own ${ReservedIn<Encoded>}`

/**
 * Accepts the name of an event, and refuses PostHog's own names: a host's `$create_alias` would merge persons.
 *
 * @category models
 * @since 0.1.0
 */
export type OwnName<Name extends string> = Name extends "" ? "an event has a name"
  : Name extends `$${string}` ? "names that begin with $ are PostHog's own"
  : Name

// A type without the parts that JSON cannot represent. A property with the value undefined is omitted.
type InJson<A> = A extends Schema.Json | undefined ? A
  : A extends bigint | symbol | ((...arguments_: never) => unknown) ? never
  : { readonly [Name in keyof A]: InJson<A[Name]> }

// Of each member of a union.
type NotJson<Encoded> = Encoded extends unknown ? Extract<
    { [Name in keyof Encoded]-?: Encoded[Name] extends InJson<Encoded[Name]> ? never : Name }[keyof Encoded],
    string
  >
  : never

type NotStruct<Encoded> = unknown extends Encoded ? never
  : Exclude<Encoded, object> | Extract<Encoded, ReadonlyArray<unknown>>

/**
 * Accepts properties that are encoded to JSON. For others, such as a `Date` or a `Map`, the compiler's message names
 * them. Properties are an object: an array, a text and a number have no names.
 *
 * @category models
 * @since 0.1.0
 */
export type AsJson<Encoded> = [NotStruct<Encoded>] extends [never] ? [NotJson<Encoded>] extends [never] ? unknown
  : `${NotJson<Encoded>} is sent as JSON: give it a schema that encodes to that, as Schema.toCodecJson does`
  : NeedsStruct

/**
 * The compiler's message for fields without `Schema.Struct` around them, and for a schema that is not of an object.
 *
 * @category models
 * @since 0.1.0
 */
export type NeedsStruct = "the properties are a schema: Schema.Struct({ … }) around the fields"

// The check of `OwnName` at run time, for a name that is not a literal type.
const nameProblem = (name: string): string | undefined => {
  if (name.trim() === "") return "an event has a name"
  return name.startsWith("$") ? "names that begin with $ are PostHog's own" : undefined
}

/**
 * Declares an event.
 *
 * **Details**
 *
 * A name that begins with `$` is a type error, and so is a property with the name of a common property (`agent`, `ci`,
 * `sequence`, …). Neither would be sent. A person property (`$set`, `$set_once`, `$unset`) is not sent with an
 * anonymous event.
 *
 * **Example** (Declaring an event)
 *
 * ```ts
 * const TemplateChosen = UsageEvent.make("Template chosen", {
 *   description: "A template was chosen for a new project",
 *   properties: Schema.Struct({ template: Schema.Literals(["blank", "blog", "shop"]) })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string, Properties extends object, Encoded = NeedsStruct>(
  name: OwnName<Name>,
  options: {
    readonly description: string
    readonly properties: Schema.Codec<Properties, Encoded> & OwnNames<Encoded> & AsJson<Encoded>
  }
): UsageEvent<Properties> => ({ name, ...options })

// A longer text is not a property but a document.
const maxString = 8192

// In bytes. `capture` refuses a message above 64 KiB. A property that fills it must not take the others with it.
const maxJson = 60 * 1024

// Parsing a text of this length takes some 10 ms.
const maxParsed = 1024 * 1024

const truncate = (text: string): string => (text.length > maxString ? text.slice(0, maxString) : text).toWellFormed()

// A receiver may refuse a lone surrogate, and with it the whole batch.
const isName = (name: string): boolean => name !== "__proto__" && name.isWellFormed()

// A schema such as `Schema.Unknown` also accepts values that are not JSON.
const toJson = (value: unknown): Schema.Json | undefined => {
  if (typeof value === "string") return truncate(value)
  if (typeof value === "number" && !Number.isFinite(value)) return undefined
  if (value instanceof Date && Number.isNaN(value.getTime())) return undefined
  try {
    const text = JSON.stringify(value)
    if (text.length > maxParsed) return undefined
    const json = JSON.parse(
      text,
      (key, value) => !isName(key) ? undefined : typeof value === "string" ? truncate(value) : value
    )
    // A UTF-16 code unit has three bytes at most.
    const mayBeTooLarge = text.length * 3 > maxJson
    return mayBeTooLarge && Buffer.byteLength(JSON.stringify(json)) > maxJson ? undefined : json
  } catch {
    return undefined
  }
}

/**
 * The properties of an event that can be sent, and the names of the properties that cannot be sent.
 *
 * @internal
 */
export interface Encoded {
  readonly properties: Schema.JsonObject
  /** The names of the properties that are not JSON, or larger than a message. */
  readonly stripped: ReadonlyArray<string>
}

/**
 * Returns the properties as JSON: without values that are not JSON or are larger than a message, with long texts
 * truncated, and with lone surrogates replaced.
 *
 * @internal
 */
export const sanitize = (values: object): Encoded => {
  const properties: { [name: string]: Schema.Json } = {}
  const stripped: Array<string> = []
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const json = toJson(value)
    if (json === undefined || !isName(name)) stripped.push(name)
    else properties[name] = json
  }
  return { properties, stripped }
}

// Not by a formatter of Effect: its texts have the values, which may be personal or throw.
const namesIn = (issue: SchemaIssue.Issue): ReadonlyArray<string> => {
  if (issue._tag === "Pointer" && issue.path.length > 0) return [String(issue.path[0])]
  if ("issues" in issue) return issue.issues.flatMap(namesIn)
  return "issue" in issue ? namesIn(issue.issue) : []
}

/**
 * Encodes an event's properties by their schema. A property that is not declared is omitted.
 *
 * The failure names the properties that the schema refuses, without their values.
 *
 * @internal
 */
export const encode = <Properties>(
  event: UsageEvent<Properties>,
  input: Properties
): Result.Result<Encoded, string> => {
  const problem = nameProblem(event.name)
  if (problem !== undefined) return Result.fail(problem)
  if (event.ownNames !== undefined) {
    return Result.succeed(sanitize(Object.fromEntries(event.ownNames.map((name) => [name, Object(input)[name]]))))
  }
  const encoded = Schema.encodeUnknownResult(event.properties)(input, { errors: "all" })
  if (Result.isFailure(encoded)) {
    const names = [...new Set(namesIn(encoded.failure.issue))].join(", ")
    return Result.fail(`the event does not declare this value of ${names || "(all)"}`)
  }
  return Result.succeed(sanitize(Object(encoded.success)))
}

type Reserved = Exclude<keyof CommonProperties, "$groups">

const reservedNames: { readonly [Name in Reserved]: true } = {
  invocation_id: true,
  parent_invocation_id: true,
  sequence: true,
  command_name: true,
  cli_version: true,
  runtime_language: true,
  runtime_version: true,
  os_type: true,
  os_release: true,
  arch: true,
  is_ci: true,
  is_tty: true,
  is_first_run: true,
  agent: true,
  ci: true,
  schema_version: true,
  $session_id: true,
  $process_person_profile: true,
  $geoip_disable: true,
  $ignore_sent_at: true,
  $lib: true,
  $lib_version: true
}

/**
 * Returns whether a name is that of a common property. A declared property with that name is not sent.
 *
 * Its value could be mistaken for the value of the machine, such as `agent` or `ci`. `$groups` is not reserved.
 *
 * @internal
 */
export const isReserved = (name: string): boolean => Object.hasOwn(reservedNames, name)

const personProperties = new Set(["$set", "$set_once", "$unset", "$anon_distinct_id"])

/**
 * Returns whether a name is that of a person property. An anonymous event cannot have one: PostHog would silently
 * refuse the later alias of its anon id.
 *
 * @internal
 */
export const isPersonProperty = (name: string): boolean => personProperties.has(name)
