import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NFS from "node:fs"
import * as Path from "node:path"
import { explain, format } from "../../src/domain/ConsentDecision.ts"
import { arcade, supabase } from "../../src/domain/IdentityCodec.ts"
import { disk as nodeDisk } from "../../src/layers/NodeDisk.ts"
import { Consent } from "../../src/services/Consent.ts"
import { type Disk, isRefused } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { machineOf } from "../fixtures/Files.ts"

const isWindows = process.platform === "win32"

interface Options extends NonNullable<Parameters<typeof machineOf>[1]> {
  readonly env?: Record<string, string>
  readonly provider?: ConfigProvider.ConfigProvider
}

const layer = (
  device: Device.Device,
  { env = {}, provider = ConfigProvider.fromEnv({ env }), ...machine }: Options = {}
) => Layer.provide(Device.environmentConsent({ provider }), machineOf(device, machine))

/** What decided; whether telemetry is enabled must agree with it. */
const decision = (device: Device.Device, options?: Options) =>
  Effect.gen(function*() {
    const { decidedBy, enabled } = yield* (yield* Consent).decision
    assert.strictEqual(enabled, decidedBy._tag === "Default")
    return decidedBy
  }).pipe(Effect.provide(layer(device, options), { local: true }))

/** The decision, and whether consent is still given. */
const looked = (device: Device.Device, options: Options) =>
  Effect.flatMap(Consent, ({ decision, stillGiven }) => Effect.all([decision, stillGiven])).pipe(
    Effect.provide(layer(device, options), { local: true })
  )

/** The same in the words of `telemetry status --json`. */
const decidedBy = (device: Device.Device, options?: Options): Effect.Effect<string> =>
  Effect.map(decision(device, options), format)

const isDecidedBy = (device: Device.Device, expected: string, options?: Options): Effect.Effect<void> =>
  Effect.map(decidedBy(device, options), (decided) => assert.strictEqual(decided, expected))

const isUnsafe = (device: Device.Device, why: string, options?: Options): Effect.Effect<void> =>
  Effect.map(decision(device, options), (decidedBy) => {
    assert.strictEqual(format(decidedBy), "unsafe home")
    assert.strictEqual(explain(decidedBy), `unsafe home: ${why}`)
  })

const test = <E>(title: string, run: (device: Device.Device) => Generator<Effect.Effect<unknown, E>, void, never>) =>
  it.effect(title, () => Effect.flatMap(Device.make, (device) => Effect.gen(() => run(device))))

const policyFile = "/etc/acme/usage.json"

/** The real disk, with a file of the test in the place of the machine's policy file. */
const withPolicy = (place: string, file = policyFile): Disk => {
  const at = (path: string) => path === file ? place : path
  return {
    ...nodeDisk,
    look: (path) => nodeDisk.look(at(path)),
    read: (path, options) => nodeDisk.read(at(path), options)
  }
}

/** The real disk, on which some folders have another owner. */
const withOwner = (operation: "look" | "follow", ownerOf: (path: string) => number | undefined): Disk => ({
  ...nodeDisk,
  [operation]: (path: string) => {
    const answer = nodeDisk[operation](path)
    return isRefused(answer) ? answer : { ...answer, uid: ownerOf(path) ?? answer.uid }
  }
})

/** A disk on which one operation on just one path is refused. */
const refusingAt = (operation: keyof Disk, path: string, code: string, disk?: Disk): Disk =>
  FaultyDisk.interposed((call) => call.operation === operation && call.path === path ? code : undefined, disk)

describe("Consent.decision", () => {
  test(
    "Consent is given if nothing denies it, also for a home that does not exist, and looking makes nothing",
    function*(device) {
      yield* isDecidedBy(device, "default")
      yield* isDecidedBy(device, "default", { home: device.at("not", "yet") })
      assert.deepStrictEqual(device.tree(), [])
    }
  )

  test("Consent is looked at anew each time, so that an opt-out applies to a running process", function*(device) {
    yield* Effect.gen(function*() {
      const { decision, stillGiven } = yield* Consent
      const look = Effect.all([Effect.map(decision, ({ enabled }) => enabled), stillGiven])
      assert.deepStrictEqual(yield* look, [true, true])
      yield* device.write("usage/opt-out", "")
      assert.deepStrictEqual([yield* decision, yield* stillGiven], [Device.denied, false])
      NFS.rmSync(device.at("usage/opt-out"))
      assert.deepStrictEqual(yield* look, [true, true])
      // Another process has enabled telemetry again.
      yield* device.write("usage/enabled", "2")
      assert.deepStrictEqual(yield* look, [false, false])
      assert.strictEqual(format((yield* decision).decidedBy), "begun before telemetry was enabled again")
    }).pipe(Effect.provide(layer(device)))
  })

  const order = "ACME_USAGE_TRACKING, DO_NOT_TRACK, policy file, opt-out file, test run, no key, unsafe home".split(
    ", "
  )
  for (const [position, name] of order.entries()) {
    test(`The first reason to deny is reported: ${name}, of ${order.slice(position).join(", ")}`, function*(device) {
      const denies = (name: string) => order.indexOf(name) >= position
      if (denies("policy file")) yield* device.write("policy.json", "{}")
      if (denies("opt-out file")) yield* device.write("usage/opt-out", "")
      yield* isDecidedBy(device, name, {
        env: {
          ...(denies("ACME_USAGE_TRACKING") ? { ACME_USAGE_TRACKING: "off" } : {}),
          ...(denies("DO_NOT_TRACK") ? { DO_NOT_TRACK: "1" } : {}),
          ...(denies("test run") ? { NODE_ENV: "test", VITEST: "true" } : {})
        },
        ...(denies("no key") ? { destination: undefined } : {}),
        ...(denies("policy file") ? { disk: withPolicy(device.at("policy.json")) } : {}),
        runtime: { ...Device.persistent, uid: { effective: 1, real: 2 } }
      })
    })
  }

  test("Consent is denied without a key, and in a test run", function*(device) {
    yield* isDecidedBy(device, "no key", { destination: undefined })
    for (const env of [{ NODE_ENV: "test" }, { VITEST: "true" }, { VITEST: "1" }, { NODE_TEST_CONTEXT: "child-v8" }]) {
      yield* isDecidedBy(device, "test run", { env })
    }
    for (const env of [{ NODE_ENV: "production" }, { NODE_ENV: "testing" }, { NODE_ENV: "", VITEST: "" }]) {
      yield* isDecidedBy(device, "default", { env })
    }
  })
})

describe("environment variables", () => {
  const spellings = {
    ACME_USAGE_TRACKING: {
      allows: ["", " ", "1", "true", "TRUE", "True", "yes", "YES", "on", "On", " on ", "\ttrue\n"],
      denies: ["0", "false", "FALSE", "no", "off", "OFF", " off ", "disabled", "2", "-1", "y", "enabled", "null", "да"]
    },
    DO_NOT_TRACK: {
      allows: ["", " ", "0", "false", "FALSE", "False", "no", "NO", "off", "Off", " off ", "\t0\n"],
      denies: ["1", "true", "TRUE", "yes", "on", "ON", " 1 ", "2", "please", "n", "disabled", "null"]
    }
  }
  for (const [name, { allows, denies }] of Object.entries(spellings)) {
    test(`The variable ${name} denies unless its text allows, and if it cannot be read`, function*(device) {
      for (const value of allows) yield* isDecidedBy(device, "default", { env: { [name]: value } })
      for (const value of denies) yield* isDecidedBy(device, name, { env: { [name]: value } })
      const provider = ConfigProvider.make((path) =>
        path[0] === name
          ? Effect.fail(new ConfigProvider.SourceError({ message: "unreachable" }))
          : Effect.succeed(undefined)
      )
      yield* isDecidedBy(device, name, { provider })
    })
  }

  test("A variable that denies is enough, and no path is read that could hang", function*(device) {
    const seen: Array<string> = []
    const disk = FaultyDisk.interposed(({ path }) => {
      seen.push(path)
    })
    yield* isDecidedBy(device, "DO_NOT_TRACK", { env: { DO_NOT_TRACK: "1" }, disk })
    assert.deepStrictEqual(seen, [])
  })

  test(
    "A variable of another host does not deny, and one that allows does not outweigh one that denies",
    function*(device) {
      yield* isDecidedBy(device, "default", { env: { OTHER_USAGE_TRACKING: "0" } })
      yield* isDecidedBy(device, "DO_NOT_TRACK", { env: { ACME_USAGE_TRACKING: "1", DO_NOT_TRACK: "1" } })
    }
  )
})

describe("administrator policy", () => {
  test("The policy file of the machine denies unless it enables telemetry", function*(device) {
    const disk = withPolicy(device.at("policy.json"))
    for (const text of ["{ \"enabled\": true }", "{ \"enabled\": true, \"more\": 1 }"]) {
      yield* device.write("policy.json", text)
      yield* isDecidedBy(device, "default", { disk })
    }
    for (const text of ["{ \"enabled\": false }", "{ \"enabled\": \"true\" }", "{}", "", "not JSON"]) {
      yield* device.write("policy.json", text)
      yield* isDecidedBy(device, "policy file", { disk })
    }
  })

  const places: Readonly<Record<string, (file: string) => void>> = {
    "is a folder": (file) => NFS.mkdirSync(file),
    "is a link to nowhere": (file) => NFS.symlinkSync("/nowhere", file),
    "is a link to itself": (file) => NFS.symlinkSync(file, file),
    "is larger than 1 MiB": (file) => NFS.writeFileSync(file, `{"enabled":true}${" ".repeat(1024 * 1024)}`)
  }
  for (const [what, make] of Object.entries(places)) {
    test(`The policy file of the machine denies if it ${what}`, function*(device) {
      make(device.at("policy.json"))
      yield* isDecidedBy(device, "policy file", { disk: withPolicy(device.at("policy.json")) })
    })
  }

  test("The policy file of the machine denies if it cannot be read", function*(device) {
    yield* device.write("policy.json", "{ \"enabled\": true }")
    const placed = withPolicy(device.at("policy.json"))
    for (const code of ["EACCES", "EIO"]) {
      for (const operation of ["look", "read"] as const) {
        yield* isDecidedBy(device, "policy file", { disk: refusingAt(operation, policyFile, code, placed) })
      }
    }
  })

  test("The policy file of the machine is absent if a file has the name of its folder", function*(device) {
    yield* device.write("hosts", "127.0.0.1 localhost")
    yield* isDecidedBy(device, "default", { disk: withPolicy(device.at("hosts/usage.json")) })
  })

  test("The policy file of the machine has the place that each platform has for such files", function*(device) {
    yield* device.write("policy.json", "{ \"enabled\": false }")
    const files = {
      Linux: "/etc/acme/usage.json",
      Darwin: "/Library/Application Support/acme/usage.json",
      Windows_NT: Path.join("/ProgramData", "acme", "usage.json")
    }
    for (const [type, file] of Object.entries(files)) {
      const decidedBy = yield* decision(device, {
        env: { PROGRAMDATA: "/ProgramData" },
        disk: withPolicy(device.at("policy.json"), file),
        runtime: { ...Device.persistent, os: { ...Device.persistent.os, type } }
      })
      assert.deepStrictEqual([format(decidedBy), explain(decidedBy)], ["policy file", `policy file: ${file}`])
    }
  })
})

test("The opt-out file denies by its existence, whatever it is, and if it cannot be looked at", function*(device) {
  yield* device.write("usage/opt-out", "enabled: true")
  const optOut = device.at("usage/opt-out")
  yield* isDecidedBy(device, "opt-out file")
  NFS.rmSync(optOut)
  NFS.mkdirSync(optOut)
  yield* isDecidedBy(device, "opt-out file")
  NFS.rmdirSync(optOut)
  NFS.symlinkSync("/nowhere", optOut)
  yield* isDecidedBy(device, "opt-out file")
  NFS.rmSync(optOut)
  yield* isDecidedBy(device, "default")
  for (const code of ["EACCES", "EIO"]) {
    yield* isDecidedBy(device, "opt-out file", { disk: refusingAt("look", optOut, code) })
  }
})

test("Whether consent is still given cannot be found out if a file of the user cannot be read", function*(device) {
  yield* device.write("telemetry.json", "{ \"enabled\": true }")
  yield* device.write("usage/enabled", "1")
  for (
    const [operation, name] of [["look", "usage/opt-out"], ["read", "usage/enabled"], [
      "read",
      "telemetry.json"
    ]] as const
  ) {
    const disk = refusingAt(operation, device.at(name), "EIO")
    assert.deepStrictEqual(yield* looked(device, { codec: supabase, disk }), [Device.denied, undefined], name)
  }
})

test("Whether consent is still given cannot be found out while another tool writes telemetry.json", function*(device) {
  for (const codec of [supabase, arcade]) {
    for (
      const [text, isCertain] of [["", false], ["{ \"enabled\": fal", false], [
        "\ufeff{\"enabled\":false}",
        true
      ]] as const
    ) {
      yield* device.write("telemetry.json", text)
      const expected = [Device.denied, isCertain ? false : undefined]
      assert.deepStrictEqual<unknown>(yield* looked(device, { codec }), expected, `${codec.name}: ${text}`)
    }
  }
})

test("Whether consent is still given cannot be found out if the policy cannot be read", function*(device) {
  const disk = refusingAt("read", policyFile, "EIO", withPolicy(device.home))
  const [, stillGiven] = yield* looked(device, { disk })
  assert.isUndefined(stillGiven)
})

describe("HomeSafety", () => {
  const runtimeOf = (effective: number, real = effective) => ({ ...Device.persistent, uid: { effective, real } })
  const user = process.geteuid?.() ?? 0

  test("A home is unsafe if it is not absolute", function*(device) {
    for (
      const [home, name] of [["", "an empty path"], ["relative", "relative"], ["./home", "home"], [
        "~/.acme",
        "~/.acme"
      ]]
    ) {
      yield* isUnsafe(device, `${name} is not absolute`, { home: home ?? "" })
    }
  })

  test("A home is unsafe if root, or a user, would make it below the folder of another user", function*(device) {
    if (isWindows) return
    const home = device.at("not", "yet", "there")
    const options = (by: number, owner: number, ci?: string, container = false) => ({
      home,
      runtime: { ...runtimeOf(by), ci, container },
      disk: withOwner("follow", () => owner)
    })
    const why = `${home} would be made below another user's folder`
    yield* isUnsafe(device, why, options(0, 1000))
    yield* isUnsafe(device, why, options(1001, 1000))
    yield* isDecidedBy(device, "default", options(1000, 1000))
    yield* isDecidedBy(device, "default", options(1000, 0))
    // `sudo` in a job, whose later steps are the user's.
    yield* isUnsafe(device, why, options(0, 1001, "GitHub Actions"))
    // The container of a job, in a home of the machine's user.
    yield* isDecidedBy(device, "default", options(0, 1001, "GitHub Actions", true))
  })

  test("A home is unsafe if the folder above it cannot be read, and the reason says so", function*(device) {
    const home = device.at("not", "yet")
    const above = device.at("not")
    const disk = FaultyDisk.refusing("follow", above, "EACCES")
    yield* isUnsafe(device, `${above} cannot be read (EACCES)`, { home, disk })
  })

  test("A home is unsafe on a drive that does not exist", function*(device) {
    if (isWindows) return
    const disk = FaultyDisk.refusing("follow", "", "ENOENT")
    yield* isUnsafe(device, "/ does not exist", { home: device.at("not", "yet"), disk })
  })

  test("A home of another user is unsafe, and not opted out, although nothing in it can be read", function*(device) {
    if (isWindows) return
    const owned = withOwner("look", () => user + 1)
    const disk: Disk = {
      ...owned,
      look: (path) =>
        path === device.home ? owned.look(path) : path.startsWith(device.home) ? "EACCES" : owned.look(path),
      read: (path, options) =>
        path.startsWith(device.home) ? { _tag: "Unreadable", code: "EACCES" } : owned.read(path, options)
    }
    yield* isUnsafe(device, `${device.home} has another owner`, { disk })
  })

  test("A home is unsafe if it or the module's folder is a file, or is below one", function*(device) {
    yield* device.write("file", "")
    const file = device.at("file")
    yield* isUnsafe(device, `${file} is not a real folder`, { home: file })
    yield* isUnsafe(device, `${file}/home is below a file`, { home: `${file}/home` })
    yield* device.write("usage", "")
    yield* isUnsafe(device, `${device.at("usage")} is not a real folder`)
  })

  for (const name of ["", "usage"]) {
    test(
      `A home is unsafe if ${
        name === "" ? "it" : "the module's folder"
      } is another user's, a link, unreadable, or others may write`,
      function*(device) {
        const folder = device.at(name)
        yield* device.write("usage/notice", "")
        for (const code of ["EACCES", "EIO"]) {
          yield* isUnsafe(device, `${folder} cannot be read (${code})`, { disk: refusingAt("look", folder, code) })
        }
        if (isWindows) return
        const disk = withOwner("look", (path) => path === folder ? user + 1 : undefined)
        yield* isUnsafe(device, `${folder} has another owner`, { disk })
        for (const mode of [0o720, 0o702, 0o777]) {
          NFS.chmodSync(folder, mode)
          yield* isUnsafe(device, `others may write to ${folder}; \`chmod go-w\` ends that`)
        }
        NFS.chmodSync(folder, 0o755)
        yield* isDecidedBy(device, "default")
        NFS.renameSync(folder, `${folder}-moved`)
        NFS.symlinkSync(`${folder}-moved`, folder)
        yield* isUnsafe(device, `${folder} is not a real folder`)
      }
    )
  }

  test(
    "A home is unsafe if root acts for a user, or a user for root, unless the platform has no users",
    function*(device) {
      const rights = "the command runs with another user's rights"
      if (!isWindows) {
        yield* isUnsafe(device, rights, { runtime: runtimeOf(user, user + 1) })
        yield* isUnsafe(device, rights, { runtime: runtimeOf(user + 1, user) })
        yield* isUnsafe(device, `${device.home} has another owner`, { runtime: runtimeOf(user + 1) })
        yield* isDecidedBy(device, "default", { runtime: runtimeOf(user) })
      }
      NFS.chmodSync(device.home, 0o777)
      yield* isDecidedBy(device, "default", { runtime: { ...Device.persistent, uid: undefined } })
    }
  )
})

describe("formats with consent", () => {
  test(
    "An identity file that holds consent denies by `enabled`, by `consent`, and if it is unusable; not if it is absent",
    function*(device) {
      const codec = supabase
      yield* isDecidedBy(device, "default", { codec })
      for (const text of ["{ \"enabled\": true }", "{ \"consent\": \"granted\" }", "{}"]) {
        yield* device.write("telemetry.json", text)
        yield* isDecidedBy(device, "default", { codec })
      }
      const denials = [
        "{ \"enabled\": false }",
        "{ \"consent\": \"denied\" }",
        "{ \"enabled\": true, \"consent\": \"denied\" }",
        "{ \"enabled\": false, \"consent\": \"granted\" }",
        "\ufeff{ \"enabled\": false }",
        "",
        "{ \"enabled\": tru",
        "[]",
        "{ \"enabled\": true }" + " ".repeat(1024 * 1024)
      ]
      for (const text of denials) {
        yield* device.write("telemetry.json", text)
        yield* isDecidedBy(device, "opt-out file", { codec })
      }
      NFS.rmSync(device.at("telemetry.json"))
      NFS.mkdirSync(device.at("telemetry.json"))
      yield* isDecidedBy(device, "opt-out file", { codec })
    }
  )

  test(
    "An identity file that holds consent counts also if it is of a former format of the host, unless it is another file of that name",
    function*(device) {
      yield* device.write("telemetry.json", "{ \"enabled\": false }")
      yield* isDecidedBy(device, "opt-out file")
      for (
        const text of [
          "{ \"enabled\": true }",
          "[{\"endpoint\":\"x\"}]",
          "{\"endpoint\":\"x\"}",
          "null",
          "{\"a\":1}\n{}"
        ]
      ) {
        yield* device.write("telemetry.json", text)
        yield* isDecidedBy(device, "default")
      }
    }
  )

  test(
    "An identity file that holds consent does not deny if another process makes it between two looks",
    function*(device) {
      const file = device.at("telemetry.json")
      const disk = {
        ...nodeDisk,
        look: (path: string) => {
          const answer = nodeDisk.look(path)
          if (path === file && isRefused(answer)) NFS.writeFileSync(file, "{ \"enabled\": true }")
          return answer
        }
      }
      yield* isDecidedBy(device, "default", { codec: supabase, disk })
      assert.isTrue(NFS.existsSync(file))
    }
  )

  test("An identity file that holds consent does not deny in a format without consent", function*(device) {
    for (const text of ["{ \"enabled\": false, \"consent\": \"denied\" }", "torn"]) {
      yield* device.write("usage.json", text)
      yield* isDecidedBy(device, "default")
    }
  })
})
