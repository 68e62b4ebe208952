/** The events of `telemetry events`, without Effect's JSON Schema, which every command would load (ADR 0029). */
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import {
  type DataDictionary,
  makeWith,
  mayBeAbsent,
  type Property,
  sentTypes,
  typeOf,
  unnamedProperties
} from "./DataDictionary.ts"

const isInteger = (check: SchemaAST.Check<never>): boolean =>
  check._tag === "FilterGroup" ? check.checks.some(isInteger) : check.annotations?.expected === "an integer"

// Returns the JSON Schema of a type, without constraints.
const schemaOf = (ast: SchemaAST.AST): { readonly [keyword: string]: unknown } => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return { type: "string" }
    case "Number":
      return { type: ast.checks?.some(isInteger) === true ? "integer" : "number" }
    case "Boolean":
      return { type: "boolean" }
    case "Null":
      return { type: "null" }
    case "Literal":
      return { enum: [ast.literal] }
    case "Enum":
      return { enum: ast.enums.map(([, value]) => value) }
    case "Union":
      return { anyOf: ast.types.map(schemaOf) }
    case "Arrays": {
      const [items] = ast.rest
      return { type: "array", ...(items === undefined || ast.elements.length > 0 ? {} : { items: schemaOf(items) }) }
    }
    case "Objects":
      return { type: "object" }
    default:
      return {}
  }
}

const described = (ast: SchemaAST.AST): unknown => {
  const types = sentTypes(ast).map(schemaOf)
  const [type = {}] = types
  const schema = types.length === 1 ? type : { anyOf: types }
  const description = SchemaAST.resolve(ast)?.description
  return description === undefined ? schema : { ...schema, description }
}

const propertiesOf = (event: string, { ast }: Schema.Constraint): ReadonlyArray<Property> => {
  const encoded = SchemaAST.toEncoded(ast)
  const struct = encoded._tag === "Suspend" ? encoded.thunk() : encoded
  if (struct._tag !== "Objects" || struct.indexSignatures.length > 0) throw unnamedProperties(event)
  return struct.propertySignatures.map(({ name, type }) => ({
    name: String(name),
    schema: described(type),
    required: !mayBeAbsent(type)
  }))
}

/** Returns the data dictionary of a CLI, with the types of its properties and without their constraints. */
export const make = makeWith(propertiesOf)

// A line break would break an indentation.
const inOneLine = (text: string): string => text.trim().replaceAll(/\s*\n\s*/g, " ")

const lines = (properties: ReadonlyArray<Property>): ReadonlyArray<string> => {
  const width = Math.max(0, ...properties.map(({ name }) => name.length))
  return properties.map(({ name, required, schema }) => {
    const type = `${typeOf(schema, (value) => value)}${required ? "" : " (not always)"}`
    const { description } = Object(schema)
    return `  ${name.padEnd(width)}  ${type}${description === undefined ? "" : `: ${inOneLine(String(description))}`}`
  })
}

/** Returns a data dictionary as text for a terminal. */
export const toText = ({ common, events }: DataDictionary): string =>
  [
    ...events.map(({ description, name, properties }) => [name, `  ${inOneLine(description)}`, ...lines(properties)]),
    ["Every event has also", ...lines(common)],
    [
      "Each message also has its time, a random id, and the id of the account, the device or the command. A command may add",
      "properties while it runs, and may send events that its authors did not list here: `telemetry log` prints each message",
      "whole."
    ]
  ].map((block) => block.join("\n")).join("\n\n")
