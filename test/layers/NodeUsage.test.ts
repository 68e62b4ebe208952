import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { LogLevel } from "effect/LogLevel"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import { vi } from "vitest"
import { trackEffect } from "../../src/cli/CommandTracking.ts"
import * as TelemetryHandlers from "../../src/cli/TelemetryHandlers.ts"
import { Credential, Usage, UsageEvent } from "../../src/index.ts"
import * as NodeUsage from "../../src/layers/NodeUsage.ts"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import { CaptureWorker } from "../../src/services/CaptureWorker.ts"
import { Consent } from "../../src/services/Consent.ts"
import { CurrentCommand } from "../../src/services/CurrentCommand.ts"
import { IdentityStitch } from "../../src/services/IdentityStitch.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"

const home = Path.join(NFS.realpathSync(OS.tmpdir()), "usage-that-is-never-made")

const layerOf = (options?: Partial<NodeUsage.Options>) =>
  NodeUsage.layer({
    name: "acme",
    version: "1.2.3",
    home,
    posthog: { host: "http://127.0.0.1:9", key: "phc_test" },
    ...options
  })

const test = <E>(
  title: string,
  run: () => Generator<Effect.Effect<unknown, E, NodeServices.NodeServices | Scope.Scope>, void, never>
) => it.effect(title, () => Effect.provide(Effect.gen(run), NodeServices.layer))

const stubEnvironment = (name: string, value: string) =>
  Effect.acquireRelease(Effect.sync(() => vi.stubEnv(name, value)), () => Effect.sync(() => vi.unstubAllEnvs()))

/** Lets nothing of the environment say that this is a test run. */
const noTestRun = Effect.forEach(["NODE_ENV", "VITEST", "NODE_TEST_CONTEXT"], (name) => stubEnvironment(name, ""))

const decidedBy = (provider: ConfigProvider.ConfigProvider, options?: Partial<NodeUsage.Options>) =>
  Effect.flatMap(Consent, ({ decision }) => decision).pipe(
    Effect.map(({ decidedBy }) => decidedBy),
    Effect.provide(layerOf(options)),
    Effect.provideService(ConfigProvider.ConfigProvider, provider)
  )

describe("ConfigProvider", () => {
  const providers = {
    "without a value": ConfigProvider.fromUnknown({}),
    "below a prefix": ConfigProvider.nested(ConfigProvider.fromEnv(), "ACME")
  }
  for (const [what, provider] of Object.entries(providers)) {
    test(`The ConfigProvider of a host ${what} does not hide the variables of the process`, function*() {
      // This is a test run, which must not reach production.
      assert.strictEqual((yield* decidedBy(provider))._tag, "TestRun")
    })
  }

  for (const [name, value, denial] of [["DO_NOT_TRACK", "0", "1"], ["ACME_USAGE_TRACKING", "1", "0"]] as const) {
    test(`The ConfigProvider of a host that reads a .env file does not give the consent that ${name} denies`, function*() {
      yield* stubEnvironment(name, denial)
      const provider = ConfigProvider.fromDotEnvContents(`${name}=${value}`)
      assert.deepStrictEqual(yield* decidedBy(provider), { _tag: "Variable", name })
    })
  }

  test("The ConfigProvider of a host denies with its own variable", function*() {
    const provider = ConfigProvider.fromUnknown({ DO_NOT_TRACK: "1" })
    assert.deepStrictEqual(yield* decidedBy(provider), { _tag: "Variable", name: "DO_NOT_TRACK" })
  })
})

describe("variables of the process and of the host's ConfigProvider", () => {
  const names = ["ACME_USAGE_TRACKING", "DO_NOT_TRACK"] as const
  const denials = { ACME_USAGE_TRACKING: "0", DO_NOT_TRACK: "1" }
  for (const [ofProcess, ofProvider] of [names, names.toReversed()] as const) {
    test(`The first variable that denies is named, if ${ofProcess} of the process and ${ofProvider} of the ConfigProvider deny`, function*() {
      yield* stubEnvironment(ofProcess, denials[ofProcess])
      const provider = ConfigProvider.fromUnknown({ [ofProvider]: denials[ofProvider] })
      assert.deepStrictEqual(yield* decidedBy(provider), { _tag: "Variable", name: "ACME_USAGE_TRACKING" })
    })
  }

  test("The ConfigProvider of a host is not asked for consent that a variable of the process denies", function*() {
    yield* stubEnvironment("ACME_USAGE_TRACKING", "0")
    const asked: Array<string> = []
    const provider = ConfigProvider.make((path) => {
      asked.push(path.join("."))
      return Effect.succeed(undefined)
    })
    assert.deepStrictEqual(yield* decidedBy(provider), { _tag: "Variable", name: "ACME_USAGE_TRACKING" })
    assert.deepStrictEqual(asked, ["ACME_USAGE_DEBUG"])
  })

  for (const [value, lines] of [[undefined, ["usage: telemetry is off: DO_NOT_TRACK"]], ["0", []]] as const) {
    test(`Debug mode of the process is ${value === undefined ? "on" : "off"} if the ConfigProvider of a host has the value ${value}`, function*() {
      yield* stubEnvironment("DO_NOT_TRACK", "1")
      yield* stubEnvironment("ACME_USAGE_DEBUG", "1")
      const provider = ConfigProvider.fromUnknown(value === undefined ? {} : { ACME_USAGE_DEBUG: value })
      yield* trackEffect("deploy")(Effect.void).pipe(
        Effect.provide(layerOf()),
        Effect.provideService(ConfigProvider.ConfigProvider, provider)
      )
      assert.deepStrictEqual(yield* TestConsole.errorLines, lines)
    })
  }
})

describe("a command with telemetry denied by a variable", () => {
  const Built = UsageEvent.make("Built", { description: "A site was built", properties: Schema.Struct({}) })
  const build = Command.make(
    "build",
    {},
    () =>
      Effect.flatMap(
        CurrentCommand,
        (current) => Console.log(`runs in ${current === undefined ? "no command" : "one"}`)
      )
  )
  const acme = Command.make("acme").pipe(
    Command.withSubcommands([Usage.track(build), Usage.telemetryCommand]),
    Usage.track({ catalog: [Built] })
  )
  const run = Effect.fnUntraced(function*(line: string, level: LogLevel) {
    yield* stubEnvironment("DO_NOT_TRACK", "1")
    yield* Command.runWith(acme, { version: "1.2.3" })(line.split(" ")).pipe(
      Effect.provide(layerOf()),
      Effect.provideService(References.MinimumLogLevel, level)
    )
  })

  test("A command with telemetry denied by a variable is not followed, and writes no line", function*() {
    yield* run("build", "Info")
    assert.deepStrictEqual(yield* TestConsole.logLines, ["runs in no command"])
    assert.deepStrictEqual(yield* TestConsole.errorLines, [])
  })

  test("A command with telemetry denied by a variable says so once at level Debug, and that it is tracked twice", function*() {
    yield* run("build", "Debug")
    const lines = (yield* TestConsole.errorLines).map(String)
    const about = ["telemetry is off: DO_NOT_TRACK", "\"build\" is not recorded again"]
    assert.deepStrictEqual(about.map((text) => lines.filter((line) => line.includes(text)).length), [1, 1])
  })

  test("The command `telemetry events` lists the catalog also if a variable denies telemetry", function*() {
    yield* run("telemetry events", "Info")
    assert.include(String(yield* TestConsole.logLines), "Built")
  })
})

describe("optOutVariables", () => {
  const optOutVariables = ["SUPABASE_TELEMETRY_DISABLED", "OLD_NO_TELEMETRY"]
  const decide = (env: Record<string, string>) => decidedBy(ConfigProvider.fromUnknown(env), { optOutVariables })

  test("A variable that `optOutVariables` names denies as DO_NOT_TRACK does, in the order that it is named", function*() {
    for (const value of ["1", "true", "TRUE", "yes", "disabled", " 2 "]) {
      assert.deepStrictEqual(yield* decide({ OLD_NO_TELEMETRY: value }), { _tag: "Variable", name: "OLD_NO_TELEMETRY" })
    }
    for (const value of ["", " ", "0", "false", "No", "off"]) {
      assert.deepStrictEqual(yield* decide({ OLD_NO_TELEMETRY: value }), { _tag: "TestRun" })
    }
    const all = { OLD_NO_TELEMETRY: "1", SUPABASE_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
    const names = ["DO_NOT_TRACK", "SUPABASE_TELEMETRY_DISABLED", "OLD_NO_TELEMETRY"] as const
    for (const [index, name] of names.entries()) {
      const left = Object.fromEntries(names.slice(index).map((name) => [name, all[name]]))
      assert.deepStrictEqual(yield* decide(left), { _tag: "Variable", name })
    }
    assert.deepStrictEqual(yield* decidedBy(ConfigProvider.fromUnknown(all), {}), {
      _tag: "Variable",
      name: "DO_NOT_TRACK"
    })
  })

  test("A variable that `optOutVariables` names denies by the environment of the process whatever the host reads, and `telemetry status` names it", function*() {
    yield* stubEnvironment("OLD_NO_TELEMETRY", "1")
    const provider = ConfigProvider.fromDotEnvContents("OLD_NO_TELEMETRY=0")
    yield* TelemetryHandlers.status({ json: true }).pipe(
      Effect.provide(layerOf({ optOutVariables })),
      Effect.provideService(ConfigProvider.ConfigProvider, provider)
    )
    const [line] = yield* TestConsole.logLines
    assert.deepInclude(JSON.parse(`${line}`), { enabled: false, decided_by: "OLD_NO_TELEMETRY" })
  })
})

test("A command with telemetry denied by a variable stores an opt-out and removes it, and delivers nothing", function*() {
  yield* stubEnvironment("DO_NOT_TRACK", "1")
  const folder = yield* temporaryFolder("denied-")
  const optOut = Path.join(folder, "usage/opt-out")
  yield* Effect.gen(function*() {
    const { allow, deny } = yield* Consent
    assert.deepStrictEqual(yield* (yield* CaptureWorker).flush, { delivered: 0, kept: 0, reason: undefined })
    yield* deny
    assert.isTrue(NFS.existsSync(optOut))
    yield* allow
    assert.isFalse(NFS.existsSync(optOut))
  }).pipe(Effect.provide(layerOf({ home: folder })))
})

test("A host that names no home keeps its files in the platform's folder, under its own name", function*() {
  const folder = yield* temporaryFolder("platform-")
  yield* stubEnvironment("XDG_STATE_HOME", folder)
  yield* Effect.provide(Effect.flatMap(Consent, ({ deny }) => deny), layerOf({ home: undefined }))
  assert.isTrue(NFS.existsSync(Path.join(folder, "acme/usage/opt-out")))
})

test("A host in a process that was started as a worker runs nothing, and ends if no worker ends it", function*() {
  yield* stubEnvironment(variable, "{}")
  yield* Effect.acquireRelease(
    Effect.sync(() => process.argv.push(marker)),
    () => Effect.sync(() => process.argv.splice(process.argv.indexOf(marker), 1))
  )
  const built = yield* Effect.forkChild(Effect.scoped(Layer.build(layerOf())))
  yield* TestClock.adjust("10 seconds")
  assert.isUndefined(built.pollUnsafe())
  yield* TestClock.adjust("1 second")
  assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(built)))
})

test("Two products in one process are isolated, also if the layer of one is provided within the other", function*() {
  const root = yield* temporaryFolder("products-")
  const product = (name: string) => layerOf({ name, home: Path.join(root, name) })
  const deny = Effect.flatMap(Consent, ({ deny }) => deny)
  yield* Effect.provide(deny, product("inner")).pipe(Effect.provide(product("outer")))
  assert.deepStrictEqual(NFS.readdirSync(root), ["inner"])
})

test("A layer that is made twice says so, where it sees no command", function*() {
  yield* stubEnvironment("ACME_USAGE_DEBUG", "1")
  const ran = Effect.succeed("ran").pipe(trackEffect("deploy"))
  const lines = yield* Effect.andThen(Effect.provide(Effect.void, layerOf()), ran).pipe(
    Effect.provide(layerOf()),
    Effect.andThen(TestConsole.errorLines),
    Effect.provide(TestConsole.layer)
  )
  assert.deepStrictEqual(lines.filter((line) => String(line).includes("nothing was tracked")), [
    "usage: nothing was tracked here: this process has another `Usage.layer` of the CLI"
  ])
})

test("A logout in debug mode changes nothing on the disk, also under a denial, with and without a resolver", function*() {
  const home = yield* temporaryFolder("debug-")
  const anon_id = "11111111-1111-4111-8111-111111111111"
  const pointer = JSON.stringify({ anon_id, linked_principal_id: "account_1" })
  NFS.writeFileSync(Path.join(home, "usage.json"), pointer, { mode: 0o600 })
  yield* stubEnvironment("ACME_USAGE_DEBUG", "1")
  yield* stubEnvironment("DO_NOT_TRACK", "1")
  const principals = Layer.succeed(PrincipalResolver, {
    credential: Effect.succeed(undefined),
    resolve: () => Effect.succeed(undefined)
  })
  for (const options of [{}, { principals }]) {
    yield* Effect.flatMap(IdentityStitch, ({ logout }) => logout).pipe(
      Effect.provide(layerOf({ home, ...options })),
      Effect.provide(TestConsole.layer)
    )
    assert.strictEqual(NFS.readFileSync(Path.join(home, "usage.json"), "utf8"), pointer)
  }
})

test("An empty host is the default one, as that of a variable that is not set", function*() {
  yield* noTestRun
  const posthog = { key: "phc_test", host: "" }
  assert.deepStrictEqual(yield* decidedBy(ConfigProvider.fromEnv(), { posthog }), { _tag: "Default" })
})

test("A name that is none of a folder turns telemetry off, and reaches no other folder", function*() {
  yield* noTestRun
  for (const name of ["", ".", "..", "../x", "a/b", "a\\b"]) {
    const problem = `the name "${name}" is no name of a folder`
    assert.deepStrictEqual(yield* decidedBy(ConfigProvider.fromEnv(), { name }), { _tag: "UnsafeHome", problem })
  }
})

test("A resolver that cannot be built has a credential that cannot be read, and ends no command", function*() {
  const principals = Layer.effect(PrincipalResolver, Effect.die(new Error("Cannot find module 'keychain'")))
  const resolver = yield* Effect.provide(PrincipalResolver, layerOf({ principals }))
  assert.strictEqual(yield* resolver.credential, Credential.unreadable)
})

test("A resolver whose layer hangs has a credential that cannot be read, after a second", function*() {
  const principals = Layer.effect(PrincipalResolver, Effect.uninterruptible(Effect.never))
  const built = yield* Effect.forkChild(Effect.provide(PrincipalResolver, layerOf({ principals })))
  // The module is loaded in real time.
  while (built.pollUnsafe() === undefined) {
    yield* Effect.promise(() => new Promise((resolve) => void setImmediate(resolve)))
    yield* TestClock.adjust("100 millis")
  }
  assert.strictEqual(yield* (yield* Fiber.join(built)).credential, Credential.unreadable)
})

test("A host on a runtime that denies the environment runs without telemetry", function*() {
  const refuse = () => {
    throw new Error("Requires env access")
  }
  const { env } = process
  const replace = (env: NodeJS.ProcessEnv) => Effect.sync(() => void (process.env = env))
  const asked = yield* Effect.gen(function*() {
    const { decision, deny } = yield* Consent
    yield* (yield* IdentityStitch).login("account_a")
    const ran = yield* Effect.succeed("ran").pipe(trackEffect("deploy"))
    return { decision: yield* decision, denied: yield* Effect.exit(deny), ran }
  }).pipe(
    Effect.provide(layerOf()),
    Effect.provide(Layer.effectDiscard(Effect.acquireRelease(
      replace(new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse })),
      () => replace(env)
    )))
  )
  assert.deepStrictEqual(asked.decision, { enabled: false, decidedBy: { _tag: "NotLoaded" } })
  assert.include(String(asked.denied), "Requires env access")
  assert.strictEqual(asked.ran, "ran")
})
