/** Decoders of JSON text. */
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"

// An object that `JSON.parse` returns is a `JsonObject`.
const isJsonObject = (value: unknown): value is Schema.JsonObject => Predicate.isObject(value)

/** Parses a text as a JSON object; undefined for an array, a scalar, or a text that is not JSON. */
export const parse = (text: string): Schema.JsonObject | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Returns whether a text is complete JSON. */
export const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Returns whether a value is a finite number: a number of a JSON text may be too large for JavaScript. */
export const isNumber = (value: unknown): value is number => Number.isFinite(value)

/**
 * Returns a decoder of text, given a decoder of the parsed object; undefined if the text is not valid.
 *
 * The fields are checked by hand: every command decodes some of these documents, and compiling a schema for them would
 * take longer than the rest of its work.
 */
export const decoder = <A>(decode: (document: Schema.JsonObject) => A | undefined) => (text: string): A | undefined => {
  const document = parse(text)
  return document && decode(document)
}
