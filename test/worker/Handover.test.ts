/**
 * How commands and workers hand over to each other, over one disk.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Message from "../../src/domain/Message.ts"
import * as Lease from "../../src/layers/Lease.ts"
import * as WorkerProcess from "../../src/layers/WorkerProcess.ts"
import type { Disk } from "../../src/services/Disk.ts"
import * as SearchFile from "../../src/worker/SearchFile.ts"
import * as Worker from "../../src/worker/Worker.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { filesOf, leaseText, machineOf } from "../fixtures/Files.ts"
import { event, eventOf } from "../fixtures/Messages.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually } from "../fixtures/Wait.ts"
import { Used } from "../stitch/Command.ts"
import { counter, counting, idle, processOf, type Runtime, setUp, taken, toEnd } from "./Setup.ts"

const isLease = (path: string): boolean => Path.basename(path).startsWith("lease-")

describe("lease handover", () => {
  // When a host does its step: before the worker gives up its lease, before the worker's last look at the outbox, or after
  // that look.
  const moments = ["the lease is given up", "the last look", "the end"] as const
  const orders = moments.flatMap((write, index) => moments.slice(index).map((ask) => [write, ask] as const))

  for (const [write, ask] of orders) {
    test(`No message is stranded where a host writes it before ${write}, and asks for the lease before ${ask}`, function*() {
      const device = yield* Device.make
      const host = yield* processOf(device)
      const context = yield* Effect.context()
      const started: Array<boolean> = []
      const at = (moment: typeof moments[number]) => {
        if (moment === write) assert.isTrue(host.write(1))
        if (moment === ask) started.push(Effect.runSyncWith(context)(host.start()))
      }
      let next = 0
      const reach = (moment: typeof moments[number]) => {
        if (moments[next] === moment) at(moments[next++] ?? moment)
      }
      Fs.mkdirSync(`${host.leases.folder}/events`, { recursive: true, mode: 0o700 })
      const worker = yield* processOf(device, {
        disk: FaultyDisk.interposed(({ operation, path }) => {
          if (operation === "remove" && isLease(path)) reach("the lease is given up")
          else if (operation === "list" && path.endsWith("/events")) reach("the last look")
        })
      })
      yield* worker.work({
        startSuccessor: Effect.gen(function*() {
          reach("the end")
          started.push(yield* worker.start())
        })
      })
      reach("the end")
      assert.strictEqual(next, moments.length)

      // One of the two got the lease for the next worker.
      assert.deepStrictEqual(started.filter((is) => is), [true])
      const { requests, send } = counting()
      assert.strictEqual(yield* worker.work({ send }), 1)
      assert.deepStrictEqual(requests.map((batch) => batch.map(({ uuid }) => uuid)), [[event(1).uuid]])
      assert.isTrue(yield* host.outbox.isEmpty)
    })
  }

  test("A burst of commands starts one worker, also if no command sees it alive", function*() {
    const { device, outbox, seen, work } = yield* setUp()
    const started: Array<boolean> = []
    for (let n = 0; n < 5; n++) {
      const command = yield* processOf(device)
      command.write(n)
      started.push(yield* command.start())
    }
    assert.deepStrictEqual(started, [true, false, false, false, false])
    assert.strictEqual(yield* work(), 5)
    assert.isTrue(yield* outbox.isEmpty)
    assert.strictEqual((yield* seen).number, 0)
  })

  test("A starter that was suspended finds its worker at work, and does not kill it", function*() {
    const { disk, hasActed } = FaultyDisk.before(FaultyDisk.on("link", "/lease-"), ({ path }) => {
      const temp = Path.join(Path.dirname(path), "../../tmp")
      const [name = ""] = Fs.readdirSync(temp)
      const { id } = JSON.parse(Fs.readFileSync(Path.join(temp, name), "utf8"))
      Fs.writeFileSync(path, leaseText({ until: 10_000, id }), { mode: 0o600 })
    })
    const { start } = yield* setUp({ disk })
    assert.deepStrictEqual([yield* start(), hasActed()], [true, true])
  })

  test("A starter whose lease is refused kills its worker, and says why", function*() {
    const disk = FaultyDisk.refusing(["link", "create"], "/lease-", "EDQUOT")
    const runtime = { ...idle, worker: ["-c", "sleep 600"] }
    const device = yield* Device.make
    const machine = machineOf(device, { runtime })
    const start = yield* Effect.provide(WorkerProcess.make(filesOf(device, { disk }), true), machine)
    const why = yield* Effect.flip(start({ lingers: false, isAwaited: true }))
    assert.strictEqual(why, "could not start a worker: no lease (EDQUOT)")
  })

  test("A worker that cannot be started at all leaves the lease to the next command", function*() {
    const { device, seen, start } = yield* setUp({ runtime: { ...idle, executable: "/no/such program" } })
    assert.isFalse(yield* start())
    assert.strictEqual((yield* seen).number, 0)
    assert.isTrue(yield* (yield* processOf(device)).start())
  })
})

describe("CaptureWorker.ensure", () => {
  /** A command that records one event; its end, and what a flush does before that. */
  const command = Effect.fnUntraced(function*(device: Device.Device, runtime: Runtime = idle) {
    const { capture, end, worker } = yield* device.start({ runtime, worker: "detached" })
    yield* capture.capture(Used, {})
    return { flush: worker.flush, end }
  })

  test("A command starts no worker while the outbox is backed off, and the next one starts it", function*() {
    const { device, lease, outbox } = yield* setUp()
    yield* outbox.backOff("status 503")
    yield* (yield* command(device)).end
    assert.strictEqual(lease(), 0)
    yield* TestClock.adjust("1 second")
    yield* (yield* command(device)).end
    assert.strictEqual(lease(), 1)
  })

  test("A command removes the oldest events of a large outbox while delivery is backed off", function*() {
    const { device, outbox } = yield* setUp()
    const folder = `usage/outbox/${device.settings.destinationId}/events/`
    const nameOf = (millis: number) => {
      const id = `00000000-0000-4000-8000-${String(millis).padStart(12, "0")}`
      return `${folder}${String(millis).padStart(15, "0")}-000000-${id}-${id}-2.json`
    }
    for (let millis = 0; millis < 1_005; millis += 1) yield* device.write(nameOf(millis), "{}")
    yield* TestClock.adjust("2 seconds")
    yield* outbox.backOff("status 503")
    yield* (yield* command(device)).end
    assert.deepStrictEqual(device.events().map(({ event }) => event), ["Used"])
    const names = device.tree().filter((name) => name.startsWith(folder) && name.endsWith(".json")).toSorted()
    assert.deepStrictEqual([names.length, names[0]], [1_000, nameOf(6)])
  })

  test("A command does not wait for a worker that its host was bundled without, nor does a flush", function*() {
    for (const ci of [undefined, "GitHub Actions"]) {
      const device = yield* Device.make
      const { end, flush } = yield* command(device, { ...idle, ci, worker: undefined })
      // The clock does not move: a wait would not end.
      assert.deepStrictEqual(yield* flush, { delivered: 0, kept: 1, reason: WorkerProcess.missing })
      yield* end
      assert.lengthOf(device.events(), 1)
    }
  })

  test("A defect of this module ends no command, and a flush still reports what is kept", function*() {
    const device = yield* Device.make
    const worker = {
      get: (): never => {
        throw new TypeError("a defect")
      }
    }
    const { end, flush } = yield* command(device, Object.defineProperties({ ...idle }, { worker }))
    assert.deepStrictEqual(yield* flush, { delivered: 0, kept: 1, reason: undefined })
    yield* end
    assert.lengthOf(device.events(), 1)
  })
})

describe("compile cache", () => {
  test("A worker keeps no compiled code where its folder is a link: code is not read from elsewhere", function*() {
    const device = yield* Device.make
    const provider = ConfigProvider.fromEnv({ env: { PATH: "/bin:/usr/bin" } })
    const cache = device.at("usage/compile-cache")
    const file = Path.join(device.home, "../environment")
    /** The folder for the code of a worker that keeps its environment. */
    const folder = Effect.gen(function*() {
      Fs.rmSync(file, { force: true })
      const keeps = ["-c", "env > \"$0.part\" && mv \"$0.part\" \"$0\"", file]
      const { start } = yield* processOf(device, { runtime: { ...idle, worker: keeps } })
      // The starter takes the lease for each of its workers.
      Fs.rmSync(device.at("usage/outbox"), { recursive: true, force: true })
      assert.isTrue(yield* start({ lingers: true }))
      yield* TestClock.withLive(eventually(Effect.sync(() => Fs.existsSync(file)), (is) => is))
      return /^NODE_COMPILE_CACHE=(.*)$/m.exec(Fs.readFileSync(file, "utf8"))?.[1]
    }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, provider))
    assert.strictEqual(yield* folder, cache)
    // Node.js would make it as the umask says.
    assert.strictEqual(Fs.statSync(cache).mode & 0o777, 0o700)
    Fs.rmSync(cache, { recursive: true })
    Fs.symlinkSync(Os.tmpdir(), cache)
    assert.isUndefined(yield* folder)
  })
})

describe("worker life cycle", () => {
  test("A worker lives no longer than its process, which may have begun before a home that is slow to answer", function*() {
    const { files, lease, leases, outbox, work, write } = yield* setUp()
    write(1)
    const ends: Array<number | undefined> = []
    const { count, counted } = counter()
    const { requests, send } = counting()
    yield* work({
      send,
      life: 4_000,
      startSuccessor: count,
      isAllowed: () => ends.push(files.decode(Lease.path(leases.folder, lease()), Lease.decode)?.until) > 0
    })
    assert.strictEqual(ends[0], 4_000)
    // A request may take 5 s.
    assert.isEmpty(requests)
    assert.isFalse(yield* outbox.isEmpty)
    // On a disk that stays so slow, successors would follow each other without end.
    assert.strictEqual(counted.times, 0)
    assert.strictEqual(yield* outbox.backedOffUntil, 1_000)
    assert.match((yield* outbox.status).lastFailure ?? "", /^a worker had no time for a request/)
  })

  test("A worker that was stopped by an opt-out does not back off the messages of a later opt-in", function*() {
    const { leases, outbox, work, write } = yield* setUp()
    write(1)
    const isAllowed = () => {
      for (const name of Fs.readdirSync(leases.folder).filter(isLease)) Fs.rmSync(Path.join(leases.folder, name))
      return true
    }
    yield* work({ life: 4_000, isAllowed })
    assert.isUndefined((yield* outbox.status).lastFailure)
  })

  test("A message that is recorded when a worker has no time left is sent by a successor, without a back-off", function*() {
    const { outbox, work, write } = yield* setUp()
    write(1)
    const { count, counted } = counter()
    const { requests, send } = counting(taken, 3_900)
    const worker = yield* Effect.forkChild(work({ send, lingers: true, startSuccessor: count }))
    yield* TestClock.adjust(4_450)
    write(2)
    while (worker.pollUnsafe() === undefined) yield* TestClock.adjust(100)
    assert.deepStrictEqual([requests.length, counted.times], [1, 1])
    assert.isUndefined((yield* outbox.status).lastFailure)
  })

  test("A worker has no successor for a message of a newer version", function*() {
    const { device, outbox, work } = yield* setUp()
    const newer = Message.encode(event(1)).replace("\"version\":1", "\"version\":2")
    yield* device.write(`usage/outbox/${Device.destinationId}/events/1.json`, newer)
    const { count, counted } = counter()
    yield* work({ startSuccessor: count })
    assert.deepStrictEqual([(yield* outbox.status).pending, counted.times], [1, 0])
  })

  /** A disk on which what was delivered stays. */
  const stuck = FaultyDisk.interposed(({ operation, path }) =>
    (operation === "remove" && path.includes("/events/")) || path.includes("/sent/") ? "EACCES" : undefined
  )
  const successors: ReadonlyArray<
    readonly [title: string, answer: Effect.Success<ReturnType<Worker.Send>>, disk?: Disk]
  > = [
    ["nothing waits", taken],
    ["what waits is backed off", { _tag: "Kept", reason: "down" }],
    ["what it delivered cannot be removed", taken, stuck],
    [
      "what PostHog refused cannot be set aside",
      { _tag: "TooLarge" },
      FaultyDisk.refusing("any", "/set-aside", "EACCES")
    ]
  ]
  for (const [title, answer, disk] of successors) {
    test(`A worker has no successor where ${title}, and sends nothing twice`, function*() {
      const { device, work, write } = yield* setUp(disk === undefined ? {} : { disk })
      write(1)
      const { count, counted } = counter()
      const { requests, send } = counting(answer)
      yield* toEnd(work({ send, lingers: true, startSuccessor: count }))
      assert.deepStrictEqual([requests.length, counted.times], [1, 0])
      assert.lengthOf(device.events(), title === "nothing waits" ? 0 : 1)
    })
  }

  test("A worker has no successor where its time is over, and what it sent cannot be removed", function*() {
    const { files, leases, work, write } = yield* setUp({ disk: stuck })
    for (const n of [1, 2]) write(n)
    SearchFile.make(files, leases.folder).write({ batch: 1, refused: [] })
    const { count, counted } = counter()
    const { requests, send } = counting(taken, 4_900)
    yield* toEnd(work({ send, startSuccessor: count }))
    assert.deepStrictEqual([requests.map(({ length }) => length), counted.times], [[1], 0])
  })

  for (const [what, operation] of [["a claim", "read"], ["their folder", "list"]] as const) {
    test(`A worker sends no event of an account while ${what} cannot be read, for its alias goes first`, function*() {
      const { device, outbox, work, write } = yield* setUp({ disk: FaultyDisk.refusing(operation, "/claims") })
      yield* device.seed(Device.anon.a, Device.claimOf(Device.anon.a, Device.P))
      write(1)
      yield* outbox.add(eventOf(2, Device.P))
      const { requests, send } = counting()
      assert.strictEqual(yield* work({ send }), 1)
      assert.deepStrictEqual(requests.flat().map(({ uuid }) => uuid), [event(1).uuid])
      assert.deepStrictEqual(device.events().map(({ uuid }) => uuid), [event(2).uuid])
      assert.match((yield* outbox.status).lastFailure ?? "", /^a claim cannot be read/)
    })
  }

  test("A worker that cannot list the outbox does not take it for an empty one", function*() {
    const { device, outbox, work, write } = yield* setUp({ disk: FaultyDisk.refusing("list", "/events") })
    write(1)
    const { requests, send } = counting()
    assert.strictEqual(yield* work({ send, lingers: true }), 0)
    assert.deepStrictEqual([requests, device.events().length], [[], 1])
    const unread = "the outbox cannot be read (EIO)"
    assert.deepInclude(yield* outbox.status, { pending: 0, lastFailure: unread, blocked: unread })
    assert.isTrue(yield* outbox.has("any"))
  })

  test("A worker has no successor where consent is withdrawn meanwhile, and sends nothing more", function*() {
    const { device, work, write } = yield* setUp()
    for (const n of [1, 2]) write(n)
    const { count, counted } = counter()
    let isAllowed = true
    let requests = 0
    const send: Worker.Send = () =>
      Effect.sync(() => {
        isAllowed = false
        requests++
        return { _tag: "TooLarge" }
      })
    yield* work({ send, startSuccessor: count, isAllowed: () => isAllowed })
    assert.deepStrictEqual([requests, counted.times, device.events().length], [1, 0, 2])
  })

  test.each(
    [
      ["for a second after a quick request", 0, 1_000],
      ["for no longer than it could still send, after a request that took nearly all of its time", 5_000, 5_000]
    ] as const
  )("A worker waits for more %s", function*([, millis, expected]) {
    const { work, write } = yield* setUp()
    write(1)
    const { send } = counting(taken, millis)
    yield* toEnd(work({ send, lingers: true }))
    assert.strictEqual(yield* Clock.currentTimeMillis, expected)
  })

  for (const [direction, millis] of [["forward", 3_600_000], ["back", -3_600_000]] as const) {
    test(`A worker ends after its second and releases its lease if the clock is set ${direction} meanwhile`, function*() {
      const clock = yield* Clock.Clock
      let change = 0
      const now = () => clock.currentTimeMillisUnsafe() + change
      const changed: Clock.Clock = { ...clock, currentTimeMillisUnsafe: now, currentTimeMillis: Effect.sync(now) }
      const { lease, work, write } = yield* setUp()
      write(1)
      const { send } = counting()
      const worker = yield* work({ send, lingers: true }).pipe(
        Effect.provideService(Clock.Clock, changed),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust(100)
      change = millis
      assert.isUndefined(worker.pollUnsafe())
      while (worker.pollUnsafe() === undefined) yield* TestClock.adjust(100)
      assert.deepStrictEqual([yield* Clock.currentTimeMillis, lease()], [1_000, 0])
    })
  }

  test("A worker sends nothing more of what it has read after its lease was deleted", function*() {
    const { device, lease, leases, work, write } = yield* setUp()
    for (const n of [1, 2]) write(n)
    let requests = 0
    const send: Worker.Send = () =>
      Effect.sync(() => {
        Fs.rmSync(Lease.path(leases.folder, lease()))
        requests++
        return { _tag: "TooLarge" }
      })
    yield* work({ send })
    assert.deepStrictEqual([requests, device.events().length], [1, 2])
  })

  test("A worker ends its wait after its lease was deleted", function*() {
    const { lease, leases, work, write } = yield* setUp()
    write(1)
    const worker = yield* Effect.forkChild(work({ lingers: true }), { startImmediately: true })
    Fs.rmSync(Lease.path(leases.folder, lease()))
    assert.strictEqual(lease(), 0)
    yield* TestClock.adjust(500)
    assert.isDefined(worker.pollUnsafe())
  })

  test("A worker ends at once and sends nothing while another holds the lease", function*() {
    const { device, leases, work, write } = yield* setUp()
    write(1)
    assert.isObject(Lease.acquire(leases, 0, Lease.longestMillis, { id: "another", boots: false, pid: 1 }))
    const { count, counted } = counter()
    const { requests, send } = counting()
    yield* work({ send, lingers: true, startSuccessor: count })
    assert.deepStrictEqual([requests.length, counted.times, device.events().length], [0, 0, 1])
  })

  for (const isStuck of [false, true]) {
    test(`A worker on a slow disk sends what it has read in a second; sent messages can be removed: ${!isStuck}`, function*() {
      const clock = yield* Clock.Clock
      let reads = 0n
      const disk = FaultyDisk.interposed(({ operation, path }) => {
        if (!path.includes("/events/") && !path.includes("/sent/")) return undefined
        if (operation === "read") reads += 1n
        return isStuck && ["rename", "remove"].includes(operation) ? "EACCES" : undefined
      })
      const monotonicTimeNanosUnsafe = () => clock.monotonicTimeNanosUnsafe() + reads * 300_000_000n
      const slow: Clock.Clock = {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe,
        monotonicTimeNanos: Effect.sync(monotonicTimeNanosUnsafe),
        sleep: (duration) => clock.sleep(duration)
      }
      yield* Effect.gen(function*() {
        const { device, outbox, work, write } = yield* setUp()
        for (let n = 0; n < 40; n++) write(n)
        const worker = yield* processOf(device, { disk })
        const { count, counted } = counter()
        const { requests, send } = counting()
        // A message that was refused before, and is not reached by this worker.
        const search = SearchFile.make(worker.files, worker.leases.folder)
        const refused = [event(39).uuid]
        search.write({ batch: 250, refused })
        yield* worker.work({ send, startSuccessor: count })
        assert.deepStrictEqual(search.read()?.refused, refused)
        const isBackedOff = (yield* outbox.backedOffUntil) > 0
        assert.deepStrictEqual(
          [requests.map(({ length }) => length), counted.times, (yield* outbox.entries).length, isBackedOff],
          isStuck ? [[4], 0, 40, true] : [[4, 4, 4], 1, 28, false]
        )
        // Without the delay of the disk, nothing is left.
        if (!isStuck) assert.strictEqual(yield* work(), 28)
      }).pipe(Effect.provideService(Clock.Clock, slow))
    })
  }
})
