import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NFS from "node:fs"
import * as Lease from "../../src/layers/Lease.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { leasesOf, leaseText, type Options } from "../fixtures/Files.ts"

const name = `usage/outbox/${Device.destinationId}`
const life = 10_000
const now = 1_000_000

let workers = 0

/** A worker of its own, or one that is started. */
const holder = (fields: Partial<Lease.Holder> = {}): Lease.Holder => ({
  id: `worker ${++workers}`,
  boots: false,
  pid: 1,
  ...fields
})

interface ProcessOptions extends Options {
  readonly runtime?: Partial<Lease.Leases["runtime"]>
}

/** The lease of a device's outbox as any number of processes see it. */
const outbox = Effect.map(Device.make, (device) => {
  const folder = device.at(name)
  const process = ({ runtime, ...options }: ProcessOptions = {}) => {
    const leases = leasesOf(device, { ...options, runtime: { ...Device.persistent, ...runtime } })
    return {
      acquire: (at = now, lifeMillis = life, fields?: Partial<Lease.Holder>) =>
        Lease.acquire(leases, at, lifeMillis, holder(fields)),
      isHeld: (at = now) => Lease.inspect(leases, at).isHeld,
      isStale: (at = now) => Lease.inspect(leases, at).isStale
    }
  }
  return {
    device,
    folder,
    process,
    leases: () => NFS.existsSync(folder) ? NFS.readdirSync(folder).toSorted() : [],
    leave: (number: number | string, text: string) => device.write(`${name}/lease-${number}`, text)
  }
})

type Outbox = Effect.Success<typeof outbox>

const test = (title: string, run: (outbox: Outbox) => Generator<Effect.Effect<void>, void, never>) =>
  it.effect(title, () => Effect.flatMap(outbox, (outbox) => Effect.gen(() => run(outbox))))

const held = (lease: ReturnType<typeof Lease.acquire>): Lease.HeldLease =>
  typeof lease === "object" ? lease : assert.fail(`the lease was not taken: ${lease}`)

test("A lease is held by the process that took it until it is released", function*({ leases, process }) {
  const [one, other] = [process(), process()]
  assert.isFalse(one.isHeld())
  const lease = held(one.acquire())
  assert.deepStrictEqual([other.isHeld(), other.acquire(), lease.isHeld()], [true, undefined, true])
  lease.release(0)
  assert.deepStrictEqual([other.isHeld(), lease.isHeld(), leases()], [false, false, []])
  held(other.acquire())
})

for (const number of [0, 7]) {
  const left = number === 0 ? "a free lease" : "the lease of a worker that has ended"
  it.effect(`A lease is taken by one of three processes, wherever they interrupt each other: ${left}`, () =>
    Effect.gen(function*() {
      const { device } = yield* outbox
      const places = Array.from({ length: 16 }, (_, call) => call)
      let most = 0
      for (const [first, second] of places.flatMap((first) => places.map((second) => [first, second] as const))) {
        const memory = MemoryDisk.make()
        const root = "/home/usage/outbox/1"
        for (const folder of ["/home", "/home/usage", "/home/usage/outbox", root]) memory.makeFolder(folder)
        if (number > 0) memory.create(`${root}/lease-${number}`, leaseText({ until: now - 1 }))
        const take = (disk: Disk) =>
          Lease.acquire({ ...leasesOf(device, { disk, home: "/home" }), folder: root }, now, life, holder())
        const taken: Array<ReturnType<typeof Lease.acquire>> = []
        /** Takes the lease; another process runs before the given call of its disk. */
        const acquire = (at: number, run: () => void): void => {
          let calls = 0
          taken.push(take(FaultyDisk.interposed(() => calls++ === at ? (run(), undefined) : undefined, memory)))
          most = Math.max(most, calls)
        }
        acquire(first, () => acquire(second, () => taken.push(take(memory))))
        const where = `before call ${first}, before call ${second}`
        assert.lengthOf(taken.filter((lease) => typeof lease === "object"), 1, where)
        assert.deepStrictEqual(memory.list(root), [`lease-${number + 1}`], where)
      }
      assert.isAbove(most, 5)
      assert.isAtMost(most, places.length)
    }))
}

test("A lease is held while a worker takes it over from its starter", function*({ leases, process }) {
  held(process().acquire(now, life, { id: "w", boots: true }))
  // Between the look at the names and the read of the newest.
  const { disk, hasActed } = FaultyDisk.before(FaultyDisk.on("read", "lease-1"), () => {
    held(process().acquire(now, life, { id: "w" }))
  })
  assert.isTrue(process({ disk }).isHeld())
  assert.deepStrictEqual([hasActed(), leases()], [true, ["lease-2"]])
})

test("A lease ends at most ten seconds after it was taken, also if the clock is set back", function*(given) {
  const { leases, process } = given
  held(process().acquire(now, 60_000))
  const next = process()
  assert.deepStrictEqual([now - 1, now, now + life - 1, now + life].map(next.isHeld), [false, true, true, false])
  held(next.acquire(now + life))
  assert.deepStrictEqual(leases(), ["lease-2"])
  // The clock is set back.
  held(next.acquire(now))
  assert.deepStrictEqual(leases(), ["lease-3"])
})

test("A process that outlived an opt-out does not take the lease of another process", function*(given) {
  const { folder, leases, process } = given
  const early = held(process().acquire())
  assert.deepStrictEqual(leases(), ["lease-1"])
  NFS.rmSync(folder, { recursive: true })
  assert.isFalse(early.isHeld())
  const next = held(process().acquire(now + 1))
  assert.isFalse(early.isHeld())
  early.release(1)
  assert.deepStrictEqual([leases(), next.isHeld()], [["lease-1"], true])
})

test("A process that was suspended until its lease ended does not take the lease of another process", function*(given) {
  const { leases, process } = given
  const late = held(process().acquire())
  const end = now + life
  const next = held(process().acquire(end))
  late.release(life)
  assert.deepStrictEqual(leases(), ["lease-2"])
  // After a release the numbers start again, and the suspended process had the first one.
  next.release(0)
  held(process().acquire(end))
  late.release(life)
  assert.deepStrictEqual([leases(), process().isHeld(end)], [["lease-1"], true])
})

test("A lease is not removed by a process that releases it after its end, when others take it", function*(given) {
  const { leases, process } = given
  const end = now + life
  // The numbers start again after the second lease, so the file of the third has the name of the first.
  let hasRun = false
  const others = () => {
    hasRun = true
    held(process().acquire(end)).release(0)
    held(process().acquire(end))
  }
  let isReleasing = false
  const disk = FaultyDisk.interposed(({ operation, path }) => {
    if (isReleasing && operation === "remove" && path.endsWith("lease-1")) others()
  })
  const late = held(process({ disk }).acquire())
  isReleasing = true
  late.release(life)
  if (!hasRun) others()
  assert.deepStrictEqual(leases(), ["lease-1"])
})

test("A lease is taken over by the worker for which it was taken, and by no other", function*({ leases, process }) {
  const [worker, other] = [process(), process()]
  const first = held(process().acquire(now, 3_000, { id: "w", boots: true }))
  assert.deepStrictEqual([other.acquire(), other.acquire(now, life, { boots: true })], [undefined, undefined])
  const own = held(worker.acquire(now, life, { id: "w" }))
  assert.deepStrictEqual(leases(), ["lease-2"])
  // A worker takes nothing over from itself.
  assert.isUndefined(other.acquire(now, life, { id: "w" }))
  first.release(0)
  assert.isTrue(other.isHeld())
  own.release(0)
  assert.deepStrictEqual(leases(), [])
})

test("A lease is taken over by a worker that its starter overtakes", function*({ leases, process }) {
  const { disk, hasActed } = FaultyDisk.before(FaultyDisk.on("link", "lease-1"), () => {
    held(process().acquire(now, 3_000, { id: "w", boots: true }))
  })
  held(process({ disk }).acquire(now, life, { id: "w" }))
  assert.deepStrictEqual([hasActed(), leases()], [true, ["lease-2"]])
})

test("A lease of a worker that ended without releasing it is stale, and blocks no other worker", function*(given) {
  const { leases, process } = given
  held(process().acquire())
  const next = process({ runtime: { isAlive: () => false } })
  assert.deepStrictEqual([next.isHeld(), next.isStale()], [false, true])
  const lease = held(next.acquire())
  assert.deepStrictEqual(leases(), ["lease-2"])
  lease.release(0)
  assert.isFalse(next.isStale())
})

test("A lease of a worker that was suspended until its end is neither held nor stale", function*({ process }) {
  held(process().acquire())
  const next = process()
  assert.deepStrictEqual([next.isHeld(now + life), next.isStale(now + life)], [false, false])
})

test("A lease that its worker releases while another process looks is not stale", function*({ process }) {
  const lease = held(process().acquire())
  const isAlive = () => (lease.release(0), false)
  assert.isFalse(process({ runtime: { isAlive } }).isStale())
})

for (const isolated of [false, true]) {
  const what = isolated
    ? "is left at once in a PID namespace that may end with the command"
    : "is held until its end, and then not left"
  test(`A lease of a process in another place ${what}`, function*({ process }) {
    held(process().acquire())
    const next = process({ runtime: { isAlive: () => undefined, isolated } })
    assert.deepStrictEqual([next.isHeld(), next.isStale()], [!isolated, isolated])
    assert.deepStrictEqual([next.isHeld(now + life), next.isStale(now + life)], [false, isolated])
  })
}

test("An invalid lease is not held and does not block", function*({ folder, leave, process }) {
  for (const text of ["", "{", "null", "{}", leaseText({ until: 42 }).replace("42", "1e999")]) {
    yield* leave(3, text)
    const { isHeld, isStale } = process({ runtime: { isAlive: () => text.includes("until") } })
    assert.deepStrictEqual([isHeld(), isStale()], [false, false], text)
    held(process().acquire()).release(0)
  }
  for (const number of ["", "x", "-1", "1.5", "99999999999999999999"]) {
    yield* leave(number, leaseText({ until: now + 5_000 }))
  }
  NFS.mkdirSync(`${folder}/lease-4`)
  NFS.utimesSync(`${folder}/lease-4`, now / 1_000, now / 1_000)
  assert.isFalse(process().isHeld())
  held(process().acquire())
  assert.isTrue(process().isHeld())
})

test("A lease that cannot be read for a moment counts as held for its longest time, and is not removed", function*({
  folder,
  leave,
  leases,
  process
}) {
  yield* leave(3, leaseText({ until: now - 1 }))
  NFS.utimesSync(`${folder}/lease-3`, now / 1000, now / 1000)
  for (const unread of ["usage/outbox", name, `${name}/lease-3`]) {
    const disk = FaultyDisk.interposed(({ operation, path }) =>
      (operation === "read" || operation === "list" || unread === "usage/outbox") && path.endsWith(unread)
        ? "EIO"
        : undefined
    )
    const { acquire, isHeld } = process({ disk })
    assert.isTrue(isHeld(), unread)
    assert.isUndefined(acquire(), unread)
    assert.deepStrictEqual(leases(), ["lease-3"], unread)
  }
  let refused = 0
  const unread = (times: number) => FaultyDisk.refusing("read", "lease-3", "EACCES", () => refused++ < times)
  assert.isFalse(process({ disk: unread(Infinity) }).isHeld(now + life + 1))
  // One fault alone hides nothing.
  refused = 0
  assert.isFalse(process({ disk: unread(1) }).isHeld())
})

test("A worker that cannot read its lease keeps it until the file is gone", function*({ folder, process }) {
  let isUnreadable = false
  const disk = FaultyDisk.refusing("read", "lease-1", "EIO", () => isUnreadable)
  const lease = held(process({ disk }).acquire())
  isUnreadable = true
  assert.isTrue(lease.isHeld())
  isUnreadable = false
  NFS.rmSync(`${folder}/lease-1`)
  assert.isFalse(lease.isHeld())
})

test("A worker removes each lease that a killed process left beside a newer one", function*({ leases, process }) {
  let isDead = false
  const disk = FaultyDisk.interposed(({ operation, path }) => {
    isDead ||= operation === "remove" && path.includes("/lease-")
    return isDead ? "EIO" : undefined
  })
  for (const at of [1, 2, 3]) {
    isDead = false
    held(process({ disk }).acquire(now + at * 2 * life, life, { boots: true }))
  }
  assert.lengthOf(leases(), 3)
  held(process().acquire(now + 8 * life)).release(0)
  assert.deepStrictEqual(leases(), [])
})

test("A lease is not taken without consent, and nothing is created", function*({ device, process }) {
  assert.strictEqual(process({ stillGiven: () => false }).acquire(), "ECONSENT")
  assert.deepStrictEqual(device.tree(), [])
})
