/**
 * The principal resolver of most CLIs: a credential in a variable or a YAML file, and a `GET` that says whose it is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Yaml from "effect/encoding/Yaml"
import * as FileSystem from "effect/FileSystem"
import { constTrue } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Credentials from "../domain/Credential.ts"
import type { Credential } from "../domain/Credential.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { debug } from "./Debug.ts"
import * as SmallFile from "./SmallFile.ts"
import * as Variable from "./Variable.ts"

/**
 * One kind of credential: where its secret stands, and whom to ask whose it is.
 *
 * **Details**
 *
 * A path into the file or into an answer is written with dots: `"cloud.api.key"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Form {
  /** The variable that may hold the secret, and then wins over the file. */
  readonly environment?: string | undefined
  /** The path of the secret in the credentials file, where it may be there. */
  readonly key?: string | undefined
  /** The base URL of the API, or its path in the credentials file. */
  readonly base: string | { readonly key: string }
  /** What follows the base URL: `"/api/v1/auth/validate"`. */
  readonly path: string
  /** Paths in the answer, of which the first that is there is the principal's. */
  readonly principal: ReadonlyArray<string>
}

/**
 * Where the credentials are; the first form whose variable is set counts, else the first that is in the file.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The YAML or JSON file in which the host keeps its credentials, where it has one. */
  readonly file?: string | undefined
  readonly forms: ReadonlyArray<Form>
}

// What a credential stands for: the secret alone, and whom to ask about it.
interface Question {
  readonly form: Form
  readonly url: string | undefined
  readonly key: string
}

// A file that is there but cannot be read now, or is just being written.
const broken = Symbol("broken")
const limit = "2 seconds"

const at = (value: unknown, path = ""): unknown =>
  path.split(".").reduce((value, key) => Predicate.isObject(value) ? value[key] : undefined, value)

const textAt = (value: unknown, path: string | undefined): string | undefined => {
  const text = at(value, path)
  return typeof text === "string" && text.trim() !== "" ? text : undefined
}

// Something is there all the same: a key of digits that nobody quoted, or a file that is none.
const isNoText = (value: unknown, path: string | undefined): boolean => {
  if (Predicate.isNotNullish(value) && !Predicate.isObject(value)) return true
  const there = at(value, path)
  return Predicate.isNotNullish(there) && !Predicate.isString(there)
}

const urlOf = ({ base, path }: Form, file: unknown): string | undefined => {
  const start = typeof base === "string" ? base : textAt(file, base.key)
  return start === undefined ? undefined : `${start.replace(/\/+$/, "")}${path}`
}

// The first path that is there decides, even where its value is illegal: another path's id would be another person.
const principalOf = (answer: unknown, paths: ReadonlyArray<string>): Result.Result<PrincipalId.PrincipalId, string> => {
  const path = paths.find((path) => Predicate.isNotNullish(at(answer, path)))
  if (path === undefined) return Result.fail(`its answer has nothing at ${paths.join(" or ")}`)
  return Result.mapError(PrincipalId.decode(at(answer, path)), (reason) => `${path} of its answer: ${reason}`)
}

// What the client says of an error may quote the request or the answer, so only its kind is told.
const kindOf = ({ cause, reason }: HttpClientError.HttpClientError): string => {
  if (reason._tag === "StatusCodeError") return `status ${reason.response.status}`
  const code = Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : ""
  return `${reason._tag} ${code}`.trimEnd()
}

/**
 * Makes a resolver of the given forms of credentials.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const fs = yield* FileSystem.FileSystem
  const client = yield* HttpClient.HttpClient
  const questions = new WeakMap<Credential, Question>()

  // The environment is that of the process: it does not change.
  const environment = new Map<Form, string>()
  for (const form of options.forms) {
    if (form.environment === undefined) continue
    const key = yield* Variable.read(form.environment)
    if (key !== undefined && key.trim() !== "") environment.set(form, key)
  }

  // Nothing is said of what went wrong: an error of the YAML parser may quote a line.
  const readFile = Effect.gen(function*() {
    if (options.file === undefined) return undefined
    const text = yield* SmallFile.read(fs, options.file)
    return text === "" ? broken : yield* Effect.try(() => Yaml.parse(text))
  }).pipe(
    Effect.catch((error) =>
      Effect.succeed(error._tag === "PlatformError" && error.reason._tag === "NotFound" ? undefined : broken)
    )
  )

  const credential = Effect.map(readFile, (file) => {
    const find = (source: Credential["source"], keyOf: (form: Form) => string | undefined): Credential | undefined => {
      for (const form of options.forms) {
        const key = keyOf(form)
        if (key === undefined) continue
        const url = urlOf(form, file)
        // The same key may be another account's at another API. Where no API is known there is a credential all the
        // same: without one the user would seem to have signed out.
        const credential: Credential = { source, secret: Redacted.make(key), audience: url }
        questions.set(credential, { form, url, key })
        return credential
      }
    }
    return find("environment", (form) => environment.get(form)) ??
      find("stored", (form) => textAt(file, form.key)) ??
      (options.forms.some((form) => isNoText(file, form.key)) ? Credentials.unreadable : undefined)
  })

  const ask = ({ form, key, url }: Question): Effect.Effect<PrincipalId.PrincipalId, string> =>
    url === undefined || !URL.canParse(url)
      ? Effect.fail(url === undefined ? "its API is not known" : `\`base\` and "${form.path}" make no URL`)
      : HttpClientRequest.get(url).pipe(
        HttpClientRequest.acceptJson,
        HttpClientRequest.bearerToken(key),
        client.execute,
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        Effect.flatMap((response) => response.json),
        Effect.mapError(kindOf),
        Effect.catchDefect(() => Effect.fail("the HTTP client failed")),
        Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(`no answer in ${limit}`) }),
        // The host's traces are about the host's work.
        Effect.provideService(HttpClient.TracerDisabledWhen, constTrue),
        Effect.flatMap((answer) => Effect.fromResult(principalOf(answer, form.principal)))
      )

  return PrincipalResolver.of({
    credential,
    resolve: (credential) => {
      const question = questions.get(credential)
      return (question === undefined ? Effect.fail("it is not this resolver's") : ask(question)).pipe(
        Effect.catch((reason) => Effect.as(debug(`nobody is known to own the credential: ${reason}`), undefined))
      )
    }
  })
})

/**
 * Provides a resolver of the given forms of credentials.
 *
 * **Details**
 *
 * The file is read each time that the credential is asked for, up to 1 MiB; JSON is YAML too. One that cannot be read, or
 * that has something other than a text at a form's key, counts as a credential of nobody's, and whatever is wrong with the answer, its taking longer than 2 s included, as no answer.
 *
 * **Gotchas**
 *
 * The 2 s hold where the `HttpClient` can be interrupted at any moment; `NodeHttpClient` can, name look-ups included.
 *
 * **Example** (An API key in a variable or in a file)
 *
 * ```ts
 * const resolver = HttpPrincipalResolver.layer({
 *   file: "/home/me/.acme/credentials.yaml",
 *   forms: [{
 *     environment: "ACME_API_KEY",
 *     key: "cloud.api.key",
 *     base: "https://api.acme.dev",
 *     path: "/api/v1/auth/validate",
 *     principal: ["data.principal_id"]
 *   }]
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<PrincipalResolver, never, FileSystem.FileSystem | HttpClient.HttpClient> =>
  Layer.effect(PrincipalResolver, make(options))

/**
 * Provides a resolver of the two forms of Arcade's credentials: an API key, and the access token of an OAuth login.
 *
 * **Details**
 *
 * The API key is looked at first. An access token is asked about at the `cloud.coordinator_url` of the file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerArcade = (options: {
  /** The YAML file in which the CLI keeps its credentials. */
  readonly file: string
  /** The base URL of the API that knows API keys. */
  readonly api: string
  /** The variable that may hold an API key. */
  readonly environment?: string | undefined
}): Layer.Layer<PrincipalResolver, never, FileSystem.FileSystem | HttpClient.HttpClient> =>
  layer({
    file: options.file,
    forms: [
      {
        environment: options.environment,
        key: "cloud.api.key",
        base: options.api,
        path: "/api/v1/auth/validate",
        principal: ["data.principal_id"]
      },
      {
        key: "cloud.auth.access_token",
        base: { key: "cloud.coordinator_url" },
        path: "/api/v1/auth/whoami",
        principal: ["data.account_id", "data.principal_id"]
      }
    ]
  })
