/**
 * What joins a device to an account.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Attribution } from "../domain/Attribution.ts"
import type { Identity } from "./IdentityStore.ts"

/**
 * Acts on every principal that is seen: stamps it, and on a persistent runtime claims the device for it, once.
 *
 * @category services
 * @since 0.1.0
 */
export class IdentityStitch extends Context.Service<IdentityStitch, {
  /**
   * Asks, in the background, whose a new credential is; the command goes on meanwhile, and nothing is made or claimed
   * until there is something to record.
   */
  readonly begin: Effect.Effect<void>
  /** Waits for the resolver, for what is left of its 2 s since it was asked. */
  readonly settle: Effect.Effect<void>
  /**
   * An authenticated response of the host's own API named a principal; an illegal id is no answer. Where the request's
   * `Authorization` is given and does not hold the credential at hand, the command is the principal's, and no more.
   */
  readonly observe: (principalId: string, authorization?: string) => Effect.Effect<void>
  /** The user has just logged in, and the host has stored the credential. */
  readonly login: (principalId: string) => Effect.Effect<void>
  /** The user has just logged out, and the host has removed the credential. */
  readonly logout: Effect.Effect<void>
  /**
   * Runs `effect` before a logout gives the device its new id, while events still go to the account; until the scope
   * closes. Of commands that run beside each other, only where the one that asks, or one that it runs, logs out.
   */
  readonly beforeLogout: (effect: Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Who an event belongs to that is recorded now; nobody where the device's identity was deleted while this command ran,
   * so that what `telemetry enable` starts does not lead back to what `telemetry disable` has deleted.
   */
  readonly attribution: Effect.Effect<{ readonly identity: Identity; readonly to: Attribution } | undefined>
}>()("effect-cli-usage/services/IdentityStitch") {}
