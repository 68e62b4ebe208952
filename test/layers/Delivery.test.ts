import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import { given } from "../../src/domain/ConsentDecision.ts"
import * as Message from "../../src/domain/Message.ts"
import * as Delivery from "../../src/layers/Delivery.ts"
import * as EnvironmentConsent from "../../src/layers/EnvironmentConsent.ts"
import * as FileOutbox from "../../src/layers/FileOutbox.ts"
import type * as Lease from "../../src/layers/Lease.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import * as OutboxWriter from "../../src/layers/OutboxWriter.ts"
import * as WorkerProcess from "../../src/layers/WorkerProcess.ts"
import type { Obstacle } from "../../src/services/CaptureWorker.ts"
import type { Disk, Errno } from "../../src/services/Disk.ts"
import type { HostRuntime } from "../../src/services/HostRuntime.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { filesOf, leaseText, machineOf } from "../fixtures/Files.ts"
import { event } from "../fixtures/Messages.ts"
import { test } from "../fixtures/Tests.ts"
import { Used } from "../stitch/Command.ts"

const isWindows = process.platform === "win32"

interface Options {
  readonly disk?: Disk
  readonly deliveryWaitMillis?: number | undefined
  readonly runtime?: Partial<HostRuntime["Service"]>
  readonly start?: Effect.Effect<WorkerProcess.Started | undefined, string>
}

/** A command of a device where an event waits. */
const command = Effect.fnUntraced(
  function*({ deliveryWaitMillis, disk = NodeDisk.disk, runtime = {}, start = Effect.undefined }: Options = {}) {
    const device = yield* Device.make
    const files = filesOf(device, { disk })
    const machine = machineOf(device, { disk, runtime: { ...Device.persistent, ...runtime }, deliveryWaitMillis })
    const writer = OutboxWriter.make(files, device.settings)
    const outbox = yield* Effect.provide(FileOutbox.makeWith(files, writer), machine)
    writer.add(event(1), 0)
    const delivery = yield* Delivery.make({
      files,
      invocationId: String(event(1).properties["invocation_id"]),
      checks: EnvironmentConsent.fixed(given),
      start: () => start
    }).pipe(Effect.provideService(Outbox, outbox), Effect.provide(machine))
    return {
      ...delivery,
      device,
      outbox,
      leave: (lease: Partial<Lease.Lease>) =>
        device.write(`usage/outbox/${Device.destinationId}/lease-1`, leaseText(lease))
    }
  }
)

const accessTo = (code: (path: string) => Errno | undefined): Disk =>
  FaultyDisk.interposed(({ operation, path }) => operation === "access" ? code(path) : undefined)

describe("obstacles", () => {
  test("The list of obstacles to delivery is empty for a worker that runs and gets answers", function*() {
    const { leave, obstacles } = yield* command()
    assert.deepStrictEqual(yield* obstacles, [])
    yield* leave({ until: 5_000 })
    assert.deepStrictEqual(yield* obstacles, [])
    // It was suspended, and lives.
    yield* leave({ until: -1 })
    assert.deepStrictEqual(yield* obstacles, [])
  })

  test("The list of obstacles to delivery names all of them, the worst first", function*() {
    const { device, leave, obstacles, outbox } = yield* command({
      disk: accessTo((path) => path.endsWith("/home") ? "EROFS" : undefined),
      runtime: { isAlive: () => false, worker: undefined }
    })
    yield* outbox.backOff("status 503")
    yield* leave({ boots: true })
    const never =
      "the last worker did not begin: it was killed with its command, its file is missing, or the bundle's " +
      "entry does not import effect-cli-usage/worker/main"
    assert.deepStrictEqual(yield* obstacles, [
      { what: "no_worker", why: WorkerProcess.missing },
      { what: "home_not_writable", why: `${device.home} cannot be written to (EROFS)` },
      { what: "worker_never_began", why: never },
      { what: "backed_off", why: "status 503", until: 1_000 }
    ])
    yield* leave({ boots: false })
    assert.strictEqual((yield* obstacles)[2]?.what, "worker_ended")
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* obstacles).length, 3)
  })

  test("The list of obstacles ends with an identity file that cannot be read, which is no reason of a flush", function*() {
    const { device, flush, obstacles } = yield* command({ disk: FaultyDisk.refusing("read", "/usage.json") })
    const why = `${device.at("usage.json")} cannot be read (EIO)`
    assert.deepStrictEqual(yield* obstacles, [{ what: "identity_unreadable", why }])
    assert.isUndefined((yield* flush).reason)
  })

  test.skipIf(isWindows)(
    "The obstacles to delivery name a folder that is not used because others may write to it",
    function*() {
      const rows: ReadonlyArray<readonly [folder: string, what: Obstacle["what"]]> = [
        ["tmp", "home_not_writable"],
        ["outbox", "home_not_writable"],
        [`outbox/${Device.destinationId}/events`, "home_not_writable"],
        ["claims", "identity_unreadable"],
        ["successors", "identity_unreadable"]
      ]
      for (const [name, what] of rows) {
        const { device, obstacles } = yield* command()
        const folder = device.at("usage", name)
        NFS.mkdirSync(folder, { recursive: true, mode: 0o700 })
        assert.deepStrictEqual(yield* obstacles, [])
        NFS.chmodSync(folder, 0o720)
        assert.deepStrictEqual(yield* obstacles, [{
          what,
          why: `others may write to ${folder}; \`chmod go-w\` ends that`
        }])
      }
    }
  )

  test("The obstacles to delivery name an executable that is missing, and not one that cannot be looked at", function*() {
    const rows: ReadonlyArray<readonly [code: Errno, expected: ReadonlyArray<string>]> = [
      ["ENOENT", ["no_process"]],
      ["EACCES", []]
    ]
    for (const [code, expected] of rows) {
      const { obstacles } = yield* command({ disk: FaultyDisk.refusing("follow", "", code) })
      assert.deepStrictEqual((yield* obstacles).map(({ what }): string => what), expected)
    }
  })

  test("The obstacles to delivery include the folder above a home, and the folders in it", function*() {
    const above = yield* command({ disk: accessTo((path) => /home(\/|$)/.test(path) ? "ENOENT" : "EACCES") })
    const inside = yield* command({ disk: FaultyDisk.refusing("access", "/events", "EACCES") })
    const whys = Effect.map(above.obstacles, (all) => all.map(({ why }) => why))
    assert.deepStrictEqual(yield* whys, [`${above.device.at("..")} cannot be written to (EACCES)`])
    assert.strictEqual((yield* inside.obstacles)[0]?.what, "home_not_writable")
  })
})

describe("waitForDelivery", () => {
  test("A command does not wait for a worker that could not be started", function*() {
    const device = yield* Device.make
    const runtime = { ...Device.runtimes.ci, executable: device.at("missing"), worker: ["x"] }
    const { capture, end } = yield* device.start({ runtime, worker: "detached" })
    yield* capture.capture(Used, {})
    // Under the clock of the test, a wait would have no end.
    yield* end
    assert.lengthOf(device.events(), 1)
  })

  const running: WorkerProcess.Started = { lingers: false, ended: new Promise(() => {}) }

  test.each(
    [
      ["1 second", undefined, 1000],
      ["1 second, although its author wants more", 10_000, 1000],
      ["as long as its author wants", 300, 300]
    ] as const
  )("The wait for delivery takes at most %s", function*([, deliveryWaitMillis, expected]) {
    const { waitForDelivery } = yield* command({ deliveryWaitMillis })
    const waiting = yield* Effect.forkChild(waitForDelivery(running), { startImmediately: true })
    yield* TestClock.adjust(expected - 1)
    assert.isUndefined(waiting.pollUnsafe())
    yield* TestClock.adjust(1)
    assert.isDefined(waiting.pollUnsafe())
  })

  test("The wait for delivery ends with the worker that was started for it", function*() {
    const { device, waitForDelivery } = yield* command()
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const settled = yield* Effect.forkChild(waitForDelivery({ ...running, ended }), { startImmediately: true })
    assert.isUndefined(settled.pollUnsafe())
    resolve()
    // The clock does not move: no limit ends the wait.
    yield* Fiber.join(settled)
    assert.lengthOf(device.events(), 1)
  })

  for (const lingers of [false, true]) {
    test(
      `The wait for delivery ends with the delivery, and ${lingers ? "not with" : "with"} the lease of a worker that ${
        lingers ? "lingers" : "does not linger"
      }`,
      function*() {
        const { leave, outbox, waitForDelivery } = yield* command()
        yield* leave({ until: 10_000 })
        const waiting = yield* Effect.forkChild(waitForDelivery({ ...running, lingers }), { startImmediately: true })
        yield* outbox.delivered(yield* outbox.entries)
        yield* TestClock.adjust(50)
        assert.strictEqual(waiting.pollUnsafe() !== undefined, lingers)
      }
    )
  }
})

describe("flush", () => {
  test("A flush counts at least one kept message if the outbox cannot be listed", function*() {
    const { flush } = yield* command({ disk: FaultyDisk.refusing("list", "/events") })
    const flushing = yield* Effect.forkChild(flush, { startImmediately: true })
    yield* TestClock.adjust("1 minute")
    assert.deepInclude(yield* Fiber.join(flushing), { delivered: 0, kept: 1 })
  })

  test("A flush waits for a worker that is delivering, and then starts its own", function*() {
    let work: Effect.Effect<void> = Effect.void
    const { flush, leave, outbox } = yield* command({
      start: Effect.suspend(() => Effect.as(work, { lingers: false, ended: Promise.resolve() }))
    })
    work = Effect.flatMap(outbox.entries, outbox.delivered)
    yield* leave({ until: 5_000 })
    const flushing = yield* Effect.forkChild(flush, { startImmediately: true })
    yield* TestClock.adjust(4_999)
    assert.isFalse(yield* outbox.isEmpty)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* Fiber.join(flushing), { delivered: 1, kept: 0, reason: undefined })
  })

  test("A flush says that messages of a newer version are kept", function*() {
    const { device, flush, outbox } = yield* command()
    yield* outbox.delivered(yield* outbox.entries)
    const newer = Message.encode(event(2)).replace("\"version\":1", "\"version\":2")
    yield* device.write(`usage/outbox/${Device.destinationId}/events/2.json`, newer)
    assert.deepStrictEqual(yield* flush, {
      delivered: 0,
      kept: 1,
      reason: "no waiting file is a message of this version"
    })
  })

  test("A flush says why its worker could not be started", function*() {
    const reason = "could not start a worker: no lease (EDQUOT)"
    const { flush } = yield* command({ start: Effect.fail(reason) })
    assert.deepStrictEqual(yield* flush, { delivered: 0, kept: 1, reason })
  })

  test("A flush waits for its worker as long as a worker may live, also without a lease", function*() {
    const ended = Promise.withResolvers<void>()
    const { flush, outbox } = yield* command({ start: Effect.succeed({ lingers: false, ended: ended.promise }) })
    const flushing = yield* Effect.forkChild(flush, { startImmediately: true })
    yield* TestClock.adjust("10 seconds")
    assert.isUndefined(flushing.pollUnsafe())
    yield* outbox.delivered(yield* outbox.entries)
    ended.resolve()
    assert.deepStrictEqual(yield* Fiber.join(flushing), { delivered: 1, kept: 0, reason: undefined })
  })
})
