/**
 * The recording of events.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { UsageEvent } from "../domain/UsageEvent.ts"
import type { CommandRun } from "./CurrentCommand.ts"

/**
 * What a followed command asks for at its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Followed {
  /** Returns the exit code that the host has set since the command began; 0 where it has set none. */
  readonly exitCode: Effect.Effect<number>
  /** Waits for the principal of a new credential: at most until 2 s after it was asked for. */
  readonly settle: Effect.Effect<void>
}

/**
 * Records declared events, and has them delivered.
 *
 * **When to use**
 *
 * Use it for the host's own events. `Usage.track` records the events of commands.
 *
 * **Details**
 *
 * Delivery starts when the scope closes or the process ends, and every 30 seconds before that.
 *
 * **Example** (Recording an own event)
 *
 * ```ts
 * const TemplateChosen = UsageEvent.make("Template chosen", {
 *   description: "A template was chosen for a new project",
 *   properties: Schema.Struct({ template: Schema.Literals(["blank", "blog", "shop"]) })
 * })
 *
 * const create = Effect.gen(function*() {
 *   const usage = yield* UsageCapture
 *   yield* usage.capture(TemplateChosen, { template: "blog" })
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class UsageCapture extends Context.Service<UsageCapture, {
  /**
   * Records an event: it is on disk when this returns. Where the user denied consent nothing is recorded.
   *
   * A property that the event's schema refuses drops the event, with a debug line that names the property. It never fails,
   * and does not wait for the network.
   *
   * In a runtime that keeps nothing, such as CI, an event stays in memory while the API is asked whose the credential is:
   * until the answer, for 2 s at most, or until the command, its process or a signal ends the wait.
   */
  readonly capture: <Properties>(
    event: UsageEvent<Properties>,
    properties: NoInfer<Properties>
  ) => Effect.Effect<void>
  /**
   * Follows a command until the scope closes: reads the credential that it begins with, and asks in the background for
   * the principal of a new one. Nothing is made or claimed before an event is recorded. Returns undefined where nothing
   * will be recorded.
   */
  readonly follow: (command: CommandRun) => Effect.Effect<Followed | undefined, never, Scope.Scope>
}>()("effect-cli-usage/services/UsageCapture") {}
