/** Parses a credential, and asks an API for its principal. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Credential from "../domain/Credential.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import type { ReadInput } from "../services/PrincipalResolver.ts"
import { debug } from "./Debug.ts"
import * as HttpJson from "./HttpJson.ts"
import type { Form } from "./HttpPrincipalResolver.ts"

interface Question {
  readonly form: Form
  readonly url: string | undefined
  readonly key: string
}

const limit = "2 seconds"

const noPrincipal = "no principal is known for the credential"

// The secret alone, and where to ask about it.
const questions = new WeakMap<Credential.Credential, Question>()

const at = (value: unknown, path = ""): unknown =>
  path.split(".").reduce((value, key) => Predicate.isObject(value) ? value[key] : undefined, value)

const textAt = (value: unknown, path: string | undefined): string | undefined => {
  const text = at(value, path)
  return typeof text === "string" && text.trim() !== "" ? text : undefined
}

// A credential may be there all the same: a key of digits without quotes, or a file that is no object.
const isNoText = (value: unknown, path: string | undefined): boolean => {
  if (Predicate.isNotNullish(value) && !Predicate.isObject(value)) return true
  const there = at(value, path)
  return Predicate.isNotNullish(there) && !Predicate.isString(there)
}

const urlOf = ({ base, path }: Form, document: unknown): string | undefined => {
  const start = typeof base === "string" ? base : textAt(document, base.key)
  return start === undefined ? undefined : `${start.replace(/\/+$/, "")}${path}`
}

// The first path that is there decides, even where its value is illegal: another path's id would be another person.
const principalOf = (answer: unknown, paths: ReadonlyArray<string>): Result.Result<PrincipalId.PrincipalId, string> => {
  const path = paths.find((path) => Predicate.isNotNullish(at(answer, path)))
  if (path === undefined) return Result.fail(`its answer has nothing at ${paths.join(" or ")}`)
  return Result.mapError(PrincipalId.decode(at(answer, path)), (reason) => `${path} of its answer: ${reason}`)
}

const unparsable = Symbol("unparsable")

const maxYamlLength = 32 * 1024

// The time of Effect's parser is quadratic in a run of digits, blanks or backslashes, and cubic in merge keys.
const slowYaml = /[\d_]{1001}|[ \t]{1001}|\\{1001}|<</

const isSlow = (text: string): boolean => text.length > maxYamlLength || slowYaml.test(text)

// JSON needs no parser of YAML. Nothing is said of what went wrong: an error of the parser may quote a line.
const documentOf = (text: string, parseYaml: (text: string) => unknown): unknown => {
  for (const parse of [JSON.parse, parseYaml]) {
    try {
      if (text !== "" && (parse === JSON.parse || !isSlow(text))) return parse(text)
    } catch {
      continue
    }
  }
  return unparsable
}

/**
 * Parses the credential of an input; undefined where it holds none.
 *
 * YAML that would take the parser more than a moment is not parsed: its credential cannot be read.
 */
export const parse = (
  forms: ReadonlyArray<Form>,
  { files: [file], variables }: ReadInput,
  parseYaml: (text: string) => unknown
): Credential.Credential | undefined => {
  const parsed = file?._tag === "Text" ? documentOf(file.text, parseYaml) : undefined
  const document = parsed === unparsable ? undefined : parsed
  // A file that is there but cannot be read now, or is just being written.
  const isBroken = file?._tag === "Unreadable" || parsed === unparsable

  const find = (
    source: Credential.Credential["source"],
    keyOf: (form: Form) => string | undefined
  ): Credential.Credential | undefined => {
    for (const form of forms) {
      const key = keyOf(form)
      if (key === undefined) continue
      const url = urlOf(form, document)
      // The same key may be another account's at another API. Without a known API there is a credential all the same:
      // else the user would seem to have signed out.
      const credential: Credential.Credential = { source, secret: Redacted.make(key), audience: url }
      questions.set(credential, { form, url, key })
      return credential
    }
  }
  return find("environment", ({ environment }) => environment === undefined ? undefined : variables[environment]) ??
    find("stored", (form) => textAt(document, form.key)) ??
    (isBroken || forms.some((form) => isNoText(document, form.key)) ? Credential.unreadable : undefined)
}

const ask = ({ form, key, url }: Question): Effect.Effect<PrincipalId.PrincipalId, string> =>
  url === undefined || !URL.canParse(url)
    ? Effect.fail(url === undefined ? "its API is not known" : `\`base\` and "${form.path}" make no URL`)
    : HttpJson.getJson(url, key).pipe(
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(`no answer in ${limit}`) }),
      Effect.flatMap((answer) => Effect.fromResult(principalOf(answer, form.principal)))
    )

/** Asks for the principal of a credential that `parse` returned. */
export const resolve = (credential: Credential.Credential): Effect.Effect<PrincipalId.PrincipalId | undefined> => {
  const question = questions.get(credential)
  return (question === undefined ? Effect.fail("it is not this resolver's") : ask(question)).pipe(
    Effect.catch((reason) => Effect.as(debug(`${noPrincipal}: ${reason}`), undefined))
  )
}
