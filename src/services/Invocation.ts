/**
 * One run of the host: what all its messages have in common.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Message } from "../domain/Message.ts"
import type { Shared } from "../domain/Shared.ts"
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
 * What was said of a command while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Said {
  /** Values of flags that the author allowed to be sent, for the command's own event. */
  readonly flagValues: Schema.JsonObject
  /** For every event that follows. */
  readonly shared: Shared
}

/**
 * The command that is being run.
 *
 * @category services
 * @since 0.1.0
 */
export class Invocation extends Context.Service<Invocation, {
  /** A UUID that every message of this command carries. */
  readonly id: string
  /** Names the command for the messages that follow, and forgets what was said of another; `false` where one runs. */
  readonly begin: (name: string) => Effect.Effect<boolean>
  /** Ends it: another may begin. */
  readonly end: Effect.Effect<void>
  /** Adds to what was said of the command. */
  readonly say: (said: Partial<Said>) => Effect.Effect<void>
  readonly said: Effect.Effect<Said>
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
