/**
 * The credential that the host's user has at hand.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"

/**
 * A credential as the principal resolver found it; it is sent to the host's own API and nowhere else, and on disk only a
 * salted hash of it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credential {
  /** `stored` by a login on this device, or from the `environment` of this command. */
  readonly source: "stored" | "environment"
  /**
   * The secret, as a request's `Authorization` holds it after the scheme: `tok`, of `Bearer tok`. Empty where there is a credential that cannot be read: nobody is
   * asked about it and nothing is remembered of it, because the next such one may be another's.
   */
  readonly secret: Redacted.Redacted<string>
  /** The API that it is for: the same secret may be another account's at another one. */
  readonly audience?: string | undefined
}

/**
 * The credential of a user who has one that cannot be read now.
 *
 * Were it none, they would seem to have signed out elsewhere, and the device would lose its id.
 *
 * @category constants
 * @since 0.1.0
 */
export const unreadable: Credential = { source: "stored", secret: Redacted.make("") }

/**
 * What tells a credential from every other.
 *
 * @category getters
 * @since 0.1.0
 */
export const key = ({ audience, secret }: Credential): string =>
  audience === undefined ? Redacted.value(secret) : `${audience}\n${Redacted.value(secret)}`

/**
 * Whether a request with this `Authorization` was made with the credential; one that cannot be read says nothing.
 *
 * @category guards
 * @since 0.1.0
 */
export const authorizes = (credential: Credential, authorization: string): boolean =>
  isKnown(credential) && authorization.split(/[\s,]+/).includes(Redacted.value(credential.secret))

/**
 * Whether a credential can be told from every other.
 *
 * @category guards
 * @since 0.1.0
 */
export const isKnown = (credential: Credential): boolean => Redacted.value(credential.secret) !== ""
