/**
 * What is known of credentials already.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Credential } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"

/**
 * What a credential resolved to: a principal; or nothing, asked less than an hour ago.
 *
 * @category models
 * @since 0.1.0
 */
export type Known =
  | { readonly _tag: "Principal"; readonly principal: PrincipalId }
  | { readonly _tag: "NoAnswer" }

/**
 * Remembers what a credential resolved to, by a salted hash of it, so that the host's API is asked about a new one only.
 *
 * @category services
 * @since 0.1.0
 */
export class PrincipalCache extends Context.Service<PrincipalCache, {
  /** What is known of a credential; `undefined` where it is new. */
  readonly recall: (credential: Credential) => Effect.Effect<Known | undefined>
  /** Remembers an answer, or that there was none. */
  readonly remember: (credential: Credential, principal: PrincipalId | undefined) => Effect.Effect<void>
}>()("effect-cli-usage/services/PrincipalCache") {}
