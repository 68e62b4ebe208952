/** Parses a credential, and requests its principal from an API. */
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
import { noPrincipal } from "./SteadyStitch.ts"

interface PrincipalRequest {
  readonly form: Form
  readonly url: string | undefined
  readonly key: string
}

const limit = "2 seconds"

// The request for the principal of each parsed credential.
const requests = new WeakMap<Credential.Credential, PrincipalRequest>()

const valueAt = (value: unknown, path = ""): unknown =>
  path.split(".").reduce((value, key) => Predicate.isObject(value) ? value[key] : undefined, value)

const textAt = (value: unknown, path: string | undefined): string | undefined => {
  const text = valueAt(value, path)
  return typeof text === "string" && text.trim() !== "" ? text : undefined
}

// The value may still be a credential, such as a key of digits without quotes, or a file that is not an object.
const isNotText = (value: unknown, path: string | undefined): boolean => {
  if (Predicate.isNotNullish(value) && !Predicate.isObject(value)) return true
  const found = valueAt(value, path)
  return Predicate.isNotNullish(found) && !Predicate.isString(found)
}

const urlOf = ({ base, path }: Form, document: unknown): string | undefined => {
  const start = typeof base === "string" ? base : textAt(document, base.key)
  // Without a slash the path would become a part of the host, and the credential would go to another server.
  return start === undefined ? undefined : `${start.replace(/\/+$/, "")}${path.replace(/^(?![/?#]|$)/, "/")}`
}

// The first existing path is used, also with an illegal value: the id at another path may be that of another person.
const principalOf = (answer: unknown, paths: ReadonlyArray<string>): Result.Result<PrincipalId.PrincipalId, string> => {
  const path = paths.find((path) => Predicate.isNotNullish(valueAt(answer, path)))
  if (path === undefined) return Result.fail(`its answer has nothing at ${paths.join(" or ")}`)
  return Result.mapError(PrincipalId.decode(valueAt(answer, path)), (reason) => `${path} of its answer: ${reason}`)
}

const unparsable = Symbol("unparsable")

const maxYamlLength = 32 * 1024

// The time of Effect's parser is quadratic in a sequence of digits, blanks or backslashes, and cubic in merge keys.
const slowYaml = /[\d_]{1001}|[ \t]{1001}|\\{1001}|<</

const isSlow = (text: string): boolean => text.length > maxYamlLength || slowYaml.test(text)

// The YAML parser is not needed for JSON. Its error is dropped: it may contain a line of the file.
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
 * Parses the credential of an input; undefined without a credential.
 *
 * YAML that is slow to parse is not parsed: its credential counts as unreadable.
 */
export const parse = (
  forms: ReadonlyArray<Form>,
  { files: [file], variables }: ReadInput,
  parseYaml: (text: string) => unknown
): Credential.Credential | undefined => {
  const parsed = file?._tag === "Text" ? documentOf(file.text, parseYaml) : undefined
  const document = parsed === unparsable ? undefined : parsed
  // The file exists and cannot be read now, or another process is writing it.
  const isUnreadable = file?._tag === "Unreadable" || parsed === unparsable

  const find = (
    source: Credential.Credential["source"],
    keyOf: (form: Form) => string | undefined
  ): Credential.Credential | undefined => {
    for (const form of forms) {
      const key = keyOf(form)
      if (key === undefined) continue
      const url = urlOf(form, document)
      // The same key may have another account at another API, or in another place of its answer. Without an API it is
      // still a credential: otherwise the user would count as signed out.
      const audience = url && `${url} ${form.principal.join(" ")}`
      const credential: Credential.Credential = { source, secret: Redacted.make(key), audience }
      requests.set(credential, { form, url, key })
      return credential
    }
  }
  return find("environment", ({ environment }) => environment === undefined ? undefined : variables[environment]) ??
    find("stored", (form) => textAt(document, form.key)) ??
    (isUnreadable || forms.some((form) => isNotText(document, form.key)) ? Credential.unreadable : undefined)
}

const send = ({ form, key, url }: PrincipalRequest): Effect.Effect<PrincipalId.PrincipalId, string> =>
  url === undefined || !URL.canParse(url)
    ? Effect.fail(url === undefined ? "its API is not known" : `\`base\` and "${form.path}" make no URL`)
    : HttpJson.getJson(url, key).pipe(
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(`no answer in ${limit}`) }),
      Effect.flatMap((answer) => Effect.fromResult(principalOf(answer, form.principal)))
    )

/** Requests the principal of a credential that `parse` returned. */
export const resolve = (credential: Credential.Credential): Effect.Effect<PrincipalId.PrincipalId | undefined> => {
  const request = requests.get(credential)
  return (request === undefined ? Effect.fail("another resolver found it") : send(request)).pipe(
    Effect.catch((reason) => Effect.as(debug(`${noPrincipal}: ${reason}`), undefined))
  )
}
