/**
 * The process that delivers the messages of an outbox.
 *
 * @since 0.1.0
 */
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
 * A reason why delivery does not work or waits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Obstacle {
  /**
   * `no_worker`: the host was bundled without one. `no_process`: its process can start no other. `home_not_writable`: nothing can be kept. `worker_never_began` and
   * `worker_ended`: an earlier worker did not end by itself, so commands wait up to a second for delivery until one does.
   * `backed_off`: PostHog took nothing when it was last asked.
   */
  readonly what: "no_worker" | "no_process" | "home_not_writable" | "worker_never_began" | "worker_ended" | "backed_off"
  /** A sentence for people. */
  readonly why: string
  /** Until when no request is made, in milliseconds since 1970; of a back-off only. */
  readonly until?: number
}

/**
 * Delivers the messages of the outbox in another process.
 *
 * **When to use**
 *
 * Replace it in a test that must start no process. `TestUsage.layer` does.
 *
 * @category services
 * @since 0.1.0
 */
export class CaptureWorker extends Context.Service<CaptureWorker, {
  /** Starts a worker, unless one lives or the outbox is backed off. */
  readonly ensure: Effect.Effect<void>
  /**
   * Delivers in the foreground: waits for a worker that lives, then for one of its own, whatever the back-off says.
   */
  readonly flush: Effect.Effect<Flushed>
  /** Returns what stands in the way of delivery, the worst first; makes nothing. */
  readonly obstacles: Effect.Effect<ReadonlyArray<Obstacle>>
}>()("effect-cli-usage/services/CaptureWorker") {}
