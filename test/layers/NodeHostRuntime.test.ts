import { assert, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import * as NodeHostRuntime from "../../src/layers/NodeHostRuntime.ts"
import { evaluate, unshare } from "../fixtures/Process.ts"
import { test } from "../fixtures/Tests.ts"

const agentOf = (env: Readonly<Record<string, string>>) =>
  Effect.map(NodeHostRuntime.make, ({ agent }) => agent).pipe(
    Effect.provide(Stdio.layerTest({})),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

it.effect("The runtime asks the process whether stderr is a terminal where the host's Effect is older than 4.0.3", () =>
  Effect.gen(function*() {
    const older = new Proxy(yield* Stdio.Stdio, {
      get: (stdio, key) => key === "stderrIsTerminal" ? undefined : Reflect.get(stdio, key)
    })
    const { isTTY } = process.stderr
    for (const answer of [true, false]) {
      process.stderr.isTTY = answer
      const { stderrIsTerminal } = yield* Effect.provideService(NodeHostRuntime.make, Stdio.Stdio, older)
      process.stderr.isTTY = isTTY
      assert.strictEqual(stderrIsTerminal, answer)
    }
  }).pipe(Effect.provide(Stdio.layerTest({}))))

const program = `
  import * as Effect from "effect/Effect"
  import * as Stdio from "effect/Stdio"
  import { make } from "./src/layers/NodeHostRuntime.ts"
  console.log(Effect.runSync(Effect.provide(make, Stdio.layerTest({}))).container)
`

/** Whether a process with the marks of a container, on a disk of its own, counts as one in a container. */
const isContainer = (...namespaces: ReadonlyArray<string>) => {
  const marked = "mount -t tmpfs none /run && touch /run/.containerenv && exec \"$@\""
  const within = unshare("-m", ...namespaces, "sh", "-c", marked, "sh")
  return Effect.map(evaluate(program, { within }), ({ stderr, stdout }) => stdout.trim() + stderr)
}

const isOutside = process.platform === "linux" && NFS.readlinkSync("/proc/self/ns/pid") === "pid:[4026531836]"

test("The runtime names the coding agent of the host's own configuration", function*() {
  assert.strictEqual(yield* agentOf({ CLAUDECODE: "1", HOME: "/home/me" }), "claude")
  assert.strictEqual(yield* agentOf({ PATH: "/home/me/.pi/agent/bin:/bin" }), "pi")
  assert.strictEqual(yield* agentOf({ AI_AGENT: "a canary" }), "other")
  assert.isUndefined(yield* agentOf({ HOME: "/home/me" }))
})

test("The runtime asks a slow provider of the host for all variables at once", function*() {
  const provider = ConfigProvider.make(() => Effect.delay(Effect.succeed(undefined), 200))
  const made = yield* NodeHostRuntime.make.pipe(
    Effect.provide(Stdio.layerTest({})),
    Effect.provideService(ConfigProvider.ConfigProvider, provider),
    Effect.forkChild({ startImmediately: true })
  )
  yield* TestClock.adjust(200)
  assert.isDefined(made.pollUnsafe())
})

test.live.skipIf(!isOutside)("A pod of Kubernetes is a container, also without the marks of one", function*() {
  const withoutMarks = `
    import fs from "node:fs"
    for (const name of ["readFileSync", "statSync"]) {
      const real = fs[name]
      fs[name] = (path, ...rest) => real(/containerenv|dockerenv|cgroup|mountinfo/.test(path) ? "/missing" : path, ...rest)
    }
    ${program}`
  const isPod = (variable: string, ...namespaces: ReadonlyArray<string>) =>
    Effect.map(
      evaluate(withoutMarks, { within: unshare(...namespaces, "env", variable) }),
      ({ stderr, stdout }) => stdout.trim() + stderr
    )
  const variable = "KUBERNETES_SERVICE_HOST=10.0.0.1"
  assert.deepStrictEqual(
    [yield* isPod(variable, "-p", "-f"), yield* isPod("OTHER=1", "-p", "-f"), yield* isPod(variable, "-m")],
    ["true", "false", "false"]
  )
})

test.live.skipIf(!isOutside)("A container has the marks of one, and its processes end with it", function*() {
  assert.deepStrictEqual([yield* isContainer("-p", "-f"), yield* isContainer()], ["true", "false"])
})
