import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import { vi } from "vitest"
import * as NodeUsage from "../../src/layers/NodeUsage.ts"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import { Consent } from "../../src/services/Consent.ts"
import { OptOut } from "../../src/services/OptOut.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"

const home = Path.join(NFS.realpathSync(OS.tmpdir()), "usage-that-is-never-made")

const layer = NodeUsage.layer({
  name: "acme",
  version: "1.2.3",
  home,
  posthog: { host: "http://127.0.0.1:9", key: "phc_test" }
})

const providers = {
  "knows nothing": ConfigProvider.fromUnknown({}),
  "looks below a prefix": ConfigProvider.nested(ConfigProvider.fromEnv(), "ACME")
}

describe("a host whose ConfigProvider", () => {
  for (const [what, provider] of Object.entries(providers)) {
    it.effect(`${what} does not hide the variables of its process`, () =>
      Effect.gen(function*() {
        const { decidedBy } = yield* (yield* Consent).decision
        // This is one, and its author's users must not be sent to production.
        assert.strictEqual(decidedBy._tag, "TestRun")
      }).pipe(
        Effect.provide(layer),
        Effect.provide(NodeServices.layer),
        Effect.provideService(ConfigProvider.ConfigProvider, provider)
      ))
  }

  for (const [name, value, denial] of [["DO_NOT_TRACK", "0", "1"], ["ACME_USAGE_TRACKING", "1", "0"]] as const) {
    it.effect(`reads a .env does not give the consent that ${name} denies`, () =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => vi.stubEnv(name, denial)),
          () => Effect.sync(() => vi.unstubAllEnvs())
        )
        const { decidedBy } = yield* Effect.provide(Effect.flatMap(Consent, ({ decision }) => decision), layer)
        assert.deepStrictEqual(decidedBy, { _tag: "Variable", name })
      }).pipe(
        Effect.provide(NodeServices.layer),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromDotEnvContents(`${name}=${value}`)
        )
      ))
  }

  it.effect("has its say where it knows a variable", () =>
    Effect.gen(function*() {
      const { decidedBy } = yield* (yield* Consent).decision
      assert.deepStrictEqual(decidedBy, { _tag: "Variable", name: "DO_NOT_TRACK" })
    }).pipe(
      Effect.provide(layer),
      Effect.provide(NodeServices.layer),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ DO_NOT_TRACK: "1" }))
    ))
})

describe("a host in a process that was started as a worker", () => {
  it.effect("runs nothing, and ends by itself where no worker ends it", () =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          vi.stubEnv(variable, "{}")
          process.argv.push(marker)
        }),
        () =>
          Effect.sync(() => {
            vi.unstubAllEnvs()
            process.argv.splice(process.argv.indexOf(marker), 1)
          })
      )
      const built = yield* Effect.forkChild(Effect.scoped(Layer.build(layer)))
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(built.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(built)))
    }).pipe(Effect.provide(NodeServices.layer)))
})

it.effect("two products in one process keep apart, also where the one's layer stands around the other's", () =>
  Effect.gen(function*() {
    const root = yield* Effect.acquireRelease(
      Effect.sync(() => NFS.mkdtempSync(Path.join(NFS.realpathSync(OS.tmpdir()), "products-"))),
      (root) => Effect.sync(() => NFS.rmSync(root, { recursive: true, force: true }))
    )
    const product = (name: string) =>
      NodeUsage.layer({ name, version: "1.2.3", home: Path.join(root, name), posthog: { key: "phc_test" } })
    const optOut = Effect.flatMap(OptOut, ({ publish }) => publish)
    yield* Effect.provide(optOut, product("inner")).pipe(Effect.provide(product("outer")))
    assert.deepStrictEqual(NFS.readdirSync(root), ["inner"])
  }).pipe(Effect.provide(NodeServices.layer)))

it.effect("a resolver that cannot be built, for want of a keychain's module, is none, and ends no command", () =>
  Effect.gen(function*() {
    const principals = Layer.effect(PrincipalResolver, Effect.die(new Error("Cannot find module 'keychain'")))
    const resolver = yield* Effect.provide(
      PrincipalResolver,
      NodeUsage.layer({ name: "acme", version: "1.2.3", home, posthog: { key: "phc_test" }, principals })
    )
    assert.isUndefined(yield* resolver.credential)
  }).pipe(Effect.provide(NodeServices.layer)))
