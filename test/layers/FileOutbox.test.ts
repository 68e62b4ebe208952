import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import * as Message from "../../src/domain/Message.ts"
import * as ClaimWriter from "../../src/layers/ClaimWriter.ts"
import * as OutboxWriter from "../../src/layers/OutboxWriter.ts"
import type { Entry, Outbox } from "../../src/services/Outbox.ts"
import { OutboxContract } from "../../src/testing/index.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { filesOf } from "../fixtures/Files.ts"
import { aliasOf, event, eventOf } from "../fixtures/Messages.ts"

const { anon, claimOf, denied, destinationId, P } = Device

const second = 1_000
const day = 24 * 60 * 60 * second
const root = `usage/outbox/${destinationId}`

const uuids = (entries: ReadonlyArray<Entry>) => entries.map(({ message }) => message.uuid)
const uuidsOf = (...numbers: ReadonlyArray<number>) => numbers.map((n) => event(n).uuid)
const range = (from: number, to: number) => uuidsOf(...Array.from({ length: to - from }, (_, n) => from + n))

interface Setup {
  readonly device: Device.Device
  /** The outbox of a new process. */
  readonly open: (options?: Device.ProcessOptions) => Effect.Effect<Outbox["Service"], never, Scope.Scope>
  /** Claims an anon id; its alias is the nth message. */
  readonly claim: (n: number, anonId: typeof anon.a, destination?: string) => void
  /** Removes the oldest messages beyond the bounds, as a process does before it starts a worker. */
  readonly trim: Effect.Effect<void>
  /** The names in a folder of the outbox. */
  readonly names: (folder: string) => ReadonlyArray<string>
}

const setup = Effect.map(Device.make, (device): Setup => ({
  device,
  open: (options) => Effect.map(device.start(options), ({ outbox }) => outbox),
  claim: (n, anonId, destination = destinationId) => {
    const claim = claimOf(anonId, P, { destination, alias: aliasOf(n, anonId, P) })
    assert.strictEqual(ClaimWriter.publish(filesOf(device), claim)._tag, "Published")
  },
  trim: Effect.map(Clock.currentTimeMillis, OutboxWriter.make(filesOf(device), device.settings).trim),
  names: (folder) => {
    const path = device.at(root, folder)
    return NFS.existsSync(path) ? NFS.readdirSync(path).toSorted() : []
  }
}))

const test = <E>(
  title: string,
  run: (setup: Setup) => Generator<Effect.Effect<unknown, E, Scope.Scope>, void, never>
) => it.effect(title, () => Effect.flatMap(setup, (setup) => Effect.gen(() => run(setup))))

OutboxContract.suite("FileOutbox", Effect.map(Device.make, ({ layer }) => layer()), { describe, it })

describe("files and order", () => {
  test("A message is a file of its own, with nothing beside it, for its user only", function*({ device, names, open }) {
    const outbox = yield* open()
    assert.isTrue(yield* outbox.add(event(1)))
    const [name = ""] = names("events")
    assert.deepStrictEqual(device.tree(), [`${root}/events/${name}`, "usage/tmp/"])
    assert.strictEqual(device.text(`${root}/events/${name}`), Message.encode(event(1)))
    for (const entry of NFS.readdirSync(device.home, { recursive: true, withFileTypes: true })) {
      const mode = NFS.statSync(`${entry.parentPath}/${entry.name}`).mode & 0o777
      assert.strictEqual(mode, entry.isDirectory() ? 0o700 : 0o600, entry.name)
    }
  })

  test("A message waits behind those added before it: by time, and within one time by sequence", function*({ open }) {
    const outbox = yield* open()
    const of = (n: number, sequence: number) => event(n, { properties: { invocation_id: "b", sequence } })
    yield* TestClock.setTime(5 * second)
    yield* outbox.add(of(2, 10))
    yield* outbox.add(of(1, 9))
    yield* TestClock.setTime(70 * second)
    yield* outbox.add(event(4))
    yield* TestClock.setTime(6 * second)
    yield* outbox.add(event(3))
    assert.deepStrictEqual(uuids(yield* outbox.entries), uuidsOf(1, 2, 3, 4))
  })

  test("A message is whole or absent, wherever its writer is stopped", function*() {
    let isOver = false
    for (let last = 0; !isOver; last++) {
      const { device, names, open } = yield* setup
      const { disk, hasStopped } = FaultyDisk.stoppingAt(last)
      const isKept = OutboxWriter.make(filesOf(device, { disk }), device.settings).add(event(1), 0)
      isOver = !hasStopped()
      const found = uuids(yield* (yield* open()).entries)
      assert.deepStrictEqual(found, names("events").length === 0 ? [] : uuidsOf(1), `stopped after ${last}`)
      // A message that is said to be kept is there. One that is not may be: the writer was stopped after the last step.
      if (isKept) assert.lengthOf(found, 1, `stopped after ${last}`)
      if (isOver) assert.isAbove(last, 4)
    }
  })

  test("A message is not kept without consent, and no folder is made", function*({ device, open }) {
    const outbox = yield* open({ consent: Device.consentOf(denied) })
    const entry: Entry = { _tag: "Event", name: "x.json", message: event(1) }
    assert.isFalse(yield* outbox.add(event(1)))
    yield* outbox.backOff("status 503")
    yield* outbox.delivered([entry])
    yield* outbox.setAside(entry)
    assert.deepStrictEqual(device.tree(), [])
  })

  test("A message or an alias waits for its own destination only", function*({ claim, open }) {
    const here = yield* open()
    const there = yield* open({ settings: { destinationId: "fedcba9876543210" } })
    yield* here.add(event(1))
    claim(2, anon.a)
    assert.deepStrictEqual([yield* there.isEmpty, yield* there.entries], [true, []])
    assert.isFalse(yield* here.isEmpty)
  })

  test("A message is delivered once and whole, with any number of processes that add messages", function*(given) {
    const { names, open } = given
    const writers = yield* Effect.all(Array.from({ length: 12 }, () => open()))
    // What they load is loaded before.
    yield* Effect.forEach(writers, (writer) => writer.isEmpty)
    let added = 0
    // Before each operation of the reader on its disk.
    const disk = FaultyDisk.interposed(() => {
      for (const writer of added < 240 ? writers : []) assert.isTrue(Effect.runSync(writer.add(event(added++))))
    })
    const reader = yield* open({ disk })
    const taken: Array<string> = []
    let entries = yield* reader.entries
    while (entries.length > 0) {
      taken.push(...uuids(entries))
      yield* reader.delivered(entries)
      entries = yield* reader.entries
    }
    assert.deepStrictEqual(taken.toSorted(), range(0, 240))
    assert.deepStrictEqual([names("events"), names("set-aside")], [[], []])
  })
})

describe("entries of claims", () => {
  test("An alias waits before every event, until it was delivered or refused", function*({ claim, device, open }) {
    const outbox = yield* open()
    yield* outbox.add(event(1))
    claim(2, anon.a)
    claim(3, anon.b)
    ClaimWriter.publish(filesOf(device), claimOf(anon.c, P))
    const entries = yield* outbox.entries
    assert.deepStrictEqual(entries.map(({ _tag }) => _tag), ["Alias", "Alias", "Event"])
    assert.deepStrictEqual(uuids(entries).toSorted(), uuidsOf(1, 2, 3))
    yield* outbox.delivered(entries.slice(0, 1))
    yield* Effect.forEach(entries.slice(1, 2), outbox.setAside)
    assert.deepStrictEqual(uuids(yield* outbox.entries), uuidsOf(1))
    assert.strictEqual((yield* outbox.status).setAside, 1)
  })

  test(
    "An entry of the claims that can never be read has no alias, and no event waits for it",
    function*({ claim, device, open }) {
      const outbox = yield* open()
      yield* outbox.add(eventOf(1, P))
      claim(2, anon.a)
      NFS.mkdirSync(device.at("usage/claims", `${anon.b}.json`))
      NFS.symlinkSync("elsewhere", device.at("usage/claims", `${anon.c}.json`))
      const { blocked, entries } = yield* outbox.look
      assert.deepStrictEqual([uuids(entries), blocked], [uuidsOf(2, 1), undefined])
    }
  )

  test("An alias is never missing before its event, whenever a command claims and records while a worker looks", function*() {
    let isOver = false
    for (let moment = 0; !isOver; moment++) {
      const { claim, open } = yield* setup
      const host = yield* open()
      yield* host.add(event(1))
      let calls = 0
      const { disk, hasActed } = FaultyDisk.before(() => calls++ === moment, () => {
        claim(2, anon.a)
        Effect.runSync(host.add(event(3)))
      })
      const worker = yield* open({ disk })
      const seen = uuids(yield* worker.entries)
      assert.isTrue(seen.includes(event(2).uuid) || !seen.includes(event(3).uuid), `before call ${moment}`)
      isOver = !hasActed()
      assert.deepStrictEqual(uuids(yield* host.entries), isOver ? uuidsOf(1) : uuidsOf(2, 1, 3))
      if (isOver) assert.isAbove(moment, 4)
    }
  })

  test("An alias has no age and takes no room", function*({ claim, names, open, trim }) {
    const outbox = yield* open()
    claim(0, anon.a)
    yield* TestClock.adjust(365 * day)
    for (let n = 1; n <= 1_000; n++) yield* outbox.add(event(n))
    const later = yield* open()
    yield* later.add(event(1_001))
    yield* trim
    assert.lengthOf(names("events"), 1_000)
    assert.deepStrictEqual(uuids(yield* later.entries).slice(0, 1), uuidsOf(0))
  })
})

describe("trimming", () => {
  const add = (outbox: Outbox["Service"], n: number, fields?: Partial<Message.Message>) =>
    Effect.andThen(TestClock.adjust(1), outbox.add(event(n, fields)))

  test(
    "The bounds of the outbox are 1,000 messages, of which the oldest go; a process looks at the folder now and then",
    function*({ names, open, trim }) {
      const outbox = yield* open()
      let most = 0
      for (let n = 0; n < 1_120; n++) {
        yield* add(outbox, n)
        if (n > 900) most = Math.max(most, names("events").length)
      }
      assert.isBelow(most, 1_050)
      yield* trim
      assert.deepStrictEqual(uuids(yield* outbox.entries), range(120, 1_120))
    }
  )

  test("The bounds that the author sets apply at each message", function*({ names, open }) {
    const outbox = yield* open({ settings: { bounds: { messages: 10 } } })
    for (let n = 0; n < 30; n++) {
      yield* add(outbox, n)
      assert.isAtMost(names("events").length, 10)
    }
    assert.deepStrictEqual(uuids(yield* outbox.entries), range(20, 30))
  })

  test("The bounds of the outbox are 1 MiB, of which the oldest go", function*({ device, names, open, trim }) {
    const outbox = yield* open()
    const size = () =>
      names("events").reduce((sum, name) => sum + NFS.statSync(device.at(root, "events", name)).size, 0)
    let most = 0
    for (let n = 0; n < 40; n++) {
      yield* add(outbox, n, { event: "x".repeat(60_000) })
      most = Math.max(most, size())
    }
    assert.isBelow(most, (1024 + 128) * 1024)
    yield* trim
    assert.isAtMost(size(), 1024 * 1024)
    assert.isAbove(size(), (1024 - 64) * 1024)
    const left = uuids(yield* outbox.entries)
    assert.deepStrictEqual(left, range(40 - left.length, 40))
  })

  test(
    "The bounds of the outbox are seven days, and none for a message of the future, after a clock was set back",
    function*({ open, trim }) {
      const outbox = yield* open()
      const added = (n: number) =>
        Effect.all([outbox.add(event(n)), trim, outbox.entries]).pipe(Effect.map(([, , all]) => uuids(all)))
      yield* TestClock.setTime(100 * day)
      yield* added(1)
      yield* TestClock.adjust(second)
      yield* added(2)
      yield* TestClock.adjust(7 * day - second)
      assert.deepStrictEqual(yield* added(3), uuidsOf(1, 2, 3))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* added(4), uuidsOf(2, 3, 4))
      yield* TestClock.setTime(50 * day)
      assert.deepStrictEqual(yield* added(5), uuidsOf(5, 2, 3, 4))
    }
  )

  test("The bounds of the outbox are 1,000 messages of any age for what was set aside", function*({ names, open }) {
    const outbox = yield* open()
    const refuse = (n: number) =>
      Effect.andThen(outbox.add(event(n)), Effect.flatMap(outbox.entries, Effect.forEach(outbox.setAside)))
    yield* refuse(0)
    yield* TestClock.adjust(30 * day)
    yield* refuse(1)
    assert.lengthOf(names("set-aside"), 2)
    for (let n = 2; n < 1_002; n++) yield* refuse(n)
    assert.lengthOf(names("set-aside"), 1_000)
    assert.include(names("set-aside")[0], event(2).uuid)
    assert.deepStrictEqual(names("events"), [])
  })
})

test(
  "The status creates no file, counts the aliases of its destination, and ignores an invalid time of delivery",
  function*({ claim, device, open }) {
    const { status } = yield* open()
    const destination = device.settings.destination?.host
    assert.deepStrictEqual(yield* status, { destination, pending: 0, setAside: 0, lastDelivery: undefined })
    assert.deepStrictEqual(device.tree(), [])
    claim(1, anon.a)
    claim(2, anon.b, "another")
    yield* device.write(`${root}/last-delivery.json`, "{\"at\":1e300}")
    assert.deepStrictEqual(yield* status, { destination, pending: 1, setAside: 0, lastDelivery: undefined })
  }
)

test("A message that is set aside is kept as it was", function*({ device, names, open }) {
  const outbox = yield* open()
  yield* outbox.add(event(1))
  yield* Effect.forEach(yield* outbox.entries, outbox.setAside)
  assert.strictEqual(device.text(`${root}/set-aside/${names("set-aside")[0]}`), Message.encode(event(1)))
})

test("A message that another process has removed is not set aside, and no folder is made", function*({ device, open }) {
  const outbox = yield* open()
  yield* outbox.add(event(1))
  const entries = yield* outbox.entries
  yield* outbox.remove(entries)
  const before = device.tree()
  yield* Effect.forEach(entries, outbox.setAside)
  assert.deepStrictEqual(device.tree(), before)
})

describe("Outbox.sent", () => {
  const sentBy = (outbox: Outbox["Service"]) => Effect.map(outbox.sent, (sent) => sent.map(({ uuid }) => uuid))
  const deliver = Effect.fnUntraced(function*(outbox: Outbox["Service"], ...numbers: ReadonlyArray<number>) {
    for (const n of numbers) yield* outbox.add(event(n))
    yield* outbox.delivered(yield* outbox.entries)
  })

  test(
    "The list of sent messages has each as it was sent, oldest first, with aliases and without refused messages",
    function*({ claim, names, open }) {
      const outbox = yield* open()
      assert.deepStrictEqual(yield* outbox.sent, [])
      claim(2, anon.a)
      claim(5, anon.b, "another destination")
      yield* outbox.add(event(4))
      yield* outbox.setAside((yield* outbox.entries)[1] ?? assert.fail())
      yield* deliver(outbox, 1, 3)
      claim(6, anon.c)
      const { sent } = yield* open()
      assert.deepStrictEqual(
        (yield* sent).map(Message.encode),
        [event(1), aliasOf(2, anon.a, P), event(3)].map(Message.encode)
      )
      assert.lengthOf(names("sent"), 2)
      assert.isEmpty(names("events"))
    }
  )

  test("The list of sent messages has those that PostHog dropped over a quota", function*({ open }) {
    const outbox = yield* open()
    yield* outbox.add(event(1))
    yield* outbox.remove(yield* outbox.entries)
    assert.deepStrictEqual(yield* sentBy(outbox), uuidsOf(1))
  })

  test("The list of sent messages keeps 100 messages for 7 days", function*({ claim, names, open }) {
    const outbox = yield* open()
    yield* deliver(outbox, ...Array.from({ length: 70 }, (_, n) => n))
    yield* TestClock.setTime(day)
    yield* deliver(outbox, ...Array.from({ length: 120 }, (_, n) => 70 + n))
    assert.deepStrictEqual(yield* sentBy(outbox), range(90, 190))
    assert.lengthOf(names("sent"), 100)
    claim(500, anon.a)
    yield* outbox.delivered(yield* outbox.entries)
    assert.deepStrictEqual(yield* sentBy(outbox), [...range(91, 190), ...uuidsOf(500)])
    // Nothing was delivered since, so it is still on disk.
    yield* TestClock.setTime(8 * day + 1)
    assert.deepStrictEqual(yield* sentBy(outbox), uuidsOf(500))
    yield* TestClock.setTime(1_750_000_000_500 + 7 * day + 1)
    assert.deepStrictEqual(yield* sentBy(outbox), [])
    yield* deliver(outbox, 200)
    assert.lengthOf(names("sent"), 1)
  })

  it.effect("A sent message leaves the outbox also when the list cannot keep it", () =>
    Effect.forEach(["EACCES", "ENOSPC", "EROFS", "ENOENT"], (code) =>
      Effect.gen(function*() {
        const { names, open } = yield* setup
        const outbox = yield* open({ disk: FaultyDisk.refusing("any", "/sent", code) })
        yield* deliver(outbox, 1, 2)
        assert.deepStrictEqual([yield* outbox.isEmpty, names("sent")], [true, []], code)
        assert.isDefined((yield* outbox.status).lastDelivery)
      }), { discard: true }))

  test("An outbox that cannot be listed now is not empty", function*({ open }) {
    yield* (yield* open()).add(event(1))
    const outbox = yield* open({ disk: FaultyDisk.refusing("list", "/events") })
    assert.isFalse(yield* outbox.isEmpty)
  })

  test("A sent message is in exactly one of the outbox and the list, wherever its worker is stopped", function*() {
    let isOver = false
    for (let last = 0; !isOver; last++) {
      const { open } = yield* setup
      const first = yield* open()
      for (const n of [1, 2, 3]) yield* first.add(event(n))
      const entries = yield* first.entries
      const { disk, hasStopped } = FaultyDisk.stoppingAt(last)
      yield* (yield* open({ disk })).delivered(entries)
      isOver = !hasStopped()
      const next = yield* open()
      const waiting = uuids(yield* next.entries)
      const sent = yield* sentBy(next)
      assert.deepStrictEqual([...sent, ...waiting], uuidsOf(1, 2, 3), `stopped after ${last}`)
      if (isOver) assert.isEmpty(waiting)
    }
  })

  test("The list of sent messages is gone after an opt-out, also with a worker that continues", function*(given) {
    const { device, open } = given
    const consent = Device.environmentConsent()
    const outbox = yield* open({ consent })
    yield* deliver(outbox, 1)
    yield* outbox.add(event(2))
    const entries = yield* outbox.entries
    const { consent: { deny } } = yield* device.start({ consent })
    yield* Effect.orDie(deny)
    yield* outbox.delivered(entries)
    assert.deepStrictEqual(yield* outbox.sent, [])
    assert.deepStrictEqual(device.tree(), ["usage/opt-out"])
  })
})

describe("Outbox.backOff", () => {
  test("The back-off does not outlast a clock that was set back, nor a file that is invalid", function*(given) {
    const { device, open } = given
    const outbox = yield* open()
    yield* TestClock.setTime(10 * day)
    for (let n = 0; n < 11; n++) yield* outbox.backOff("status 503")
    for (const now of [10 * day, 11 * day]) {
      yield* TestClock.setTime(now)
      assert.strictEqual(yield* outbox.backedOffUntil, 10 * day + 600 * second)
    }
    yield* TestClock.setTime(10 * day - 1)
    assert.strictEqual(yield* outbox.backedOffUntil, 0)
    yield* TestClock.setTime(10 * day)
    for (const text of ["", "{", "null", "{\"attempts\":1}", "{\"attempts\":1,\"until\":\"later\"}"]) {
      yield* device.write(`${root}/back-off.json`, text)
      assert.strictEqual(yield* outbox.backedOffUntil, 0, text)
    }
    yield* outbox.backOff("status 503")
    assert.strictEqual(yield* outbox.backedOffUntil, 10 * day + second)
  })
})
