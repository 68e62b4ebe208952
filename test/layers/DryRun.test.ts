import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestConsole from "effect/testing/TestConsole"
import * as Debug from "../../src/layers/Debug.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import { disk as nodeDisk } from "../../src/layers/NodeDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import { Used } from "../stitch/Command.ts"

const { anon, claimOf, P, Q } = Device

const dryDisk = () => MemoryDisk.make({ below: nodeDisk })

/** What a command that does much of everything records; new ids are named by the order of their appearance. */
const recorded = Effect.fnUntraced(function*(device: Device.Device, disk: Disk) {
  const { capture, outbox, stitch, store } = yield* device.start({ disk })
  yield* capture.capture(Used, {})
  yield* stitch.observe(P)
  yield* capture.capture(Used, {})
  yield* stitch.login(Q)
  yield* capture.capture(Used, {})
  yield* stitch.logout
  yield* capture.capture(Used, {})
  const entries = yield* outbox.entries
  const status = yield* outbox.status
  yield* outbox.delivered(entries.slice(0, 2))
  const names = new Map<unknown, string>([[P, P], [Q, Q], [anon.a, "a"], [anon.b, "b"]])
  const named = (id: unknown) => {
    if (id !== undefined && !names.has(id)) names.set(id, `id ${names.size}`)
    return names.get(id)
  }
  return {
    messages: entries.map(({ message: { distinct_id, event, properties } }) => ({
      event,
      of: named(distinct_id),
      alias: named(properties["alias"]),
      session: named(properties["$session_id"]),
      sequence: properties["sequence"],
      isFirstRun: properties["is_first_run"]
    })),
    status,
    left: (yield* outbox.entries).length,
    ends: named((yield* store.get).anonId),
    claims: disk.list(device.at("usage/claims")).length
  }
})

const seeds: Readonly<Record<string, (device: Device.Device) => Effect.Effect<void>>> = {
  "that is new": () => Effect.void,
  "that was seen before": (device) => device.seed(anon.a),
  "of an account": (device) => device.seed(anon.a, claimOf(anon.a, P)),
  "of another account": (device) => device.seed(anon.b, claimOf(anon.b, Q)),
  "with an unusable identity file": (device) => device.write("usage.json", "{")
}

for (const [what, seed] of Object.entries(seeds)) {
  test(`A dry run on a device ${what} records what a real run would, and changes nothing`, function*() {
    const device = yield* Device.make
    yield* seed(device)
    const before = device.snapshot()
    const dry = yield* recorded(device, dryDisk())
    assert.isAtLeast(dry.messages.length, 4)
    assert.deepStrictEqual(device.snapshot(), before)
    assert.deepStrictEqual(dry, yield* recorded(device, nodeDisk))
    assert.notDeepEqual(device.snapshot(), before)
  })
}

test("A dry run finds the messages that wait, and removes none from the disk", function*() {
  const device = yield* Device.make
  const real = yield* device.start()
  yield* real.capture.capture(Used, {})
  const dry = yield* device.start({ dry: true })
  const entries = yield* dry.outbox.entries
  assert.lengthOf(entries, 1)
  yield* dry.outbox.delivered(entries)
  assert.deepStrictEqual([yield* dry.outbox.isEmpty, yield* real.outbox.isEmpty], [true, false])
})

it.effect("A dry run on a disk that cannot be written says so", () =>
  Effect.gen(function*() {
    const device = yield* Device.make
    const disk = FaultyDisk.interposed(({ operation }) => operation === "access" ? "EROFS" : undefined)
    const { capture, outbox } = yield* device.start({ dry: true, disk })
    yield* capture.capture(Used, {})
    assert.isTrue(yield* outbox.isEmpty)
    const lines = (yield* TestConsole.errorLines).map(String)
    assert.include(lines, "usage: could not keep \"Used\": EROFS")
    assert.notInclude(lines.join("\n"), "\"event\":\"Used\"")
  }).pipe(Effect.provideService(Debug.IsDebugMode, true)))
