/** The queue of messages between host processes and the worker. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AnonId } from "../domain/AnonId.ts"
import type { Message } from "../domain/Message.ts"

/**
 * A message that waits for delivery: an event with the name of its file, or the alias of a claim.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry =
  | { readonly _tag: "Event"; readonly name: string; readonly message: Message }
  | { readonly _tag: "Alias"; readonly anonId: AnonId; readonly message: Message }

/**
 * The state of an outbox, as `telemetry status` prints it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutboxStatus {
  /** The PostHog host of the messages; undefined without a usable host and key. */
  readonly destination: string | undefined
  /** The number of events and aliases that PostHog has not accepted. */
  readonly pending: number
  /** The number of messages that PostHog refused, and of files that are not messages. */
  readonly setAside: number
  /** When PostHog last accepted a message, in milliseconds since 1970. */
  readonly lastDelivery: number | undefined
  /** Why the last delivery kept messages; absent if it kept none. */
  readonly lastFailure?: string | undefined
  /** Why `pending` may be too low: the outbox or a claim cannot be read now. */
  readonly blocked?: string | undefined
}

/**
 * Keeps the messages for one destination until they are delivered, oldest first.
 *
 * **When to use**
 *
 * Use it to read what waits for delivery. In a test, `TestUsage.recorded` returns it as plain values.
 *
 * **Gotchas**
 *
 * Another `Outbox` in the context of a host receives no messages: `UsageServices.layer` makes its own.
 *
 * @category services
 * @since 0.1.0
 */
export class Outbox extends Context.Service<Outbox, {
  /** Adds a message. If it returns true, then the complete message is on disk. */
  readonly add: (message: Message) => Effect.Effect<boolean>
  /** Returns the messages that can be sent: the aliases first, then the events in the order of recording. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>
  /**
   * Returns the messages that can be sent, and the reason if other messages cannot be sent now. It reads for at most a
   * second: then `isPartial` is true, and `entries` has the oldest messages.
   */
  readonly look: Effect.Effect<{
    readonly entries: ReadonlyArray<Entry>
    readonly blocked: string | undefined
    readonly isPartial: boolean
  }>
  /** Returns whether the outbox has no message. */
  readonly isEmpty: Effect.Effect<boolean>
  /** Returns whether the outbox has an event of an invocation. */
  readonly has: (invocationId: string) => Effect.Effect<boolean>
  /** Removes messages that PostHog accepted, keeps the last of them for `sent`, and ends the back-off. */
  readonly delivered: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** Removes messages as `delivered` does, and does not end the back-off. */
  readonly remove: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** Sets aside a message that PostHog refuses. At most 1,000 messages and 1 MiB are kept. */
  readonly setAside: (entry: Entry) => Effect.Effect<void>
  /** Returns the end of the back-off, in milliseconds since 1970; 0 without a back-off. */
  readonly backedOffUntil: Effect.Effect<number>
  /** Doubles the back-off, from 1 s to 10 min, and stores the reason. */
  readonly backOff: (reason: string) => Effect.Effect<void>
  /** Returns the last messages that PostHog accepted, oldest first: at most 100, of 7 days. */
  readonly sent: Effect.Effect<ReadonlyArray<Message>>
  /** Returns the counts for `telemetry status`. It changes nothing. */
  readonly status: Effect.Effect<OutboxStatus>
}>()("effect-cli-usage/services/Outbox") {}
