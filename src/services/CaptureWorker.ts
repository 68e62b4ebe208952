/** The process that delivers the messages of an outbox. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * The result of a flush: how many messages were delivered, and how many were kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flushed {
  readonly delivered: number
  /** The number of messages that PostHog has not accepted. */
  readonly kept: number
  /** Why messages were kept, if that is known. */
  readonly reason?: string | undefined
}

/**
 * A reason why delivery fails or is delayed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Obstacle {
  /**
   * `no_worker`: the host was bundled without a worker. `no_process`: the process cannot start another process.
   * `home_not_writable`: no message can be stored. `worker_never_began` and `worker_ended`: the last worker was killed
   * before it released its lease. Commands wait up to a second for delivery until a worker ends normally.
   * `backed_off`: PostHog accepted no message of the last request. `identity_unreadable`: the identity file cannot be
   * read now, so each command has an anon id of its own.
   */
  readonly what:
    | "no_worker"
    | "no_process"
    | "home_not_writable"
    | "worker_never_began"
    | "worker_ended"
    | "backed_off"
    | "identity_unreadable"
  /** A sentence for people. */
  readonly why: string
  /** The end of the back-off, in milliseconds since 1970. Undefined for every other obstacle. */
  readonly until?: number
}

/**
 * Delivers the messages of the outbox in another process.
 *
 * **When to use**
 *
 * Replace it, by the option `worker` of `UsageServices.layer`, in a test that must start no process. `TestUsage.layer`
 * does.
 *
 * @category services
 * @since 0.1.0
 */
export class CaptureWorker extends Context.Service<CaptureWorker, {
  /** Starts a worker, unless a worker runs or the outbox is in back-off. */
  readonly ensure: Effect.Effect<void>
  /**
   * Delivers in the foreground, also during a back-off: waits for the running worker, then starts a worker and waits
   * for that one.
   */
  readonly flush: Effect.Effect<Flushed>
  /** Returns the obstacles to delivery, the most serious first. It changes nothing. */
  readonly obstacles: Effect.Effect<ReadonlyArray<Obstacle>>
}>()("effect-cli-usage/services/CaptureWorker") {}
