import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as FileWorkerLease from "../../src/layers/FileWorkerLease.ts"
import * as FixedConsent from "../../src/layers/FixedConsent.ts"
import * as StateFiles from "../../src/layers/StateFiles.ts"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import { WorkerLease } from "../../src/services/WorkerLease.ts"
import * as Device from "../fixtures/Device.ts"

const destinationId = "0123456789abcdef"
const life = 10_000

interface Options {
  readonly fileSystem?: Layer.Layer<FileSystem.FileSystem>
  readonly consent?: ReturnType<typeof FixedConsent.layer>
}

const device = Effect.gen(function*() {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Fs.realpathSync(Os.tmpdir()), "lease-test-"))),
    (home) => Effect.sync(() => Fs.rmSync(home, { recursive: true, force: true }))
  )
  const root = Path.join(home, "usage/outbox", destinationId)
  /** The lease as one process sees it. */
  const open = Effect.fnUntraced(function*(options: Options = {}) {
    const settings = UsageSettings.of({
      name: "acme",
      version: "1.2.3",
      variables: "ACME",
      home: StateHome.make(Path, home),
      destination: { host: "http://127.0.0.1:1", key: "phc_test" },
      destinationId,
      codec: arcade
    })
    const layer = FileWorkerLease.layer.pipe(
      Layer.provide(StateFiles.layer),
      Layer.provide([
        Layer.succeed(UsageSettings, settings),
        options.consent ?? FixedConsent.layer(),
        options.fileSystem ?? SyncNodeFileSystem.layer,
        NodePath.layer
      ])
    )
    return Context.get(yield* Layer.build(Layer.fresh(layer)), WorkerLease)
  })
  const write = (name: string, text: string) => {
    Fs.mkdirSync(root, { recursive: true, mode: 0o700 })
    Fs.writeFileSync(Path.join(root, name), text, { mode: 0o600 })
  }
  return { home, root, open, write, leases: () => Fs.existsSync(root) ? Fs.readdirSync(root).toSorted() : [] }
})

describe("FileWorkerLease", () => {
  it.effect("is held while a worker takes it over from its starter", () =>
    Effect.gen(function*() {
      const { open } = yield* device
      const starter = yield* open()
      const worker = yield* open()
      const { number } = (yield* starter.acquire(life)) ?? { number: 0 }
      let once = true
      // Between the look at the names and the one at the newest of them.
      const watcher = yield* open({
        fileSystem: Device.interposed(({ method, path }) =>
          Effect.gen(function*() {
            if (!once || method !== "lstat" || !path.endsWith(`lease-${number}`)) return
            once = false
            assert.isDefined(yield* worker.acquire(life, number))
          })
        )
      })
      assert.isTrue(yield* watcher.isHeld)
      assert.isFalse(once)
    }))

  it.effect("is held by the one who took it, until it is released", () =>
    Effect.gen(function*() {
      const { leases, open } = yield* device
      const [one, other] = [yield* open(), yield* open()]
      assert.isFalse(yield* one.isHeld)
      const held = yield* one.acquire(life)
      assert.isDefined(held)
      assert.isTrue(yield* other.isHeld)
      assert.isUndefined(yield* other.acquire(life))
      if (held !== undefined) yield* held.release
      assert.isFalse(yield* other.isHeld)
      assert.deepStrictEqual(leases(), [])
      assert.isDefined(yield* other.acquire(life))
    }))

  it.effect("is taken by one of any number that come at once, free or left by a dead worker", () =>
    Effect.gen(function*() {
      for (let seed = 0; seed < 40; seed++) {
        const { leases, open, write } = yield* device
        yield* TestClock.setTime(1_000_000)
        const isLeft = seed % 2 === 1
        if (isLeft) write("lease-7", JSON.stringify({ until: 999_999 }))
        // Each stands aside before each of its steps, for as long as chance will have it.
        const fileSystem = Device.interposed(() =>
          Effect.flatMap(Random.nextIntBetween(0, 6), (turns) => Effect.repeat(Effect.yieldNow, { times: turns }))
        )
        const taken = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => Effect.flatMap(open({ fileSystem }), (lease) => lease.acquire(life)),
          { concurrency: "unbounded" }
        ).pipe(Random.withSeed(seed))
        assert.lengthOf(taken.filter((held) => held !== undefined), 1, `seed ${seed}`)
        assert.deepStrictEqual(leases(), [isLeft ? "lease-8" : "lease-1"], `seed ${seed}`)
      }
    }))

  it.effect("of a dead worker ends by itself, ten seconds after it was taken at most", () =>
    Effect.gen(function*() {
      const { leases, open } = yield* device
      const [dead, next] = [yield* open(), yield* open()]
      yield* TestClock.setTime(1_000_000)
      yield* dead.acquire(60_000)
      yield* TestClock.adjust(life - 1)
      assert.isTrue(yield* next.isHeld)
      yield* TestClock.adjust(1)
      assert.isFalse(yield* next.isHeld)
      assert.isDefined(yield* next.acquire(life))
      assert.deepStrictEqual(leases(), ["lease-2"])
    }))

  it.effect("is not kept alive by a clock that was set back", () =>
    Effect.gen(function*() {
      const { open } = yield* device
      const [dead, next] = [yield* open(), yield* open()]
      yield* TestClock.setTime(1_000_000)
      yield* dead.acquire(life)
      yield* TestClock.setTime(999_999)
      assert.isFalse(yield* next.isHeld)
      assert.isDefined(yield* next.acquire(life))
    }))

  it.effect("is never taken away from another: not by who outlived an opt-out", () =>
    Effect.gen(function*() {
      const { leases, open, root } = yield* device
      const acquire = Effect.flatMap(open(), (lease) => lease.acquire(life))
      yield* TestClock.setTime(1_000_000)
      const early = yield* acquire
      Fs.rmSync(root, { recursive: true })
      yield* TestClock.adjust(1)
      const next = yield* acquire
      if (early === undefined || next === undefined) return assert.fail("the lease was not taken")
      assert.isFalse(yield* early.stands)
      yield* early.release
      assert.deepStrictEqual(leases(), ["lease-1"])
      assert.isTrue(yield* next.stands)
    }))

  it.effect("is never taken away from another: not by who was held up until its own had ended", () =>
    Effect.gen(function*() {
      const { leases, open } = yield* device
      const acquire = Effect.flatMap(open(), (lease) => lease.acquire(life))
      yield* TestClock.setTime(1_000_000)
      const late = yield* acquire
      yield* TestClock.adjust(life)
      const next = yield* acquire
      if (late === undefined || next === undefined) return assert.fail("the lease was not taken")
      yield* late.release
      assert.deepStrictEqual(leases(), ["lease-2"])
      // Released, the numbers begin anew, and with them the one that the late worker had.
      yield* next.release
      assert.isDefined(yield* acquire)
      assert.deepStrictEqual(leases(), ["lease-1"])
      yield* late.release
      assert.deepStrictEqual(leases(), ["lease-1"])
      assert.isTrue(yield* Effect.flatMap(open(), (lease) => lease.isHeld))
    }))

  it.effect("is never taken away from another: not by who releases it after its end, when others take it", () =>
    Effect.gen(function*() {
      const { leases, open } = yield* device
      const [other, third] = [yield* open(), yield* open()]
      // The numbers begin anew after the second, so the third's file has the name of the first's.
      const others = Effect.gen(function*() {
        yield* (yield* other.acquire(life))?.release ?? Effect.void
        yield* third.acquire(life)
      })
      let isReleasing = false
      let haveCome = false
      const late = yield* open({
        // Between the look at whose the file is, and its removal.
        fileSystem: Device.interposed(({ method, path }) => {
          if (!isReleasing || haveCome || method !== "remove" || !path.endsWith("lease-1")) return Effect.void
          haveCome = true
          return others
        })
      })
      yield* TestClock.setTime(1_000_000)
      const held = yield* late.acquire(life)
      yield* TestClock.adjust(life)
      isReleasing = true
      yield* held?.release ?? Effect.die("the lease was not taken")
      if (!haveCome) yield* others
      assert.deepStrictEqual(leases(), ["lease-1"])
    }))

  it.effect("is taken over by the worker for which it was taken, and by nobody else", () =>
    Effect.gen(function*() {
      const { leases, open } = yield* device
      const [starter, worker, other] = [yield* open(), yield* open(), yield* open()]
      const first = yield* starter.acquire(3_000)
      if (first === undefined) return assert.fail("the lease was not taken")
      assert.isUndefined(yield* other.acquire(life))
      assert.isUndefined(yield* other.acquire(life, first.number + 1))
      const own = yield* worker.acquire(life, first.number)
      assert.isDefined(own)
      assert.deepStrictEqual(leases(), ["lease-2"])
      // Who was started under it, but came too late, finds that another has it.
      assert.isUndefined(yield* other.acquire(life, first.number))
      yield* first.release
      assert.isTrue(yield* other.isHeld)
      if (own !== undefined) yield* own.release
      assert.deepStrictEqual(leases(), [])
    }))

  it.effect("that cannot be read is nobody's, and not in the way", () =>
    Effect.gen(function*() {
      const { open, root, write } = yield* device
      for (const text of ["", "{", "null", "{}", "{\"until\":\"later\"}", "{\"until\":1e999}"]) {
        write("lease-3", text)
        const lease = yield* open()
        assert.isFalse(yield* lease.isHeld, text)
        const held = yield* lease.acquire(life)
        assert.isDefined(held, text)
        if (held !== undefined) yield* held.release
      }
      for (const name of ["lease-", "lease-x", "lease--1", "lease-1.5", "lease-99999999999999999999", "least-9"]) {
        write(name, JSON.stringify({ until: 5_000 }))
      }
      Fs.mkdirSync(Path.join(root, "lease-4"))
      const lease = yield* open()
      assert.isFalse(yield* lease.isHeld)
      assert.isDefined(yield* lease.acquire(life))
      assert.isTrue(yield* lease.isHeld)
    }))

  it.effect("is not taken where consent is denied, and nothing is made", () =>
    Effect.gen(function*() {
      const { home, open } = yield* device
      const lease = yield* open({ consent: FixedConsent.layer(Device.denied) })
      assert.isUndefined(yield* lease.acquire(life))
      assert.deepStrictEqual(Fs.readdirSync(home), [])
    }))
})

describe("a lease that was taken", () => {
  it.effect("stands until it is released, deleted, or another has its number", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const acquire = (life: number) =>
        Effect.flatMap(WorkerLease, (lease) => lease.acquire(life)).pipe(
          Effect.provide(Layer.fresh(FileWorkerLease.layer).pipe(Layer.provideMerge(device.layer())))
        )
      const own = yield* acquire(10_000)
      assert.isTrue(yield* (own?.stands ?? Effect.succeed(false)))
      Fs.rmSync(device.at("usage/outbox"), { recursive: true })
      assert.isFalse(yield* (own?.stands ?? Effect.succeed(true)))
      yield* TestClock.adjust("1 second")
      const others = yield* acquire(10_000)
      assert.strictEqual(others?.number, own?.number)
      assert.isFalse(yield* (own?.stands ?? Effect.succeed(true)))
      assert.isTrue(yield* (others?.stands ?? Effect.succeed(false)))
      yield* (others?.release ?? Effect.void)
      assert.isFalse(yield* (others?.stands ?? Effect.succeed(true)))
    }))
})
