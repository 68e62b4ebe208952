/**
 * The process that delivers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * What a flush did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flushed {
  readonly delivered: number
  /** What PostHog has still not taken. */
  readonly kept: number
  /** Why something was kept, where it is known. */
  readonly reason?: string | undefined
}

/**
 * Sees to it that what waits in the outbox is delivered by somebody who is not this command.
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
}>()("effect-cli-usage/services/CaptureWorker") {}
