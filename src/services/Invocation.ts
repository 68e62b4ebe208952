/**
 * One run of the host: what all its messages have in common.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Message } from "../domain/Message.ts"
import type { Identity } from "./IdentityStore.ts"

/**
 * A message before it has its uuid, time, sequence number and common properties.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draft {
  readonly event: string
  readonly distinctId: string
  readonly personless: boolean
  readonly properties: Schema.JsonObject
}

/**
 * The run of the host.
 *
 * @category services
 * @since 0.1.0
 */
export class Invocation extends Context.Service<Invocation, {
  /** A UUID that every message of this command carries. */
  readonly id: string
  /** Notes that a command is tracked: an author whose commands never are is told. */
  readonly begin: Effect.Effect<void>
  /** Whether a message of this command was kept. */
  readonly hasRecorded: Effect.Effect<boolean>
  /**
   * Makes the next message and hands it to `write`.
   *
   * **Details**
   *
   * One at a time. The sequence number is used up only where `write` says that it kept the message, so that the numbers
   * on the wire rise by one from 0.
   */
  readonly record: <A>(
    draft: Draft,
    identity: Identity,
    write: (message: Message) => Effect.Effect<readonly [kept: boolean, result: A]>
  ) => Effect.Effect<A>
}>()("effect-cli-usage/services/Invocation") {}
