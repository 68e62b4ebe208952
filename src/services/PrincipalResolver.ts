/**
 * Which account the user's credential belongs to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Credential } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"

/**
 * Finds the credential at hand, and asks the host's API whose it is.
 *
 * **Gotchas**
 *
 * One that cannot be interrupted is not waited for after its time, but goes on by itself: where it holds a timer or a
 * socket, the process lives as long as that.
 *
 * **Example** (A credential in a keychain)
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
   * The credential at hand, read from where the host keeps it: no network, no refresh, no write. A command waits for it
   * for 1 s; from then on there is one, and nobody knows whose.
   */
  readonly credential: Effect.Effect<Credential | undefined>
  /** Asks whose a credential is: at most 2 s, and no answer of any kind is `undefined`. */
  readonly resolve: (credential: Credential) => Effect.Effect<PrincipalId | undefined>
}>()("effect-cli-usage/services/PrincipalResolver") {}
