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
 * The anon id of a device and its claim, as this process read them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly anonId: AnonId
  readonly claim: Claim | UnreadableClaim | undefined
  /** Whether the identity is on disk. An identity in memory ends with the process. */
  readonly durable: boolean
  /** Whether there was no identity when the command started. */
  readonly firstRun: boolean
  /** Whether this process published the identity. */
  readonly published: boolean
}

/**
 * The result of claiming the anon id.
 *
 * **Details**
 *
 * `Published`: the claim is on disk. `Held`: the anon id had a claim already. `Replaced`: another tool gave the device
 * another anon id since it was read. `Unwritable`: the claim could not be published, or the identity was deleted.
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
 * The result of replacing the anon id.
 *
 * **Details**
 *
 * `Rotated`: the device has a new anon id. `Overtaken`: another process or tool had replaced the anon id already.
 * `Unwritable`: the identity is unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export type Rotation =
  | { readonly _tag: "Rotated"; readonly identity: Identity }
  | { readonly _tag: "Overtaken"; readonly identity: Identity }
  | { readonly _tag: "Unwritable" }

/**
 * Reads, claims and replaces the anon id of the device.
 *
 * **When to use**
 *
 * Use it to show the device's id, such as in a bug report. Replace it to keep the identity elsewhere.
 *
 * **Details**
 *
 * A published fact is never changed: a newer fact follows it.
 *
 * **Example** (Showing the device's id)
 *
 * ```ts
 * const showId = Effect.gen(function*() {
 *   const store = yield* IdentityStore
 *   const identity = yield* store.peek
 *   yield* Console.log(identity?.anonId ?? "this device has no id")
 * })
 * ```
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
