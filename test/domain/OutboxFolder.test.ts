import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Message } from "../../src/domain/Message.ts"
import * as OutboxFolder from "../../src/domain/OutboxFolder.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"

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

const ofAge = (age: number): string => OutboxFolder.eventName(message(0), now - age, 1)

describe("eventName", () => {
  it("The name of an event's file has its time, sequence, invocation, uuid and size, so that a listing is enough", () => {
    const name = OutboxFolder.eventName(message(7), now, 512)
    assert.strictEqual(name, `001767225600000-000007-${uuid(7)}-${uuid(7)}-512.json`)
    assert.deepStrictEqual([name, "x.tmp"].map(OutboxFolder.isEventName), [true, false])
    assert.isTrue(OutboxFolder.isOfInvocation(name, uuid(7)))
    for (const other of [name.replace("000007-", "000007-0"), "x.json"]) {
      assert.isFalse(OutboxFolder.isOfInvocation(other, uuid(7)))
    }
    assert.isFalse(OutboxFolder.isOfInvocation(name, uuid(8)))
  })

  it("The names of events' files sort by time, then by sequence", () => {
    const sorted = ([[0, 0], [9, 9], [2, 10], [10, 10], [1, now]] as const).map(([n, at]) =>
      OutboxFolder.eventName(message(n), at, 1)
    )
    assert.deepStrictEqual(sorted.toSorted(), sorted)
  })
})

describe("beyondBounds", () => {
  const full = names(16, 64 * 1024)
  const table: ReadonlyArray<
    readonly [
      title: string,
      names: ReadonlyArray<string>,
      beyond: number,
      bounds?: OutboxFolder.SomeBounds,
      now?: number
    ]
  > = [
    ["1,000 messages stay", names(1000, 100), 0],
    ["of 1,003 messages, the 3 oldest go", names(1003, 100), 3],
    ["1 MiB stays", full, 0],
    ["of 1 MiB and a byte, the oldest message goes", [...full, OutboxFolder.eventName(message(99), now, 1)], 1],
    ["a message of more than 7 days goes", [ofAge(7 * day + 1), ofAge(7 * day), ...names(2, 1)], 1],
    ["an author's bound counts", names(3, 100), 1, { messages: 2, bytes: undefined }],
    ["the other bounds stay the usual ones", [ofAge(7 * day + 1)], 1, { messages: 2, bytes: undefined }],
    ["an empty outbox stays", [], 0],
    ["a size that no message has counts for nothing", [...names(2, 1), ...names(1, 1e9)], 0],
    ["what a clock that was set back makes the future stays", names(3, 1), 0, {}, now - day]
  ]
  for (const [title, all, beyond, bounds, at = now] of table) {
    it(`The oldest messages beyond the bounds go: ${title}`, () => {
      assert.deepStrictEqual(OutboxFolder.beyondBounds(all, at, bounds), all.slice(0, beyond))
    })
  }

  it("The messages of a clock that was ahead go first, and those of the last minute do not", () => {
    const ahead = names(2, 1).map((name) => name.replace(/^\d+/, String(now + 2 * day).padStart(15, "0")))
    const all = [...names(2, 1), ofAge(-60_000), ...ahead]
    const beyond = (messages: number) => OutboxFolder.beyondBounds(all, now, { messages })
    assert.deepStrictEqual(beyond(3), ahead)
    assert.deepStrictEqual(beyond(1), [...ahead, ...names(2, 1)])
    assert.isEmpty(beyond(5))
  })

  it("A file with another name, which has no age, does not keep old messages", () => {
    const old = ofAge(7 * day + 1)
    assert.deepStrictEqual(OutboxFolder.beyondBounds(["0.json", old, ofAge(0)], now), [old])
  })

  const file = Arbitrary.schema(Schema.Struct({
    age: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10 * day })),
    bytes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 * 1024 }))
  }))

  it.prop(
    "The oldest messages alone go, and as few as will do",
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

  it.prop(
    "Names of any kind are judged: the oldest messages go, in order, and a name that is no message's has no age and no size",
    { files: Arbitrary.array(file, { maxLength: 20 }), bytes: Fuzz.bytes, mutation: Fuzz.mutations },
    ({ bytes, files, mutation }) => {
      const ours = files.map(({ age, bytes }, n) => OutboxFolder.eventName(message(n), now - age, bytes))
      const others = [bytes.toString(), ...ours.map((name) => Fuzz.mutate(name, mutation))]
      const all = [...new Set([...ours, ...others])].toSorted()
      const beyond = OutboxFolder.beyondBounds(all, now)
      assert.deepStrictEqual(beyond, all.filter((name) => beyond.includes(name)))
      const gone = beyond.filter((name) => ours.includes(name))
      assert.deepStrictEqual(gone, ours.toSorted().slice(0, gone.length))
      assert.deepStrictEqual(OutboxFolder.beyondBounds(["x.json", bytes.toString()], now + 30 * day), [])
      for (const name of all) assert.isBoolean(OutboxFolder.isOfInvocation(name, uuid(0)))
    },
    { arbitrary: { runs: 200 } }
  )
})
