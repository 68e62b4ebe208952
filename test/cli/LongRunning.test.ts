import { assert, describe, it } from "@effect/vitest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { CaptureWorker, CurrentProcess, Invocation, UsageCapture, UsageEvent } from "../../src/index.ts"
import * as CommandInvocation from "../../src/layers/CommandInvocation.ts"
import * as OutboxUsageCapture from "../../src/layers/OutboxUsageCapture.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"

const Rebuilt = UsageEvent.make("Rebuilt", { description: "The watcher built again", properties: Schema.Struct({}) })

describe("a command that runs for long", () => {
  it.effect("delivers along the way, not only at its end", () =>
    Effect.gen(function*() {
      const started = yield* Ref.make(0)
      const worker = Layer.mock(CaptureWorker, { ensure: Ref.update(started, (n) => n + 1) })
      yield* Effect.gen(function*() {
        const capture = yield* UsageCapture
        yield* capture.capture(Rebuilt, {})
        assert.strictEqual(yield* Ref.get(started), 0)
        yield* TestClock.adjust("31 seconds")
        yield* capture.capture(Rebuilt, {})
        yield* capture.capture(Rebuilt, {})
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Ref.get(started), 1)
      }).pipe(
        Effect.provide(Layer.fresh(OutboxUsageCapture.layer).pipe(Layer.provide(worker))),
        Effect.provide(Layer.fresh(TestUsage.layer))
      )
      assert.strictEqual(yield* Ref.get(started), 2)
    }))
})

describe("a command that starts another of the same host", () => {
  it.effect("tells it, by a variable, which invocation it belongs to", () =>
    Effect.gen(function*() {
      const variables = new Map<string, string | undefined>()
      const current = {
        ...TestUsage.currentProcess,
        setVariable: (name: string, value: string | undefined) => Effect.sync(() => void variables.set(name, value))
      }
      const told = yield* Effect.map(Invocation, ({ id }) => ({ id, variable: variables.get("TEST_USAGE_INVOCATION") }))
        .pipe(
          Effect.provide(
            Layer.fresh(CommandInvocation.layer).pipe(
              Layer.provide([Layer.succeed(CurrentProcess, current), SecureRandom.layerWebCrypto])
            )
          ),
          Effect.provide(Layer.fresh(TestUsage.layer))
        )
      assert.strictEqual(told.variable, told.id)
      // What runs later in this process is no child of it.
      assert.isUndefined(variables.get("TEST_USAGE_INVOCATION"))
    }))
})
