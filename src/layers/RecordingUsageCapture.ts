/**
 * Capture into memory, for a host's own tests.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as UsageEvent from "../domain/UsageEvent.ts"
import { UsageCapture } from "../services/UsageCapture.ts"

/**
 * An event as it was captured: encoded and stripped as it would be sent, or what its schema said against it.
 *
 * @category models
 * @since 0.1.0
 */
export type Recorded =
  | { readonly _tag: "Captured"; readonly event: string; readonly properties: Schema.JsonObject }
  | { readonly _tag: "Refused"; readonly event: string; readonly reason: string }

/**
 * What a test reads.
 *
 * @category services
 * @since 0.1.0
 */
export class RecordedEvents extends Context.Service<RecordedEvents, {
  /** Every captured event, oldest first. */
  readonly all: Effect.Effect<ReadonlyArray<Recorded>>
}>()("effect-cli-usage/layers/RecordedEvents") {}

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<UsageCapture | RecordedEvents> = Layer.effectContext(Effect.sync(() => {
  const recorded: Array<Recorded> = []
  return Context.make(
    UsageCapture,
    UsageCapture.of({
      capture: (event, properties) =>
        Effect.sync(() => {
          const encoded = UsageEvent.encode(event, properties)
          recorded.push(Result.match(encoded, {
            onFailure: (reason) => ({ _tag: "Refused", event: event.name, reason }),
            onSuccess: ({ properties }) => ({ _tag: "Captured", event: event.name, properties })
          }))
        }),
      follow: () => Effect.succeed({ exitCode: Effect.succeed(0), settle: Effect.void })
    })
  ).pipe(Context.add(RecordedEvents, RecordedEvents.of({ all: Effect.sync(() => [...recorded]) })))
}))
