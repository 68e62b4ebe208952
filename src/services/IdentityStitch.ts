/**
 * What joins a device to an account.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * Acts on every principal that is seen: stamps it, and on a persistent runtime claims the device for it, once.
 *
 * @category services
 * @since 0.1.0
 */
export class IdentityStitch extends Context.Service<IdentityStitch, {
  /**
   * Reports that an authenticated response of the host's own API named a principal.
   *
   * An illegal id is ignored. Where the request's `Authorization` is given and does not hold the current credential, the
   * principal is stamped and nothing else.
   */
  readonly observe: (principalId: string, authorization?: string) => Effect.Effect<void>
  /** Reports that the user logged in, after the host stored the credential. */
  readonly login: (principalId: string) => Effect.Effect<void>
  /**
   * Reports that the user logged out, after the host removed the credential.
   *
   * First the running command records its success under the principal, then the device gets a new anon id.
   */
  readonly logout: Effect.Effect<void>
}>()("effect-cli-usage/services/IdentityStitch") {}
