/**
 * The contract of `Outbox` as tests, for `FileOutbox` over a disk of a host's own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Assert from "node:assert/strict"
import type { Message } from "../domain/Message.ts"
import { type Entry, Outbox } from "../services/Outbox.ts"
import * as Contract from "./Contract.ts"

type Device = Effect.Effect<Outbox["Service"], never, Scope.Scope>

const idOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

const message = (n: number): Message => ({
  event: "CLI execution succeeded",
  properties: { invocation_id: idOf(n), sequence: 0, nested: { list: [1, "naïve 🚀", null, true] } },
  timestamp: "2026-01-01T00:00:00.000Z",
  uuid: idOf(n),
  distinct_id: "account_1"
})

const messagesOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<Message> => entries.map(({ message }) => message)

/** An outbox with three messages, each a millisecond after the one before. */
const filled = (device: Device) =>
  Effect.gen(function*() {
    const outbox = yield* device
    yield* TestClock.setTime(1_000_000)
    for (const n of [1, 2, 3]) {
      Assert.equal(yield* outbox.add(message(n)), true)
      yield* TestClock.adjust(1)
    }
    return outbox
  })

const rules: Contract.Rules<Device> = {
  "An outbox that nothing was added to is empty": Effect.fnUntraced(function*(device) {
    const { backedOffUntil, entries, isEmpty, status } = yield* device
    const { lastDelivery, lastFailure, pending, setAside } = yield* status
    Assert.deepEqual([pending, setAside, lastDelivery, lastFailure], [0, 0, undefined, undefined])
    Assert.deepEqual([yield* entries, yield* isEmpty, yield* backedOffUntil], [[], true, 0])
  }),

  "What one process adds waits for every process, as it was added and in that order": Effect.fnUntraced(
    function*(device) {
      yield* filled(device)
      const { entries, isEmpty, look, status } = yield* device
      const expected = [1, 2, 3].map(message)
      Assert.deepEqual(messagesOf(yield* entries), expected)
      const looked = yield* look
      Assert.deepEqual([messagesOf(looked.entries), looked.blocked], [expected, undefined])
      Assert.deepEqual([yield* isEmpty, (yield* status).pending], [false, 3])
    }
  ),

  "An event is found by its invocation until it was delivered": Effect.fnUntraced(function*(device) {
    const { delivered, entries, has } = yield* filled(device)
    const found = Effect.all([1, 2, 4].map((n) => has(idOf(n))))
    Assert.deepEqual(yield* found, [true, true, false])
    yield* delivered((yield* entries).slice(0, 1))
    Assert.deepEqual(yield* found, [false, true, false])
  }),

  "What was delivered waits no more, also where another process delivered it, and the time of that is kept": Effect
    .fnUntraced(function*(device) {
      const outbox = yield* filled(device)
      const entries = yield* outbox.entries
      const other = yield* device
      yield* other.delivered(entries.slice(0, 2))
      yield* TestClock.setTime(2_000_000)
      yield* outbox.delivered(entries.slice(0, 2))
      Assert.deepEqual(messagesOf(yield* other.entries), [message(3)])
      const { lastDelivery, pending, setAside } = yield* other.status
      Assert.deepEqual([lastDelivery, pending, setAside], [2_000_000, 1, 0])
    }),

  "What was set aside waits no more, and is counted": Effect.fnUntraced(function*(device) {
    const outbox = yield* filled(device)
    yield* Effect.forEach((yield* outbox.entries).slice(1, 2), outbox.setAside)
    Assert.deepEqual(messagesOf(yield* outbox.entries), [message(1), message(3)])
    const { lastDelivery, pending, setAside } = yield* (yield* device).status
    Assert.deepEqual([lastDelivery, pending, setAside], [undefined, 2, 1])
  }),

  "What was removed waits no more, and is no delivery": Effect.fnUntraced(function*(device) {
    const outbox = yield* filled(device)
    yield* outbox.backOff("status 503")
    yield* outbox.remove((yield* outbox.entries).slice(0, 1))
    Assert.deepEqual(messagesOf(yield* outbox.entries), [message(2), message(3)])
    const { lastDelivery, lastFailure, setAside } = yield* outbox.status
    Assert.deepEqual([lastDelivery, lastFailure, setAside], [undefined, "status 503", 0])
    Assert.notEqual(yield* outbox.backedOffUntil, 0)
  }),

  "The back-off doubles from one second to ten minutes for every process, and ends with a delivery": Effect
    .fnUntraced(function*(device) {
      const outbox = yield* filled(device)
      yield* TestClock.setTime(2_000_000)
      const waits: Array<number> = []
      for (let n = 0; n < 12; n++) {
        yield* (yield* device).backOff(`status ${500 + n}`)
        waits.push((yield* outbox.backedOffUntil) - 2_000_000)
      }
      const seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
      Assert.deepEqual(waits, seconds.map((second) => second * 1_000))
      Assert.equal((yield* outbox.status).lastFailure, "status 511")
      yield* outbox.delivered(yield* outbox.entries)
      Assert.deepEqual([yield* outbox.backedOffUntil, (yield* outbox.status).lastFailure], [0, undefined])
      yield* outbox.backOff("status 503")
      Assert.equal(yield* outbox.backedOffUntil, 2_001_000)
    })
}

/**
 * Declares the tests of an outbox.
 *
 * **Details**
 *
 * The effect makes a device with an empty outbox, once for each test; each build of its layer is a process on that device.
 * The outbox takes the time from `Clock`. Its bounds, and the aliases of claims, are left to the tests of a host's own.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (
  name: string,
  device: Effect.Effect<Layer.Layer<Outbox>, unknown, Scope.Scope>,
  runner: Contract.Runner
): void => Contract.declare(name, runner, Effect.map(device, (layer) => Contract.start(Outbox, layer)), rules)
