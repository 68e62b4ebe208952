/**
 * The account that the user's credential belongs to.
 *
 * @since 0.1.0
 */
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
 * Each command reads the input, and parses only an input that it does not know. The result of parsing is kept under the
 * salted hash of the input.
 *
 * @category models
 * @since 0.1.0
 */
export interface CredentialInput {
  /** The files, by absolute paths; links are followed. */
  readonly files: ReadonlyArray<string>
  /** The variables with their values. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Every setting that changes what the files and variables mean, each base URL included. */
  readonly configuration: string
  /** Parses what was read; undefined for no credential. */
  readonly parse: (read: ReadInput) => Effect.Effect<Credential | undefined>
}

/**
 * The contents of a `CredentialInput`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadInput {
  /** What reading each file gave, in the order of `files`. */
  readonly files: ReadonlyArray<Read>
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly configuration: string
}

/**
 * Finds the user's credential, and asks the host's API for its principal.
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
  /** What the credential is parsed from, where that is files and variables: then a usual command parses nothing. */
  readonly input?: CredentialInput | undefined
  /**
   * Returns the current credential, read from where the host keeps it: no network, no refresh, no write.
   *
   * Time limit: 1 s. After that the credential counts as unreadable for the rest of the command.
   */
  readonly credential: Effect.Effect<Credential | undefined>
  /** Asks for the principal of a credential. Time limit: 2 s. No answer of any kind is `undefined`. */
  readonly resolve: (credential: Credential) => Effect.Effect<PrincipalId | undefined>
}>()("effect-cli-usage/services/PrincipalResolver") {}
