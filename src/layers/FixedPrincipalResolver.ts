/**
 * A principal resolver whose account is known from the start: for tests, and for hosts that know the account.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Credential } from "../domain/Credential.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { debug } from "./Debug.ts"
import { none } from "./NoPrincipalResolver.ts"

/**
 * Provides a credential whose principal is known. With `undefined`, the credential has no known principal.
 *
 * **Details**
 *
 * Each principal has its own credential. An illegal principal id is no answer.
 *
 * **Example** (Testing a user who is logged in)
 *
 * ```ts
 * const principals = FixedPrincipalResolver.layer("account_1")
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  principal: string | undefined,
  source: Credential["source"] = "stored"
): Layer.Layer<PrincipalResolver> =>
  Layer.succeed(PrincipalResolver, {
    credential: Effect.succeed({ source, secret: Redacted.make(`fixed\n${principal ?? ""}`) }),
    resolve: () =>
      principal === undefined ? Effect.succeed(undefined) : Result.match(PrincipalId.decode(principal), {
        onFailure: (reason) => Effect.as(debug(`a principal was refused: ${reason}`), undefined),
        onSuccess: Effect.succeed
      })
  })

/**
 * Provides no credential, for a host without accounts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<PrincipalResolver> = Layer.succeed(PrincipalResolver, none)
