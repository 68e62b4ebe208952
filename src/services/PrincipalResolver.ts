/** The credential of the user, and its account. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Credential } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import type { Read } from "./Disk.ts"

/**
 * The files, the variables and the configuration that a credential is parsed from.
 *
 * **Details**
 *
 * Each command reads the input. It parses an input only if the cache has no result for it. The cache stores the result
 * under the salted hash of the input.
 *
 * @category models
 * @since 0.1.0
 */
export interface CredentialInput {
  /** The absolute paths of the files. Links are followed. */
  readonly files: ReadonlyArray<string>
  /** The variables with their values. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Every setting that changes what the files and variables mean, each base URL included. */
  readonly configuration: string
  /** Parses the input; undefined without a credential. */
  readonly parse: (read: ReadInput) => Effect.Effect<Credential | undefined>
}

/**
 * The contents of a `CredentialInput`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadInput {
  /** The contents of each file, in the order of `CredentialInput.files`. */
  readonly files: ReadonlyArray<Read>
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly configuration: string
}

/**
 * Finds the user's credential, and requests its principal from the host's API.
 *
 * **When to use**
 *
 * Implement it if `HttpPrincipalResolver` does not fit: a keychain, another protocol, another format.
 *
 * **Gotchas**
 *
 * An effect that cannot be interrupted continues after its time limit, and its timers and sockets keep the process
 * alive.
 *
 * **Example** (Reading a credential from a keychain)
 *
 * ```ts
 * const principals = Layer.succeed(PrincipalResolver, {
 *   credential: Effect.map(keychain.token, (token) =>
 *     token === undefined ? undefined : { source: "stored" as const, secret: Redacted.make(token) }),
 *   resolve: ({ secret }) =>
 *     Effect.map(api.accountOf(secret), (id) => Result.getOrUndefined(PrincipalId.decode(id)))
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class PrincipalResolver extends Context.Service<PrincipalResolver, {
  /**
   * The files and variables that the credential is parsed from. With it, most commands parse nothing, and the others call
   * `parse` in the place of `credential`: both must return the same credential.
   */
  readonly input?: CredentialInput | undefined
  /**
   * Returns the current credential from the storage of the host. It must not use the network, refresh, or write.
   *
   * Time limit: 1 s. After that the credential counts as unreadable for the rest of the command.
   */
  readonly credential: Effect.Effect<Credential | undefined>
  /** Requests the principal of a credential. Time limit: 2 s. Without an answer it returns `undefined`. */
  readonly resolve: (credential: Credential) => Effect.Effect<PrincipalId | undefined>
}>()("effect-cli-usage/services/PrincipalResolver") {}
