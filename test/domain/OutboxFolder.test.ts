import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Message } from "../../src/domain/Message.ts"
import * as OutboxFolder from "../../src/domain/OutboxFolder.ts"

const now = Date.parse("2026-01-01T00:00:00Z")
const day = 24 * 60 * 60 * 1000

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

const message = (n: number): Message => ({
  event: "Used",
  properties: { invocation_id: uuid(n), sequence: n },
  timestamp: new Date(now).toISOString(),
  uuid: uuid(n),
  distinct_id: "acct_1"
})

/** So many names, a millisecond apart, the last at `now`. */
const names = (count: number, bytes: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => OutboxFolder.eventName(message(n), now - count + 1 + n, bytes))

describe("the name of an event's file", () => {
  it("says when, which, whose and how large, so that a listing is enough", () => {
    const name = OutboxFolder.eventName(message(7), now, 512)
    assert.strictEqual(name, `001767225600000-000007-${uuid(7)}-${uuid(7)}-512.json`)
    assert.isTrue(OutboxFolder.isEventName(name))
    assert.isTrue(OutboxFolder.isOfInvocation(name, uuid(7)))
    assert.isFalse(OutboxFolder.isOfInvocation(name, uuid(8)))
  })

  it("sorts by time, then by the sequence", () => {
    const sorted = [
      OutboxFolder.eventName(message(0), 0, 1),
      OutboxFolder.eventName(message(9), 9, 1),
      OutboxFolder.eventName(message(2), 10, 1),
      OutboxFolder.eventName(message(10), 10, 1),
      OutboxFolder.eventName(message(1), now, 1)
    ]
    assert.deepStrictEqual(sorted.toSorted(), sorted)
  })

  it("of a file that is none of this module's is of no invocation", () => {
    assert.isFalse(OutboxFolder.isOfInvocation("x.json", uuid(1)))
    assert.isFalse(OutboxFolder.isEventName("x.tmp"))
  })
})

describe("the bounds", () => {
  it("keeps to the author's bounds where there are some, and to its own for the others", () => {
    const bounds = { messages: 2, bytes: undefined }
    const three = names(3, 100)
    assert.deepStrictEqual(OutboxFolder.beyondBounds(three, now, bounds), three.slice(0, 1))
    const old = [OutboxFolder.eventName(message(0), now - 7 * day - 1, 1)]
    assert.deepStrictEqual(OutboxFolder.beyondBounds(old, now, bounds), old)
  })

  it("leave 1,000 messages, and take the oldest of more", () => {
    assert.deepStrictEqual(OutboxFolder.beyondBounds(names(1000, 100), now), [])
    const more = names(1003, 100)
    assert.deepStrictEqual(OutboxFolder.beyondBounds(more, now), more.slice(0, 3))
  })

  it("leave 1 MiB, and take the oldest of more", () => {
    const full = names(16, 64 * 1024)
    assert.deepStrictEqual(OutboxFolder.beyondBounds(full, now), [])
    const more = [...full, OutboxFolder.eventName(message(99), now, 1)]
    assert.deepStrictEqual(OutboxFolder.beyondBounds(more, now), full.slice(0, 1))
  })

  it("leave 7 days", () => {
    const old = [OutboxFolder.eventName(message(0), now - 7 * day - 1, 1)]
    const young = [OutboxFolder.eventName(message(1), now - 7 * day, 1), ...names(2, 1)]
    assert.deepStrictEqual(OutboxFolder.beyondBounds([...old, ...young], now), old)
  })

  it("take nothing of an empty outbox, nor of what a clock set back makes the future", () => {
    assert.deepStrictEqual(OutboxFolder.beyondBounds([], now), [])
    assert.deepStrictEqual(OutboxFolder.beyondBounds(names(3, 1), now - day), [])
  })

  const file = Arbitrary.schema(Schema.Struct({
    age: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10 * day })),
    bytes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 * 1024 }))
  }))

  it.prop(
    "take the oldest only, as few as will do",
    { files: Arbitrary.array(file, { maxLength: 60 }) },
    ({ files }) => {
      const all = files.map(({ age, bytes }, n) => OutboxFolder.eventName(message(n), now - age, bytes)).toSorted()
      const beyond = OutboxFolder.beyondBounds(all, now)
      assert.deepStrictEqual(beyond, all.slice(0, beyond.length))
      const fits = (kept: ReadonlyArray<string>) => {
        const sizes = kept.map((name) => Number(/-(\d+)\.json$/.exec(name)?.[1]))
        const oldest = Number(kept[0]?.slice(0, 15) ?? now)
        return sizes.reduce((sum, size) => sum + size, 0) <= 1024 * 1024 && now - oldest <= 7 * day
      }
      assert.isTrue(fits(all.slice(beyond.length)))
      if (beyond.length > 0) assert.isFalse(fits(all.slice(beyond.length - 1)))
    },
    { arbitrary: { runs: 200, size: 100 } }
  )
})
