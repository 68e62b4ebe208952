/** The identity of this device. */
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
 * Use it to show the device's id, such as in a bug report.
 *
 * **Details**
 *
 * A published fact is never changed: a newer fact follows it.
 *
 * **Gotchas**
 *
 * Another `IdentityStore` in the context of a host changes no event: `UsageServices.layer` makes its own, on the disk of
 * `HostRuntime`.
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
   * Returns the identity. It is read once per process. If there is no identity, then one is created, except in CI and
   * in containers without a terminal.
   *
   * If the files cannot be read or written, then the identity is kept in memory only.
   */
  readonly get: Effect.Effect<Identity>
  /** Reads the identity again. */
  readonly refresh: Effect.Effect<Identity>
  /**
   * Compares the identity in memory with the disk: it is current, another identity replaced it, or an opt-out or the
   * user deleted it.
   */
  readonly check: Effect.Effect<"Current" | "Replaced" | "Deleted">
  /** Returns the identity on disk. It creates and changes nothing. */
  readonly peek: Effect.Effect<Identity | undefined>
  /** Claims the anon id in memory, after reading the identity file again. */
  readonly claim: (claim: Claim) => Effect.Effect<Publication>
  /** Records that the credential of the claim is stored now, if it was not when the claim was published. */
  readonly confirmStored: Effect.Effect<void>
  /** Gives the device a new anon id. If another process has already done so, then that anon id is used. */
  readonly rotate: Effect.Effect<Rotation>
  /** Replaces the identity by a new anon id in memory. The files are unchanged. */
  readonly forget: Effect.Effect<Identity>
  /**
   * Replaces the identity of a device for which no successor can be written: by a new anon id in the identity file, or by
   * removing that file.
   *
   * If neither is possible, or the files cannot be read, then the new anon id is in memory only.
   */
  readonly discard: Effect.Effect<Identity>
}>()("effect-cli-usage/services/IdentityStore") {}
