import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import * as Message from "../../src/domain/Message.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as FileClaims from "../../src/layers/FileClaims.ts"
import * as FileOutbox from "../../src/layers/FileOutbox.ts"
import * as FixedConsent from "../../src/layers/FixedConsent.ts"
import * as StateFiles from "../../src/layers/StateFiles.ts"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"
import { Claims } from "../../src/services/Claims.ts"
import { type Entry, Outbox } from "../../src/services/Outbox.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import { anon, claimOf, denied, errno, interposed, P } from "../fixtures/Device.ts"
import { aliasOf, event } from "../worker/RealWorker.ts"

const destinationId = "0123456789abcdef"
const second = 1_000
const day = 24 * 60 * 60 * second

interface Options {
  readonly fileSystem?: Layer.Layer<FileSystem.FileSystem>
  readonly consent?: ReturnType<typeof FixedConsent.layer>
  readonly destinationId?: string
  readonly bounds?: UsageSettings["Service"]["bounds"]
}

const device = Effect.gen(function*() {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Fs.realpathSync(Os.tmpdir()), "outbox-test-"))),
    (home) => Effect.sync(() => Fs.rmSync(home, { recursive: true, force: true }))
  )
  const root = Path.join(home, "usage/outbox", destinationId)
  /** What one process has: an outbox, and the claims beside it. */
  const open = Effect.fnUntraced(function*(options: Options = {}) {
    const settings = UsageSettings.of({
      name: "acme",
      version: "1.2.3",
      variables: "ACME",
      home: StateHome.make(Path, home),
      destination: { host: "http://127.0.0.1:1", key: "phc_test" },
      destinationId: options.destinationId ?? destinationId,
      codec: arcade,
      bounds: options.bounds
    })
    const layer = FileOutbox.layer.pipe(
      Layer.provideMerge(FileClaims.layer),
      Layer.provide(StateFiles.layer),
      Layer.provide([
        Layer.succeed(UsageSettings, settings),
        options.consent ?? FixedConsent.layer(),
        options.fileSystem ?? SyncNodeFileSystem.layer,
        NodePath.layer
      ])
    )
    const context = yield* Layer.build(Layer.fresh(layer))
    return { outbox: Context.get(context, Outbox), claims: Context.get(context, Claims) }
  })
  const names = (folder: string) => {
    const path = Path.join(root, folder)
    return Fs.existsSync(path) ? Fs.readdirSync(path).toSorted() : []
  }
  return { home, root, open, names }
})

const uuids = (entries: ReadonlyArray<Entry>) => entries.map(({ message }) => message.uuid)

const owed = (n: number, anonId: typeof anon.a, destination = destinationId) =>
  claimOf(anonId, P, { destination, alias: aliasOf(n, anonId, P) })

const of = (invocation: string, n: number, sequence = 0) => {
  const message = event(n)
  return { ...message, properties: { ...message.properties, invocation_id: invocation, sequence } }
}

/** A message of about so many bytes. */
const sized = (n: number, bytes: number) => event(n, { event: "x".repeat(bytes - 500) })

describe("FileOutbox", () => {
  describe("a message that was added", () => {
    it.effect("is a file of its own, for its user only, with nothing beside it", () =>
      Effect.gen(function*() {
        const { home, names, open, root } = yield* device
        const { outbox } = yield* open()
        assert.isTrue(yield* outbox.add(event(1)))
        const [name = ""] = names("events")
        assert.deepStrictEqual(names("events"), [name])
        assert.strictEqual(Fs.readFileSync(Path.join(root, "events", name), "utf8"), Message.encode(event(1)))
        for (const entry of Fs.readdirSync(home, { recursive: true, withFileTypes: true })) {
          const mode = Fs.statSync(Path.join(entry.parentPath, entry.name)).mode & 0o777
          assert.strictEqual(mode, entry.isDirectory() ? 0o700 : 0o600, entry.name)
        }
        assert.deepStrictEqual(Fs.readdirSync(Path.join(home, "usage/tmp")), [])
      }))

    it.effect("waits behind those added before it: by time, and within one time by sequence", () =>
      Effect.gen(function*() {
        const { open } = yield* device
        const { outbox } = yield* open()
        yield* TestClock.setTime(5 * second)
        yield* outbox.add(of("b", 2, 10))
        yield* outbox.add(of("b", 1, 9))
        yield* TestClock.setTime(70 * second)
        yield* outbox.add(event(4))
        yield* TestClock.setTime(6 * second)
        yield* outbox.add(event(3))
        assert.deepStrictEqual(uuids(yield* outbox.entries), [1, 2, 3, 4].map((n) => event(n).uuid))
      }))

    it.effect("is found by its command until it is delivered", () =>
      Effect.gen(function*() {
        const { open } = yield* device
        const { outbox } = yield* open()
        const [mine, other] = [event(1), event(2)]
        const invocation = String(mine.properties["invocation_id"])
        assert.isFalse(yield* outbox.has(invocation))
        yield* outbox.add(mine)
        yield* outbox.add(other)
        assert.isTrue(yield* outbox.has(invocation))
        const entries = yield* outbox.entries
        yield* outbox.delivered(entries.filter(({ message }) => message.uuid === mine.uuid))
        assert.isFalse(yield* outbox.has(invocation))
        assert.isTrue(yield* outbox.has(String(other.properties["invocation_id"])))
      }))

    it.effect("is whole or not there, wherever its writer is stopped", () =>
      Effect.gen(function*() {
        for (let last = 0; last < 20; last++) {
          const { names, open } = yield* device
          let calls = 0
          const fileSystem = interposed(({ method, path }) =>
            Effect.suspend(() => ++calls > last ? Effect.fail(errno("EIO", method, path)) : Effect.void)
          )
          const { outbox } = yield* open({ fileSystem })
          const kept = yield* outbox.add(event(1))
          const reader = yield* open()
          const found = uuids(yield* reader.outbox.entries)
          assert.deepStrictEqual(found, names("events").length === 0 ? [] : [event(1).uuid], `stopped after ${last}`)
          // What it says is there is there. What it says is not may be: it was stopped after the last step.
          if (kept) assert.lengthOf(found, 1, `stopped after ${last}`)
        }
      }))

    it.effect("is not kept, and no folder made, where consent is denied", () =>
      Effect.gen(function*() {
        const { home, open } = yield* device
        const { outbox } = yield* open({ consent: FixedConsent.layer(denied) })
        assert.isFalse(yield* outbox.add(event(1)))
        yield* outbox.backOff("status 503")
        yield* outbox.delivered([{ _tag: "Event", name: "x.json", message: event(1) }])
        yield* outbox.setAside({ _tag: "Event", name: "x.json", message: event(1) })
        assert.deepStrictEqual(Fs.readdirSync(home), [])
      }))

    it.effect("waits for its own destination only", () =>
      Effect.gen(function*() {
        const { open } = yield* device
        const [here, there] = [yield* open(), yield* open({ destinationId: "fedcba9876543210" })]
        yield* here.outbox.add(event(1))
        yield* here.claims.publish(owed(2, anon.a))
        assert.isTrue(yield* there.outbox.isEmpty)
        assert.deepStrictEqual(yield* there.outbox.entries, [])
        assert.isFalse(yield* here.outbox.isEmpty)
      }))
  })

  describe("an alias", () => {
    it.effect("waits before every event, until its claim says that it was delivered or refused", () =>
      Effect.gen(function*() {
        const { open } = yield* device
        const { claims, outbox } = yield* open()
        yield* outbox.add(event(1))
        yield* claims.publish(owed(2, anon.a))
        yield* claims.publish(owed(3, anon.b))
        yield* claims.publish(claimOf(anon.c, P))
        const entries = yield* outbox.entries
        const [first, next] = entries
        assert.deepStrictEqual(uuids(entries).toSorted(), [1, 2, 3].map((n) => event(n).uuid))
        assert.deepStrictEqual(entries.map(({ _tag }) => _tag), ["Alias", "Alias", "Event"])
        if (first === undefined || next === undefined) return
        yield* outbox.delivered([first])
        yield* outbox.setAside(next)
        assert.deepStrictEqual(uuids(yield* outbox.entries), [event(1).uuid])
        assert.strictEqual((yield* outbox.status).setAside, 1)
      }))

    it.effect("that is claimed while somebody looks is never missing before its event", () =>
      Effect.gen(function*() {
        const { home, open } = yield* device
        const host = yield* open()
        yield* host.outbox.add(event(1))
        // Whatever is looked at first: right after it, a host claims and records.
        let looks = 0
        const claims = Path.join(home, "usage/claims")
        const events = Path.join(home, "usage/outbox", destinationId, "events")
        const fileSystem = interposed(({ method, path }) =>
          Effect.gen(function*() {
            if (method !== "readDirectory" || (path !== claims && path !== events) || ++looks !== 2) return
            yield* host.claims.publish(owed(2, anon.a))
            yield* host.outbox.add(event(3))
          })
        )
        const worker = yield* open({ fileSystem })
        const seen = uuids(yield* worker.outbox.entries)
        assert.strictEqual(looks, 2)
        assert.isFalse(seen.includes(event(3).uuid) && !seen.includes(event(2).uuid))
        assert.deepStrictEqual(uuids(yield* worker.outbox.entries), [2, 1, 3].map((n) => event(n).uuid))
      }))

    it.effect("has no age and takes no room", () =>
      Effect.gen(function*() {
        const { names, open } = yield* device
        const { claims, outbox } = yield* open()
        yield* claims.publish(owed(0, anon.a))
        yield* TestClock.adjust(365 * day)
        for (let n = 1; n <= 1_000; n++) yield* outbox.add(event(n))
        const later = yield* open()
        yield* later.outbox.add(event(1_001))
        assert.lengthOf(names("events"), 1_000)
        assert.strictEqual(uuids(yield* later.outbox.entries)[0], event(0).uuid)
      }))
  })

  describe("its bounds", () => {
    it.effect("are 1,000 messages: the oldest go", () =>
      Effect.gen(function*() {
        const { names, open } = yield* device
        const { outbox } = yield* open()
        let most = 0
        for (let n = 0; n < 1_120; n++) {
          yield* TestClock.adjust(1)
          yield* outbox.add(event(n))
          if (n > 900) most = Math.max(most, names("events").length)
        }
        // A process looks at the folder now and then only.
        assert.isBelow(most, 1_050)
        const next = yield* open()
        yield* TestClock.adjust(1)
        yield* next.outbox.add(event(1_120))
        const left = uuids(yield* next.outbox.entries)
        assert.deepStrictEqual(left, Array.from({ length: 1_000 }, (_, n) => event(n + 121).uuid))
      }))

    it.effect("are an author's own at each message", () =>
      Effect.gen(function*() {
        const { names, open } = yield* device
        const { outbox } = yield* open({ bounds: { messages: 10 } })
        for (let n = 0; n < 30; n++) {
          yield* TestClock.adjust(1)
          yield* outbox.add(event(n))
          assert.isAtMost(names("events").length, 10)
        }
        assert.deepStrictEqual(uuids(yield* outbox.entries), Array.from({ length: 10 }, (_, n) => event(n + 20).uuid))
      }))

    it.effect("are 1 MiB: the oldest go", () =>
      Effect.gen(function*() {
        const { names, open, root } = yield* device
        const { outbox } = yield* open()
        const size = () =>
          names("events").reduce((sum, name) => sum + Fs.statSync(Path.join(root, "events", name)).size, 0)
        let most = 0
        for (let n = 0; n < 40; n++) {
          yield* TestClock.adjust(1)
          yield* outbox.add(sized(n, 60_000))
          most = Math.max(most, size())
        }
        assert.isBelow(most, (1024 + 128) * 1024)
        const next = yield* open()
        yield* TestClock.adjust(1)
        yield* next.outbox.add(event(40))
        assert.isAtMost(size(), 1024 * 1024)
        assert.isAbove(size(), (1024 - 64) * 1024)
        const left = uuids(yield* next.outbox.entries)
        assert.deepStrictEqual(left, Array.from({ length: left.length }, (_, n) => event(41 - left.length + n).uuid))
      }))

    it.effect("are seven days, and none for a message of the future: the clock was set back", () =>
      Effect.gen(function*() {
        const { open } = yield* device
        const add = Effect.fnUntraced(function*(n: number) {
          const { outbox } = yield* open()
          yield* outbox.add(event(n))
          return uuids(yield* outbox.entries)
        })
        yield* TestClock.setTime(100 * day)
        yield* add(1)
        yield* TestClock.adjust(second)
        yield* add(2)
        yield* TestClock.adjust(7 * day - second)
        assert.deepStrictEqual(yield* add(3), [1, 2, 3].map((n) => event(n).uuid))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* add(4), [2, 3, 4].map((n) => event(n).uuid))
        yield* TestClock.setTime(50 * day)
        assert.deepStrictEqual(yield* add(5), [5, 2, 3, 4].map((n) => event(n).uuid))
      }))

    it.effect("are 1,000 messages of what was set aside too, of any age", () =>
      Effect.gen(function*() {
        const { names, open } = yield* device
        const { outbox } = yield* open()
        const refuse = Effect.fnUntraced(function*(n: number) {
          yield* outbox.add(event(n))
          yield* Effect.forEach(yield* outbox.entries, (entry) => outbox.setAside(entry))
        })
        yield* refuse(0)
        yield* TestClock.adjust(30 * day)
        yield* refuse(1)
        assert.strictEqual(names("set-aside").length, 2)
        for (let n = 2; n < 1_002; n++) yield* refuse(n)
        assert.strictEqual(names("set-aside").length, 1_000)
        assert.include(names("set-aside")[0], event(2).uuid)
        assert.deepStrictEqual(names("events"), [])
      }))
  })

  describe("its status", () => {
    it.effect("counts what waits and what was set aside, and says when PostHog last took something", () =>
      Effect.gen(function*() {
        const { home, open, root } = yield* device
        const { claims, outbox } = yield* open()
        assert.deepStrictEqual(yield* outbox.status, { pending: 0, setAside: 0, lastDelivery: undefined })
        assert.deepStrictEqual(Fs.readdirSync(home), [])
        for (const n of [1, 2, 3]) yield* outbox.add(event(n))
        yield* claims.publish(owed(4, anon.a))
        yield* claims.publish(owed(5, anon.b, "another"))
        assert.strictEqual((yield* outbox.status).pending, 4)
        const [alias, first, next] = yield* outbox.entries
        if (alias === undefined || first === undefined || next === undefined) return assert.fail("entries are missing")
        yield* outbox.setAside(first)
        yield* TestClock.setTime(42 * second)
        yield* outbox.delivered([alias, next])
        assert.deepStrictEqual(yield* outbox.status, { pending: 1, setAside: 1, lastDelivery: 42 * second })
        Fs.writeFileSync(Path.join(root, "last-delivery.json"), "{\"at\":1e300}")
        assert.isUndefined((yield* outbox.status).lastDelivery)
        // A message that was set aside is kept as it was.
        const [name = ""] = Fs.readdirSync(Path.join(root, "set-aside"))
        assert.strictEqual(Fs.readFileSync(Path.join(root, "set-aside", name), "utf8"), Message.encode(event(1)))
      }))
  })

  describe("its back-off", () => {
    it.effect("doubles from one second to ten minutes, is seen by every process, and ends with a success", () =>
      Effect.gen(function*() {
        const { open } = yield* device
        const { outbox } = yield* open()
        yield* outbox.add(event(1))
        yield* TestClock.setTime(1_000 * second)
        assert.strictEqual(yield* outbox.backedOffUntil, 0)
        const waits: Array<number> = []
        for (let n = 0; n < 12; n++) {
          const process = yield* open()
          yield* process.outbox.backOff("status 503")
          const until = yield* outbox.backedOffUntil
          waits.push(until / second - 1_000)
        }
        assert.deepStrictEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600])
        yield* outbox.delivered(yield* outbox.entries)
        assert.strictEqual(yield* outbox.backedOffUntil, 0)
        yield* outbox.backOff("status 503")
        assert.strictEqual(yield* outbox.backedOffUntil, 1_001 * second)
      }))

    it.effect("is told with its reason until a success, and without one where an older version wrote it", () =>
      Effect.gen(function*() {
        const { open, root } = yield* device
        const { outbox } = yield* open()
        yield* outbox.add(event(1))
        yield* outbox.backOff("status 401")
        yield* outbox.backOff("no connection (ECONNREFUSED)")
        assert.strictEqual((yield* (yield* open()).outbox.status).lastFailure, "no connection (ECONNREFUSED)")
        yield* outbox.delivered(yield* outbox.entries)
        assert.notProperty(yield* outbox.status, "lastFailure")
        Fs.writeFileSync(Path.join(root, "back-off.json"), "{\"attempts\":1,\"until\":5}")
        assert.strictEqual(yield* outbox.backedOffUntil, 5)
        assert.notProperty(yield* outbox.status, "lastFailure")
      }))

    it.effect("does not outlast a clock that was set back, nor a file that cannot be read", () =>
      Effect.gen(function*() {
        const { open, root } = yield* device
        const { outbox } = yield* open()
        yield* TestClock.setTime(10 * day)
        for (let n = 0; n < 11; n++) yield* outbox.backOff("status 503")
        assert.strictEqual(yield* outbox.backedOffUntil, 10 * day + 600 * second)
        yield* TestClock.setTime(10 * day - 1)
        assert.strictEqual(yield* outbox.backedOffUntil, 0)
        yield* TestClock.setTime(10 * day)
        for (const text of ["", "{", "null", "{\"attempts\":1}", "{\"attempts\":1,\"until\":\"later\"}"]) {
          Fs.writeFileSync(Path.join(root, "back-off.json"), text)
          assert.strictEqual(yield* outbox.backedOffUntil, 0, text)
        }
        yield* outbox.backOff("status 503")
        assert.strictEqual(yield* outbox.backedOffUntil, 10 * day + second)
      }))
  })

  it.effect("takes from any number of writers, and gives each message once, whole, to whoever empties it", () =>
    Effect.gen(function*() {
      const { names, open } = yield* device
      const fileSystem = interposed(() => Effect.yieldNow)
      const taken: Array<string> = []
      const writers = Array.from({ length: 12 }, (_, writer) => writer)
      const write = (writer: number) =>
        Effect.gen(function*() {
          const { outbox } = yield* open({ fileSystem })
          for (let n = 0; n < 20; n++) assert.isTrue(yield* outbox.add(event(writer * 100 + n)))
        })
      const empty = Effect.gen(function*() {
        const { outbox } = yield* open({ fileSystem })
        while (taken.length < writers.length * 20) {
          const entries = yield* outbox.entries
          taken.push(...uuids(entries))
          yield* outbox.delivered(entries)
          yield* Effect.yieldNow
        }
      })
      yield* Effect.all([empty, ...writers.map(write)], { concurrency: "unbounded", discard: true })
      assert.deepStrictEqual(
        taken.toSorted(),
        writers.flatMap((writer) => Array.from({ length: 20 }, (_, n) => event(writer * 100 + n).uuid)).toSorted()
      )
      assert.deepStrictEqual([names("events"), names("set-aside")], [[], []])
    }))
})
