/**
 * The list of all events and properties that a CLI sends, generated from its declared events.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { CommandFailed, CommandSucceeded, withName } from "../domain/CommandEvents.ts"
import { CommonProperties } from "../domain/CommonProperties.ts"
import * as Markdown from "../domain/Markdown.ts"
import * as UsageEvent from "../domain/UsageEvent.ts"
import type { Options } from "./CommandTracking.ts"

/**
 * A declared event with any properties.
 *
 * @category models
 * @since 0.1.0
 */
export interface Declared {
  readonly name: string
  readonly description: string
  readonly properties: Schema.Constraint
}

/**
 * A property of an event, with its JSON Schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface Property {
  readonly name: string
  /** The property's JSON Schema. */
  readonly schema: unknown
  readonly required: boolean
}

/**
 * An event with its own properties.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly name: string
  readonly description: string
  /** The event's own properties. A declared property with the name of a common property is not sent. */
  readonly properties: ReadonlyArray<Property>
}

/**
 * The events of a CLI with their own properties, and the properties of every event.
 *
 * @category models
 * @since 0.1.0
 */
export interface DataDictionary {
  readonly events: ReadonlyArray<Entry>
  readonly common: ReadonlyArray<Property>
}

// Effect writes these bounds for an integer since 4.0.3. A dictionary must not change with the version of Effect.
const isSafeIntegerBound = (value: unknown): boolean =>
  value === Number.MAX_SAFE_INTEGER || value === Number.MIN_SAFE_INTEGER

// The JSON Schema of `Schema.Number` has these texts for the numbers that JSON does not have. They are not sent.
const isNonFinite = (schema: unknown): boolean =>
  Predicate.hasProperty(schema, "enum") && String(schema.enum) === "Infinity,-Infinity,NaN"

const withoutNonFinite = (schema: { readonly [keyword: string]: unknown }): { readonly [keyword: string]: unknown } => {
  if (!Array.isArray(schema["anyOf"]) || !schema["anyOf"].some(isNonFinite)) return schema
  const { anyOf: _, ...rest } = schema
  const types: ReadonlyArray<unknown> = schema["anyOf"].filter((type) => !isNonFinite(type))
  return types.length === 1 ? { ...Object(types[0]), ...rest } : { ...rest, anyOf: types }
}

// Replaces each reference by its definition. A recursive reference becomes `{}`, any value.
const inlineReferences = (schema: unknown, definitions: object, inside: ReadonlyArray<string> = []): unknown => {
  if (Array.isArray(schema)) return schema.map((one) => inlineReferences(one, definitions, inside))
  if (!Predicate.isObject(schema)) return schema
  if ("$ref" in schema && Predicate.isString(schema.$ref)) {
    // A JSON pointer.
    const name = schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1).replaceAll("~1", "/").replaceAll("~0", "~")
    return inside.includes(name) ? {} : inlineReferences(Reflect.get(definitions, name), definitions, [...inside, name])
  }
  return withoutNonFinite(Object.fromEntries(
    Object.entries(schema)
      .filter(([, value]) => !isSafeIntegerBound(value))
      .map(([key, value]) => [key, inlineReferences(value, definitions, inside)])
  ))
}

/**
 * Returns the error of an event whose schema does not name its properties.
 *
 * @internal
 */
export const unnamedProperties = (event: string): Error =>
  new Error(`"${event}" sends properties that it does not name: declare them by a Schema.Struct`)

/**
 * Returns the types of a property that is sent: JSON has no undefined, and a property with that value is left out.
 *
 * @internal
 */
export const sentTypes = (type: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  type._tag === "Union" ? type.types.flatMap(sentTypes) : type._tag === "Undefined" ? [] : [type]

/**
 * Returns whether a property may be left out.
 *
 * @internal
 */
export const mayBeAbsent = (type: SchemaAST.AST): boolean =>
  SchemaAST.isOptional(type) || type._tag === "Undefined" || (type._tag === "Union" && type.types.some(mayBeAbsent))

// Effect's JSON Schema has null for undefined.
const withoutUndefined = (schema: unknown, type: SchemaAST.AST): unknown => {
  if (!Predicate.isObject(schema) || !("anyOf" in schema) || !Array.isArray(schema.anyOf)) return schema
  const { anyOf, ...rest } = schema
  const types = anyOf.filter((type: unknown) => !Predicate.hasProperty(type, "type") || type.type !== "null")
  if (sentTypes(type).some(({ _tag }) => _tag === "Null")) types.push({ type: "null" })
  return types.length === 1 ? { ...types[0], ...rest } : { ...rest, anyOf: types }
}

type PropertiesOf = (event: string, schema: Schema.Constraint) => ReadonlyArray<Property>

const propertiesOf = (event: string, schema: Schema.Constraint): ReadonlyArray<Property> => {
  const document = Schema.toJsonSchemaDocument(schema)
  const json = inlineReferences(document.schema, document.definitions)
  // The schema of an empty struct.
  if (Predicate.hasProperty(json, "not")) return []
  if (!Predicate.hasProperty(json, "properties") || !Predicate.isObject(json.properties) || "allOf" in json) {
    throw unnamedProperties(event)
  }
  const encoded = SchemaAST.toEncoded(schema.ast)
  const struct = encoded._tag === "Suspend" ? encoded.thunk() : encoded
  const types = new Map(
    struct._tag === "Objects" ? struct.propertySignatures.map(({ name, type }) => [String(name), type]) : []
  )
  return Object.entries(json.properties).map(([name, schema]) => {
    const type = types.get(name)
    if (type === undefined || !mayBeAbsent(type)) return { name, schema, required: true }
    return { name, schema: withoutUndefined(schema, type), required: false }
  })
}

// The alias of a claim. It is created with the claim, not from a declared event.
const alias: Declared = {
  name: "$create_alias",
  description:
    "Joins a device's id, the `alias`, to an account, the `distinct_id`; once at most in the life of that id",
  properties: Schema.Struct({ distinct_id: Schema.String, alias: Schema.String })
}

/**
 * Returns the function that creates a dictionary, given the function that returns the properties of a schema.
 *
 * @internal
 */
export const makeWith =
  (propertiesOf: PropertiesOf) =>
  (events: ReadonlyArray<Declared>, options: Pick<Options, "events"> = {}): DataDictionary => {
    const all: ReadonlyArray<Declared> = [
      withName(CommandSucceeded, options.events?.succeeded),
      withName(CommandFailed, options.events?.failed),
      alias,
      ...events
    ]
    const duplicate = all.find(({ name }, index) => all.findIndex((other) => other.name === name) < index)
    if (duplicate !== undefined) {
      throw new Error(`two events have the name "${duplicate.name}". Rename one`)
    }
    const sorted: PropertiesOf = (event, schema) =>
      propertiesOf(event, schema).toSorted((a, b) => a.name.localeCompare(b.name, "en"))
    return {
      events: all.map((event) => ({
        name: event.name,
        description: event.description,
        properties: sorted(event.name, event.properties).filter(({ name }) => !UsageEvent.isReserved(name))
      })),
      common: sorted("every event", CommonProperties)
    }
  }

/**
 * Creates the dictionary of a CLI's events. It always has the command events and the event that links a device to an
 * account.
 *
 * **Gotchas**
 *
 * The properties of `UsageContext` and of `Usage.annotateCommand` are not declared, so the dictionary does not have
 * them.
 *
 * It throws if two events have one name, and if a schema does not name its properties (a `Record`, a `Union`): they
 * would be sent without being listed.
 *
 * **Example** (Writing the dictionary of a CLI)
 *
 * ```ts
 * const TemplateChosen = UsageEvent.make("Template chosen", {
 *   description: "A template was chosen for a new project",
 *   properties: Schema.Struct({ template: Schema.Literals(["blank", "blog", "shop"]) })
 * })
 *
 * const markdown = DataDictionary.toMarkdown(DataDictionary.make([TemplateChosen]))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (events: ReadonlyArray<Declared>, options?: Pick<Options, "events">): DataDictionary =>
  makeWith(propertiesOf)(events, options)

/**
 * Returns the dictionary as JSON, with two spaces of indentation.
 *
 * @category formatting
 * @since 0.1.0
 */
export const toJson = (dictionary: DataDictionary): string => JSON.stringify(dictionary, null, 2) + "\n"

/**
 * Returns a property's type for people, with each value of an enumeration in a format.
 *
 * @internal
 */
export const typeOf = (schema: unknown, format: (value: string) => string): string => {
  if (!Predicate.isObject(schema)) return "any"
  if ("enum" in schema && Array.isArray(schema.enum)) {
    return schema.enum.map((value) => format(JSON.stringify(value))).join(", ")
  }
  if ("anyOf" in schema && Array.isArray(schema.anyOf)) {
    return [...new Set(schema.anyOf.map((one) => typeOf(one, format)))].join(", ")
  }
  // The elements of a tuple have types of their own.
  const isList = "type" in schema && schema.type === "array" && "items" in schema && !("prefixItems" in schema)
  if (isList) return `list of ${typeOf(schema.items, format)}`
  return "type" in schema ? String(schema.type) : "any"
}

const descriptionOf = (schema: unknown): string =>
  Predicate.hasProperty(schema, "description") ? String(schema.description) : ""

// Most properties explain themselves: a column of descriptions is written only where there is one.
const table = (properties: ReadonlyArray<Property>): string => {
  const isDescribed = properties.some(({ schema }) => descriptionOf(schema) !== "")
  const row = (description: string, ...cells: ReadonlyArray<string>): string =>
    `| ${(isDescribed ? [...cells, description] : cells).join(" | ")} |`
  return [
    row("description", "property", "type", "always there"),
    row("---", "---", "---", "---"),
    ...properties.map(({ name, required, schema }) =>
      row(
        Markdown.cell(descriptionOf(schema)),
        Markdown.code(name),
        typeOf(schema, Markdown.code),
        required ? "yes" : "no"
      )
    )
  ].join("\n")
}

const sentence = (text: string): string => /[.!?]$/.test(text) ? text : `${text}.`

/**
 * Returns the dictionary as Markdown, with one table for each event.
 *
 * @category formatting
 * @since 0.1.0
 */
export const toMarkdown = (dictionary: DataDictionary): string =>
  [
    "# What is sent",
    ...dictionary.events.map(({ description, name, properties }) =>
      [
        `## ${Markdown.plain(name)}`,
        sentence(Markdown.plain(description)),
        properties.length === 0 ? "No properties of its own." : table(properties)
      ].join("\n\n")
    ),
    `## Every event\n\n${table(dictionary.common)}`
  ].join("\n\n") + "\n"
