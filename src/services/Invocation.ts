/**
 * One run of the host: what all its messages have in common.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Ref from "effect/Ref"
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
 * A command of the invocation: one that runs another is itself again when that has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tracked {
  /** Its dotted path. */
  readonly name: string
  readonly said: Ref.Ref<Said>
}

/**
 * The tracked command that the running fiber is in.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentCommand: Context.Reference<Tracked | undefined> = Context.Reference<Tracked | undefined>(
  "effect-cli-usage/services/Invocation/CurrentCommand",
  { defaultValue: () => undefined }
)

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
