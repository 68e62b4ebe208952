/**
 * Which account the user's credential belongs to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Credential } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import type { Read } from "./Disk.ts"

/**
 * What a credential is parsed from: files, variables, and the resolver's own configuration.
 *
 * **Details**
 *
 * A command reads the input each time, and parses only one that it does not know: what was parsed from an input is kept
 * under its salted hash.
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
 * A credential input that was read.
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
 * **Gotchas**
 *
 * An effect that cannot be interrupted is not waited for after its time limit. It runs on, and a timer or socket of it
 * keeps the process alive.
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
