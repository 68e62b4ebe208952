/**
 * Who delivers at the moment.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * Keeps workers to one at a time, normally; nothing goes wrong where it fails, because two workers send the same bytes.
 *
 * @category services
 * @since 0.1.0
 */
export class WorkerLease extends Context.Service<WorkerLease, {
  /** Whether a worker holds the lease. */
  readonly isHeld: Effect.Effect<boolean>
  /** Takes the lease for `life` milliseconds, 10,000 at most; gives what releases it, or nothing where it is held. */
  readonly acquire: (life: number) => Effect.Effect<{ readonly release: Effect.Effect<void> } | undefined>
}>()("effect-cli-usage/services/WorkerLease") {}
