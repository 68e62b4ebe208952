import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Usage } from "../../src/index.ts"
import { FixedConsent, FixedPrincipalResolver, TestUsage } from "../../src/testing/index.ts"

/** What a command of the described user records. */
const recorded = (options: TestUsage.Options) =>
  Effect.gen(function*() {
    yield* Effect.void.pipe(Usage.trackEffect("sync"))
    return yield* TestUsage.messages
  }).pipe(Effect.provide(Layer.fresh(TestUsage.layerWith(options))))

describe("TestUsage", () => {
  it.effect("is a device with nobody logged in where nothing is varied", () =>
    Effect.gen(function*() {
      const [message, ...more] = yield* recorded({})
      assert.lengthOf(more, 0)
      assert.strictEqual(message?.properties["$process_person_profile"], false)
      assert.strictEqual(message?.properties["is_ci"], false)
    }))

  it.effect("records nothing of a user who opted out", () =>
    Effect.gen(function*() {
      const consent = FixedConsent.layer({ enabled: false, decidedBy: { _tag: "OptOutFile" } })
      assert.deepStrictEqual(yield* recorded({ consent }), [])
    }))

  it.effect("joins the device to the account that is logged in", () =>
    Effect.gen(function*() {
      const [alias, event] = yield* recorded({ principals: FixedPrincipalResolver.layer("account_1") })
      assert.deepStrictEqual([alias?.event, alias?.distinct_id], ["$create_alias", "account_1"])
      assert.deepStrictEqual([event?.properties["command_name"], event?.distinct_id], ["sync", "account_1"])
    }))

  it.effect("joins nothing in CI", () =>
    Effect.gen(function*() {
      const messages = yield* recorded({
        principals: FixedPrincipalResolver.layer("account_1"),
        runtime: { ci: "GitHub Actions", stdoutIsTerminal: false }
      })
      assert.deepStrictEqual(messages.map(({ distinct_id }) => distinct_id), ["account_1"])
      assert.strictEqual(messages[0]?.properties["ci"], "GitHub Actions")
    }))
})
