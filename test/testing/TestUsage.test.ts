import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { OptOut, Outbox, Usage, UsageCapture, UsageEvent } from "../../src/index.ts"
import {
  FixedConsent,
  FixedPrincipalResolver,
  NoopUsageCapture,
  RecordingUsageCapture,
  TestUsage
} from "../../src/testing/index.ts"

/** What a command of the described user records. */
const recorded = (options: TestUsage.Options) =>
  Effect.gen(function*() {
    yield* Effect.void.pipe(Usage.trackEffect("sync"))
    return yield* TestUsage.messages
  }).pipe(Effect.provide(Layer.fresh(TestUsage.layerWith(options))))

const sync = Command.make("sync", {}, () => Effect.void)
const app = Command.make("app").pipe(Command.withSubcommands([sync, Usage.telemetryCommand]), Usage.track)

const Chosen = UsageEvent.make("Template chosen", {
  description: "A template was chosen",
  properties: Schema.Struct({ template: Schema.String.check(Schema.isMaxLength(4)) })
})

const choosing = (template: string) =>
  Effect.flatMap(UsageCapture, (usage) => {
    const properties = { template, undeclared: "secret" }
    return usage.capture(Chosen, properties)
  })

describe("RecordingUsageCapture", () => {
  it.effect("tells what would be sent of each event, and what is refused", () =>
    Effect.gen(function*() {
      yield* choosing("blog")
      yield* choosing("shopping")
      const { all } = yield* RecordingUsageCapture.RecordedEvents
      assert.deepStrictEqual(yield* all, [
        { _tag: "Captured", event: "Template chosen", properties: { template: "blog" } },
        { _tag: "Refused", event: "Template chosen", reason: "the event does not declare this value of template" }
      ])
    }).pipe(Effect.provide(Layer.fresh(RecordingUsageCapture.layer))))
})

describe("NoopUsageCapture", () => {
  it.effect("takes every event and does nothing", () =>
    Effect.gen(function*() {
      yield* choosing("shopping")
    }).pipe(Effect.provide(NoopUsageCapture.layer)))
})

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

  it.effect("deletes what a user who opts out has recorded, and starts anew when they come back", () =>
    Effect.gen(function*() {
      const run = (...words: ReadonlyArray<string>) => Command.runWith(app, { version: "0" })(words)
      yield* run("sync")
      const [before] = yield* TestUsage.messages
      yield* run("telemetry", "disable")
      yield* run("sync")
      assert.deepStrictEqual(yield* TestUsage.messages, [])
      yield* run("telemetry", "enable")
      yield* run("sync")
      const [after, ...more] = yield* TestUsage.messages
      assert.lengthOf(more, 0)
      assert.strictEqual(after?.properties["command_name"], "sync")
      assert.notStrictEqual(after?.distinct_id, before?.distinct_id)
      assert.notStrictEqual(after?.properties["$session_id"], before?.properties["$session_id"])
    }).pipe(Effect.provide([Layer.fresh(TestUsage.layer), NodeServices.layer])))

  it.effect("joins the device to the account that is logged in", () =>
    Effect.gen(function*() {
      const [alias, event] = yield* recorded({ principals: FixedPrincipalResolver.layer("account_1") })
      assert.deepStrictEqual([alias?.event, alias?.distinct_id], ["$create_alias", "account_1"])
      assert.deepStrictEqual([event?.properties["command_name"], event?.distinct_id], ["sync", "account_1"])
    }))

  it.effect("is another one where a test varies it within one that does not", () =>
    Effect.gen(function*() {
      yield* Usage.trackEffect("outside")(Effect.void)
      const options = { runtime: { ci: "GitHub Actions" }, principals: FixedPrincipalResolver.layer("account_1") }
      const inside = yield* Effect.gen(function*() {
        yield* Usage.trackEffect("inside")(Effect.void)
        return yield* TestUsage.messages
      }).pipe(Effect.provide(TestUsage.layerWith(options)))
      assert.deepStrictEqual(
        inside.map(({ distinct_id, properties }) => [properties["command_name"], properties["ci"], distinct_id]),
        [["inside", "GitHub Actions", "account_1"]]
      )
      assert.lengthOf(yield* TestUsage.messages, 1)
    }).pipe(Effect.provide(TestUsage.layer)))

  it.effect("deletes what waits when a user opts out, which is no delivery", () =>
    Effect.gen(function*() {
      yield* Usage.trackEffect("sync")(Effect.void)
      yield* Effect.flatMap(OptOut, ({ publish }) => publish)
      const { lastDelivery, pending } = yield* Effect.flatMap(Outbox, ({ status }) => status)
      assert.deepStrictEqual([lastDelivery, pending], [undefined, 0])
    }).pipe(Effect.provide(TestUsage.layer)))

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
