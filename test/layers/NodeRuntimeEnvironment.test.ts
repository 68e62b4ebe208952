import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as NodeRuntimeEnvironment from "../../src/layers/NodeRuntimeEnvironment.ts"

const agentOf = (env: Readonly<Record<string, string>>) =>
  Effect.map(NodeRuntimeEnvironment.make, ({ agent }) => agent).pipe(
    Effect.provide(Stdio.layerTest({})),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

describe("the runtime", () => {
  it.effect("names the coding agent of the host's own configuration", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* agentOf({ CLAUDECODE: "1", HOME: "/home/me" }), "claude")
      assert.strictEqual(yield* agentOf({ PATH: "/home/me/.pi/agent/bin:/bin" }), "pi")
      assert.strictEqual(yield* agentOf({ AI_AGENT: "a canary" }), "other")
      assert.isUndefined(yield* agentOf({ HOME: "/home/me" }))
    }))
})
