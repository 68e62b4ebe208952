/**
 * The identity of this device.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AnonId } from "../domain/AnonId.ts"
import type { Claim, UnreadableClaim } from "../domain/Claim.ts"
import type { Publication } from "./Claims.ts"

/**
 * The device's id and whom it belongs to, as this process knows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly anonId: AnonId
  readonly claim: Claim | UnreadableClaim | undefined
  /** Whether it stands on disk; one in memory ends with the process. */
  readonly durable: boolean
  /** Whether there was no identity when the command started. */
  readonly firstRun: boolean
  /** Whether this process published it. */
  readonly published: boolean
}

/**
 * The anon id and its claim; nothing here is ever taken back, only followed by something newer.
 *
 * @category services
 * @since 0.1.0
 */
export class IdentityStore extends Context.Service<IdentityStore, {
  /**
   * The identity, made where there is none and the runtime keeps one; read once per process.
   *
   * **Details**
   *
   * Where nothing can be read or written the identity lives in memory.
   */
  readonly get: Effect.Effect<Identity>
  /** The identity read again, because the host has just logged in or out. */
  readonly refresh: Effect.Effect<Identity>
  /** Whether the device still has the identity at hand: not where an opt-out, or the user, has deleted it since. */
  readonly stands: Effect.Effect<boolean>
  /** The identity on disk, if there is one; makes nothing and changes nothing. */
  readonly peek: Effect.Effect<Identity | undefined>
  /** Claims the anon id at hand; `Published` and `Held` are known to `get` from then on. */
  readonly claim: (claim: Claim) => Effect.Effect<Publication>
  /** Notes that the claim at hand is that of a stored credential, where it was learned before one was stored. */
  readonly confirmStored: Effect.Effect<void>
  /**
   * Gives the device a new anon id, or takes the one that another process has put in its place already.
   *
   * **Details**
   *
   * `Unwritable` where the disk refused: the identity is then as it was.
   */
  readonly rotate: Effect.Effect<Rotation>
  /** Goes on with an anon id in memory, where a device must not keep the one it has. */
  readonly forget: Effect.Effect<Identity>
}>()("effect-cli-usage/services/IdentityStore") {}

/**
 * What came of a rotation.
 *
 * @category models
 * @since 0.1.0
 */
export type Rotation =
  | { readonly _tag: "Rotated"; readonly identity: Identity }
  | { readonly _tag: "Overtaken"; readonly identity: Identity }
  | { readonly _tag: "Unwritable" }
