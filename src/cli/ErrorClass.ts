/** The class of an error: what kind it is, and nothing that it says. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Terminal from "effect/Terminal"

/**
 * What was evaluated; another value where that throws, as a getter or a proxy of the host's may, or a function of its
 * author's.
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
const tag = /^[\w$.@/-]{1,100}$/

// An error may keep its user's data under `name`: this much is a class's.
const className = /^[A-Z][\w$]{0,99}$/

// A name of this length is one that a bundler gave the class, where the class has it too.
const maxMinified = 3

const own = (object: object, key: string): unknown => Object.getOwnPropertyDescriptor(object, key)?.value

// The name that an error or one of its classes has as a property, else the name of the platform's class that it extends;
// never that of another class, which a bundler may have renamed.
const nameOf = (error: object): string => {
  let given: string | undefined
  for (let object: unknown = error; Predicate.isObject(object); object = Object.getPrototypeOf(object)) {
    const constructor = own(object, "constructor")
    if (Predicate.isFunction(constructor) && platform.test(constructor.name)) return given ?? constructor.name
    const name = own(object, "name")
    if (
      Predicate.isString(name) && (object !== error || className.test(name)) &&
      (name.length > maxMinified || name !== error.constructor.name)
    ) given ??= name
  }
  return "Error"
}

const ownClass = (error: object): string =>
  Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag) && tag.test(error._tag)
    ? error._tag
    : nameOf(error)

// Causes and aggregates may be rings.
const firstClass = (error: unknown, seen: Set<unknown>): string | undefined => {
  if (!Predicate.isObject(error) || seen.has(error)) return undefined
  seen.add(error)
  const name = ownClass(error)
  if (!empty.has(name)) return name
  let inner: string | undefined
  for (const each of [error["errors"], error["cause"]].flat()) inner ??= firstClass(each, seen)
  return inner
}

/**
 * Returns the class of the first error that says something, of an error, the errors of an aggregate, and their causes.
 *
 * **Details**
 *
 * The class is the error's `_tag`, the `name` that it or its class has as a property, or the platform's class that it
 * extends. It is never the name of another class, which a bundler may have renamed.
 */
export const ofError = (error: unknown): string =>
  orElse("Error", () => firstClass(error, new Set()) ?? ownClass(Object(error)))

/** The class of what ended a command, if it was an error and not an interruption. */
export const ofCause = (cause: Cause.Cause<unknown>): string | undefined => {
  const reason = cause.reasons.find(Cause.isFailReason) ?? cause.reasons.find(Cause.isDieReason)
  if (reason === undefined) return undefined
  return ofError(Cause.isFailReason(reason) ? reason.error : reason.defect)
}

/** Whether the user ended a command: by a signal, or by leaving a prompt. */
export const isCancelled = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) &&
  (Cause.hasInterruptsOnly(exit.cause) ||
    orElse(false, () =>
      exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && Terminal.isQuitError(reason.error))))
