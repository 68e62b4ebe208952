/** The public services of a user who has denied telemetry: they change nothing on the disk. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NFS from "node:fs"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import { IdentityStore } from "../../src/services/IdentityStore.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import * as Device from "../fixtures/Device.ts"
import { event } from "../fixtures/Messages.ts"
import { test } from "../fixtures/Tests.ts"

const { anon } = Device

const policy = "/etc/acme/usage.json"

/** A disk with a policy file that denies. */
const withPolicy: Disk = {
  ...NodeDisk.disk,
  look: (path) =>
    path === policy ? { type: "File", mode: 0o644, uid: 0, modifiedAt: 0, size: 17 } : NodeDisk.disk.look(path),
  read: (path, options) =>
    path === policy ? { _tag: "Text", text: "{\"enabled\":false}" } : NodeDisk.disk.read(path, options)
}

const denials: ReadonlyArray<{
  readonly what: string
  readonly options?: Device.ProcessOptions
  readonly prepare?: (device: Device.Device) => void
}> = [
  { what: "a policy", options: { disk: withPolicy } },
  { what: "a test run", options: { consent: Device.environmentConsent({ env: { NODE_ENV: "test" } }) } },
  { what: "a missing key", options: { settings: { destination: undefined } } },
  { what: "an unsafe home", prepare: (device) => NFS.chmodSync(device.home, 0o777) },
  { what: "a variable", options: { consent: Device.environmentConsent({ env: { DO_NOT_TRACK: "1" } }) } }
]

describe.each(denials)("services under a denial by $what", ({ options, prepare, what }) => {
  const start = (device: Device.Device) => device.start({ consent: Device.environmentConsent(), ...options })

  test(`Nothing is made by a public service under a denial by ${what}`, function*() {
    const device = yield* Device.make
    prepare?.(device)
    const { consent, outbox, store } = yield* start(device)
    assert.isFalse((yield* consent.decision).enabled)
    yield* store.get
    yield* store.rotate
    yield* outbox.add(event(1))
    assert.deepStrictEqual(device.tree(), [])
  })

  test(`Nothing is changed by a public service under a denial by ${what}`, function*() {
    const device = yield* Device.make
    yield* device.seed(anon.a)
    prepare?.(device)
    const before = device.snapshot()
    const { store } = yield* start(device)
    yield* store.get
    yield* store.rotate
    assert.deepStrictEqual(device.snapshot(), before)
  })
})

test("The services of a command can be spread, as a host does that replaces one of their members", function*() {
  const { outbox, store } = yield* (yield* Device.make).start()
  assert.deepInclude(yield* Outbox.of({ ...outbox }).status, { pending: 0 })
  assert.strictEqual(yield* IdentityStore.of({ ...store }).check, "Current")
  assert.isTrue("add" in outbox)
})

test("The messages that wait are listed without a change of their files", function*() {
  const device = yield* Device.make
  yield* device.write(
    `usage/outbox/${Device.destinationId}/events/000000000000001-000000-${anon.a}-${anon.b}-3.json`,
    "{}x"
  )
  const before = device.snapshot()
  assert.deepStrictEqual(yield* Effect.flatMap(device.start(), ({ outbox }) => outbox.entries), [])
  assert.deepStrictEqual(device.snapshot(), before)
})
