/**
 * The outbox in memory, for a test.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AnonId } from "../domain/AnonId.ts"
import * as BackOff from "../domain/BackOff.ts"
import * as Message from "../domain/Message.ts"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import { Claims } from "../services/Claims.ts"
import { type Entry, Outbox } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const claims = yield* Claims
  const { bounds, destinationId } = yield* UsageSettings
  // By the names that they would have as files.
  const events = new Map<string, Message.Message>()
  const aside = new Map<string, Message.Message>()
  const refused = new Set<AnonId>()
  let lastDelivery: number | undefined = undefined
  let backOff: BackOff.BackOff | undefined = undefined

  const names = () => [...events.keys()].toSorted()

  const put = (
    into: Map<string, Message.Message>,
    name: string,
    message: Message.Message,
    bounds: OutboxFolder.SomeBounds | undefined
  ) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      into.set(name, message)
      for (const beyond of OutboxFolder.beyondBounds([...into.keys()].toSorted(), now, bounds)) into.delete(beyond)
    })

  const entries = Effect.map(claims.undelivered(destinationId), (owed): ReadonlyArray<Entry> => [
    ...owed,
    ...names().flatMap((name): ReadonlyArray<Entry> => {
      const message = events.get(name)
      return message === undefined ? [] : [{ _tag: "Event", name, message }]
    })
  ])

  const remove = (entries: ReadonlyArray<Entry>) =>
    Effect.forEach(entries, (entry) =>
      entry._tag === "Alias"
        ? claims.settle(entry.anonId, "delivered")
        : Effect.sync(() => void events.delete(entry.name)), { discard: true })

  return Outbox.of({
    add: (message) =>
      Effect.gen(function*() {
        const bytes = new TextEncoder().encode(Message.encode(message)).length
        yield* put(events, OutboxFolder.eventName(message, yield* Clock.currentTimeMillis, bytes), message, bounds)
        return true
      }),
    entries,
    isEmpty: Effect.map(entries, (entries) => entries.length === 0),
    has: (invocationId) => Effect.sync(() => names().some((name) => OutboxFolder.isOfInvocation(name, invocationId))),
    delivered: (entries) =>
      Effect.andThen(
        remove(entries),
        Effect.map(Clock.currentTimeMillis, (now) => {
          lastDelivery = now
          backOff = undefined
        })
      ),
    remove,
    setAside: (entry) =>
      Effect.suspend(() => {
        if (entry._tag === "Alias") {
          refused.add(entry.anonId)
          return claims.settle(entry.anonId, "set-aside")
        }
        return events.delete(entry.name)
          ? put(aside, entry.name, entry.message, OutboxFolder.setAsideBounds)
          : Effect.void
      }),
    backedOffUntil: Effect.map(Clock.currentTimeMillis, (now) => BackOff.until(backOff, now)),
    backOff: (reason) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        backOff = BackOff.next(backOff, now, reason)
      }),
    status: Effect.map(entries, (entries) => ({
      pending: entries.length,
      setAside: aside.size + refused.size,
      lastDelivery,
      ...(backOff?.reason === undefined ? {} : { lastFailure: backOff.reason })
    }))
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Outbox, never, Claims | UsageSettings> = Layer.effect(Outbox, make)
