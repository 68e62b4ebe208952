import { assert, describe } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { UsageCapture, UsageEvent } from "../../src/index.ts"
import * as UsageServices from "../../src/layers/UsageServices.ts"
import { CaptureWorker } from "../../src/services/CaptureWorker.ts"
import { services, test, told } from "./Harness.ts"

const Rebuilt = UsageEvent.make("Rebuilt", { description: "The watcher built again", properties: Schema.Struct({}) })

const rebuilt = Effect.flatMap(UsageCapture, (usage) => usage.capture(Rebuilt, {}))

describe("periodic delivery", () => {
  test("A command delivers every 30 seconds, and at its end", function*() {
    const started = yield* Ref.make(0)
    const worker = CaptureWorker.of({
      ensure: Ref.update(started, (n) => n + 1),
      flush: Effect.succeed({ delivered: 0, kept: 0 }),
      obstacles: Effect.succeed([])
    })
    yield* Effect.gen(function*() {
      yield* rebuilt
      assert.strictEqual(yield* Ref.get(started), 0)
      yield* TestClock.adjust("31 seconds")
      yield* rebuilt
      yield* rebuilt
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Ref.get(started), 1)
    }).pipe(Effect.provide(UsageServices.layer({ worker: Effect.succeed(worker) })))
    assert.strictEqual(yield* Ref.get(started), 2)
  })
})

describe("nested commands", () => {
  const outer = "11111111-1111-4111-8111-111111111111"

  for (
    const [title, value, parent] of [
      ["of none", undefined, undefined],
      ["of the command that runs it", outer, outer],
      ["of none where the variable holds anything else, which is not sent", "a canary", undefined]
    ] as const
  ) {
    const variables = new Map<string, string | undefined>()
    test(`A command is the child ${title}, and names itself to its own children while it runs`, function*() {
      const run = Effect.gen(function*() {
        yield* rebuilt
        const [[id, parentId] = []] = yield* told("invocation_id", "parent_invocation_id")
        assert.deepStrictEqual([variables.get("TEST_USAGE_INVOCATION"), parentId], [id, parent])
      })
      const env = value === undefined ? {} : { TEST_USAGE_INVOCATION: value }
      yield* run.pipe(
        Effect.provide(services({
          runtime: { setVariable: (name, value) => Effect.sync(() => void variables.set(name, value)) }
        })),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      )
      assert.strictEqual(variables.get("TEST_USAGE_INVOCATION"), value)
    })
  }
})
