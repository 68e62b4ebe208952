/**
 * The outbox as a folder: one file a message, named so that names sort by time.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as BackOff from "../domain/BackOff.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import * as Message from "../domain/Message.ts"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import { Claims } from "../services/Claims.ts"
import { type Entry, Outbox } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

const Delivery = JsonDocument.make(() => Schema.Struct({ at: Schema.Finite }))

// What a `Date` can say.
const maxMillis = 8.64e15

// Looking at the whole folder for every message would make a capture cost more the more waits: by so much a process may
// go beyond the usual bounds. An author's own are looked at each time. Another process's messages are seen at the next.
const lookEvery = { messages: 50, bytes: 64 * 1024 }

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const files = yield* StateFiles
  const claims = yield* Claims
  const { bounds, destinationId } = yield* UsageSettings
  const folder = OutboxFolder.make(files.home, destinationId)
  const unseen = yield* Ref.make<{ readonly messages: number; readonly bytes: number } | undefined>(undefined)

  const namesIn = (path: string) =>
    Effect.map(files.list(path), (all) => all.filter(OutboxFolder.isEventName).toSorted())
  const names = namesIn(folder.events)

  // Oldest out first.
  const trim = Effect.fnUntraced(function*(path: string, bounds: OutboxFolder.SomeBounds | undefined) {
    const now = yield* Clock.currentTimeMillis
    for (const name of OutboxFolder.beyondBounds(yield* namesIn(path), now, bounds)) {
      yield* files.remove(`${path}/${name}`)
    }
  }, quietly("the outbox could not be trimmed", undefined))

  const add = Effect.fnUntraced(
    function*(message: Message.Message) {
      const text = Message.encode(message)
      const size = new TextEncoder().encode(text).length
      const name = OutboxFolder.eventName(message, yield* Clock.currentTimeMillis, size)
      yield* files.replace(`${folder.events}/${name}`, text)
      const before = yield* Ref.get(unseen)
      const messages = (before?.messages ?? 0) + 1
      const bytes = (before?.bytes ?? 0) + size
      const looks = before === undefined || bounds !== undefined || messages >= lookEvery.messages ||
        bytes >= lookEvery.bytes
      yield* Ref.set(unseen, looks ? { messages: 0, bytes: 0 } : { messages, bytes })
      if (looks) yield* trim(folder.events, bounds)
      return true
    },
    quietly("a message could not be kept", false)
  )

  const setAsideFile = Effect.fnUntraced(function*(name: string) {
    const file = `${folder.events}/${name}`
    // Another worker was faster, or an opt-out: then no folder is made for it either.
    if ((yield* files.read(file))._tag === "Missing") return
    yield* files.move(file, `${folder.setAside}/${name}`)
    yield* trim(folder.setAside, OutboxFolder.setAsideBounds)
  }, quietly("a message could not be set aside", undefined))

  const read = Effect.fnUntraced(function*(name: string): Effect.fn.Return<Entry | undefined> {
    const file = yield* files.read(`${folder.events}/${name}`)
    // Another worker was faster.
    if (file._tag === "Missing") return undefined
    const message = file._tag === "Text" ? Message.decode(file.text) : Option.none()
    if (Option.isSome(message)) return { _tag: "Event", name, message: message.value.message }
    if (file._tag === "Unreadable" || !Message.isNewer(file.text)) yield* setAsideFile(name)
    return undefined
  })

  const aliases = claims.undelivered(destinationId)

  const remove = Effect.fnUntraced(function*(entries: ReadonlyArray<Entry>) {
    for (const entry of entries) {
      yield* entry._tag === "Alias"
        ? claims.settle(entry.anonId, "delivered")
        : quietly("a delivered message stays", undefined)(files.remove(`${folder.events}/${entry.name}`))
    }
  })

  const readBackOff = files.decode(folder.backOff, BackOff.decode)

  return Outbox.of({
    add,
    // Events are listed before claims: an event whose principal was claimed before it was recorded is then never seen
    // without its alias.
    entries: Effect.gen(function*() {
      const waiting = yield* names
      const owed = yield* aliases
      const events: Array<Entry> = []
      for (const name of waiting) {
        const entry = yield* read(name)
        if (entry !== undefined) events.push(entry)
      }
      return [...owed, ...events]
    }),
    isEmpty: Effect.gen(function*() {
      return (yield* names).length === 0 && (yield* aliases).length === 0
    }),
    has: Effect.fnUntraced(function*(invocationId: string) {
      const waiting = yield* names
      return waiting.some((name) => OutboxFolder.isOfInvocation(name, invocationId))
    }),
    delivered: Effect.fnUntraced(function*(entries: ReadonlyArray<Entry>) {
      yield* remove(entries)
      const at = yield* Clock.currentTimeMillis
      yield* files.replace(folder.lastDelivery, Delivery.encode({ at }))
      yield* files.remove(folder.backOff)
    }, quietly("the delivery was not noted", undefined)),
    remove,
    setAside: (entry) => entry._tag === "Alias" ? claims.settle(entry.anonId, "set-aside") : setAsideFile(entry.name),
    backedOffUntil: Effect.gen(function*() {
      return BackOff.until(yield* readBackOff, yield* Clock.currentTimeMillis)
    }),
    backOff: Effect.fnUntraced(function*(reason: string) {
      const longer = BackOff.next(yield* readBackOff, yield* Clock.currentTimeMillis, reason)
      yield* files.replace(folder.backOff, BackOff.encode(longer))
    }, quietly("the back-off was not written", undefined)),
    status: Effect.gen(function*() {
      const waiting = yield* names
      const owed = yield* aliases
      const aside = yield* files.list(folder.setAside)
      const refused = (yield* files.list(files.home.claims)).filter((name) => name.endsWith(".set-aside"))
      const delivery = yield* files.decode(folder.lastDelivery, Delivery.decode)
      const reason = (yield* readBackOff)?.reason
      return {
        pending: waiting.length + owed.length,
        setAside: aside.length + refused.length,
        lastDelivery: Math.abs(delivery?.at ?? 0) > maxMillis ? undefined : delivery?.at,
        ...(reason === undefined ? {} : { lastFailure: reason })
      }
    })
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Outbox, never, StateFiles | Claims | UsageSettings> = Layer.effect(Outbox, make)
