/**
 * A value that is kept as JSON text.
 *
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * How a document is read and written.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonDocument<A> {
  /** Reads a text by the schema; nothing where it is not such a document. */
  readonly decode: (text: string) => Option.Option<A>
  /** The text of a value; the compiler has checked it, so no schema does. */
  readonly encode: (value: A) => string
}

/**
 * A document by its schema, which is compiled when the first text is read: a command that reads none pays for none.
 *
 * The schema may check and brand, not transform: a value is its own JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A extends E, E>(schema: () => Schema.Codec<A, E>): JsonDocument<A> => {
  let decode: JsonDocument<A>["decode"] | undefined
  return {
    decode: (text) => {
      decode ??= Schema.decodeOption(Schema.fromJsonString(schema()))
      return decode(text)
    },
    encode: (value) => JSON.stringify(value)
  }
}
