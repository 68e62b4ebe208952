import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Device from "../fixtures/Device.ts"

const { anon } = Device

const now = Date.parse("2026-01-01T00:00:00Z")

const device = Effect.andThen(TestClock.setTime(now), Device.make)

/** The session that a new command is in. */
const session = (device: Device.Device, options?: Device.ProcessOptions, anonId = anon.a) =>
  Effect.flatMap(device.start(options), ({ session }) => session.touch(anonId))

describe("a session", () => {
  it.effect("is a UUID, and the same for the commands of one sitting", () =>
    Effect.gen(function*() {
      const home = yield* device
      const first = yield* session(home)
      assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(yield* session(home), first)
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(yield* session(home), first)
    }))

  it.effect("ends after 30 minutes of silence", () =>
    Effect.gen(function*() {
      const home = yield* device
      const first = yield* session(home)
      yield* TestClock.adjust("30 minutes")
      const second = yield* session(home)
      assert.notStrictEqual(second, first)
      assert.strictEqual(yield* session(home), second)
    }))

  it.effect("goes on in a long command that keeps recording", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      const first = yield* process.session.touch(anon.a)
      for (let n = 0; n < 5; n++) {
        yield* TestClock.adjust("20 minutes")
        assert.strictEqual(yield* process.session.touch(anon.a), first)
      }
      yield* TestClock.adjust("20 minutes")
      assert.strictEqual(yield* session(home), first)
    }))

  it.effect("ends in a long command too", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      const first = yield* process.session.touch(anon.a)
      yield* TestClock.adjust("30 minutes")
      assert.notStrictEqual(yield* process.session.touch(anon.a), first)
    }))

  it.effect("ends with the anon id, in this process and for the next", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      const first = yield* process.session.touch(anon.a)
      const second = yield* process.session.touch(anon.b)
      assert.notStrictEqual(second, first)
      assert.strictEqual(yield* session(home, undefined, anon.b), second)
      assert.notInclude([first, second], yield* session(home, undefined, anon.a))
    }))

  it.effect("does not end because the clock was set back a little", () =>
    Effect.gen(function*() {
      const home = yield* device
      const first = yield* session(home)
      yield* TestClock.setTime(now - 10 * 60 * 1000)
      assert.strictEqual(yield* session(home), first)
      // Of its silence, the clock as it is now counts.
      yield* TestClock.adjust("30 minutes")
      assert.notStrictEqual(yield* session(home), first)
    }))

  it.effect("does not last until a clock that was far ahead is reached again", () =>
    Effect.gen(function*() {
      const home = yield* device
      const first = yield* session(home)
      yield* TestClock.setTime(now - 60 * 60 * 1000)
      assert.notStrictEqual(yield* session(home), first)
    }))

  it.effect("is not written by every command of a burst", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* session(home)
      const before = home.snapshot()
      yield* TestClock.adjust("59 seconds")
      yield* session(home)
      assert.deepStrictEqual(home.snapshot(), before)
      yield* TestClock.adjust("1 second")
      yield* session(home)
      assert.notDeepEqual(home.snapshot(), before)
    }))

  for (const text of ["", "{", "{ \"version\": 1 }"]) {
    it.effect(`begins anew where its file is not understood: ${JSON.stringify(text)}`, () =>
      Effect.gen(function*() {
        const home = yield* device
        yield* home.write("usage/session.json", text)
        assert.strictEqual(yield* session(home), yield* session(home))
      }))
  }

  for (const runtime of ["ci", "container"] as const) {
    it.effect(`lasts as long as its command where nothing is kept: ${runtime}`, () =>
      Effect.gen(function*() {
        const home = yield* device
        const process = yield* home.start({ runtime })
        const first = yield* process.session.touch(anon.a)
        assert.strictEqual(yield* process.session.touch(anon.a), first)
        assert.notStrictEqual(yield* session(home, { runtime }), first)
        assert.deepStrictEqual(home.tree(), [])
      }))
  }

  it.effect("lasts as long as its command on a full disk, and without consent", () =>
    Effect.gen(function*() {
      const home = yield* device
      for (const options of [{ fileSystem: Device.full }, { consent: Device.consentOf(Device.denied) }]) {
        const process = yield* home.start(options)
        assert.strictEqual(yield* process.session.touch(anon.a), yield* process.session.touch(anon.a))
        assert.deepStrictEqual(home.tree(), [])
      }
    }))
})
