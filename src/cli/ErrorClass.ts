/** The class of an error, without its message. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Terminal from "effect/Terminal"

/**
 * Returns the evaluated value; another value if the evaluation throws, as a getter, a proxy or a function of the host
 * may.
 */
export const tryOrElse = <A, B>(other: B, evaluate: () => A): A | B => {
  try {
    return evaluate()
  } catch {
    return other
  }
}

// Names without information. The class of a cause may have more.
const uninformative = new Set([
  "Error",
  "AggregateError",
  "DOMException",
  "UnknownError",
  "UnknownException",
  "UserError",
  "FiberFailure"
])

// The classes of the platform, which a bundler does not rename. Compared by name: a test runner has several realms.
const platform = /^((Type|Range|Syntax|Reference|Eval|URI|Aggregate|Suppressed)?Error|DOMException)$/

// A tag that looks like a name in the source code, and not like a text.
const tag = /^[\w$.@/-]{1,100}$/

// A `name` that looks like the name of a class. An error may have user data in `name`.
const className = /^[A-Z][\w$]{0,99}$/

// A name of at most this length that is also the name of the class may come from a bundler.
const maxMinified = 3

const ownProperty = (object: object, key: string): unknown => Object.getOwnPropertyDescriptor(object, key)?.value

// Returns the `name` property of an error or of one of its classes, else the name of the platform class that it
// extends. It never returns the name of another class, which a bundler may have renamed.
const nameOf = (error: object): string => {
  let classOrErrorName: string | undefined
  for (let object: unknown = error; Predicate.isObject(object); object = Object.getPrototypeOf(object)) {
    const constructor = ownProperty(object, "constructor")
    if (Predicate.isFunction(constructor) && platform.test(constructor.name)) {
      return classOrErrorName ?? constructor.name
    }
    const name = ownProperty(object, "name")
    if (
      Predicate.isString(name) && (object !== error || className.test(name)) &&
      (name.length > maxMinified || name !== error.constructor.name)
    ) classOrErrorName ??= name
  }
  return "Error"
}

const ownClass = (error: object): string =>
  Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag) && tag.test(error._tag)
    ? error._tag
    : nameOf(error)

// Causes and aggregates may be cyclic.
const firstClass = (error: unknown, seen: Set<unknown>): string | undefined => {
  if (!Predicate.isObject(error) || seen.has(error)) return undefined
  seen.add(error)
  const name = ownClass(error)
  if (!uninformative.has(name)) return name
  let inner: string | undefined
  for (const each of [error["errors"], error["cause"]].flat()) inner ??= firstClass(each, seen)
  return inner
}

/**
 * Returns the first informative class of an error, the errors of an aggregate, and their causes.
 *
 * **Details**
 *
 * The class is the error's `_tag`, the `name` that it or its class has as a property, or the platform's class that it
 * extends. It is never the name of another class, which a bundler may have renamed.
 */
export const ofError = (error: unknown): string =>
  tryOrElse("Error", () => firstClass(error, new Set()) ?? ownClass(Object(error)))

/** Returns the class of the first error or defect of a cause; undefined for an interruption. */
export const ofCause = (cause: Cause.Cause<unknown>): string | undefined => {
  const reason = cause.reasons.find(Cause.isFailReason) ?? cause.reasons.find(Cause.isDieReason)
  if (reason === undefined) return undefined
  return ofError(Cause.isFailReason(reason) ? reason.error : reason.defect)
}

/** Returns whether a cause has an error of a kind; false if the check throws. */
export const hasError = (cause: Cause.Cause<unknown>, isOfKind: (error: unknown) => boolean): boolean =>
  tryOrElse(false, () => cause.reasons.some((reason) => Cause.isFailReason(reason) && isOfKind(reason.error)))

/** Returns whether the user cancelled a command: by a signal, or at a prompt. */
export const isCancelled = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && (Cause.hasInterruptsOnly(exit.cause) || hasError(exit.cause, Terminal.isQuitError))
