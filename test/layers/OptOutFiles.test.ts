import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as NFS from "node:fs"
import { execPath } from "node:process"
import { arcade, supabase } from "../../src/domain/IdentityCodec.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as OptOutFiles from "../../src/layers/OptOutFiles.ts"
import { OptOutError } from "../../src/services/Consent.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { machineOf } from "../fixtures/Files.ts"
import * as SupabaseTool from "../fixtures/SupabaseTool.ts"
import { test } from "../fixtures/Tests.ts"

const { anon, claimOf, P, Q } = Device

const isWindows = process.platform === "win32"

const Used = UsageEvent.make("Used", { description: "Something was used", properties: Schema.Struct({}) })

type Options = Parameters<typeof machineOf>[1]

/** The opt-out of a device; `deny` and `allow` complete synchronously. */
const optOutOf = (device: Device.Device, options?: Options) =>
  Effect.provide(OptOutFiles.make, machineOf(device, options))

const deny = (device: Device.Device, options?: Options) => Effect.flatMap(optOutOf(device, options), ({ deny }) => deny)
const allow = (device: Device.Device, options?: Options) =>
  Effect.flatMap(optOutOf(device, options), ({ allow }) => allow)

/** A device with everything on it that this module keeps. */
const used = Effect.gen(function*() {
  yield* TestClock.setTime(Date.parse("2026-01-01T00:00:00Z"))
  const device = yield* Device.make
  yield* device.write("credentials.yaml", "the host's")
  yield* device.write("usage/something/of a newer version", "x")
  const api = yield* Device.makeApi({ credential: Device.stored("key") })
  const process = yield* device.start({ resolver: api.layer })
  yield* process.stitch.login(P)
  yield* process.capture.capture(Used, {})
  yield* process.store.rotate
  yield* process.end
  for (const kind of ["usage.json", "claims/", "successors/", "known.json", "outbox/"]) {
    assert.isTrue(device.tree().some((name) => name.includes(kind)), kind)
  }
  return device
})

/** A device with a file in Supabase's format. */
const supabaseDevice = (document: object) =>
  Effect.tap(Device.make, (device) => device.write("telemetry.json", JSON.stringify(document)))
const telemetry = (device: Device.Device) => JSON.parse(device.text("telemetry.json") ?? "null")

const files = (device: Device.Device) => device.tree().filter((name) => !name.endsWith("/"))

const left = ["credentials.yaml", "usage/opt-out"]
const isOptedOut = (device: Device.Device) => NFS.existsSync(device.at("usage/opt-out"))

/** Whether the opt-out is there at each operation of the disk. */
const watched = (device: Device.Device, isOfInterest: (call: FaultyDisk.Call) => boolean = () => true) => {
  const seen: Array<boolean> = []
  const disk = FaultyDisk.interposed((call) => {
    if (isOfInterest(call)) seen.push(isOptedOut(device))
  })
  return { disk, seen }
}

// Writes as Node.js keeps compiled code: a file beside its place and then a rename, into a folder that it does not make.
const writer = `
  const fs = require("node:fs")
  const folder = process.argv[1]
  for (let n = 0, end = Date.now() + 20000; Date.now() < end;) {
    try {
      fs.writeFileSync(folder + "/" + n % 200 + ".tmp", "code")
      fs.renameSync(folder + "/" + n % 200 + ".tmp", folder + "/" + n % 200)
      if (++n === 400) process.stdout.write("ready")
    } catch {
      break
    }
  }
`

describe("Consent.deny", () => {
  test("A denial deletes everything of this module except the opt-out, and nothing of the host, also twice", function*() {
    const device = yield* used
    for (let n = 0; n < 2; n++) {
      yield* deny(device)
      assert.deepStrictEqual(device.tree(), left)
    }
  })

  test("A denial deletes a folder into which another process writes", function*() {
    for (let turn = 0; turn < 5; turn++) {
      const device = yield* Device.make
      const folder = "usage/compile-cache/v24"
      yield* device.write(`${folder}/code`, "code")
      const child = spawn(execPath, ["-e", writer, device.at(folder)], { stdio: ["ignore", "pipe", 2] })
      const ended = once(child, "close")
      yield* Effect.promise(() => new Promise((resolve) => child.stdout?.once("data", resolve)))
      yield* deny(device)
      yield* Effect.promise(() => ended)
      assert.deepStrictEqual(files(device), ["usage/opt-out"])
    }
  })

  test("A denial creates the home and the opt-out if nothing was recorded", function*() {
    const device = yield* Device.make
    NFS.rmdirSync(device.home)
    yield* deny(device)
    assert.deepStrictEqual(device.tree(), ["usage/opt-out"])
    const modes = ["", "usage", "usage/opt-out"].map((name) => NFS.statSync(device.at(name)).mode & 0o777)
    if (!isWindows) assert.deepStrictEqual(modes, [0o700, 0o700, 0o600])
  })

  test("A denial publishes the opt-out before it deletes anything", function*() {
    const device = yield* used
    const { disk, seen } = watched(device, ({ operation }) => operation === "remove" || operation === "rename")
    yield* deny(device, { disk })
    assert.isAbove(seen.length, 4)
    assert.notInclude(seen, false)
  })

  test("A denial that cannot be written fails with its path and the reason, and deletes nothing", function*() {
    const device = yield* used
    const before = device.snapshot()
    const error = yield* Effect.flip(deny(device, { disk: FaultyDisk.full }))
    assert.instanceOf(error, OptOutError)
    assert.strictEqual(error.path, device.at("usage/opt-out"))
    assert.include(error.message, `The opt-out at ${device.at("usage/opt-out")} could not be changed: ENOSPC`)
    assert.deepStrictEqual(device.snapshot(), before)
  })

  const refused: ReadonlyArray<
    readonly [what: string, code: string, (call: FaultyDisk.Call) => boolean, kept: RegExp]
  > = [
    [
      "a file cannot be deleted",
      "EACCES",
      ({ operation, path }) => (operation === "remove" || operation === "rename") && path.includes("claims"),
      /^usage\/claims\//
    ],
    [
      "the folder cannot be listed",
      "EIO",
      ({ operation, path }) => operation === "list" && path.endsWith("usage"),
      /^usage\//
    ]
  ]
  for (const [what, code, isRefused, kept] of refused) {
    test(`A denial deletes everything else and fails with the reason if ${what}`, function*() {
      const device = yield* used
      const disk = FaultyDisk.interposed((call) => isRefused(call) ? code : undefined)
      const error = yield* Effect.flip(deny(device, { disk }))
      assert.include(error.message, `was published, but not everything could be deleted: ${code}`)
      assert.deepStrictEqual(files(device).filter((name) => name === "usage/opt-out" || !kept.test(name)), left)
    })
  }

  for (const folder of ["home", "usage"]) {
    test.skipIf(isWindows)(
      `A denial and its withdrawal change nothing through a link in the place of ${folder}`,
      function*() {
        const device = yield* Device.make
        yield* device.write("elsewhere/usage/events/kept", "x")
        yield* device.write("elsewhere/kept", "x")
        const link = device.at(folder)
        NFS.symlinkSync(device.at("elsewhere"), link)
        const before = device.snapshot()
        for (const change of [deny, allow]) {
          const error = yield* Effect.flip(change(device, folder === "home" ? { home: link } : {}))
          assert.include(error.message, `could not be changed: ${link} is not a real folder`)
        }
        assert.deepStrictEqual(device.snapshot(), before)
      }
    )
  }

  for (const codec of [supabase, arcade]) {
    test(`A denial keeps what another tool has in a file that cannot be read now, and says so: ${codec.name}`, function*() {
      const device = yield* supabaseDevice({ device_id: anon.a, enabled: true, theirs: "kept" })
      for (const code of ["EIO", "EACCES"]) {
        const disk = FaultyDisk.refusing("read", "/telemetry.json", code)
        const error = yield* Effect.flip(deny(device, { codec, disk }))
        assert.include(error.message, `${code}, ${device.at("telemetry.json")}`)
        assert.deepStrictEqual(telemetry(device), { device_id: anon.a, enabled: true, theirs: "kept" })
        assert.isTrue(isOptedOut(device))
      }
      yield* deny(device, { codec })
      assert.deepInclude(telemetry(device), { enabled: false, theirs: "kept" })
      assert.notStrictEqual(telemetry(device).device_id, anon.a)
    })
  }

  test("A denial writes nothing in a home that is not absolute", function*() {
    const device = yield* Device.make
    const error = yield* Effect.flip(deny(device, { home: "relative-home" }))
    assert.include(error.message, "relative-home is not absolute")
    assert.isFalse(NFS.existsSync("relative-home"))
  })

  test.each(
    [
      ["an array", "telemetry.json", arcade, "[{\"endpoint\":\"x\"}]"],
      ["a log of JSON", "telemetry.json", arcade, "{\"span\":1}\n{\"span\":2}\n"],
      ["a table", "usage.json", supabase, "time,size\n1,2\n"]
    ] as const
  )("A denial and its withdrawal do not change %s of the host in a file with the name of a format", function*(row) {
    const [, name, codec, theirs] = row
    const device = yield* Device.make
    yield* device.write(name, theirs)
    for (const change of [deny, allow]) {
      yield* change(device, { codec })
      assert.strictEqual(device.text(name), theirs)
    }
  })

  test.skipIf(isWindows)("A denial does not empty a file that the opt-out links to", function*() {
    const device = yield* used
    yield* device.write("mine", "mine")
    NFS.symlinkSync(device.at("mine"), device.at("usage/opt-out"))
    yield* deny(device)
    assert.strictEqual(device.text("mine"), "mine")
    assert.isFalse(NFS.existsSync(device.at("usage/outbox")))
  })

  test.skipIf(isWindows)("A denial works in a home that others may write to", function*() {
    const device = yield* used
    NFS.chmodSync(device.home, 0o775)
    yield* deny(device)
    NFS.chmodSync(device.home, 0o700)
    assert.deepStrictEqual(device.tree(), left)
  })

  test("A denial is also in an identity file that holds consent, under ids that nothing was sent under", function*() {
    const ids = { device_id: anon.a, distinct_id: P, session_id: anon.b }
    const device = yield* supabaseDevice({ enabled: true, ...ids, mine: 1, schema_version: 1 })
    yield* deny(device, { codec: supabase })
    const { device_id, session_id, session_last_active: _, ...others } = telemetry(device)
    assert.deepStrictEqual(others, { mine: 1, schema_version: 1, enabled: false })
    for (const id of [device_id, session_id]) assert.notInclude(Object.values(ids), id)
    assert.isFalse(SupabaseTool.read(device.text("telemetry.json")).isGiven)
    assert.deepStrictEqual(device.tree(), ["telemetry.json", "usage/opt-out"])
  })

  test.skipIf(isWindows)("A denial and its withdrawal do not read a device in the place of a file", function*() {
    const device = yield* Device.make
    NFS.symlinkSync("/dev/zero", device.at("telemetry.json"))
    yield* deny(device)
    yield* allow(device)
    assert.isFalse(isOptedOut(device))
  })
})

describe("Consent.allow", () => {
  test("A withdrawn denial starts with a new anon id, no account and no messages", function*() {
    const device = yield* used
    const former = JSON.stringify(device.snapshot())
    yield* deny(device)
    yield* allow(device)
    assert.deepStrictEqual(files(device), ["credentials.yaml", "usage/enabled"])
    const { outbox, store } = yield* device.start()
    const identity = yield* store.get
    assert.notInclude(former, identity.anonId)
    assert.deepInclude(identity, { claim: undefined, firstRun: true, published: true })
    assert.isTrue(yield* outbox.isEmpty)
  })

  test("A withdrawn denial starts with a new anon id also with a file of a former format", function*() {
    const theirs = { enabled: true, device_id: anon.a, distinct_id: P, session_id: "s", schema_version: 1 }
    const device = yield* supabaseDevice(theirs)
    const identity = Device.identityOf(device, { consent: Device.environmentConsent() })
    assert.strictEqual((yield* identity).anonId, anon.a)
    yield* deny(device)
    assert.deepStrictEqual(device.tree(), ["telemetry.json", "usage/opt-out"])
    assert.notInclude(device.text("telemetry.json"), anon.a)
    yield* allow(device)
    const { anonId, claim } = yield* identity
    assert.notStrictEqual(anonId, anon.a)
    assert.isUndefined(claim)
  })

  test("Each withdrawal of a denial is another consent, also within a millisecond", function*() {
    const device = yield* Device.make
    const consents = new Set<string | undefined>()
    for (let n = 0; n < 3; n++) {
      yield* deny(device)
      yield* allow(device)
      consents.add(device.text("usage/enabled"))
    }
    assert.lengthOf([...consents], 3)
  })

  test("A withdrawal without a denial changes nothing", function*() {
    const granted = { enabled: true, consent: "granted", device_id: anon.a, schema_version: 1 }
    for (const options of [{ codec: supabase }, {}]) {
      for (const device of [yield* used, yield* supabaseDevice(granted)]) {
        const before = device.snapshot()
        yield* allow(device, options)
        assert.deepStrictEqual(device.snapshot(), before)
      }
    }
  })

  test("A withdrawn denial that was killed before it deleted anything starts with a new anon id", function*() {
    const device = yield* used
    yield* device.write("usage/opt-out", "")
    yield* allow(device)
    assert.deepStrictEqual(files(device), ["credentials.yaml", "usage/enabled"])
    for (const options of [{ codec: supabase }, {}]) {
      const device = yield* supabaseDevice({ enabled: true, device_id: anon.a, schema_version: 1 })
      yield* device.write("usage/opt-out", "")
      yield* allow(device, options)
      assert.notInclude(device.text("telemetry.json"), anon.a)
      assert.isFalse(isOptedOut(device))
    }
  })

  test("A withdrawal removes the opt-out last", function*() {
    const device = yield* supabaseDevice({ enabled: true, device_id: anon.a, schema_version: 1 })
    yield* device.write("usage/opt-out", "")
    const { disk, seen } = watched(device)
    yield* allow(device, { codec: supabase, disk })
    assert.isAbove(seen.length, 5)
    assert.notInclude(seen, false)
    assert.isFalse(isOptedOut(device))
  })

  test("A withdrawal fails if the opt-out cannot be removed", function*() {
    const device = yield* Device.make
    yield* device.write("usage/opt-out", "")
    const disk = FaultyDisk.refusing("remove", "", "EACCES")
    assert.instanceOf(yield* Effect.flip(allow(device, { disk })), OptOutError)
    assert.isTrue(isOptedOut(device))
  })

  test("A withdrawal also allows in an identity file that holds consent, and keeps its other keys under a new id", function*() {
    const device = yield* supabaseDevice({ enabled: false, consent: "denied", theirs: 1 })
    yield* allow(device, { codec: supabase })
    assert.deepInclude(telemetry(device), { theirs: 1, enabled: true, consent: "granted" })
    const { anonId, durable } = yield* (yield* device.start({ codec: supabase })).store.get
    assert.isTrue(durable)
    assert.deepInclude(SupabaseTool.read(device.text("telemetry.json")), { deviceId: anonId, isGiven: true })
  })

  test("A withdrawal gives a new anon id after each denial in a file", function*() {
    const device = yield* supabaseDevice({ enabled: true, device_id: anon.a })
    const ids = new Set<string>()
    for (let n = 0; n < 4; n++) {
      ids.add((yield* (yield* device.start({ codec: supabase })).store.get).anonId)
      const denied = { ...telemetry(device), enabled: false, consent: "denied" }
      yield* device.write("telemetry.json", JSON.stringify(denied))
      yield* allow(device, { codec: supabase })
    }
    assert.lengthOf([...ids], 4)
  })
})

describe("refused operations", () => {
  const kept = supabaseDevice({ device_id: anon.a, enabled: false, theirs: "kept" })
  const codec = supabase

  test("A denial rewrites a file from one read of it, so that a read that fails later loses no key of another tool", function*() {
    const device = yield* kept
    for (let turn = 0, isOver = false; !isOver; turn++) {
      let reads = 0
      const disk = FaultyDisk.refusing("read", "/telemetry.json", "EIO", () => reads++ === turn)
      yield* Effect.ignore(deny(device, { codec, disk }))
      isOver = reads <= turn
      assert.strictEqual(telemetry(device)?.theirs, "kept", String(turn))
    }
  })

  test("A withdrawal fails if the opt-out cannot be looked at now", function*() {
    const device = yield* Device.make
    yield* device.write("usage/opt-out", "")
    const error = yield* Effect.flip(allow(device, { codec, disk: FaultyDisk.refusing("look", "/opt-out") }))
    assert.include(error.message, `EIO, ${device.at("usage/opt-out")}`)
    assert.isTrue(isOptedOut(device))
  })

  test("A withdrawal fails if an identity file that holds consent cannot be read now", function*() {
    const device = yield* kept
    const error = yield* Effect.flip(allow(device, { codec, disk: FaultyDisk.refusing("read", "/telemetry.json") }))
    assert.include(error.message, `EIO, ${device.at("telemetry.json")}`)
    assert.strictEqual(telemetry(device)?.theirs, "kept")
  })

  test("A withdrawal that cannot be written leaves the opt-out and no other file", function*() {
    const device = yield* kept
    yield* deny(device, { codec })
    const before = device.tree()
    yield* Effect.flip(allow(device, { codec, disk: FaultyDisk.refusing("rename", "/usage/enabled") }))
    assert.deepStrictEqual(device.tree(), before)
  })
})

describe("concurrent processes", () => {
  const publications: ReadonlyArray<
    readonly [what: string, folder: string, run: (process: Device.Process) => Effect.Effect<unknown>, expected: unknown]
  > = [
    ["identity", "usage.json", ({ store }) => Effect.map(store.get, ({ durable }) => durable), false],
    ["claim, and its stamp", "/claims/", ({ slot, stitch }) => Effect.andThen(stitch.observe(P), slot.get), undefined],
    ["rotation", "/successors/", ({ store }) => store.rotate, { _tag: "Unwritable" }],
    [
      "message",
      "/outbox/",
      ({ capture, end, workers }) => Effect.andThen(Effect.andThen(capture.capture(Used, {}), end), workers),
      0
    ]
  ]
  for (const [what, folder, run, expected] of publications) {
    test(`A process removes its ${what} when the opt-out comes between the last look at consent and the publication`, function*() {
      const device = yield* Device.make
      if (what !== "identity") yield* device.seed(anon.a, what === "rotation" ? claimOf(anon.a, Q) : undefined)
      const { deny } = yield* optOutOf(device)
      const isPublication = FaultyDisk.on(["link", "rename"], folder)
      const { disk, hasActed } = FaultyDisk.before(isPublication, () => Effect.runSync(deny))
      const process = yield* device.start({ consent: Device.environmentConsent(), disk })
      assert.deepStrictEqual([yield* run(process), hasActed()], [expected, true])
      assert.deepStrictEqual(files(device), ["usage/opt-out"])
    })
  }

  test("A process that is suspended while telemetry is disabled and enabled continues with nothing that was deleted", function*() {
    // The first run is not disturbed, and counts the operations.
    let moments = 1
    for (let moment = -1; moment < moments; moment++) {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { allow, deny } = yield* optOutOf(device)
      let calls = 0
      let enabledAt: ReadonlyArray<string> | undefined
      const seen: Array<string> = []
      let hasBegun = false
      const disk = FaultyDisk.interposed(({ operation, path }) => {
        // Before it reads which consent this is, a process has read nothing that was deleted.
        if (!hasBegun) {
          hasBegun = path.endsWith("/enabled")
          return undefined
        }
        // Also not for a moment, before it is removed: another process may read it.
        if (enabledAt !== undefined) {
          const found = files(device).filter((file) => !file.startsWith("usage/tmp/"))
          if (found.join() !== enabledAt.join()) seen.push(`call ${moment}, at ${operation}: ${found.join()}`)
        }
        if (calls++ !== moment) return undefined
        Effect.runSync(Effect.orDie(Effect.andThen(deny, allow)))
        enabledAt = files(device)
      })
      const process = yield* device.start({ consent: Device.environmentConsent(), disk })
      yield* process.capture.capture(Used, {})
      yield* process.stitch.login(P)
      yield* process.stitch.logout
      yield* process.stitch.login(Q)
      yield* process.capture.capture(Used, {})
      yield* process.end
      if (moment === -1) moments = calls
      // Nor a folder.
      else assert.deepStrictEqual([seen, device.tree()], [[], enabledAt], `call ${moment}`)
    }
    assert.isAbove(moments, 50)
  })
})
