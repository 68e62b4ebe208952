/**
 * The identity of this device.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AnonId } from "../domain/AnonId.ts"
import type { Claim, UnreadableClaim } from "../domain/Claim.ts"

/**
 * The device's anon id and its claim, as this process knows them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly anonId: AnonId
  readonly claim: Claim | UnreadableClaim | undefined
  /** Whether it is on disk; an identity in memory ends with the process. */
  readonly durable: boolean
  /** Whether there was no identity when the command started. */
  readonly firstRun: boolean
  /** Whether this process published it. */
  readonly published: boolean
}

/**
 * What came of a claim.
 *
 * `Held`: another claim of the anon id was there before. `Replaced`: another tool has given the device another anon id
 * since it was read. `Unwritable`: the claim could not be published, or the identity was deleted.
 *
 * @category models
 * @since 0.1.0
 */
export type Publication =
  | { readonly _tag: "Published" }
  | { readonly _tag: "Held"; readonly claim: Claim | UnreadableClaim }
  | { readonly _tag: "Replaced"; readonly identity: Identity }
  | { readonly _tag: "Unwritable" }

/**
 * What came of a rotation.
 *
 * `Overtaken`: another process or tool had replaced the anon id before. `Unwritable`: the identity is unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export type Rotation =
  | { readonly _tag: "Rotated"; readonly identity: Identity }
  | { readonly _tag: "Overtaken"; readonly identity: Identity }
  | { readonly _tag: "Unwritable" }

/**
 * The anon id and its claim. A fact is never changed, only followed by a newer one.
 *
 * @category services
 * @since 0.1.0
 */
export class IdentityStore extends Context.Service<IdentityStore, {
  /**
   * Returns the identity, which is read once per process, and made where there is none and the runtime keeps one.
   *
   * Where nothing can be read or written the identity lives in memory.
   */
  readonly get: Effect.Effect<Identity>
  /** Reads the identity again. */
  readonly refresh: Effect.Effect<Identity>
  /**
   * Returns what became of the identity in memory: it is still the device's, another one took its place, or it was
   * deleted by an opt-out or by the user.
   */
  readonly check: Effect.Effect<"Current" | "Replaced" | "Deleted">
  /** Returns the identity on disk; makes nothing and changes nothing. */
  readonly peek: Effect.Effect<Identity | undefined>
  /** Claims the anon id in memory, after reading the identity file again. */
  readonly claim: (claim: Claim) => Effect.Effect<Publication>
  /** Notes that the claim in memory is that of a stored credential, if it was learned before the credential was stored. */
  readonly confirmStored: Effect.Effect<void>
  /** Gives the device a new anon id, or takes over the one that another process gave it. */
  readonly rotate: Effect.Effect<Rotation>
  /** Continues with a new anon id in memory. */
  readonly forget: Effect.Effect<Identity>
}>()("effect-cli-usage/services/IdentityStore") {}
