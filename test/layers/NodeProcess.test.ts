import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { current, merge } from "../../src/layers/NodeProcess.ts"

it.effect("A process has one pair of exit listeners, however many commands run in it", () =>
  Effect.gen(function*() {
    const counts = () => ["exit", "uncaughtExceptionMonitor"].map((event) => process.listenerCount(event))
    const before = counts()
    yield* Effect.scoped(Effect.gen(function*() {
      for (let n = 0; n < 12; n++) yield* current.onExit(() => {})
      assert.deepStrictEqual(counts(), before.map((count) => count + 1))
    }))
    assert.deepStrictEqual(counts(), before)
  }))

it.effect("A variable is not set in an environment that cannot be written, and that is no failure", () =>
  Effect.gen(function*() {
    const { env } = process
    const replace = (env: NodeJS.ProcessEnv) => Effect.sync(() => void (process.env = env))
    yield* Effect.acquireRelease(replace(Object.freeze({ ...env })), () => replace(env))
    yield* current.setVariable("ACME_USAGE_INVOCATION", "1")
    yield* current.setVariable("PATH", undefined)
    assert.isUndefined(process.env["ACME_USAGE_INVOCATION"])
    assert.strictEqual(process.env["PATH"], env["PATH"])
  }))

it("Merged facts are found out when they are read", () => {
  let looks = 0
  const merged = merge({
    get container() {
      return (looks += 1)
    }
  }, { pid: 1 })
  assert.deepStrictEqual([looks, merged.pid, merged.container, looks], [0, 1, 1, 1])
})
