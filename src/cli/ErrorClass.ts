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
  "AggregateError",
  "DOMException",
  "UnknownError",
  "UnknownException",
  "UserError",
  "FiberFailure"
])

// The classes that a bundler does not rename. They are known by their names: a test runner has several of each.
const platform = /^((Type|Range|Syntax|Reference|Eval|URI|Aggregate|Suppressed)?Error|DOMException)$/

// A tag is a name in the author's source, not a text.
const sourceName = /^[\w$.@/-]{1,100}$/

// An error may keep its user's data under `name`: this much is a class's.
const className = /^[A-Z][\w$]{0,99}$/

// A name of this length is one that a bundler gave the class, where the class has it too.
const maxMinified = 3

// The name that an error or one of its classes has as a property, else the name of the platform's class that it extends;
// never that of another class, which a bundler may have renamed.
const nameOf = (error: object): string => {
  let given: string | undefined
  let object: unknown = error
  for (let depth = 0; depth < maxDepth && Predicate.isObject(object); depth++) {
    const constructor: unknown = Object.hasOwn(object, "constructor") ? object.constructor : undefined
    if (Predicate.isFunction(constructor) && platform.test(constructor.name)) return given ?? constructor.name
    const name: unknown = Object.getOwnPropertyDescriptor(object, "name")?.value
    const isName = Predicate.isString(name) && (object === error ? className : sourceName).test(name)
    if (isName && (name.length > maxMinified || name !== error.constructor.name)) given ??= name
    object = Object.getPrototypeOf(object)
  }
  return "Error"
}

const ownClass = (error: object): string =>
  Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag) && sourceName.test(error._tag)
    ? error._tag
    : nameOf(error)

// A chain of causes may be a ring, and each of an aggregate's errors may be an aggregate.
const maxDepth = 10
const maxErrors = 100

const sayingClass = (error: unknown, seen: Set<unknown>, depth: number): string | undefined => {
  if (!Predicate.isObject(error) || depth === maxDepth || seen.size === maxErrors || seen.has(error)) return undefined
  seen.add(error)
  const own = ownClass(error)
  if (!empty.has(own)) return own
  const errors = Predicate.hasProperty(error, "errors") && Array.isArray(error.errors) ? error.errors : []
  for (const inner of errors) {
    const said = sayingClass(inner, seen, depth + 1)
    if (said !== undefined) return said
  }
  return Predicate.hasProperty(error, "cause") ? sayingClass(error.cause, seen, depth + 1) : undefined
}

/**
 * Returns the class of the first error that says something, of an error, the errors of an aggregate, and their causes.
 *
 * **Details**
 *
 * The class is the error's `_tag`, the `name` that it or its class has as a property, or the platform's class that it
 * extends. It is never the name of another class, which a bundler may have renamed.
 *
 * @category getters
 * @since 0.1.0
 */
export const ofError = (error: unknown): string =>
  orElse("Error", () => sayingClass(error, new Set(), 0) ?? (Predicate.isObject(error) ? ownClass(error) : "Error"))

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
