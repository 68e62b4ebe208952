/** The principal of this process, in memory. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { PrincipalId } from "../domain/PrincipalId.ts"

/**
 * Holds the principal of this process. It takes precedence over the identity on disk.
 *
 * **Details**
 *
 * `IdentityStitch` sets it. A host has no reason to set it itself.
 *
 * @category services
 * @since 0.1.0
 */
export class IdentitySlot extends Context.Service<IdentitySlot, {
  /** Returns the stamped principal; undefined without one. */
  readonly get: Effect.Effect<PrincipalId | undefined>
  /** Stamps a principal, or clears the slot. */
  readonly set: (principal: PrincipalId | undefined) => Effect.Effect<void>
}>()("effect-cli-usage/services/IdentitySlot") {}
