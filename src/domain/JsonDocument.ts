/** Values that are kept as JSON text. */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"

// Whatever `JSON.parse` returns and is an object is a `JsonObject`.
const isJsonObject = (value: unknown): value is Schema.JsonObject => Predicate.isObject(value)

/** Parses a text as a JSON object; an array, a scalar and a text that is no JSON are none. */
export const parse = (text: string): Option.Option<Schema.JsonObject> =>
  Option.filter(Option.liftThrowable((text: string): unknown => JSON.parse(text))(text), isJsonObject)

/** Returns whether a value is a number that can be written again: JSON may hold one that is too large. */
export const isNumber = (value: unknown): value is number => Number.isFinite(value)

/**
 * Makes a decoder of a text from a decoder of the parsed object.
 *
 * A command decodes some of these documents each time. Compiling a schema for them would cost it more than the rest of
 * its work, so their fields are checked by hand.
 */
export const decoder =
  <A>(decode: (document: Schema.JsonObject) => A | undefined) => (text: string): Option.Option<A> =>
    Option.flatMap(parse(text), (document) => Option.fromUndefinedOr(decode(document)))
