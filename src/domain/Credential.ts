/**
 * The credential that the host's user has at hand.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"

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
  /** What tells this credential from every other: the secret, with the API that it is for. */
  readonly secret: Redacted.Redacted<string>
}
