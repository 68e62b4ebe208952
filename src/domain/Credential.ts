/**
 * The credential that the host's user has at hand.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"

/**
 * A credential as the principal resolver found it; it never leaves the process, and on disk only a salted hash of it
 * is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credential {
  /** `stored` by a login on this device, or from the `environment` of this command. */
  readonly source: "stored" | "environment"
  /**
   * What tells this credential from every other: the secret, with the API that it is for. Empty where there is a
   * credential that cannot be read: nothing is remembered of it, because the next such one may be another's.
   */
  readonly secret: Redacted.Redacted<string>
}

/**
 * Whether a credential can be told from every other.
 *
 * @category guards
 * @since 0.1.0
 */
export const isKnown = (credential: Credential): boolean => Redacted.value(credential.secret) !== ""
