/**
 * The class of an error: what kind it is, and nothing that it says.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Terminal from "effect/Terminal"

/**
 * What was evaluated; another value where that throws, as a getter or a proxy of the host's may, or a function of its
 * author's.
 *
 * @category error handling
 * @since 0.1.0
 */
export const orElse = <A, B>(other: B, evaluate: () => A): A | B => {
  try {
    return evaluate()
  } catch {
    return other
  }
}

// Names that say only that something went wrong; what they wrap may say more.
const empty = new Set([
  "Error",
  "Object",
  "UnknownError",
  "UnknownException",
  "UserError",
  "FiberFailure",
  "DOMException"
])

// A class is a name in the author's source, not a text.
const name = /^[\w$.@/-]{1,100}$/

const ownClass = (error: unknown): string => {
  if (Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag) && name.test(error._tag)) return error._tag
  const constructor: unknown = Predicate.isObject(error) ? error.constructor : undefined
  return Predicate.isFunction(constructor) && name.test(constructor.name) ? constructor.name : "Error"
}

// A chain of causes may be a ring.
const maxDepth = 10

/**
 * The `_tag`, or the constructor's name, of the first error in a chain of causes that says something.
 *
 * @category getters
 * @since 0.1.0
 */
export const ofError = (error: unknown): string =>
  orElse("Error", () => {
    let current = error
    for (let depth = 0; depth < maxDepth && Predicate.isObject(current); depth++) {
      const own = ownClass(current)
      if (!empty.has(own)) return own
      current = Predicate.hasProperty(current, "cause") ? current.cause : undefined
    }
    return Predicate.isObject(error) ? ownClass(error) : "Error"
  })

/**
 * The class of what ended a command, if it was an error and not an interruption.
 *
 * @category getters
 * @since 0.1.0
 */
export const ofCause = (cause: Cause.Cause<unknown>): string | undefined => {
  const reason = cause.reasons.find(Cause.isFailReason) ?? cause.reasons.find(Cause.isDieReason)
  if (reason === undefined) return undefined
  return ofError(Cause.isFailReason(reason) ? reason.error : reason.defect)
}

/**
 * Whether the user ended a command: by a signal, or by leaving a prompt.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCancelled = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) &&
  (Cause.hasInterruptsOnly(exit.cause) ||
    orElse(false, () =>
      exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && Terminal.isQuitError(reason.error))))
