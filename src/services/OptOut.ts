/**
 * How a user turns telemetry off for good.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/**
 * The opt-out could not be published or withdrawn, so telemetry is as it was.
 *
 * @category errors
 * @since 0.1.0
 */
export class OptOutError extends Data.TaggedError("OptOutError")<{
  readonly path: string
  /** A home that is a link or somebody else's is not touched; telemetry is off there. */
  readonly reason: "NotOwn" | "Unwritable"
  readonly cause?: unknown
}> {
  override get message(): string {
    const problem = `The opt-out could not be written to ${this.path}`
    return this.reason === "Unwritable" ? problem : `${problem}: its folder is a link or not this user's`
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
