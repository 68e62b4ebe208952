/**
 * The process that delivers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * Sees to it that what waits in the outbox is delivered by somebody who is not this command.
 *
 * @category services
 * @since 0.1.0
 */
export class CaptureWorker extends Context.Service<CaptureWorker, {
  /** Starts a worker, unless one lives, the outbox is backed off, or this command has started one already. */
  readonly ensure: Effect.Effect<void>
}>()("effect-cli-usage/services/CaptureWorker") {}
