/**
 * An unusable identity file: the same text may come back after the device has had other accounts.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"

const { anon, claimOf, identityOf, P, Q, successorsOf, successorText } = Device

/** A device whose file is empty, and was before: then it led to an anon id that account `P` has claimed since. */
const comeBack = Effect.gen(function*() {
  const device = yield* Device.make
  yield* device.write("usage.json", "")
  const { store } = yield* device.start()
  const { anonId } = yield* store.get
  yield* store.claim(claimOf(anonId, P))
  yield* device.write("usage.json", "")
  return { device, claimed: anonId }
})

describe("an unusable text that comes back", () => {
  test("It does not lead to an anon id with a claim, and all processes agree on the anon id", function*() {
    const { claimed, device } = yield* comeBack
    const seen: Array<string> = [claimed]
    for (const principal of [Q, P, undefined]) {
      const first = yield* identityOf(device)
      assert.deepInclude(first, { claim: undefined, durable: true })
      assert.notInclude(seen, first.anonId)
      seen.push(first.anonId)
      // Another process read the file before it was repaired.
      yield* device.write("usage.json", "")
      const { store } = yield* device.start()
      assert.strictEqual((yield* store.get).anonId, first.anonId)
      assert.lengthOf(successorsOf(device), seen.length)
      if (principal === undefined) continue
      yield* store.claim(claimOf(first.anonId, principal))
      yield* device.write("usage.json", "")
    }
    assert.sameMembers([...device.claimed()], seen.slice(0, -1))
  })

  test("It leads past an anon id that was rotated and then claimed", function*() {
    const { claimed, device } = yield* comeBack
    yield* device.write(`usage/successors/${claimed}.json`, successorText(anon.b))
    assert.strictEqual((yield* identityOf(device)).anonId, anon.b)
    yield* device.seed(anon.b, claimOf(anon.b, Q))
    yield* device.write("usage.json", "")
    const { anonId, claim } = yield* identityOf(device)
    assert.notInclude([claimed, anon.b], anonId)
    assert.isUndefined(claim)
  })

  test("CI and a look write no successor for it, and use no anon id with a claim", function*() {
    const { claimed, device } = yield* comeBack
    const before = device.snapshot()
    const { anonId, durable } = yield* identityOf(device, { runtime: "ci" })
    assert.isFalse(durable)
    assert.notStrictEqual(anonId, claimed)
    assert.isUndefined(yield* Effect.flatMap(device.start(), ({ store }) => store.peek))
    assert.deepStrictEqual(device.snapshot(), before)
  })

  test("A process that read it before another process repaired the file uses the repaired file", function*() {
    const { claimed, device } = yield* comeBack
    const { disk } = FaultyDisk.before(FaultyDisk.on("read", `claims/${claimed}.json`), () => {
      NFS.writeFileSync(device.at("usage.json"), Device.pointerText(claimed, P))
    })
    assert.strictEqual((yield* identityOf(device, { disk })).anonId, claimed)
    assert.lengthOf(successorsOf(device), 1)
  })

  test("While the file cannot be repaired, each command has the same anon id, and none claims it", function*() {
    const device = yield* Device.make
    yield* device.write("usage.json", "")
    const disk = FaultyDisk.refusing("rename", "/usage.json", "EPERM")
    const first = yield* device.start({ disk })
    const identity = yield* first.store.get
    assert.isFalse(identity.durable)
    yield* first.stitch.login(P)
    assert.strictEqual((yield* identityOf(device, { disk })).anonId, identity.anonId)
    assert.deepStrictEqual(device.claimed(), [])
    assert.lengthOf(successorsOf(device), 1)
    // A command that can repair the file continues with the anon id.
    assert.deepInclude(yield* identityOf(device), { anonId: identity.anonId, durable: true })
  })
})

describe("pruning", () => {
  const now = Date.parse("2026-01-01T00:00:00Z")
  const old = now / 1000 - 91 * 24 * 60 * 60
  const key = "0".repeat(64)
  const claims = `usage/claims/${anon.b}.json`

  /** A device with an old claim, and the successors of that name in a chain that leads to its anon id. */
  const deviceOf = Effect.fnUntraced(function*(...chain: ReadonlyArray<string>) {
    yield* TestClock.setTime(now)
    const device = yield* Device.make
    yield* device.seed(anon.a)
    yield* device.write(claims, JSON.stringify(claimOf(anon.b, P)))
    NFS.utimesSync(device.at(claims), old, old)
    for (const [index, name] of chain.entries()) {
      const file = `usage/successors/${name}.json`
      yield* device.write(file, successorText(chain[index + 1] ?? anon.b))
      // Only the first one is new, as with a clock that was wrong.
      NFS.utimesSync(device.at(file), index === 0 ? now / 1000 : old, index === 0 ? now / 1000 : old)
    }
    return device
  })
  const rotate = (device: Device.Device, options?: Device.ProcessOptions) =>
    Effect.flatMap(device.start(options), ({ store }) => store.rotate)

  test.each([[key], [key, anon.c]])(
    "An old claim stays if a younger successor leads to its anon id: %j",
    function*(chain) {
      const device = yield* deviceOf(...chain)
      yield* rotate(device)
      assert.isDefined(device.text(claims))
      for (const name of chain) assert.isDefined(device.text(`usage/successors/${name}.json`))
    }
  )

  test("An old claim stays if the successor that leads to it cannot be removed", function*() {
    const device = yield* deviceOf(key)
    NFS.utimesSync(device.at(`usage/successors/${key}.json`), old, old)
    yield* rotate(device, { disk: FaultyDisk.refusing("remove", key) })
    assert.isDefined(device.text(claims))
    yield* rotate(device)
    assert.isUndefined(device.text(claims))
  })

  test("Nothing is removed if a successor cannot be read now", function*() {
    const device = yield* deviceOf(key)
    yield* rotate(device, { disk: FaultyDisk.refusing("read", key) })
    assert.isDefined(device.text(claims))
  })
})
