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
 * The operations at the end of a followed command.
 *
 * @category models
 * @since 0.1.0
 */
export interface Followed {
  /** Returns the exit code that the host has set since the command began; 0 by default. */
  readonly exitCode: Effect.Effect<number>
  /** Waits for the principal of a new credential: at most until 2 s after the request. */
  readonly awaitPrincipal: Effect.Effect<void>
}

/**
 * Records declared events, and starts their delivery.
 *
 * **When to use**
 *
 * Use it for the host's own events. `Usage.track` records the events of commands.
 *
 * **Details**
 *
 * Delivery starts when the scope closes or the process ends, and before that with an event, at most every 30 seconds.
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
   * Records an event: it is on disk when this returns. If the user denied consent, then nothing is recorded.
   *
   * If the event's schema refuses a property, then the event is dropped, and a debug line names the property. The
   * effect never fails, and does not wait for the network.
   *
   * In CI and in other runtimes without a persistent identity, an event stays in memory until the API answers the
   * request for the principal, at most 2 s. The end of the command, an exit or a signal ends the wait.
   */
  readonly capture: <Properties>(
    event: UsageEvent<Properties>,
    properties: NoInfer<Properties>
  ) => Effect.Effect<void>
  /**
   * Follows a command until the scope closes: reads the current credential, and requests the principal of a new
   * credential in the background. No identity is created or claimed before an event is recorded. Returns undefined if
   * telemetry is off.
   */
  readonly follow: (command: CommandRun) => Effect.Effect<Followed | undefined, never, Scope.Scope>
}>()("effect-cli-usage/services/UsageCapture") {}

/**
 * The service of a process whose telemetry is off until it ends, such as by a variable. `Usage.track` follows a command
 * only if debug lines are written.
 *
 * @internal
 */
export type Off = UsageCapture["Service"] & { readonly isOff: true }
