/**
 * A principal resolver that knows the account from the start: for tests, and for hosts that know it themselves.
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

/**
 * Provides a credential of the given principal; `undefined` is a credential that nobody answers for.
 *
 * **Details**
 *
 * Each principal has a credential of its own. An illegal id is no answer.
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
 * The resolver of hosts without accounts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: PrincipalResolver["Service"] = PrincipalResolver.of({
  input: { files: [], variables: {}, configuration: "", parse: () => Effect.succeed(undefined) },
  credential: Effect.succeed(undefined),
  resolve: () => Effect.succeed(undefined)
})

/**
 * Provides no credential, ever: for hosts without accounts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<PrincipalResolver> = Layer.succeed(PrincipalResolver, none)
