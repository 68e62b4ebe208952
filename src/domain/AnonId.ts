/** The random id of a device before a user has logged in on it. */
import type * as Brand from "effect/Brand"
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
// Both cases in each class: compiling a pattern that ignores case takes twice as long.
const uuid = /^[\dA-Fa-f]{8}-[\dA-Fa-f]{4}-[1-8][\dA-Fa-f]{3}-[89ABab][\dA-Fa-f]{3}-[\dA-Fa-f]{12}$/

/** Returns whether a value is an anon id. */
export const isAnonId = (input: unknown): input is AnonId => Predicate.isString(input) && uuid.test(input)
