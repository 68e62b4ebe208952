import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import * as NFS from "node:fs"
import { execPath } from "node:process"
import { supabase } from "../../src/domain/IdentityCodec.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import { OptOutError } from "../../src/services/OptOut.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, claimOf, P, Q } = Device

const isWindows = process.platform === "win32"

const Used = UsageEvent.make("Used", { description: "Something was used", properties: Schema.Struct({}) })

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
  return device
})

const files = (device: Device.Device) => device.tree().filter((name) => !name.endsWith("/"))

// Writes as Node.js keeps compiled code: beside the file and then in its place, into a folder that it does not make.
const writer = `
  const fs = require("node:fs")
  const folder = process.argv[1]
  let n = 0
  const end = Date.now() + 5000
  while (Date.now() < end) {
    try {
      fs.writeFileSync(folder + "/" + n % 200 + ".tmp", "code")
      fs.renameSync(folder + "/" + n % 200 + ".tmp", folder + "/" + n % 200)
      if (++n === 400) process.stdout.write("ready")
    } catch {
      break
    }
  }
`

describe("disabling", () => {
  it.effect("deletes a folder into which another process writes", () =>
    Effect.gen(function*() {
      for (let turn = 0; turn < 5; turn++) {
        const device = yield* Device.make
        const process = yield* device.start()
        yield* device.write("usage/compile-cache/v24/code", "code")
        const child = spawn(execPath, ["-e", writer, device.at("usage/compile-cache/v24")], {
          stdio: ["ignore", "pipe", 2]
        })
        const ended = new Promise((resolve) => child.once("close", resolve))
        yield* Effect.promise(() => new Promise((resolve) => child.stdout?.once("data", resolve)))
        yield* process.optOut.publish
        yield* Effect.promise(() => ended)
        assert.deepStrictEqual(files(device), ["usage/opt-out"])
      }
    }))

  it.effect("deletes everything of this module but the opt-out, and nothing of the host's", () =>
    Effect.gen(function*() {
      const device = yield* used
      const kinds = ["usage.json", "claims", "successors", "credentials.json", "session.json", "outbox"]
      for (const kind of kinds) assert.isTrue(device.tree().some((name) => name.includes(kind)), kind)
      yield* (yield* device.start()).optOut.publish
      assert.deepStrictEqual(device.tree(), ["credentials.yaml", "usage/opt-out"])
    }))

  it.effect("twice is no mistake", () =>
    Effect.gen(function*() {
      const device = yield* used
      const { optOut } = yield* device.start()
      yield* optOut.publish
      yield* optOut.publish
      assert.deepStrictEqual(device.tree(), ["credentials.yaml", "usage/opt-out"])
    }))

  it.effect("where nothing was recorded leaves the opt-out", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      NFS.rmdirSync(device.home)
      yield* (yield* device.start()).optOut.publish
      assert.deepStrictEqual(device.tree(), ["usage/opt-out"])
      if (!isWindows) {
        for (const [name, mode] of [["", 0o700], ["usage", 0o700], ["usage/opt-out", 0o600]] as const) {
          assert.strictEqual(NFS.statSync(device.at(name)).mode & 0o777, mode, name)
        }
      }
    }))

  it.effect("publishes the opt-out before it deletes anything", () =>
    Effect.gen(function*() {
      const device = yield* used
      const seen: Array<boolean> = []
      const { optOut } = yield* device.start({
        fileSystem: Device.interposed(({ method }) =>
          Effect.sync(() => {
            if (method === "remove") seen.push(NFS.existsSync(device.at("usage/opt-out")))
          })
        )
      })
      yield* optOut.publish
      assert.isAbove(seen.length, 0)
      assert.notInclude(seen, false)
    }))

  it.effect("says so where the opt-out cannot be written, and deletes nothing", () =>
    Effect.gen(function*() {
      const device = yield* used
      const before = device.snapshot()
      const { optOut } = yield* device.start({ fileSystem: Device.full })
      const error = yield* Effect.flip(optOut.publish)
      assert.instanceOf(error, OptOutError)
      assert.strictEqual(error.path, device.at("usage/opt-out"))
      assert.include(error.message, `The opt-out at ${device.at("usage/opt-out")} could not be changed: `)
      assert.include(error.message, "ENOSPC")
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("deletes everything else where something cannot be deleted, and says what", () =>
    Effect.gen(function*() {
      const device = yield* used
      const { optOut } = yield* device.start({
        fileSystem: Device.failing(({ method, path }) =>
          (method === "remove" || method === "rename") && path.includes("claims") ? "EACCES" : undefined
        )
      })
      const error = yield* Effect.flip(optOut.publish)
      assert.match(error.message, /opt-out stands, but not everything could be deleted: EACCES/)
      assert.deepStrictEqual(files(device).filter((name) => !name.startsWith("usage/claims/")), [
        "credentials.yaml",
        "usage/opt-out"
      ])
    }))

  it.effect("says so where it cannot be seen what there is to delete, and deletes the identity all the same", () =>
    Effect.gen(function*() {
      const device = yield* used
      const { optOut } = yield* device.start({
        fileSystem: Device.failing(({ method, path }) =>
          method === "readDirectory" && path === device.at("usage") ? "EIO" : undefined
        )
      })
      const error = yield* Effect.flip(optOut.publish)
      assert.match(error.message, /opt-out stands, but not everything could be deleted: EIO/)
      assert.isUndefined(device.text("usage.json"))
    }))

  for (const folder of ["home", "usage"]) {
    it.effect.skipIf(isWindows)(
      `touches nothing where a link stands in the place of ${folder}`,
      () =>
        Effect.gen(function*() {
          const device = yield* Device.make
          yield* device.write("elsewhere/usage/events/kept", "x")
          yield* device.write("elsewhere/kept", "x")
          const link = device.at(folder)
          NFS.symlinkSync(device.at("elsewhere"), link)
          const before = device.snapshot()
          const { optOut } = yield* device.start(folder === "home" ? { home: link } : {})
          for (const change of [optOut.publish, optOut.withdraw]) {
            const error = yield* Effect.flip(change)
            assert.include(error.message, `could not be changed: ${link} is no folder, or a link`)
          }
          assert.deepStrictEqual(device.snapshot(), before)
        })
    )
  }

  it.effect("leaves alone a file of the host's own that has the name of a format's", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const theirs = "[{ \"endpoint\": \"x\" }]"
      yield* device.write("telemetry.json", theirs)
      const { optOut } = yield* device.start()
      yield* optOut.publish
      assert.strictEqual(device.text("telemetry.json"), theirs)
      yield* optOut.withdraw
      assert.strictEqual(device.text("telemetry.json"), theirs)
    }))

  it.effect("writes nothing where the home is not absolute", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { optOut } = yield* device.start({ home: "relative-home" })
      assert.include((yield* Effect.flip(optOut.publish)).message, "relative-home is not absolute")
      assert.isFalse(NFS.existsSync("relative-home"))
    }))

  it.effect.skipIf(isWindows)("empties no file that its name links to", () =>
    Effect.gen(function*() {
      const device = yield* used
      yield* device.write("mine", "mine")
      NFS.symlinkSync(device.at("mine"), device.at("usage/opt-out"))
      yield* (yield* device.start()).optOut.publish
      assert.strictEqual(device.text("mine"), "mine")
      assert.isFalse(NFS.existsSync(device.at("usage/outbox")))
    }))

  it.effect.skipIf(isWindows)("works in a home that others can write to", () =>
    Effect.gen(function*() {
      const device = yield* used
      NFS.chmodSync(device.home, 0o775)
      yield* (yield* device.start()).optOut.publish
      NFS.chmodSync(device.home, 0o700)
      assert.deepStrictEqual(files(device).toSorted(), ["credentials.yaml", "usage/opt-out"])
    }))

  it.effect("denies in the identity file too where its format holds consent, and takes the ids out of it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const theirs = { enabled: true, device_id: anon.a, distinct_id: P, session_id: "s", mine: 1, schema_version: 1 }
      yield* device.write("telemetry.json", JSON.stringify(theirs))
      const { optOut } = yield* device.start({ codec: supabase })
      yield* optOut.publish
      assert.deepStrictEqual(JSON.parse(device.text("telemetry.json") ?? ""), {
        mine: 1,
        schema_version: 1,
        enabled: false,
        consent: "denied"
      })
      assert.deepStrictEqual(device.tree(), ["telemetry.json", "usage/opt-out"])
    }))
})

describe("enabling", () => {
  it.effect("starts empty: a new anon id, no account, nothing pending", () =>
    Effect.gen(function*() {
      const device = yield* used
      const former = device.snapshot()
      const { optOut } = yield* device.start()
      yield* optOut.publish
      yield* optOut.withdraw
      assert.deepStrictEqual(files(device), ["credentials.yaml", "usage/enabled"])
      const { outbox, store } = yield* device.start()
      const identity = yield* store.get
      assert.notInclude(JSON.stringify(former), identity.anonId)
      assert.deepInclude(identity, { claim: undefined, firstRun: true, published: true })
      assert.isTrue(yield* outbox.isEmpty)
    }))

  it.effect("starts empty also where the file of a format is left that the host had before", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const theirs = { enabled: true, device_id: anon.a, distinct_id: P, session_id: "s", schema_version: 1 }
      yield* device.write("telemetry.json", JSON.stringify(theirs))
      const consent = Device.environmentConsent(device)
      assert.strictEqual((yield* (yield* device.start({ consent })).store.get).anonId, anon.a)
      const { optOut } = yield* device.start()
      yield* optOut.publish
      assert.deepStrictEqual(device.tree(), ["telemetry.json", "usage/opt-out"])
      assert.notInclude(device.text("telemetry.json"), anon.a)
      yield* optOut.withdraw
      const identity = yield* (yield* device.start({ consent: Device.environmentConsent(device) })).store.get
      assert.notStrictEqual(identity.anonId, anon.a)
      assert.deepInclude(identity, { claim: undefined, firstRun: true, published: true })
    }))

  it.effect("is another consent each time, also within a millisecond", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const consents = new Set<string | undefined>()
      for (let n = 0; n < 3; n++) {
        const { optOut } = yield* device.start()
        yield* optOut.publish
        yield* optOut.withdraw
        consents.add(device.text("usage/enabled"))
      }
      assert.lengthOf([...consents], 3)
    }))

  it.effect("where nothing was disabled changes nothing", () =>
    Effect.gen(function*() {
      const device = yield* used
      const before = device.snapshot()
      yield* (yield* device.start()).optOut.withdraw
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("starts empty where an opt-out was killed before it deleted anything", () =>
    Effect.gen(function*() {
      const device = yield* used
      yield* device.write("usage/opt-out", "")
      yield* (yield* device.start()).optOut.withdraw
      assert.deepStrictEqual(files(device), ["credentials.yaml", "usage/enabled"])
    }))

  it.effect.skipIf(isWindows)("reads no device that stands in the place of a file", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      NFS.symlinkSync("/dev/zero", device.at("telemetry.json"))
      const { optOut } = yield* device.start()
      yield* optOut.publish
      yield* optOut.withdraw
    }))

  it.effect("keeps the ids of a file that holds consent where nobody denied in it", () =>
    Effect.gen(function*() {
      for (const options of [{ codec: supabase }, {}]) {
        const device = yield* Device.make
        const theirs = { enabled: true, consent: "granted", device_id: anon.a, schema_version: 1 }
        yield* device.write("telemetry.json", JSON.stringify(theirs))
        const before = device.snapshot()
        yield* (yield* device.start(options)).optOut.withdraw
        assert.deepStrictEqual(device.snapshot(), before)
      }
    }))

  it.effect("takes the ids of a file where an opt-out ended before it came that far", () =>
    Effect.gen(function*() {
      for (const options of [{ codec: supabase }, {}]) {
        const device = yield* Device.make
        yield* device.write("telemetry.json", JSON.stringify({ enabled: true, device_id: anon.a, schema_version: 1 }))
        yield* device.write("usage/opt-out", "")
        yield* (yield* device.start(options)).optOut.withdraw
        assert.notInclude(device.text("telemetry.json"), anon.a)
        assert.isUndefined(device.text("usage/opt-out"))
      }
    }))

  it.effect("is denied until the last of it is done", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("telemetry.json", JSON.stringify({ enabled: true, device_id: anon.a, schema_version: 1 }))
      yield* device.write("usage/opt-out", "")
      const seen: Array<boolean> = []
      const { optOut } = yield* device.start({
        codec: supabase,
        fileSystem: Device.interposed(() =>
          Effect.sync(() => void seen.push(NFS.existsSync(device.at("usage/opt-out"))))
        )
      })
      yield* optOut.withdraw
      assert.isAbove(seen.length, 0)
      assert.notInclude(seen, false)
    }))

  it.effect("says so where the opt-out cannot be removed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage/opt-out", "")
      const { optOut } = yield* device.start({
        fileSystem: Device.failing(({ method }) => method === "remove" ? "EACCES" : undefined)
      })
      assert.instanceOf(yield* Effect.flip(optOut.withdraw), OptOutError)
    }))

  it.effect("allows in the identity file too where its format holds consent", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("telemetry.json", "{ \"enabled\": false, \"consent\": \"denied\", \"theirs\": 1 }")
      const { optOut } = yield* device.start({ codec: supabase })
      yield* optOut.withdraw
      assert.deepStrictEqual(JSON.parse(device.text("telemetry.json") ?? ""), {
        theirs: 1,
        enabled: true,
        consent: "granted"
      })
      const { anonId, durable } = yield* (yield* device.start({ codec: supabase })).store.get
      assert.isTrue(durable)
      // What another tool keeps there survives the new id, and so does the consent.
      assert.deepStrictEqual(JSON.parse(device.text("telemetry.json") ?? ""), {
        theirs: 1,
        enabled: true,
        consent: "granted",
        device_id: anonId,
        schema_version: 1
      })
    }))

  it.effect("gives a new anon id after each denial in a file", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("telemetry.json", JSON.stringify({ enabled: true, device_id: anon.a }))
      const ids = new Set<string>()
      for (let n = 0; n < 4; n++) {
        ids.add((yield* (yield* device.start({ codec: supabase })).store.get).anonId)
        const told: object = JSON.parse(device.text("telemetry.json") ?? "")
        yield* device.write("telemetry.json", JSON.stringify({ ...told, enabled: false, consent: "denied" }))
        yield* (yield* device.start({ codec: supabase })).optOut.withdraw
      }
      assert.lengthOf([...ids], 4)
    }))
})

describe("a process that runs while telemetry is disabled", () => {
  /** Somebody disables telemetry at the moment when a file is about to be published, after the last look at consent. */
  const overtaken = (device: Device.Device, isMoment: (call: Device.Call) => boolean) =>
    Effect.gen(function*() {
      const { optOut } = yield* device.start()
      let once = true
      return yield* device.start({
        consent: Device.environmentConsent(device),
        fileSystem: Device.interposed((call) => {
          if (!once || !isMoment(call)) return Effect.void
          once = false
          return Effect.orDie(optOut.publish)
        })
      })
    })

  const publishing = ({ method }: Device.Call) => method === "link" || method === "rename"

  it.effect("takes its identity back", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { store } = yield* overtaken(device, publishing)
      const identity = yield* store.get
      assert.isFalse(identity.durable)
      assert.deepStrictEqual(files(device), ["usage/opt-out"])
    }))

  it.effect("takes its claim back, and the stamp with it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* overtaken(device, (call) => publishing(call) && call.path.includes("/claims/"))
      yield* process.stitch.observe(P)
      assert.isUndefined(yield* process.slot.get)
      assert.deepStrictEqual(files(device), ["usage/opt-out"])
    }))

  it.effect("takes its rotation back", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, Q))
      const { store } = yield* overtaken(device, (call) => publishing(call) && call.path.includes("/successors/"))
      assert.deepStrictEqual(yield* store.rotate, { _tag: "Unwritable" })
      assert.deepStrictEqual(files(device), ["usage/opt-out"])
    }))

  it.effect("takes its message back", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* overtaken(device, (call) => publishing(call) && call.path.includes("/outbox/"))
      yield* process.capture.capture(Used, {})
      assert.deepStrictEqual(files(device), ["usage/opt-out"])
      assert.isFalse(yield* process.invocation.hasRecorded)
    }))

  it.effect("goes on with nothing of what was deleted, wherever it was suspended while somebody disabled and enabled", () =>
    Effect.gen(function*() {
      // The first run is not disturbed, and counts.
      let moments = 1
      for (let moment = -1; moment < moments; moment++) {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const { optOut } = yield* device.start()
        let calls = 0
        let enabledAt: ReadonlyArray<string> | undefined
        const seen: Array<string> = []
        const process = yield* device.start({
          consent: Device.environmentConsent(device),
          fileSystem: Device.interposed((call) =>
            Effect.gen(function*() {
              // Also not for a moment, before it is taken back: somebody may read it.
              if (enabledAt !== undefined) {
                const found = files(device).filter((file) => !file.startsWith("usage/tmp/"))
                if (found.join() !== enabledAt.join()) seen.push(`call ${moment}, at ${call.method}: ${found.join()}`)
              }
              if (calls++ !== moment) return
              yield* Effect.orDie(Effect.andThen(optOut.publish, optOut.withdraw))
              enabledAt = files(device)
            })
          )
        })
        yield* process.capture.capture(Used, {})
        yield* process.stitch.login(P)
        yield* process.stitch.logout
        yield* process.stitch.login(Q)
        yield* process.capture.capture(Used, {})
        yield* process.end
        if (moment === -1) moments = calls
        else assert.deepStrictEqual([seen, files(device)], [[], enabledAt], `call ${moment}`)
      }
      assert.isAbove(moments, 50)
    }))

  it.effect("records nothing after it", () =>
    Effect.gen(function*() {
      const device = yield* used
      const process = yield* device.start({ consent: Device.environmentConsent(device) })
      yield* process.capture.capture(Used, {})
      yield* (yield* device.start()).optOut.publish
      yield* process.capture.capture(Used, {})
      yield* process.stitch.observe(P)
      yield* process.stitch.login(P)
      yield* process.stitch.logout
      assert.deepStrictEqual(files(device), ["credentials.yaml", "usage/opt-out"])
    }))
})
