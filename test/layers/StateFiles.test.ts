import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Claim from "../../src/domain/Claim.ts"
import * as Device from "../fixtures/Device.ts"
import { event } from "../worker/RealWorker.ts"

describe("what a killed process left behind", () => {
  it.effect("is swept after an hour, and not while somebody may still be writing it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage/tmp/old", "half a fi")
      yield* device.write("usage/tmp/new", "half a fi")
      const now = Date.now()
      yield* TestClock.setTime(now)
      Fs.utimesSync(device.at("usage/tmp/old"), now / 1000 - 3700, now / 1000 - 3700)
      const { files } = yield* device.start()
      yield* files.sweep
      assert.deepStrictEqual(device.tree(), ["usage/tmp/new"])
    }))

  it.effect.skipIf(process.platform === "win32")(
    "is swept beside a link that leads nowhere",
    () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("usage/tmp/old", "half a fi")
        Fs.symlinkSync(device.at("missing"), device.at("usage/tmp/a-link"))
        const now = Date.now()
        yield* TestClock.setTime(now)
        Fs.utimesSync(device.at("usage/tmp/old"), now / 1000 - 3700, now / 1000 - 3700)
        yield* (yield* device.start()).files.sweep
        assert.deepStrictEqual(device.tree(), ["usage/tmp/a-link"])
      })
  )

  it.effect("and compiled code that was written 30 days ago", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage/compile-cache/v24/new", "code")
      yield* device.write("usage/compile-cache/v24/old", "code")
      const now = Date.now()
      yield* TestClock.setTime(now)
      const day = 24 * 60 * 60
      Fs.utimesSync(device.at("usage/compile-cache/v24/old"), now / 1000 - 31 * day, now / 1000 - 31 * day)
      Fs.utimesSync(device.at("usage/compile-cache/v24/new"), now / 1000 - 29 * day, now / 1000 - 29 * day)
      const { files } = yield* device.start()
      yield* files.sweep
      assert.deepStrictEqual(device.tree(), ["usage/compile-cache/v24/new"])
    }))

  for (const name of ["usage/tmp", "usage/compile-cache", "usage/compile-cache/v24"]) {
    it.effect.skipIf(process.platform === "win32")(
      `is not swept where a link leads elsewhere: ${name}`,
      () =>
        Effect.gen(function*() {
          const device = yield* Device.make
          yield* device.write("precious/v24/old", "mine")
          yield* device.write("precious/old", "mine")
          for (const file of ["precious/old", "precious/v24/old", "precious/v24"]) Fs.utimesSync(device.at(file), 1, 1)
          yield* device.write("usage/compile-cache/v22/new", "code")
          Fs.rmSync(device.at(name), { recursive: true, force: true })
          Fs.symlinkSync(device.at("precious"), device.at(name))
          const before = device.snapshot()
          yield* TestClock.setTime(Date.now())
          yield* (yield* device.start()).files.sweep
          assert.deepStrictEqual(device.snapshot(), before)
        })
    )
  }

  it.effect("is nothing on a new device, which stays as it is", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { files } = yield* device.start()
      yield* files.sweep
      assert.deepStrictEqual(device.tree(), [])
    }))
})

describe("a folder that is a link", () => {
  for (const name of ["usage/outbox", "usage/claims", "usage/tmp"]) {
    it.effect.skipIf(process.platform === "win32")(`is not written through: ${name}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(Device.anon.a)
        yield* device.write("precious/mine.json", "mine")
        Fs.mkdirSync(device.at("usage"), { recursive: true, mode: 0o700 })
        Fs.symlinkSync(device.at("precious"), device.at(name))
        const { claims, files, outbox } = yield* device.start()
        assert.deepStrictEqual(yield* claims.publish(Device.claimOf(Device.anon.a, Device.P)), {
          _tag: name === "usage/outbox" ? "Published" : "Unwritable"
        })
        assert.isFalse(name !== "usage/claims" && (yield* outbox.add(event(1))))
        yield* device.write("usage/ours.json", "ours")
        yield* Effect.ignore(files.move(device.at(`${name}/mine.json`), device.at("usage/moved")))
        yield* Effect.ignore(files.move(device.at("usage/ours.json"), device.at(`${name}/ours.json`)))
        assert.deepStrictEqual(device.tree().filter((file) => file.startsWith("precious")), ["precious/mine.json"])
      }))
  }
})

describe("a claim below a folder that is a link", () => {
  it.effect.skipIf(process.platform === "win32")("is not believed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(Device.anon.a)
      yield* device.write(
        `elsewhere/${Device.anon.a}.json`,
        Claim.encode(Device.claimOf(Device.anon.a, Device.P, { credential: "none" }))
      )
      Fs.mkdirSync(device.at("usage"), { recursive: true, mode: 0o700 })
      Fs.symlinkSync(device.at("elsewhere"), device.at("usage/claims"))
      const { claims } = yield* device.start()
      assert.deepStrictEqual(yield* claims.find(Device.anon.a), Claim.unreadable)
    }))
})

describe("a look at what waits", () => {
  it.effect("moves nothing out of the way where the user denied consent", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const folder = `usage/outbox/${device.settings.destinationId}/events`
      const name =
        "000000000000001-000000-11111111-1111-4111-8111-111111111111-22222222-2222-4222-8222-222222222222-9.json"
      yield* device.write(`${folder}/${name}`, "half a fi")
      const denied = yield* device.start({ consent: Device.consentOf(Device.denied) })
      const before = device.snapshot()
      assert.deepStrictEqual(yield* denied.outbox.entries, [])
      assert.deepStrictEqual(device.snapshot(), before)
      assert.deepStrictEqual(yield* (yield* device.start()).outbox.entries, [])
      assert.notDeepEqual(device.snapshot(), before)
    }))
})

describe("a home", () => {
  for (const written of ["<home>/", "<home>//", "<home>/../home", "<home>/./"]) {
    it.effect(`is the same however it is written: ${written}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const { files, store } = yield* device.start({ home: written.replace("<home>", device.home) })
        const { durable } = yield* store.get
        assert.isTrue(durable)
        assert.strictEqual(files.home.root, device.home)
        assert.deepStrictEqual(device.tree(), ["usage.json", "usage/tmp/"])
      }))
  }

  it.effect("has nothing that is not below it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { files } = yield* device.start()
      assert.isFalse(yield* files.makeFolder(Path.parse(device.home).root))
      assert.isFalse(yield* files.makeFolder(`${device.home}-too`))
    }))
})

describe("what is published while the user denies consent", () => {
  it.effect("is taken back also where the command is interrupted in that moment", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const reached = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      // The claim is there, its temp file not yet gone.
      const fileSystem = Device.interposed(({ method, path }) =>
        method === "remove" && path.includes("usage/tmp")
          ? Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(goOn))
          : Effect.void
      )
      const { claims } = yield* device.start({ consent: Device.environmentConsent(device), fileSystem })
      const claim = Device.claimOf(Device.anon.a, Device.P)
      const publishing = yield* Effect.forkChild(claims.publish(claim))
      yield* Deferred.await(reached)
      assert.include(device.tree(), `usage/claims/${Device.anon.a}.json`)
      yield* device.write("usage/opt-out", "")
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(publishing))
      yield* Effect.yieldNow
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(interrupting)
      assert.notInclude(device.tree(), `usage/claims/${Device.anon.a}.json`)
    }))
})
