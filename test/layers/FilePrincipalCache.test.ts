import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import type { Known } from "../../src/services/PrincipalCache.ts"
import * as Device from "../fixtures/Device.ts"

const { P, Q } = Device

const now = Date.parse("2026-01-01T00:00:00Z")
const principal = (principal: PrincipalId): Known => ({ _tag: "Principal", principal })

const device = Effect.andThen(TestClock.setTime(now), Device.make)

/** What another process knows of a credential. */
const recalled = (device: Device.Device, secret: string) =>
  Effect.flatMap(device.start(), ({ cache }) => cache.recall(Device.stored(secret)))

const document = (device: Device.Device) => JSON.parse(device.text("usage/credentials.json") ?? "null")

describe("what a credential resolved to", () => {
  it.effect("is unknown of a new one, and looking makes nothing", () =>
    Effect.gen(function*() {
      const home = yield* device
      assert.isUndefined(yield* recalled(home, "key"))
      assert.deepStrictEqual(home.tree(), [])
    }))

  it.effect("is remembered for the processes after it, of each credential on its own", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { cache } = yield* home.start()
      yield* cache.remember(Device.stored("one"), P)
      yield* cache.remember(Device.stored("two"), Q)
      assert.deepStrictEqual(yield* recalled(home, "one"), principal(P))
      assert.deepStrictEqual(yield* recalled(home, "two"), principal(Q))
      assert.isUndefined(yield* recalled(home, "three"))
    }))

  it.effect("does not grow old", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), P)
      yield* TestClock.adjust("365 days")
      assert.deepStrictEqual(yield* recalled(home, "key"), principal(P))
    }))

  it.effect("gives way to a newer answer", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { cache } = yield* home.start()
      yield* cache.remember(Device.stored("key"), P)
      yield* cache.remember(Device.stored("key"), Q)
      assert.deepStrictEqual(yield* recalled(home, "key"), principal(Q))
      assert.lengthOf(document(home).credentials, 1)
    }))

  it.effect("is not forgotten because nobody answered later", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { cache } = yield* home.start()
      yield* cache.remember(Device.stored("key"), P)
      yield* cache.remember(Device.stored("key"), undefined)
      assert.deepStrictEqual(yield* recalled(home, "key"), principal(P))
    }))

  it.effect("takes the place of no answer", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { cache } = yield* home.start()
      yield* cache.remember(Device.stored("key"), undefined)
      yield* cache.remember(Device.stored("key"), P)
      assert.deepStrictEqual(yield* recalled(home, "key"), principal(P))
    }))

  it.effect("is written once: a command that finds it changes nothing", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), P)
      const before = home.snapshot()
      yield* TestClock.adjust("1 hour")
      yield* (yield* home.start()).cache.remember(Device.stored("key"), P)
      assert.deepStrictEqual(home.snapshot(), before)
    }))

  it.effect("is bounded: the oldest is asked about again", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { cache } = yield* home.start()
      for (let n = 0; n <= 20; n++) yield* cache.remember(Device.stored(`key-${n}`), P)
      assert.isUndefined(yield* recalled(home, "key-0"))
      assert.deepStrictEqual(yield* recalled(home, "key-1"), principal(P))
      assert.deepStrictEqual(yield* recalled(home, "key-20"), principal(P))
    }))
})

describe("no answer", () => {
  it.effect("is remembered for an hour", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), undefined)
      assert.deepStrictEqual(yield* recalled(home, "key"), { _tag: "NoAnswer" })
      yield* TestClock.adjust("3599 seconds")
      assert.deepStrictEqual(yield* recalled(home, "key"), { _tag: "NoAnswer" })
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* recalled(home, "key"))
    }))

  it.effect("from the future, after a clock was set back, is not believed", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), undefined)
      yield* TestClock.setTime(now - 2 * 60 * 60 * 1000)
      assert.isUndefined(yield* recalled(home, "key"))
    }))

  it.effect("counts its hour from the last time", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), undefined)
      yield* TestClock.adjust("61 minutes")
      yield* (yield* home.start()).cache.remember(Device.stored("key"), undefined)
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(yield* recalled(home, "key"), { _tag: "NoAnswer" })
    }))
})

describe("on the disk", () => {
  it.effect("there is no credential, and not the same hash of it on two devices", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* device, yield* device]
      const secret = "a very secret key"
      for (const home of [one, two]) yield* (yield* home.start()).cache.remember(Device.stored(secret), P)
      assert.notInclude(Object.values(one.snapshot()).join(), secret)
      const fingerprints = [one, two].map((home) => document(home).credentials[0].fingerprint)
      assert.match(fingerprints[0], /^[0-9a-f]{64}$/)
      assert.notStrictEqual(fingerprints[0], fingerprints[1])
    }))

  it.effect.skipIf(process.platform === "win32")("it is the user's alone", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), P)
      assert.strictEqual(NFS.statSync(home.at("usage/credentials.json")).mode & 0o777, 0o600)
    }))

  for (const text of ["", "{", "[]", "{ \"version\": 2, \"salt\": \"x\", \"credentials\": [] }"]) {
    it.effect(`what is not understood is nothing known, and replaced: ${JSON.stringify(text)}`, () =>
      Effect.gen(function*() {
        const home = yield* device
        yield* home.write("usage/credentials.json", text)
        assert.isUndefined(yield* recalled(home, "key"))
        yield* (yield* home.start()).cache.remember(Device.stored("key"), P)
        assert.deepStrictEqual(yield* recalled(home, "key"), principal(P))
      }))
  }

  it.effect("an illegal principal is not believed", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).cache.remember(Device.stored("key"), P)
      const { credentials, ...rest } = document(home)
      yield* home.write(
        "usage/credentials.json",
        JSON.stringify({ ...rest, credentials: [{ ...credentials[0], principal_id: "undefined" }] })
      )
      assert.isUndefined(yield* recalled(home, "key"))
    }))

  for (const runtime of ["ci", "container"] as const) {
    it.effect(`nothing is kept where nothing lasts: ${runtime}`, () =>
      Effect.gen(function*() {
        const home = yield* device
        yield* (yield* home.start({ runtime })).cache.remember(Device.stored("key"), P)
        assert.deepStrictEqual(home.tree(), [])
      }))
  }

  it.effect("a full one is no failure", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start({ fileSystem: Device.full })).cache.remember(Device.stored("key"), P)
      assert.deepStrictEqual(home.tree(), [])
    }))

  it.effect("nothing is kept without consent", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start({ consent: Device.consentOf(Device.denied) })).cache.remember(Device.stored("key"), P)
      assert.deepStrictEqual(home.tree(), [])
    }))
})
