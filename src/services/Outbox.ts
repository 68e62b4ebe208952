/**
 * The hand-off between any number of host processes and a worker.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Message } from "../domain/Message.ts"
import type { Alias } from "./Claims.ts"

/**
 * A message that waits: an event, by the name of its file, or a claim's alias.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry =
  | { readonly _tag: "Event"; readonly name: string; readonly message: Message }
  | Alias

/**
 * @category models
 * @since 0.1.0
 */
export interface OutboxStatus {
  /** Events and aliases that PostHog has not taken. */
  readonly pending: number
  /** Messages that PostHog refused, or that could not be read. */
  readonly setAside: number
  /** When PostHog last took something, in milliseconds since 1970. */
  readonly lastDelivery: number | undefined
  /** Why PostHog took nothing when it was last asked; absent where it did. */
  readonly lastFailure?: string | undefined
}

/**
 * The messages for one destination, on disk before `add` returns, oldest first.
 *
 * @category services
 * @since 0.1.0
 */
export class Outbox extends Context.Service<Outbox, {
  /** Adds a message, whole; says whether it is there now. */
  readonly add: (message: Message) => Effect.Effect<boolean>
  /** What waits: every alias before any event, events in the order they were recorded. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>
  /** Whether anything waits. */
  readonly isEmpty: Effect.Effect<boolean>
  /** Whether an event of this command still waits. */
  readonly has: (invocationId: string) => Effect.Effect<boolean>
  /** Removes what PostHog has taken, and ends the back-off. */
  readonly delivered: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** Removes what is not to be sent again, though it was no success. */
  readonly remove: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
  /** Takes what PostHog will never take out of the way; 1,000 messages and 1 MiB of it are kept. */
  readonly setAside: (entry: Entry) => Effect.Effect<void>
  /** Until when, in milliseconds since 1970, PostHog is not to be asked again; 0 where it may be. */
  readonly backedOffUntil: Effect.Effect<number>
  /** Doubles the back-off, from 1 s to 10 min, and remembers why. */
  readonly backOff: (reason: string) => Effect.Effect<void>
  /** Counts for `telemetry status`; makes nothing. */
  readonly status: Effect.Effect<OutboxStatus>
}>()("effect-cli-usage/services/Outbox") {}
