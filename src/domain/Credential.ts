/**
 * The current credential of the user.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"

/**
 * A credential that a `PrincipalResolver` found.
 *
 * **Details**
 *
 * The secret is sent to the host's own API and to nothing else. On disk only its salted hash is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credential {
  /** `stored` by a login on this device, or from the `environment` of this command. */
  readonly source: "stored" | "environment"
  /**
   * The secret: the part of a request's `Authorization` after the scheme, such as `tok` of `Bearer tok`.
   *
   * An empty secret is a credential that cannot be read. It is neither resolved nor remembered, because the next
   * unreadable credential may belong to another account.
   */
  readonly secret: Redacted.Redacted<string>
  /** The API that the credential is for: the same secret may belong to another account at another API. */
  readonly audience?: string | undefined
}

/**
 * The credential of a user whose credential cannot be read now.
 *
 * **When to use**
 *
 * Return it from `PrincipalResolver.credential` if the keychain or the file fails. Without a credential the user would
 * count as signed out, and the device would get a new anon id.
 *
 * **Example** (Reading a keychain that may be locked)
 *
 * ```ts
 * const credential: Effect.Effect<Credential.Credential | undefined> = Effect.map(keychain.token, (token) =>
 *   token === undefined ? undefined : { source: "stored" as const, secret: Redacted.make(token) }
 * ).pipe(Effect.catchCause(() => Effect.succeed(Credential.unreadable)))
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const unreadable: Credential = { source: "stored", secret: Redacted.make("") }

/**
 * Returns a text that identifies a credential: its secret and its audience.
 *
 * @internal
 */
export const key = ({ audience, secret }: Credential): string =>
  audience === undefined ? Redacted.value(secret) : `${audience}\n${Redacted.value(secret)}`

/**
 * Returns whether an `Authorization` header has the secret of a credential; false for an unreadable credential.
 *
 * @internal
 */
export const authorizes = (credential: Credential, authorization: string): boolean =>
  isReadable(credential) && authorization.split(/[\s,]+/).includes(Redacted.value(credential.secret))

/**
 * Returns whether a credential is readable.
 *
 * @internal
 */
export const isReadable = (credential: Credential): boolean => Redacted.value(credential.secret) !== ""
