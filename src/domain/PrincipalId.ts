/**
 * The id of an account at the host's API: the `distinct_id` of all events after login.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

// PostHog refuses to merge these ids (`isDistinctIdIllegal` in its ingestion): the first set in any letter case, the
// second in exactly this case.
const illegalInAnyCase = new Set([
  "anonymous",
  "guest",
  "distinctid",
  "distinct_id",
  "id",
  "not_authenticated",
  "email",
  "undefined",
  "true",
  "false"
])
const illegalExactly = new Set(["[object Object]", "NaN", "None", "none", "null", "0"])

// PostHog cuts `distinct_id` at 200 characters but not `alias`, so a longer id would become two persons.
const maxLength = 200

const unquoted = (id: string): string => {
  const quote = id[0]
  return id.length >= 2 && (quote === "'" || quote === "\"") && id.endsWith(quote) ? id.slice(1, -1) : id
}

// Returns why PostHog refuses to merge an id, or `undefined` if PostHog merges it.
const problem = (id: string): string | undefined => {
  if (id.trim() === "") return "a principal id must not be blank"
  if (id.length > maxLength) return `a principal id has at most ${maxLength} characters`
  if (id.includes("\0")) return "a principal id must not contain a NUL"
  if (!id.isWellFormed()) return "a principal id must not contain a lone surrogate"
  const unquotedId = unquoted(id)
  if (unquotedId.trim() === "") return "a principal id must not be blank"
  if (illegalInAnyCase.has(unquotedId.toLowerCase()) || illegalExactly.has(unquotedId)) {
    return "PostHog merges nobody into this id: it is a placeholder, not an account"
  }
  return undefined
}

/**
 * The id of an account, into which PostHog can merge the history of a device.
 *
 * **Details**
 *
 * At most 200 characters, no lone surrogate, and none of the placeholders that PostHog refuses to merge, such as
 * `undefined` or `null`.
 *
 * @category models
 * @since 0.1.0
 */
export type PrincipalId = string & Brand.Brand<"PrincipalId">

/**
 * Returns whether a value is a valid principal id.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPrincipalId = (input: unknown): input is PrincipalId =>
  Predicate.isString(input) && problem(input) === undefined

/**
 * Returns a value as a principal id, or the reason why it is not one.
 *
 * **Example** (Answering with the id of an account)
 *
 * ```ts
 * const resolve = (secret: Redacted.Redacted<string>) =>
 *   Effect.map(api.accountOf(secret), (id) => Result.getOrUndefined(PrincipalId.decode(id)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const decode = (input: unknown): Result.Result<PrincipalId, string> =>
  isPrincipalId(input)
    ? Result.succeed(input)
    : Result.fail((Predicate.isString(input) ? problem(input) : undefined) ?? "not a string")
