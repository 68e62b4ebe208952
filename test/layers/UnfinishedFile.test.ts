/**
 * Files that another process writes in place: a command may read them while they are empty or incomplete.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NFS from "node:fs"
import { supabase } from "../../src/domain/IdentityCodec.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import { device, found, loaded, now, ownerOf, scene, steady } from "../stitch/Command.ts"

const { anon, P, successorsOf } = Device

const whole = Device.pointerText(anon.a)

/** Writes the identity file as a tool that began to write it some milliseconds ago. */
const write = (home: Device.Device, text: string, age = 0, file = "usage.json"): void => {
  NFS.writeFileSync(home.at(file), text)
  NFS.utimesSync(home.at(file), (now - age) / 1000, (now - age) / 1000)
}

const incomplete = ["", whole.slice(0, 20)]

describe("identity files that are not complete", () => {
  test.each(incomplete)("A new file stays as it is, and the command has an identity in memory: %j", function*(text) {
    const { home, start } = yield* scene(steady)
    write(home, text)
    const command = yield* start()
    yield* command.begin
    const owner = yield* command.owner
    const { anonId, durable, firstRun } = yield* command.store.get
    assert.deepStrictEqual([owner, durable, firstRun], [device(anonId), false, false])
    assert.notStrictEqual(anonId, anon.a)
    yield* command.stitch.login(P)
    yield* command.end
    assert.deepStrictEqual([home.text("usage.json"), successorsOf(home), home.claimed()], [text, [], []])
    write(home, whole)
    assert.deepStrictEqual(yield* (yield* start()).owner, device(anon.a))
  })

  test.each(incomplete)("A file that is completed while the command looks again is the device's: %j", function*(text) {
    const { home, start } = yield* scene(steady)
    for (const failed of [1, 2, 3]) {
      write(home, text)
      let reads = 0
      const disk = FaultyDisk.interposed(({ operation, path }) => {
        // The first read is that of the steady command.
        if (operation === "read" && path === home.at("usage.json") && ++reads > failed + 1) write(home, whole)
        return undefined
      })
      const command = yield* start({ disk })
      yield* command.begin
      assert.deepStrictEqual(yield* command.owner, device(anon.a))
      assert.isTrue((yield* command.store.get).durable)
      yield* command.end
    }
    assert.deepStrictEqual(successorsOf(home), [])
  })

  test("A command looks at most four times whether a file is completed", function*() {
    const { home, start } = yield* scene(steady)
    write(home, "")
    let reads = 0
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      if (operation === "read" && path === home.at("usage.json")) reads += 1
      return undefined
    })
    const { store } = yield* start({ disk })
    yield* store.get
    assert.strictEqual(reads, 4)
    yield* store.refresh
    assert.strictEqual(reads, 5)
  })

  const ages = { "a minute ago": 60_000, "a minute ahead, after the clock was set back": -60_000 }
  for (const [when, age] of Object.entries(ages)) {
    test.each(incomplete)(`A file of ${when} has a successor: %j`, function*(text) {
      const { home, start } = yield* scene(steady)
      write(home, text, age)
      const { distinctId } = yield* (yield* start()).owner
      assert.strictEqual(home.pointer()["anon_id"], distinctId)
      assert.lengthOf(successorsOf(home), 1)
    })
  }

  test("A new file that is complete and not usable has a successor", function*() {
    const { home, start } = yield* scene(steady)
    write(home, "{}")
    const { distinctId } = yield* (yield* start()).owner
    assert.strictEqual(home.pointer()["anon_id"], distinctId)
  })

  test("A file whose time cannot be read stays as it is", function*() {
    const { home, start } = yield* scene(steady)
    write(home, "", 60_000)
    const command = yield* start({ disk: FaultyDisk.refusing("look", home.at("usage.json")) })
    assert.isFalse((yield* command.store.get).durable)
    assert.deepStrictEqual([home.text("usage.json"), successorsOf(home)], ["", []])
  })

  test("A command that has read its identity keeps it while another tool writes the file", function*() {
    const { home, start } = yield* scene(steady)
    const command = yield* start()
    assert.deepStrictEqual(yield* command.owner, device(anon.a))
    write(home, "")
    assert.deepStrictEqual(yield* command.owner, device(anon.a))
    assert.strictEqual(yield* command.store.check, "Current")
    assert.deepStrictEqual([home.text("usage.json"), successorsOf(home)], ["", []])
  })

  test("A logout writes the successor, and not the file that another tool writes", function*() {
    const { home, start } = yield* scene(steady, { loggedIn: P })
    const command = yield* start()
    yield* command.record
    const text = home.text("usage.json") ?? ""
    write(home, "")
    yield* command.stitch.logout
    assert.strictEqual(home.text("usage.json"), "")
    const after = yield* command.record
    write(home, text)
    const { anonId, claim } = yield* found(home)
    assert.isUndefined(claim)
    assert.deepStrictEqual(after && ownerOf(after), device(anonId))
  })

  test("A file with consent that is empty denies, however new it is", function*() {
    const { home, start } = yield* scene(steady, {
      isNew: true,
      process: { codec: supabase, consent: Device.environmentConsent() }
    })
    yield* home.write("telemetry.json", "")
    write(home, "", 0, "telemetry.json")
    const command = yield* start()
    assert.isUndefined(yield* command.record)
    assert.strictEqual(home.text("telemetry.json"), "")
  })
})

describe("disks without hard links", () => {
  // There a file is created, and then written.
  const withoutLinks = FaultyDisk.refusing("link", "", "EPERM")

  test("Of two first runs the second one keeps no identity if the first one has created the file only", function*() {
    const { home, start } = yield* scene(steady, { isNew: true })
    const second = yield* start({ cold: loaded, disk: withoutLinks })
    const context = yield* Effect.context<never>()
    const { disk, hasActed } = FaultyDisk.before(FaultyDisk.on("create", home.at("usage.json")), ({ path }) => {
      write(home, "")
      Effect.runSyncWith(context)(second.record)
      NFS.rmSync(path)
    }, withoutLinks)
    const first = yield* start({ disk })
    yield* first.record
    assert.isTrue(hasActed())
    assert.isFalse((yield* second.store.get).durable)
    const { anonId } = yield* first.store.get
    assert.deepStrictEqual(yield* (yield* start()).owner, device(anonId))
    assert.deepStrictEqual(successorsOf(home), [])
  })

  test("A rotation that another process has created only is not followed by another one", function*() {
    const { home, start } = yield* scene(steady)
    const successor = `usage/successors/${anon.a}.json`
    yield* home.write(successor, "")
    write(home, "", 0, successor)
    const command = yield* start()
    assert.isFalse((yield* command.store.get).durable)
    assert.deepStrictEqual(successorsOf(home), [successor])
    assert.strictEqual(home.text("usage.json")?.includes(anon.a), true)
  })
})
