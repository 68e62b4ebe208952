import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { current } from "../../src/layers/NodeProcess.ts"

describe("this process", () => {
  it.effect("is listened to once, however many commands run in it", () =>
    Effect.gen(function*() {
      const events = ["exit", "uncaughtExceptionMonitor"] as const
      const counts = () => events.map((event) => process.listenerCount(event))
      const before = counts()
      yield* Effect.scoped(Effect.gen(function*() {
        for (let n = 0; n < 12; n++) yield* current.onExit(() => {})
        assert.deepStrictEqual(counts(), before.map((count) => count + 1))
      }))
      assert.deepStrictEqual(counts(), before)
    }))

  it.effect("may have an environment that cannot be written", () =>
    Effect.gen(function*() {
      const { env } = process
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env = Object.freeze({ ...env })
        }),
        () =>
          Effect.sync(() => {
            process.env = env
          })
      )
      yield* current.setVariable("ACME_USAGE_INVOCATION", "1")
      yield* current.setVariable("PATH", undefined)
      assert.isUndefined(process.env["ACME_USAGE_INVOCATION"])
    }))
})
