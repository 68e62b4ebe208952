/** The link between a device and an account. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * Links the events of this device to the user's account.
 *
 * **When to use**
 *
 * Call `login` and `logout` from the host's own commands. `ObservedHttpClient` calls `observe`.
 *
 * **Details**
 *
 * A principal is stamped on the events of this process. In a persistent runtime the device is claimed for it once, and
 * PostHog merges the anonymous history into the account.
 *
 * **Example** (Reporting a login and a logout)
 *
 * ```ts
 * const login = Effect.fnUntraced(function*(token: string, account: string) {
 *   const stitch = yield* IdentityStitch
 *   yield* keychain.save(token)
 *   yield* stitch.login(account)
 * })
 *
 * const logout = Effect.fnUntraced(function*() {
 *   const stitch = yield* IdentityStitch
 *   yield* keychain.remove
 *   yield* stitch.logout
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class IdentityStitch extends Context.Service<IdentityStitch, {
  /**
   * Reports that an authenticated response of the host's own API named a principal.
   *
   * An illegal id is ignored. If `authorization`, the header of the request, does not hold the current credential, then
   * the principal is stamped, and the device is not claimed.
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
