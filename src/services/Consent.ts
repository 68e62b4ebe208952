/** Whether this command may record anything. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { ConsentDecision } from "../domain/ConsentDecision.ts"

/**
 * The error of a failed opt-out or opt-in.
 *
 * **Details**
 *
 * Either the opt-out could not be published or withdrawn, and consent is unchanged. Or the opt-out was published, and
 * some state could not be deleted.
 *
 * @category errors
 * @since 0.1.0
 */
export class OptOutError extends Data.TaggedError("OptOutError")<{
  readonly path: string
  /** What went wrong, and why. */
  readonly problem: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `The opt-out at ${this.path} ${this.problem}`
  }
}

/**
 * Decides whether telemetry is on, and changes the user's decision.
 *
 * **When to use**
 *
 * Use it for an own command that turns telemetry on or off. `Usage.telemetryCommand` has both already.
 *
 * **Example** (Turning telemetry off in an own command)
 *
 * ```ts
 * import { Consent } from "effect-cli-usage/layers"
 *
 * const off = Command.make("privacy-mode", {}, Effect.fnUntraced(function*() {
 *   const consent = yield* Consent
 *   yield* consent.deny
 * }))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Consent extends Context.Service<Consent, {
  /**
   * Notes the consent with which a command begins: one that is given anew while it runs does not count for it. After
   * the first `decision` that allows it changes nothing.
   */
  readonly begin: Effect.Effect<void>
  /**
   * Returns the decision, and the setting that made it.
   *
   * A setting that cannot be read denies. The effect changes nothing and never fails.
   */
  readonly decision: Effect.Effect<ConsentDecision>
  /**
   * Returns whether the consent of `decision` is still given: the user has not opted out since.
   *
   * It is checked before and after every write, and before every request. If the setting cannot be read now, it returns
   * undefined: then nothing is written, and no published file is removed.
   */
  readonly stillGiven: Effect.Effect<boolean | undefined>
  /** Publishes the opt-out, then deletes identity, claims and outbox. */
  readonly deny: Effect.Effect<void, OptOutError>
  /** Withdraws the opt-out. Recording starts again with a new identity and an empty outbox. */
  readonly allow: Effect.Effect<void, OptOutError>
}>()("effect-cli-usage/services/Consent") {}
