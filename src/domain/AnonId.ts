/**
 * The random id of a device before anyone has logged in on it.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

// A version and a variant are asked for, so the nil and the max UUID are refused: a device id that many devices share
// would merge strangers into one person.
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/**
 * A UUID that identifies one device until somebody logs out on it.
 *
 * This module makes version 4; any RFC 9562 version is read, because other tools wrote the file before.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AnonId = Schema.String.check(Schema.isPattern(uuid, { message: "not a UUID of a known version" })).pipe(
  Schema.brand("AnonId")
)

/**
 * @category models
 * @since 0.1.0
 */
export type AnonId = typeof AnonId.Type

// What the schema says, for the path of every command, where compiling a schema would be felt.
const isAnonId = (input: unknown): input is AnonId => Predicate.isString(input) && uuid.test(input)

/**
 * Decodes an anon id that comes from outside this process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const decode: (input: unknown) => Option.Option<AnonId> = Option.liftPredicate(isAnonId)
