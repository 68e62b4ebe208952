/**
 * The random id of a device before a user has logged in on it.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"

/**
 * The random id of a device: a UUID, replaced at logout.
 *
 * **Details**
 *
 * This package creates version 4. Any version of RFC 9562 is read, because another tool may have written the file.
 *
 * @category models
 * @since 0.1.0
 */
export type AnonId = string & Brand.Brand<"AnonId">

// The version and the variant are required, which refuses the nil and the max UUID: a device id that many devices share
// would merge strangers into one person.
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/**
 * Returns whether a value is an anon id.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAnonId = (input: unknown): input is AnonId => Predicate.isString(input) && uuid.test(input)

/**
 * Decodes an anon id that comes from outside this process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const decode: (input: unknown) => Option.Option<AnonId> = Option.liftPredicate(isAnonId)
