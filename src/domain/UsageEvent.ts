/**
 * Typed events: a name, a description for the data dictionary, and a schema of the properties.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
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
   * Encodes properties that this module makes itself, where a schema would be compiled in every command.
   *
   * @internal
   */
  readonly encodeOwn?: ((input: Properties) => object) | undefined
}

/**
 * Accepts properties whose names no other event property has. For others, the compiler's message names the common
 * property.
 *
 * @category models
 * @since 0.1.0
 */
export type OwnNames<Properties> = [Extract<keyof Properties, Reserved>] extends [never] ? unknown
  : `every event has its own ${Extract<keyof Properties, Reserved>}`

/**
 * Accepts the name of an event, and refuses PostHog's own names: a host's `$create_alias` would merge persons.
 *
 * @category models
 * @since 0.1.0
 */
export type OwnName<Name extends string> = Name extends "" ? "an event has a name"
  : Name extends `$${string}` ? "names that begin with $ are PostHog's own"
  : Name

// What is left of a type where JSON has no place for something in it; a property that is undefined is left out.
type InJson<A> = A extends Schema.Json | undefined ? A
  : A extends bigint | symbol | ((...arguments_: never) => unknown) ? never
  : { readonly [Name in keyof A]: InJson<A[Name]> }

type NotJson<Encoded> = Extract<
  { [Name in keyof Encoded]-?: Encoded[Name] extends InJson<Encoded[Name]> ? never : Name }[keyof Encoded],
  string
>

/**
 * Accepts properties that are encoded to JSON. For others, such as a `Date` or a `Map`, the compiler's message names
 * them.
 *
 * @category models
 * @since 0.1.0
 */
export type AsJson<Encoded> = Encoded extends NeedsStruct ? NeedsStruct
  : [NotJson<Encoded>] extends [never] ? unknown
  : `${NotJson<Encoded>} is sent as JSON: give it a schema that encodes to that, as Schema.toCodecJson does`

/**
 * The compiler's message for fields without `Schema.Struct` around them.
 *
 * @category models
 * @since 0.1.0
 */
export type NeedsStruct = "the properties are a schema: Schema.Struct({ … }) around the fields"

// The same for a name that the compiler does not know.
const nameProblem = (name: string): string | undefined => {
  if (name.trim() === "") return "an event has a name"
  return name.startsWith("$") ? "names that begin with $ are PostHog's own" : undefined
}

/**
 * Declares an event.
 *
 * **Details**
 *
 * A name that begins with `$`, and a property under a name that every event has (`agent`, `ci`, `sequence`, …), are type
 * errors; neither would be sent. A property of a person (`$set`, `$set_once`, `$unset`) is left out of an event that is
 * nobody's.
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
    readonly properties: Schema.Codec<Properties, Encoded> & OwnNames<Properties> & AsJson<Encoded>
  }
): UsageEvent<Properties> => ({ name, ...options })

// A property longer than this is a document, not a property; capture refuses a message above 64 KiB as a whole.
const maxString = 8192

const cut = (text: string): string => (text.length > maxString ? text.slice(0, maxString) : text).toWellFormed()

// A lone surrogate is an escape that the other side may refuse, and with it the whole batch.
const isName = (name: string): boolean => name !== "__proto__" && name.isWellFormed()

// What a schema lets through may still be no JSON, where an author declared `Schema.Unknown`.
const toJson = (value: unknown): Schema.Json | undefined => {
  if (value instanceof Date && Number.isNaN(value.getTime())) return undefined
  if (Predicate.isNumber(value) && !Number.isFinite(value)) return undefined
  try {
    return JSON.parse(
      JSON.stringify(value),
      (key, value) => !isName(key) ? undefined : Predicate.isString(value) ? cut(value) : value
    )
  } catch {
    return undefined
  }
}

/**
 * An event's properties as they may be sent, with the names of those that could not be.
 *
 * @internal
 */
export interface Encoded {
  readonly properties: Schema.JsonObject
  /** Declared properties whose value is no JSON: they were left out. */
  readonly stripped: ReadonlyArray<string>
}

/**
 * Leaves out what is no JSON, cuts what is too long, and mends what is not well-formed.
 *
 * @internal
 */
export const clean = (values: object): Encoded => {
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

/**
 * Encodes an event's properties by their schema: what is not declared is left out.
 *
 * The failure names the properties that the schema refuses, never their values.
 *
 * @internal
 */
export const encode = <Properties>(
  event: UsageEvent<Properties>,
  input: Properties
): Result.Result<Encoded, string> => {
  const problem = nameProblem(event.name)
  if (problem !== undefined) return Result.fail(problem)
  if (event.encodeOwn !== undefined) return Result.succeed(clean(event.encodeOwn(input)))
  const encoded = Schema.encodeUnknownResult(event.properties)(input, { errors: "all" })
  if (Result.isFailure(encoded)) {
    const format = SchemaIssue.makeFormatterStandardSchemaV1()
    const names = format(encoded.failure.issue).issues.map((issue) => String(issue.path?.[0] ?? "(all)"))
    return Result.fail(`the event does not declare this value of ${[...new Set(names)].join(", ")}`)
  }
  return Result.succeed(clean(Object(encoded.success)))
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
 * Returns whether a name is that of a property which every event has: what an event declares under it is not sent.
 *
 * Its value would pass for the machine's where this command has none: its agent, its CI. Groups come with the event.
 *
 * @internal
 */
export const isReserved = (name: string): boolean => Object.hasOwn(reservedNames, name)

const personNames = new Set(["$set", "$set_once", "$unset", "$anon_distinct_id"])

/**
 * Returns whether a name is that of a person property, which an anonymous event cannot have: PostHog would refuse the
 * later alias of its anon id without a word.
 *
 * @internal
 */
export const isOfPersons = (name: string): boolean => personNames.has(name)
