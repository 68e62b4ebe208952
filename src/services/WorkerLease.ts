/**
 * Who delivers at the moment.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * A lease that was taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held {
  readonly number: number
  /** Whether it still stands: an opt-out deletes it, and then another may have it. */
  readonly stands: Effect.Effect<boolean>
  readonly release: Effect.Effect<void>
}

/**
 * Keeps workers to one at a time, normally; nothing goes wrong where it fails, because two workers send the same bytes.
 *
 * @category services
 * @since 0.1.0
 */
export class WorkerLease extends Context.Service<WorkerLease, {
  /** Whether a worker holds the lease. */
  readonly isHeld: Effect.Effect<boolean>
  /**
   * Takes the lease for `life` milliseconds, 10,000 at most; gives nothing where it is held.
   *
   * **Details**
   *
   * A worker takes over, by its number, the lease that its starter took for it.
   */
  readonly acquire: (life: number, takesOver?: number) => Effect.Effect<Held | undefined>
}>()("effect-cli-usage/services/WorkerLease") {}
