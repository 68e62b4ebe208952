import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import * as Claim from "../../src/domain/Claim.ts"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import { IdentityStoreContract } from "../../src/testing/index.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import { disturbed } from "../stitch/Command.ts"

const { anon, claimOf, identityOf, P, pointerText, Q, successorsOf, successorText } = Device

/** A device with an anon id, claimed or not. */
const deviceOf = (...claim: ReadonlyArray<Claim.Claim>) =>
  Effect.tap(Device.make, (device) => device.seed(anon.a, claim[0]))

IdentityStoreContract.suite("FileIdentityStore", Effect.map(Device.make, ({ layer }) => layer()), { describe, it })

describe("IdentityStore.rotate", () => {
  test("A rotation of an anon id that another tool replaced continues with the anon id of the other tool", function*() {
    const device = yield* deviceOf()
    const { store } = yield* device.start()
    yield* store.get
    yield* device.write("usage.json", pointerText(anon.b, Q))
    assert.strictEqual(yield* store.check, "Replaced")
    assert.strictEqual((yield* store.rotate)._tag, "Overtaken")
    assert.strictEqual((yield* store.get).anonId, anon.b)
    assert.strictEqual(yield* store.check, "Current")
    assert.deepStrictEqual(successorsOf(device), [])
  })

  test("An identity file that cannot be read for a moment leaves the identity of the process as it is", function*() {
    const device = yield* deviceOf()
    let isRefused = false
    const disk = FaultyDisk.refusing("any", "/usage.json", "EIO", () => isRefused)
    const { store } = yield* device.start({ disk })
    const before = yield* store.get
    isRefused = true
    assert.strictEqual(yield* store.check, "Current")
    assert.strictEqual(yield* store.get, before)
  })

  test("A rotation that cannot be written changes nothing, and the process may continue with an anon id in memory", function*() {
    const device = yield* deviceOf(claimOf(anon.a, P))
    const { store } = yield* device.start({ disk: FaultyDisk.full })
    const before = yield* store.get
    assert.deepStrictEqual(yield* store.rotate, { _tag: "Unwritable" })
    assert.strictEqual(yield* store.get, before)
    const memory = yield* store.forget
    assert.notStrictEqual(memory.anonId, anon.a)
    assert.deepInclude(memory, { claim: undefined, durable: false })
    assert.strictEqual(yield* store.get, memory)
  })
})

describe("resolution of anon ids", () => {
  test("Successors are followed to the end, so that a late rewrite of an old pointer changes nothing", function*() {
    const device = yield* deviceOf(claimOf(anon.a, P))
    const old = device.text("usage.json") ?? ""
    const { store } = yield* device.start()
    yield* store.rotate
    yield* store.rotate
    const { anonId } = yield* store.get
    yield* device.write("usage.json", old)
    assert.deepInclude(yield* identityOf(device), { anonId, claim: undefined })
    assert.deepStrictEqual(device.pointer(), { anon_id: anonId, linked_principal_id: null })
  })

  test("Successors in a circle end", function*() {
    const device = yield* deviceOf()
    yield* device.write(`usage/successors/${anon.a}.json`, successorText(anon.b))
    yield* device.write(`usage/successors/${anon.b}.json`, successorText(anon.a))
    const before = device.snapshot()
    const identity = yield* identityOf(device)
    assert.isFalse(identity.durable)
    assert.notInclude([anon.a, anon.b], identity.anonId)
    assert.deepStrictEqual(device.snapshot(), before)
  })
})

describe("pruning", () => {
  const day = 24 * 60 * 60
  const now = Date.parse("2026-01-01T00:00:00Z")
  const facts = [
    `successors/${anon.a}.json`,
    ...["json", "delivered", "stored"].map((name) => `claims/${anon.a}.${name}`)
  ]

  const age = (device: Device.Device, names: ReadonlyArray<string>, days: number) => {
    for (const name of names) NFS.utimesSync(device.at("usage", name), now / 1000 - days * day, now / 1000 - days * day)
  }

  /** A device that rotated an anon id of a delivered claim so many days ago. */
  const rotated = (days: number) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* deviceOf(claimOf(anon.a, P))
      yield* device.write(`usage/claims/${anon.a}.delivered`, "")
      yield* device.write(`usage/claims/${anon.a}.stored`, "")
      yield* (yield* device.start()).store.rotate
      age(device, facts, days)
      return device
    })

  const rotate = (device: Device.Device, options?: Device.ProcessOptions) =>
    Effect.flatMap(device.start(options), ({ store }) => store.rotate)
  const left = (device: Device.Device) => facts.filter((name) => device.text(`usage/${name}`) !== undefined)

  for (const [days, expected] of [[91, []], [89, facts]] as const) {
    test(`Old facts of ${days} days ${expected.length === 0 ? "are removed" : "stay"} at a rotation`, function*() {
      const device = yield* rotated(days)
      yield* rotate(device)
      assert.deepStrictEqual(left(device), expected)
    })
  }

  test("An old claim stays as long as the successor of its anon id, which an earlier command goes on with", function*() {
    const device = yield* rotated(91)
    age(device, facts.slice(0, 1), 89)
    yield* rotate(device)
    assert.deepStrictEqual(left(device), facts)
  })

  test("Old facts stay while an alias waits for its delivery", function*() {
    const device = yield* rotated(91)
    const time = "2025-01-01T00:00:00.000Z"
    const alias = { event: "$create_alias", properties: {}, timestamp: time, uuid: anon.c, distinct_id: P }
    const owed = Claim.encode(claimOf(anon.b, P, { alias, destination: Device.destinationId }))
    yield* device.write(`usage/claims/${anon.b}.json`, owed)
    age(device, [`claims/${anon.b}.json`], 91)
    yield* rotate(device)
    assert.isDefined(device.claim(anon.b))
    assert.deepStrictEqual(left(device), [])
  })

  test("Old facts stay with a claim that cannot be read now, until the next rotation", function*() {
    const device = yield* rotated(91)
    yield* rotate(device, { disk: FaultyDisk.refusing("read", `${anon.a}.json`) })
    assert.deepStrictEqual(left(device), facts.slice(1))
    yield* rotate(device)
    assert.deepStrictEqual(left(device), [])
  })

  test("Old facts stay if the pointer could not be rewritten, because it leads to them", function*() {
    const device = yield* rotated(91)
    const former = arcade.encode({ anonId: anon.a, linkedPrincipal: P }, {})
    yield* device.write("usage.json", former)
    const { store } = yield* device.start({ disk: FaultyDisk.refusing("rename", "/usage.json", "EACCES") })
    yield* store.rotate
    assert.deepStrictEqual([device.text("usage.json"), left(device)], [former, facts])
    assert.strictEqual((yield* identityOf(device)).anonId, (yield* store.get).anonId)
  })
})

describe("adoption", () => {
  const adopted = claimOf(anon.a, P, { learned_by: "adopted", credential: "none" })
  const linked = (principal: string) =>
    Effect.tap(Device.make, (device) => device.write("usage.json", pointerText(anon.a, principal)))

  test("A link that another tool wrote is not overwritten by a command that repairs what it read before", function*() {
    const device = yield* Device.make
    yield* device.seed(anon.a)
    yield* device.write(`usage/successors/${anon.a}.json`, successorText(anon.b))
    const theirs = pointerText(anon.b, P)
    const { disk, hasActed } = yield* disturbed(
      ({ path }) => path.endsWith("usage/claims"),
      device.write("usage.json", theirs)
    )
    yield* identityOf(device, { disk })
    assert.isTrue(hasActed())
    assert.strictEqual(device.text("usage.json"), theirs)
    assert.strictEqual((yield* identityOf(device)).claim?.principal_id, P)
  })

  test("A link that another tool writes during a command is adopted before a claim", function*() {
    const device = yield* deviceOf()
    const { store } = yield* device.start()
    yield* store.get
    yield* device.write("usage.json", pointerText(anon.a, P))
    assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, Q)), { _tag: "Held", claim: adopted })
    assert.deepStrictEqual([(yield* store.get).claim, device.claim(anon.a)], [adopted, adopted])
  })

  test("A link of another tool with its own anon id is followed and not claimed", function*() {
    const device = yield* deviceOf()
    const { store } = yield* device.start()
    yield* store.get
    yield* device.write("usage.json", pointerText(anon.b, P))
    const result = yield* store.claim(claimOf(anon.a, Q))
    const identity = yield* store.get
    assert.deepStrictEqual(result, { _tag: "Replaced", identity })
    assert.deepStrictEqual([identity.anonId, identity.claim?.principal_id], [anon.b, P])
    assert.deepStrictEqual(device.claimed(), [anon.b])
  })

  test("A link that another tool wrote is not adopted if another process claims the anon id at the same moment", function*() {
    const device = yield* linked(P)
    const claim = claimOf(anon.a, Q)
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      if (operation === "link" && path.includes("claims")) Effect.runSync(device.seed(anon.a, claim))
    })
    assert.deepStrictEqual((yield* identityOf(device, { disk })).claim, claim)
    assert.deepStrictEqual(device.claim(anon.a), claim)
  })

  test("A link that another tool wrote does not apply to the successor of its anon id", function*() {
    const device = yield* linked(P)
    yield* device.write(`usage/successors/${anon.a}.json`, successorText(anon.b))
    assert.deepInclude(yield* identityOf(device), { anonId: anon.b, claim: undefined })
    assert.deepStrictEqual(device.claimed(), [])
  })
})

describe("IdentityStore.claim", () => {
  test("A claim is not published if the identity file, which may have the link of another tool, cannot be read", function*() {
    const device = yield* deviceOf()
    let isOpen = false
    const disk = FaultyDisk.refusing("read", "/usage.json", "EIO", () => isOpen)
    const { store } = yield* device.start({ disk })
    yield* store.get
    isOpen = true
    assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Unwritable" })
    assert.deepStrictEqual(device.claimed(), [])
    isOpen = false
    assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Published" })
  })

  test("A claim of another process that cannot be read for a moment has no effect", function*() {
    const device = yield* deviceOf()
    let isHeld = false
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      if (!path.includes("/claims/")) return undefined
      if (operation === "link") Effect.runSync(device.seed(anon.a, claimOf(anon.a, Q)))
      isHeld ||= operation === "link"
      return isHeld && operation === "read" ? "EIO" : undefined
    })
    const { store } = yield* device.start({ disk })
    yield* store.get
    assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Unwritable" })
    assert.isUndefined((yield* store.get).claim)
    assert.strictEqual(device.claim(anon.a)?.principal_id, Q)
  })

  const unusable = {
    "is empty": "",
    "is torn": "{ \"version\": 1, \"anon",
    "is of another anon id": Claim.encode(claimOf(anon.b, Q)),
    "is of a newer version": JSON.stringify({ ...claimOf(anon.a, Q), version: 2 })
  }
  for (const [what, content] of Object.entries(unusable)) {
    test(`A claim with a file that ${what} has an unknown principal, and its anon id is never claimed again`, function*() {
      const device = yield* deviceOf()
      yield* device.write(`usage/claims/${anon.a}.json`, content)
      const { outbox, store } = yield* device.start()
      assert.deepStrictEqual((yield* store.get).claim, Claim.unreadable)
      assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Held", claim: Claim.unreadable })
      assert.strictEqual(device.text(`usage/claims/${anon.a}.json`), content)
      assert.deepStrictEqual(yield* outbox.entries, [])
    })
  }
})

describe("concurrency", () => {
  /** Runs an operation in many processes: each runs whole between the first one's last look and its publication. */
  const nested = <A>(
    device: Device.Device,
    count: number,
    run: (process: Device.Process) => Effect.Effect<A>
  ): Effect.Effect<ReadonlyArray<A>, never, Scope.Scope> =>
    Effect.gen(function*() {
      const results: Array<A> = []
      const processes: Array<Device.Process> = []
      let started = 1
      const disk = FaultyDisk.interposed(({ operation }) => {
        const next = operation === "link" ? processes[started] : undefined
        if (next === undefined) return undefined
        started += 1
        results.push(Effect.runSync(run(next)))
      })
      for (let n = 0; n < count; n++) processes.push(yield* device.start({ disk }))
      // What they load is loaded before.
      yield* Effect.forEach(processes, ({ store }) => store.peek)
      for (const process of processes.slice(0, 1)) results.push(yield* run(process))
      return results
    })

  test("Many processes in an empty home agree on one anon id, which one of them created", function*() {
    const device = yield* Device.make
    const identities = yield* nested(device, 64, ({ store }) => store.get)
    assert.lengthOf(identities, 64)
    assert.deepStrictEqual([...new Set(identities.map(({ anonId }) => anonId))], [device.pointer()["anon_id"]])
    assert.lengthOf(identities.filter(({ published }) => published), 1)
    assert.isTrue(identities.every(({ durable, firstRun }) => firstRun && durable))
  })

  test("Many processes that rotate one anon id agree on its successor", function*() {
    const device = yield* deviceOf(claimOf(anon.a, P))
    const rotations = yield* nested(
      device,
      16,
      ({ store }) => Effect.flatMap(store.get, () => Effect.all([store.rotate, store.get]))
    )
    assert.lengthOf(rotations, 16)
    assert.lengthOf(rotations.filter(([{ _tag }]) => _tag === "Rotated"), 1)
    assert.lengthOf(rotations.filter(([{ _tag }]) => _tag === "Overtaken"), 15)
    const after = new Set(rotations.map(([, { anonId }]) => anonId))
    assert.deepStrictEqual([...after], [device.pointer()["anon_id"]])
  })
})
