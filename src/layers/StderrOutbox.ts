/**
 * Debug mode: every message is printed to stderr as it is recorded, and that is all.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Outbox } from "../services/Outbox.ts"

/**
 * Messages one JSON object a line, as they would stand in a request's `batch`; nothing is ever kept.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Outbox> = Layer.succeed(
  Outbox,
  Outbox.of({
    add: (message) => Effect.as(Console.error(JSON.stringify(message)), true),
    entries: Effect.succeed([]),
    isEmpty: Effect.succeed(true),
    has: () => Effect.succeed(false),
    delivered: () => Effect.void,
    setAside: () => Effect.void,
    backedOffUntil: Effect.succeed(0),
    backOff: () => Effect.void,
    status: Effect.succeed({ pending: 0, setAside: 0, lastDelivery: undefined })
  })
)
