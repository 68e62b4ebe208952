/**
 * The outbox in memory, for a test.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Message } from "../domain/Message.ts"
import { Claims } from "../services/Claims.ts"
import { type Entry, Outbox } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const claims = yield* Claims
  const { destinationId } = yield* UsageSettings
  const events = new Map<string, Message>()
  const aside: Array<Entry> = []
  let lastDelivery: number | undefined = undefined

  const aliases = Effect.map(
    claims.undelivered(destinationId),
    (claims) =>
      claims.flatMap((claim): ReadonlyArray<Entry> =>
        claim.alias === null ? [] : [{ _tag: "Alias", anonId: claim.anon_id, message: claim.alias }]
      )
  )

  const entries = Effect.map(aliases, (owed): ReadonlyArray<Entry> => [
    ...owed,
    ...[...events].map(([name, message]) => ({ _tag: "Event" as const, name, message }))
  ])

  const settle = (entry: Entry, outcome: "delivered" | "set-aside") =>
    entry._tag === "Alias"
      ? claims.settle(entry.anonId, outcome)
      : Effect.sync(() => void events.delete(entry.name))

  return Outbox.of({
    add: (message) => Effect.sync(() => events.set(message.uuid, message).has(message.uuid)),
    entries,
    isEmpty: Effect.map(entries, (entries) => entries.length === 0),
    has: (invocationId) =>
      Effect.sync(() => [...events.values()].some((message) => message.properties["invocation_id"] === invocationId)),
    delivered: (entries) =>
      Effect.andThen(
        Effect.forEach(entries, (entry) => settle(entry, "delivered"), { discard: true }),
        Effect.map(Clock.currentTimeMillis, (now) => void (lastDelivery = now))
      ),
    setAside: (entry) => Effect.andThen(settle(entry, "set-aside"), Effect.sync(() => void aside.push(entry))),
    backedOffUntil: Effect.succeed(0),
    backOff: () => Effect.void,
    status: Effect.map(entries, (entries) => ({ pending: entries.length, setAside: aside.length, lastDelivery }))
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Outbox, never, Claims | UsageSettings> = Layer.effect(Outbox, make)
