/**
 * How workers find the messages that PostHog refuses, one worker after the other.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import { noAnswer } from "../../src/worker/Transport.ts"
import type * as Worker from "../../src/worker/Worker.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { event } from "../fixtures/Messages.ts"
import { test } from "../fixtures/Tests.ts"
import { setUp, taken, toEnd } from "./Setup.ts"

const uuidOf = (n: number): string => event(n).uuid

const isOneOf = (...numbers: ReadonlyArray<number>): (uuid: string) => boolean => {
  const uuids = new Set(numbers.map(uuidOf))
  return (uuid) => uuids.has(uuid)
}

const upTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => n)

interface Options {
  readonly count: number
  /** The time of each answer. */
  readonly millis: number
  /** Returns whether a message is malformed. */
  readonly isBad: (uuid: string) => boolean
  readonly answer?: Effect.Success<ReturnType<Worker.Send>>
  readonly disk?: Disk
}

/** A device where messages wait for a PostHog that answers slowly. */
const slowPostHog = Effect.fnUntraced(
  function*({ answer = { _tag: "Malformed" }, count, disk = NodeDisk.disk, isBad, millis }: Options) {
    const own = yield* setUp({ disk })
    const { outbox, work } = own
    for (const n of upTo(count)) own.write(n)
    const accepted: Array<string> = []
    let requests: Array<number> = []
    const send: Worker.Send = (messages) =>
      Effect.sync((): Effect.Success<ReturnType<Worker.Send>> => {
        requests.push(messages.length)
        if (messages.some(({ uuid }) => isBad(uuid))) return answer
        accepted.push(...messages.map(({ uuid }) => uuid))
        return taken
      }).pipe(Effect.delay(millis))

    /** Runs a worker and its successors; returns the sizes of the requests of each. */
    const chain = Effect.fnUntraced(function*() {
      const sizes: Array<ReadonlyArray<number>> = []
      for (let isNext = true; isNext && sizes.length < 100;) {
        isNext = false
        requests = []
        const startSuccessor = Effect.sync(() => {
          isNext = true
        })
        yield* toEnd(work({ send, startSuccessor }))
        sizes.push(requests)
      }
      return sizes
    })
    /** Runs chains as commands start them, each after the back-off, until nothing waits; returns their number. */
    const untilEmpty = Effect.fnUntraced(function*(most: number) {
      for (let chains = 0; chains < most; chains++) {
        if (yield* outbox.isEmpty) return chains
        yield* TestClock.adjust(Math.max(0, (yield* outbox.backedOffUntil) - (yield* Clock.currentTimeMillis)))
        yield* chain()
      }
      return most
    })
    return { ...own, accepted, chain, untilEmpty }
  }
)

describe("a slow PostHog that refuses messages", () => {
  for (const [what, answer] of [["malformed", { _tag: "Malformed" }], ["too large", { _tag: "TooLarge" }]] as const) {
    test(`A worker that has no time to find a message that is ${what} backs off, and has no successor`, function*() {
      const { chain, outbox } = yield* slowPostHog({ count: 42, isBad: isOneOf(0), millis: 950, answer })
      assert.deepStrictEqual(yield* chain(), [[42, 21, 11, 6, 3]])
      assert.isAbove(yield* outbox.backedOffUntil, yield* Clock.currentTimeMillis)
      assert.match((yield* outbox.status).lastFailure ?? "", /^PostHog refuses a batch/)
    })
  }

  test("A worker that found one malformed message, and has no time to find out about others, says so", function*() {
    const { chain, outbox } = yield* slowPostHog({ count: 4, isBad: isOneOf(0), millis: 1_600 })
    assert.deepStrictEqual(yield* chain(), [[4, 2, 1]])
    assert.match((yield* outbox.status).lastFailure ?? "", /^PostHog refuses a batch/)
  })

  test("The next worker continues the search with smaller batches, which grow while PostHog accepts them", function*() {
    const { accepted, chain, device, outbox } = yield* slowPostHog({ count: 42, isBad: isOneOf(0), millis: 950 })
    yield* chain()
    assert.deepStrictEqual(yield* chain(), [[2, 1, 1, 2, 4], [8, 16, 10]])
    assert.deepStrictEqual(accepted, upTo(42).slice(1).map(uuidOf))
    assert.isTrue(yield* outbox.isEmpty)
    assert.strictEqual((yield* outbox.status).setAside, 1)
    assert.isFalse(device.tree().some((name) => /(back-off|search)\.json$/.test(name)))
  })

  for (const millis of [0, 300, 950, 2_000, 4_000]) {
    test(`A malformed message is set aside and the others are delivered, with answers of ${millis} ms`, function*() {
      for (const bad of [0, 20, 41]) {
        const { accepted, outbox, untilEmpty, write } = yield* slowPostHog({ count: 42, isBad: isOneOf(bad), millis })
        yield* untilEmpty(9)
        assert.deepStrictEqual(accepted.toSorted(), upTo(42).filter((n) => n !== bad).map(uuidOf), `message ${bad}`)
        // If the search ends with the malformed message, then the next command shows that PostHog accepts others.
        if (!(yield* outbox.isEmpty)) write(100)
        yield* untilEmpty(1)
        assert.deepInclude(yield* outbox.status, { pending: 0, setAside: 1 }, `message ${bad}`)
      }
    })
  }

  test("A worker sends at last the events that PostHog refused alone, so that they delay no other", function*() {
    // No more than one answer in the life of a worker.
    const { accepted, outbox, untilEmpty } = yield* slowPostHog({ count: 12, isBad: isOneOf(0, 1, 2), millis: 4_600 })
    yield* untilEmpty(30)
    assert.deepStrictEqual(accepted, upTo(12).slice(3).map(uuidOf))
    assert.deepInclude(yield* outbox.status, { pending: 3, setAside: 0 })
  })

  test("Many malformed messages delay no other, and are set aside as soon as PostHog accepts another message", function*() {
    for (const bad of [upTo(9), upTo(14).map((n) => n * 3)]) {
      const own = yield* slowPostHog({ count: 42, isBad: isOneOf(...bad), millis: 950 })
      yield* own.untilEmpty(12)
      assert.deepStrictEqual(own.accepted.toSorted(), upTo(42).filter((n) => !bad.includes(n)).map(uuidOf))
      for (let n = 100; n < 100 + bad.length && !(yield* own.outbox.isEmpty); n++) {
        own.write(n)
        yield* own.untilEmpty(1)
      }
      assert.deepInclude(yield* own.outbox.status, { pending: 0, setAside: bad.length })
    }
  })

  test("A search whose file is not valid begins again", function*() {
    const { chain, device, outbox } = yield* slowPostHog({ count: 42, isBad: isOneOf(0), millis: 950 })
    const file = `usage/outbox/${device.settings.destinationId}/search.json`
    for (const text of ["", "{", "{}", "[]", `{"batch":0,"refused":[]}`, `{"batch":0.5,"refused":[]}`, `{"batch":1}`]) {
      yield* device.write(file, text)
      assert.strictEqual((yield* chain())[0]?.[0], 42, text)
    }
    yield* device.write(file, `{"batch":1e9,"refused":[1,"${uuidOf(41)}"]}`)
    assert.strictEqual((yield* chain())[0]?.[0], 41)
    assert.isAbove(yield* outbox.backedOffUntil, yield* Clock.currentTimeMillis)
  })

  test("A search that cannot be written begins again, and each worker backs off", function*() {
    const { chain, outbox } = yield* slowPostHog({
      count: 42,
      isBad: isOneOf(0),
      millis: 950,
      disk: FaultyDisk.refusing("any", "/search.json", "ENOSPC")
    })
    for (const millis of [1_000, 2_000]) {
      assert.deepStrictEqual(yield* chain(), [[42, 21, 11, 6, 3]])
      assert.closeTo((yield* outbox.backedOffUntil) - (yield* Clock.currentTimeMillis), millis, 100)
    }
  })

  test("Messages are kept if PostHog refuses all of them, and each worker backs off", function*() {
    const { chain, device, outbox } = yield* slowPostHog({ count: 42, isBad: () => true, millis: 950 })
    for (let workers = 0; workers < 12; workers++) {
      assert.lengthOf(yield* chain(), 1)
      const until = yield* outbox.backedOffUntil
      const left = until - (yield* Clock.currentTimeMillis)
      assert.closeTo(left, Math.min(1_000 * 2 ** workers, 600_000), 100)
      yield* TestClock.adjust("10 minutes")
    }
    assert.lengthOf(device.events(), 42)
    assert.strictEqual((yield* outbox.status).setAside, 0)
  })
})

describe("a back-off that cannot be written", () => {
  test("A worker has no successor while PostHog accepts nothing, also if the back-off cannot be written", function*() {
    const { chain, outbox } = yield* slowPostHog({
      count: 3,
      isBad: () => true,
      millis: 0,
      answer: { _tag: "Kept", reason: "status 503" },
      disk: FaultyDisk.refusing("any", "/back-off.json", "ENOSPC")
    })
    assert.deepStrictEqual(yield* chain(), [[3]])
    assert.strictEqual(yield* outbox.backedOffUntil, 0)
  })

  test("A folder in the place of the back-off is set aside, and the back-off is written", function*() {
    const { chain, device, outbox } = yield* slowPostHog({
      count: 3,
      isBad: () => true,
      millis: 0,
      answer: { _tag: "Kept", reason: "status 503" }
    })
    yield* device.write(`usage/outbox/${device.settings.destinationId}/back-off.json/file`, "")
    assert.deepStrictEqual(yield* chain(), [[3]])
    assert.strictEqual(yield* outbox.backedOffUntil, 1_000)
    assert.deepInclude(yield* outbox.status, { pending: 3, setAside: 1, lastFailure: "status 503" })
  })
})

test("A batch that gets no answer in time is half as large in the next worker", function*() {
  const { outbox, work, write } = yield* setUp()
  for (const n of upTo(8)) write(n)
  const sizes: Array<number> = []
  const send: Worker.Send = ({ length }) =>
    Effect.sync(() => {
      sizes.push(length)
      return length > 2 ? { _tag: "Kept", reason: noAnswer } : taken
    })
  while (!(yield* outbox.isEmpty) && sizes.length < 20) {
    yield* TestClock.adjust(Math.max(0, (yield* outbox.backedOffUntil) - (yield* Clock.currentTimeMillis)))
    yield* toEnd(work({ send }))
  }
  assert.deepStrictEqual(sizes, [8, 4, 2, 4, 2, 4, 2, 2])
})

for (const answer of [{ _tag: "Malformed" }, { _tag: "TooLarge" }] as const) {
  test(`A host that refuses every message, as a proxy may, sets none aside: ${answer._tag}`, function*() {
    const { outbox, untilEmpty, ...own } = yield* slowPostHog({ count: 5, isBad: () => true, millis: 0, answer })
    assert.strictEqual(yield* untilEmpty(3), 3)
    assert.deepInclude(yield* outbox.status, {
      pending: 5,
      setAside: 0,
      lastFailure: "PostHog refuses every message (status 400 or 413)"
    })
    assert.lengthOf(own.accepted, 0)
  })
}
