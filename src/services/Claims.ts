/**
 * The claims that were made on this device, and which of their aliases PostHog has.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AnonId } from "../domain/AnonId.ts"
import type { Claim, UnreadableClaim } from "../domain/Claim.ts"
import type { Message } from "../domain/Message.ts"

/**
 * What came of publishing a claim: it stands; another process's stood before it; or it could not be written.
 *
 * @category models
 * @since 0.1.0
 */
export type Publication =
  | { readonly _tag: "Published" }
  | { readonly _tag: "Held"; readonly claim: Claim | UnreadableClaim }
  | { readonly _tag: "Unwritable" }

/**
 * A claim's alias that is to be sent, by the anon id that was claimed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Alias {
  readonly _tag: "Alias"
  readonly anonId: AnonId
  readonly message: Message
}

/**
 * Written-once claims: of all processes that claim an anon id, one wins, and every other reads what won.
 *
 * @category services
 * @since 0.1.0
 */
export class Claims extends Context.Service<Claims, {
  /** The claim of an anon id, where there is one. */
  readonly find: (anonId: AnonId) => Effect.Effect<Claim | UnreadableClaim | undefined>
  /** Publishes a claim, once for all time. */
  readonly publish: (claim: Claim) => Effect.Effect<Publication>
  /** Notes, once, that a claim is that of a stored credential; `find` says so from then on. */
  readonly confirmStored: (anonId: AnonId) => Effect.Effect<void>
  /** The aliases that a destination has not been given yet. */
  readonly undelivered: (destination: string) => Effect.Effect<ReadonlyArray<Alias>>
  /** Notes that PostHog has the alias of this claim, or, with `"set-aside"`, that it never will. */
  readonly settle: (anonId: AnonId, outcome: "delivered" | "set-aside") => Effect.Effect<void>
}>()("effect-cli-usage/services/Claims") {}
