import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as NFS from "node:fs"
import * as Path from "node:path"
import { explain, format } from "../../src/domain/ConsentDecision.ts"
import { arcade, type IdentityCodec, supabase } from "../../src/domain/IdentityCodec.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"
import { Consent } from "../../src/services/Consent.ts"
import type { RuntimeEnvironment } from "../../src/services/RuntimeEnvironment.ts"
import * as Device from "../fixtures/Device.ts"

const isWindows = process.platform === "win32"

interface Options {
  readonly env?: Record<string, string>
  readonly provider?: ConfigProvider.ConfigProvider
  readonly home?: string
  readonly codec?: IdentityCodec
  readonly hasKey?: boolean
  readonly fileSystem?: Layer.Layer<FileSystem.FileSystem>
  readonly runtime?: RuntimeEnvironment["Service"]
}

const layer = (device: Device.Device, options: Options = {}): Layer.Layer<Consent> => {
  const { codec = arcade, hasKey = true, home = device.home, ...rest } = options
  const settings = {
    codec,
    home: StateHome.make(Path, home),
    ...(hasKey ? {} : { destination: undefined })
  }
  return Device.environmentConsent(device, { ...rest, settings })
}

/** What decided; whether it is enabled must agree with that. */
const decision = (device: Device.Device, options?: Options) =>
  Effect.gen(function*() {
    const { decision } = yield* Consent
    const { decidedBy, enabled } = yield* decision
    assert.strictEqual(enabled, decidedBy._tag === "Default")
    return decidedBy
  }).pipe(Effect.provide(layer(device, options), { local: true }))

/** The same in the words of `telemetry status --json`. */
const decidedBy = (device: Device.Device, options?: Options): Effect.Effect<string> =>
  Effect.map(decision(device, options), format)

/** The home is unsafe, and people are told why. */
const assertUnsafe = (device: Device.Device, why: string, options?: Options): Effect.Effect<void> =>
  Effect.map(decision(device, options), (decidedBy) => {
    assert.strictEqual(format(decidedBy), "unsafe home")
    assert.strictEqual(explain(decidedBy), `unsafe home: ${why}`)
  })

const policyFile = "/etc/acme/usage.json"

/** The real disk, where something of the test's stands in the place of the machine's policy file. */
const withPolicy = (place: string, file = policyFile): Layer.Layer<FileSystem.FileSystem> => {
  const at = (path: string) => path === file ? place : path
  return Device.withFileSystem((real) => ({
    lstat: (path) => real.lstat(at(path)),
    readFileString: (path, encoding) => real.readFileString(at(path), encoding),
    stat: (path) => real.stat(at(path))
  }))
}

describe("consent", () => {
  it.effect("is given where nothing denies it, and looking makes nothing", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      assert.strictEqual(yield* decidedBy(device), "default")
      assert.deepStrictEqual(device.tree(), [])
    }))

  it.effect("is given for a home that is not there yet", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      assert.strictEqual(yield* decidedBy(device, { home: device.at("not", "yet") }), "default")
    }))

  it.effect("is asked anew each time, so that an opt-out reaches a running process", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* Effect.gen(function*() {
        const { decision } = yield* Consent
        assert.isTrue((yield* decision).enabled)
        yield* device.write("usage/opt-out", "")
        assert.deepStrictEqual(yield* decision, Device.denied)
        NFS.rmSync(device.at("usage/opt-out"))
        assert.isTrue((yield* decision).enabled)
      }).pipe(Effect.provide(layer(device)))
    }))
})

describe("a variable", () => {
  const spellings: ReadonlyArray<readonly [name: string, value: string, denies: boolean]> = [
    ...["", " ", "1", "true", "TRUE", "True", "yes", "YES", "on", "On", " on ", "\ttrue\n"].map(
      (value) => ["ACME_USAGE_TRACKING", value, false] as const
    ),
    ...["0", "false", "FALSE", "no", "off", "OFF", " off ", "disabled", "2", "-1", "y", "enabled", "null", "да"].map(
      (value) => ["ACME_USAGE_TRACKING", value, true] as const
    ),
    ...["", " ", "0", "false", "FALSE", "False", "no", "NO", "off", "Off", " off ", "\t0\n"].map(
      (value) => ["DO_NOT_TRACK", value, false] as const
    ),
    ...["1", "true", "TRUE", "yes", "on", "ON", " 1 ", "2", "please", "n", "disabled", "null"].map(
      (value) => ["DO_NOT_TRACK", value, true] as const
    )
  ]

  for (const [name, value, denies] of spellings) {
    it.effect(`${denies ? "denies" : "does not deny"}: ${name}=${JSON.stringify(value)}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        assert.strictEqual(yield* decidedBy(device, { env: { [name]: value } }), denies ? name : "default")
      }))
  }

  it.effect("that denies is enough: nothing of the home is looked at, which may hang", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const seen: Array<string> = []
      const fileSystem = Device.interposed(({ path }) => Effect.sync(() => void seen.push(path)))
      assert.strictEqual(yield* decidedBy(device, { env: { DO_NOT_TRACK: "1" }, fileSystem }), "DO_NOT_TRACK")
      assert.deepStrictEqual(seen, [])
    }))

  for (const name of ["ACME_USAGE_TRACKING", "DO_NOT_TRACK"]) {
    it.effect(`that cannot be read is one that somebody set: ${name}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const provider = ConfigProvider.make((path) =>
          path[0] === name
            ? Effect.fail(new ConfigProvider.SourceError({ message: "unreachable" }))
            : Effect.succeed(undefined)
        )
        assert.strictEqual(yield* decidedBy(device, { provider }), name)
      }))
  }

  it.effect("of another host says nothing about this one", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      assert.strictEqual(yield* decidedBy(device, { env: { OTHER_USAGE_TRACKING: "0" } }), "default")
    }))

  it.effect("that allows does not outweigh one that denies", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const env = { ACME_USAGE_TRACKING: "1", DO_NOT_TRACK: "1" }
      assert.strictEqual(yield* decidedBy(device, { env }), "DO_NOT_TRACK")
    }))
})

describe("where several deny, the first is named", () => {
  const order = [
    "ACME_USAGE_TRACKING",
    "DO_NOT_TRACK",
    "policy file",
    "opt-out file",
    "test run",
    "no key",
    "unsafe home"
  ]

  for (const [position, name] of order.entries()) {
    it.effect(`${name}, of ${order.slice(position).join(", ")}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const denies = (name: string) => order.indexOf(name) >= position
        if (denies("policy file")) yield* device.write("policy.json", "{}")
        if (denies("opt-out file")) yield* device.write("usage/opt-out", "")
        const options: Options = {
          env: {
            ...(denies("ACME_USAGE_TRACKING") ? { ACME_USAGE_TRACKING: "off" } : {}),
            ...(denies("DO_NOT_TRACK") ? { DO_NOT_TRACK: "1" } : {}),
            ...(denies("test run") ? { NODE_ENV: "test", VITEST: "true" } : {})
          },
          hasKey: !denies("no key"),
          fileSystem: denies("policy file") ? withPolicy(device.at("policy.json")) : SyncNodeFileSystem.layer,
          runtime: { ...Device.persistent, uid: { effective: 1, real: 2 } }
        }
        assert.strictEqual(yield* decidedBy(device, options), name)
      }))
  }
})

describe("the machine's policy file", () => {
  for (
    const [text, decided] of [
      ["{ \"enabled\": true }", "default"],
      ["{ \"enabled\": true, \"more\": 1 }", "default"],
      ["{ \"enabled\": false }", "policy file"],
      ["{ \"enabled\": \"true\" }", "policy file"],
      ["{}", "policy file"],
      ["", "policy file"],
      ["not JSON", "policy file"]
    ] as const
  ) {
    it.effect(`${decided === "default" ? "allows" : "denies"} with ${JSON.stringify(text)}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("policy.json", text)
        assert.strictEqual(yield* decidedBy(device, { fileSystem: withPolicy(device.at("policy.json")) }), decided)
      }))
  }

  for (const code of ["EACCES", "EIO"]) {
    it.effect(`denies where it is there but cannot be read: ${code}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const fileSystem = Device.failing(({ path }) => path === policyFile ? code : undefined)
        assert.strictEqual(yield* decidedBy(device, { fileSystem }), "policy file")
      }))
  }

  for (
    const [what, make] of [
      ["a folder", (file: string) => NFS.mkdirSync(file)],
      ["a link that leads nowhere", (file: string) => NFS.symlinkSync("/nowhere", file)],
      ["a link to itself", (file: string) => NFS.symlinkSync(file, file)],
      [
        "larger than any policy",
        (file: string) => NFS.writeFileSync(file, `{"enabled":true}${" ".repeat(1024 * 1024)}`)
      ]
    ] as const
  ) {
    it.effect(`denies where it is ${what}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        make(device.at("policy.json"))
        assert.strictEqual(
          yield* decidedBy(device, { fileSystem: withPolicy(device.at("policy.json")) }),
          "policy file"
        )
      }))
  }

  it.effect("is not there where a file has its folder's name, as `/etc/hosts` has", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("hosts", "127.0.0.1 localhost")
      assert.strictEqual(yield* decidedBy(device, { fileSystem: withPolicy(device.at("hosts/usage.json")) }), "default")
    }))

  for (
    const [type, file, env] of [
      ["Linux", "/etc/acme/usage.json", {}],
      ["Darwin", "/Library/Application Support/acme/usage.json", {}],
      ["Windows_NT", Path.join("/ProgramData", "acme", "usage.json"), { PROGRAMDATA: "/ProgramData" }]
    ] as const
  ) {
    it.effect(`is looked for where ${type} keeps such files`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("policy.json", "{ \"enabled\": false }")
        const options: Options = {
          env,
          fileSystem: withPolicy(device.at("policy.json"), file),
          runtime: { ...Device.persistent, os: { ...Device.persistent.os, type } }
        }
        assert.strictEqual(yield* decidedBy(device, options), "policy file")
      }))
  }
})

describe("the opt-out file", () => {
  it.effect("denies by its existence, whatever it is and whatever is in it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage/opt-out", "enabled: true")
      assert.strictEqual(yield* decidedBy(device), "opt-out file")
      NFS.rmSync(device.at("usage/opt-out"))
      NFS.mkdirSync(device.at("usage/opt-out"))
      assert.strictEqual(yield* decidedBy(device), "opt-out file")
      NFS.rmdirSync(device.at("usage/opt-out"))
      NFS.symlinkSync("/nowhere", device.at("usage/opt-out"))
      assert.strictEqual(yield* decidedBy(device), "opt-out file")
    }))

  for (const code of ["EACCES", "EIO"]) {
    it.effect(`denies where it cannot be looked for: ${code}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const fileSystem = Device.failing(({ method, path }) =>
          method === "lstat" && path.endsWith("opt-out") ? code : undefined
        )
        assert.strictEqual(yield* decidedBy(device, { fileSystem }), "opt-out file")
      }))
  }
})

describe("a test run", () => {
  for (
    const [env, decided] of [
      [{ NODE_ENV: "test" }, "test run"],
      [{ VITEST: "true" }, "test run"],
      [{ VITEST: "1" }, "test run"],
      [{ NODE_TEST_CONTEXT: "child-v8" }, "test run"],
      [{ NODE_ENV: "production" }, "default"],
      [{ NODE_ENV: "testing" }, "default"],
      [{ NODE_ENV: "", VITEST: "" }, "default"]
    ] as const
  ) {
    it.effect(`${decided === "default" ? "is not" : "is"} seen in ${JSON.stringify(env)}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        assert.strictEqual(yield* decidedBy(device, { env }), decided)
      }))
  }
})

it.effect("nothing is recorded without a key", () =>
  Effect.gen(function*() {
    const device = yield* Device.make
    assert.strictEqual(yield* decidedBy(device, { hasKey: false }), "no key")
  }))

describe("an unsafe home", () => {
  const runtimeOf = (effective: number, real: number): RuntimeEnvironment["Service"] => ({
    ...Device.persistent,
    uid: { effective, real }
  })
  const user = process.geteuid?.() ?? 0

  for (const home of ["", "relative", "./home", "~/.acme"]) {
    it.effect(`is one that is not absolute: ${JSON.stringify(home)}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* assertUnsafe(device, `${home === "" ? "an empty path" : Path.normalize(home)} is not absolute`, { home })
      }))
  }

  it.effect.skipIf(isWindows)("is one that would be made below another user's folder", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const home = device.at("not", "yet", "there")
      const options = (by: number, owner: number, ci?: string) => ({
        home,
        runtime: { ...runtimeOf(by, by), ci },
        fileSystem: Device.withFileSystem((real) => ({
          stat: (path) => Effect.map(real.stat(path), (info) => Device.ownedBy(info, owner))
        }))
      })
      const decided = (by: number, owner: number, ci?: string) => decidedBy(device, options(by, owner, ci))
      const why = `${home} would be made below another user's folder`
      yield* assertUnsafe(device, why, options(0, 1000))
      yield* assertUnsafe(device, why, options(1001, 1000))
      assert.strictEqual(yield* decided(1000, 1000), "default")
      assert.strictEqual(yield* decided(1000, 0), "default")
      // The container of a job, in a home that is the machine's user's.
      assert.strictEqual(yield* decided(0, 1001, "GitHub Actions"), "default")
    }))

  it.effect("has a file in the place of the module's folder", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage", "")
      yield* assertUnsafe(device, `${device.at("usage")} is no folder, or a link`)
    }))

  it.effect("is a file", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("file", "")
      yield* assertUnsafe(device, `${device.at("file")} is no folder, or a link`, { home: device.at("file") })
    }))

  for (const folder of ["", "usage"]) {
    const what = folder === "" ? "the home" : "the module's folder"

    it.effect.skipIf(isWindows)(`is one that others can write to: ${what}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("usage/notice", "")
        for (const mode of [0o720, 0o702, 0o777]) {
          NFS.chmodSync(device.at(folder), mode)
          yield* assertUnsafe(device, `others may write to ${device.at(folder)}, which \`chmod go-w\` ends`)
        }
        NFS.chmodSync(device.at(folder), 0o755)
        assert.strictEqual(yield* decidedBy(device), "default")
      }))

    it.effect.skipIf(isWindows)(`is a symbolic link: ${what}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        NFS.mkdirSync(device.at("elsewhere"), { mode: 0o700 })
        const home = folder === "" ? device.at("link") : device.home
        NFS.symlinkSync(device.at("elsewhere"), folder === "" ? home : device.at("usage"))
        yield* assertUnsafe(device, `${folder === "" ? home : device.at("usage")} is no folder, or a link`, { home })
      }))

    it.effect.skipIf(isWindows)(`is another user's: ${what}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("usage/notice", "")
        const fileSystem = Device.withFileSystem((real) => ({
          lstat: (path) =>
            Effect.map(real.lstat(path), (info) => path === device.at(folder) ? Device.ownedBy(info, user + 1) : info)
        }))
        yield* assertUnsafe(device, `${device.at(folder)} is another user's`, { fileSystem })
        assert.strictEqual(yield* decidedBy(device), "default")
      }))

    it.effect(`is one that cannot be looked at: ${what}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const fileSystem = Device.failing(({ method, path }) =>
          method === "lstat" && path === device.at(folder) ? "EACCES" : undefined
        )
        yield* assertUnsafe(device, `${device.at(folder)} cannot be looked at`, { fileSystem })
      }))
  }

  it.effect.skipIf(isWindows)("is one in which root acts for a user, or a user for root", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const rights = "the command runs with another user's rights"
      yield* assertUnsafe(device, rights, { runtime: runtimeOf(user, user + 1) })
      yield* assertUnsafe(device, rights, { runtime: runtimeOf(user + 1, user) })
      yield* assertUnsafe(device, `${device.home} is another user's`, { runtime: runtimeOf(user + 1, user + 1) })
      assert.strictEqual(yield* decidedBy(device, { runtime: runtimeOf(user, user) }), "default")
    }))

  it.effect("is not asked for its owner where the platform has none", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const runtime = { ...Device.persistent, uid: undefined }
      NFS.chmodSync(device.home, 0o777)
      assert.strictEqual(yield* decidedBy(device, { runtime }), "default")
    }))
})

describe("an identity file that holds consent", () => {
  for (
    const [text, decided] of [
      ["{ \"enabled\": true }", "default"],
      ["{ \"consent\": \"granted\" }", "default"],
      ["{}", "default"],
      ["{ \"enabled\": false }", "opt-out file"],
      ["{ \"consent\": \"denied\" }", "opt-out file"],
      ["{ \"enabled\": true, \"consent\": \"denied\" }", "opt-out file"],
      ["{ \"enabled\": false, \"consent\": \"granted\" }", "opt-out file"],
      ["\ufeff{ \"enabled\": false }", "opt-out file"],
      ["", "opt-out file"],
      ["{ \"enabled\": tru", "opt-out file"],
      ["[]", "opt-out file"]
    ] as const
  ) {
    it.effect(`${decided === "default" ? "allows" : "denies"} with ${JSON.stringify(text)}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("telemetry.json", text)
        assert.strictEqual(yield* decidedBy(device, { codec: supabase }), decided)
      }))
  }

  it.effect("allows where it is not there yet", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      assert.strictEqual(yield* decidedBy(device, { codec: supabase }), "default")
    }))

  it.effect("denies where it cannot be read", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      NFS.mkdirSync(device.at("telemetry.json"))
      assert.strictEqual(yield* decidedBy(device, { codec: supabase }), "opt-out file")
    }))

  it.effect("counts also where it is of the format that the host had before", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("telemetry.json", "{ \"enabled\": false }")
      assert.strictEqual(yield* decidedBy(device), "opt-out file")
      yield* device.write("telemetry.json", "{ \"enabled\": true }")
      assert.strictEqual(yield* decidedBy(device), "default")
    }))

  for (const text of ["[{\"endpoint\":\"x\"}]", "{\"endpoint\":\"x\"}", "null"]) {
    it.effect(`is another file of that name: ${text}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("telemetry.json", text)
        assert.strictEqual(yield* decidedBy(device), "default")
      }))
  }

  it.effect("is not read where it is larger than any of its kind", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("telemetry.json", "{ \"enabled\": true }" + " ".repeat(1024 * 1024))
      const read: Array<string> = []
      const fileSystem = Device.withFileSystem((real) => ({
        readFileString: (path) => Effect.andThen(Effect.sync(() => void read.push(path)), real.readFileString(path))
      }))
      assert.strictEqual(yield* decidedBy(device, { codec: supabase, fileSystem }), "opt-out file")
      assert.notInclude(read, device.at("telemetry.json"))
    }))

  it.effect("does not deny where another process makes it between two looks", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const file = device.at("telemetry.json")
      const fileSystem = Device.withFileSystem((real) => ({
        stat: (path) =>
          path === file && !NFS.existsSync(file)
            ? Effect.tapError(real.stat(path), () => device.write("telemetry.json", "{ \"enabled\": true }"))
            : real.stat(path)
      }))
      assert.strictEqual(yield* decidedBy(device, { codec: supabase, fileSystem }), "default")
      assert.isTrue(NFS.existsSync(file))
    }))

  it.effect("in a format without consent says nothing about it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json", "{ \"enabled\": false, \"consent\": \"denied\" }")
      assert.strictEqual(yield* decidedBy(device), "default")
      yield* device.write("usage.json", "torn")
      assert.strictEqual(yield* decidedBy(device), "default")
    }))
})
