/**
 * The principal resolver of most CLIs: a credential in a variable or a YAML file, and a `GET` that returns its principal.
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
 * One kind of credential: where its secret is, and where to ask for its principal.
 *
 * **Details**
 *
 * A path into the file or into an answer is written with dots: `"cloud.api.key"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Form {
  /** The variable that may hold the secret, and then takes precedence over the file. */
  readonly environment?: string | undefined
  /** The path of the secret in the credentials file, where it may be there. */
  readonly key?: string | undefined
  /** The base URL of the API, or its path in the credentials file; https, or http on loopback. */
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

/**
 * Provides a resolver of the given forms of credentials.
 *
 * **Details**
 *
 * The file is read each time that the credential is asked for: JSON up to 1 MiB, YAML up to 32 KiB and without merge keys
 * (`<<`). A file that cannot be read, or that has something other than a text at a form's key, counts as a credential
 * whose principal is unknown. Whatever is wrong with an answer, its taking longer than 2 s included, counts as no answer.
 * No proxy is used, and no redirect is followed.
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
  Layer.effect(PrincipalResolver, Effect.flatMap(steady, ({ HttpResolver }) => HttpResolver.make(options, Yaml.parse)))

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
