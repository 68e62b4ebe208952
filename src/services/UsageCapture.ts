/**
 * What a host records.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { UsageEvent } from "../domain/UsageEvent.ts"

/**
 * Accepts declared events, and sees to it that they are delivered: when its scope closes or the process ends, and every
 * 30 s before.
 *
 * @category services
 * @since 0.1.0
 */
export class UsageCapture extends Context.Service<UsageCapture, {
  /**
   * Records an event: it is on disk when this returns, and nothing is where the user denied consent.
   *
   * **Details**
   *
   * A property that the event's schema refuses drops the event, with a debug line that names the property. It never
   * fails, and waits for no network.
   */
  readonly capture: <Properties>(
    event: UsageEvent<Properties>,
    properties: NoInfer<Properties>
  ) => Effect.Effect<void>
}>()("effect-cli-usage/services/UsageCapture") {}
