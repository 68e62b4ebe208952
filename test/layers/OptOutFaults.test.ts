/**
 * The opt-out on a disk that refuses single operations: nothing is lost, and the error names the file.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NFS from "node:fs"
import { supabase } from "../../src/domain/IdentityCodec.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import * as OptOutFiles from "../../src/layers/OptOutFiles.ts"
import type { Disk } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { machineOf } from "../fixtures/Files.ts"
import { test } from "../fixtures/Tests.ts"

const { anon } = Device

const optOutOf = (device: Device.Device, disk: Disk = NodeDisk.disk) =>
  Effect.provide(OptOutFiles.make, machineOf(device, { codec: supabase, disk }))

const supabaseDevice = Effect.tap(
  Device.make,
  (device) => device.write("telemetry.json", JSON.stringify({ device_id: anon.a, enabled: false, theirs: "kept" }))
)
const theirs = (device: Device.Device) => JSON.parse(device.text("telemetry.json") ?? "null")?.theirs

test("A denial rewrites a file from one read of it, so that a read that fails later loses no key of another tool", function*() {
  const device = yield* supabaseDevice
  for (let turn = 0, isOver = false; !isOver; turn++) {
    let reads = 0
    const { deny } = yield* optOutOf(
      device,
      FaultyDisk.refusing("read", "/telemetry.json", "EIO", () => reads++ === turn)
    )
    yield* Effect.ignore(deny)
    isOver = reads <= turn
    assert.strictEqual(theirs(device), "kept", String(turn))
  }
})

test("A withdrawal fails if the opt-out cannot be looked at now", function*() {
  const device = yield* Device.make
  yield* device.write("usage/opt-out", "")
  const { allow } = yield* optOutOf(device, FaultyDisk.refusing("look", "/opt-out"))
  assert.include((yield* Effect.flip(allow)).message, `EIO, ${device.at("usage/opt-out")}`)
  assert.isTrue(NFS.existsSync(device.at("usage/opt-out")))
})

test("A withdrawal fails if an identity file that holds consent cannot be read now", function*() {
  const device = yield* supabaseDevice
  const { allow } = yield* optOutOf(device, FaultyDisk.refusing("read", "/telemetry.json"))
  assert.include((yield* Effect.flip(allow)).message, `EIO, ${device.at("telemetry.json")}`)
  assert.strictEqual(theirs(device), "kept")
})

test("A withdrawal that cannot be written leaves the opt-out and no other file", function*() {
  const device = yield* supabaseDevice
  yield* Effect.flatMap(optOutOf(device), ({ deny }) => deny)
  const before = device.tree()
  const { allow } = yield* optOutOf(device, FaultyDisk.refusing("rename", "/usage/enabled"))
  yield* Effect.flip(allow)
  assert.deepStrictEqual(device.tree(), before)
})
