/**
 * How a user turns telemetry off for good.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/**
 * The opt-out could not be published or withdrawn, so telemetry is as it was; or it stands, and something is left that
 * could not be deleted.
 *
 * @category errors
 * @since 0.1.0
 */
export class OptOutError extends Data.TaggedError("OptOutError")<{
  readonly path: string
  /** What went wrong, and why. A home that is a link or somebody else's is not touched; telemetry is off there. */
  readonly problem: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `The opt-out at ${this.path} ${this.problem}`
  }
}

/**
 * Publishes and withdraws the opt-out.
 *
 * @category services
 * @since 0.1.0
 */
export class OptOut extends Context.Service<OptOut, {
  /** Publishes the opt-out, then deletes identity, claims and outbox. */
  readonly publish: Effect.Effect<void, OptOutError>
  /** Withdraws it: what is recorded from now on starts empty. */
  readonly withdraw: Effect.Effect<void, OptOutError>
}>()("effect-cli-usage/services/OptOut") {}
