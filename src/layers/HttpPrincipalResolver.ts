/**
 * The principal resolver of most CLIs: a credential in a variable or a file, and a `GET` that returns its principal.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Yaml from "effect/encoding/Yaml"
import * as Layer from "effect/Layer"
import type { HostRuntime } from "../services/HostRuntime.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { steady } from "./Load.ts"

/**
 * One kind of credential: the place of its secret, and the request that returns its principal.
 *
 * **Details**
 *
 * A path in the file or in an answer is written with dots: `"cloud.api.key"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Form {
  /** The variable that may have the secret. It takes precedence over the file. */
  readonly environment?: string | undefined
  /** The path of the secret in the credentials file: `file` of the options. */
  readonly key?: string | undefined
  /** The base URL of the API, or its path in the credentials file; https, or http on loopback. */
  readonly base: string | { readonly key: string }
  /** The path below the base URL: `"/api/v1/auth/validate"`. */
  readonly path: string
  /** Paths in the answer. The first that exists has the principal id. */
  readonly principal: ReadonlyArray<string>
}

/**
 * The credentials file and the kinds of credentials.
 *
 * **Details**
 *
 * A form has `environment`, or `key` with `file`, or both. The first form whose variable is set is used, else the first
 * form whose secret is in the file.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The absolute path of the YAML or JSON file in which the host keeps its credentials. */
  readonly file?: string | undefined
  readonly forms: ReadonlyArray<Form>
}

/**
 * Provides a `PrincipalResolver` for some kinds of credentials.
 *
 * **Details**
 *
 * The file is read each time that the credential is needed: JSON up to 1 MiB, YAML up to 32 KiB without merge keys
 * (`<<`). A file that cannot be read counts as a credential with an unknown principal, and so does a secret that is not
 * a string. A failed request, an unusable answer and a request of more than 2 seconds count as no answer. No proxy is
 * used, and no redirect is followed.
 *
 * **Example** (Resolving an API key in a variable or in a file)
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
export const layer = (options: Options): Layer.Layer<PrincipalResolver, never, HostRuntime> =>
  Layer.effect(
    PrincipalResolver,
    Effect.flatMap(steady, ({ makeHttpResolver }) => makeHttpResolver(options, Yaml.parse))
  )

/**
 * Provides a `PrincipalResolver` for the two kinds of Arcade's credentials: an API key, and the access token of an
 * OAuth login.
 *
 * **Details**
 *
 * The API key takes precedence. The principal of an access token is requested from the `cloud.coordinator_url` of the
 * file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerArcade = (options: {
  /** The YAML file in which the CLI keeps its credentials. */
  readonly file: string
  /** The base URL of the API for API keys. */
  readonly api: string
  /** The variable that may hold an API key. */
  readonly environment?: string | undefined
}): Layer.Layer<PrincipalResolver, never, HostRuntime> =>
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
