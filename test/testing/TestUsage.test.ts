import { assert, describe, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Consent, Outbox, Usage, UsageCapture, UsageEvent } from "../../src/index.ts"
import {
  FixedConsent,
  FixedPrincipalResolver,
  MemoryDisk,
  RecordingUsageCapture,
  TestUsage
} from "../../src/testing/index.ts"
import { events, runLine, test, testWith } from "../cli/Harness.ts"

const sync = Command.make("sync", {}, () => Effect.void)
const app = Command.make("app").pipe(Command.withSubcommands([sync, Usage.telemetryCommand]), Usage.track)

const account = FixedPrincipalResolver.layer("account_1")

/** Who each message belongs to. */
const owners = Effect.map(
  TestUsage.messages,
  (messages) => messages.map(({ distinct_id, event }) => [event, distinct_id])
)

describe("RecordingUsageCapture", () => {
  const Chosen = UsageEvent.make("Template chosen", {
    description: "A template was chosen",
    properties: Schema.Struct({ template: Schema.String.check(Schema.isMaxLength(4)) })
  })
  const choose = (template: string) =>
    Effect.flatMap(UsageCapture, (usage) => {
      const properties = { template, undeclared: "secret" }
      return usage.capture(Chosen, properties)
    })

  it.effect("A test sees what would be sent of each event, and what is refused", () =>
    Effect.gen(function*() {
      yield* choose("blog")
      yield* choose("shopping")
      const { all } = yield* RecordingUsageCapture.RecordedEvents
      assert.deepStrictEqual(yield* all, [
        { _tag: "Captured", event: "Template chosen", properties: { template: "blog" } },
        { _tag: "Refused", event: "Template chosen", reason: "the event does not declare this value of template" }
      ])
    }).pipe(Effect.provide(RecordingUsageCapture.layer)))
})

describe("TestUsage", () => {
  test("A device that is not varied is a developer's terminal, seen before, where nobody is logged in", function*() {
    yield* runLine(app, "sync")
    const [event, ...more] = yield* events
    assert.lengthOf(more, 0)
    assert.deepInclude(event, { $process_person_profile: false, is_ci: false, is_tty: true, is_first_run: false })
  })

  testWith("Nothing is recorded of a user who opted out", {
    consent: FixedConsent.layer({ enabled: false, decidedBy: { _tag: "OptOutFile" } })
  }, function*() {
    yield* runLine(app, "sync")
    assert.deepStrictEqual(yield* TestUsage.messages, [])
  })

  test("An opt-out deletes what was recorded, which is no delivery, and an opt-in begins anew", function*() {
    yield* runLine(app, "sync")
    const [before] = yield* events
    yield* runLine(app, "telemetry disable")
    yield* runLine(app, "sync")
    assert.deepStrictEqual(yield* TestUsage.messages, [])
    const { lastDelivery, pending } = yield* Effect.flatMap(Outbox, ({ status }) => status)
    assert.deepStrictEqual([lastDelivery, pending], [undefined, 0])
    yield* runLine(app, "telemetry enable")
    yield* runLine(app, "sync")
    const [after, ...more] = yield* events
    assert.lengthOf(more, 0)
    assert.notStrictEqual(after?.distinct_id, before?.distinct_id)
    const sessions = (yield* TestUsage.messages).map(({ properties }) => properties["$session_id"])
    assert.notInclude(sessions, before?.["$session_id"])
  })

  test("Consent that a test denies is denied to the commands after it", function*() {
    yield* Effect.flatMap(Consent, ({ deny }) => deny)
    yield* runLine(app, "sync")
    assert.deepStrictEqual(yield* TestUsage.messages, [])
  })

  testWith("The device is joined to the account that is logged in", { principals: account }, function*() {
    yield* runLine(app, "sync")
    assert.deepStrictEqual(yield* owners, [
      ["$create_alias", "account_1"],
      ["CLI execution succeeded", "account_1"]
    ])
  })

  const ci = { ci: "GitHub Actions", stdoutIsTerminal: false }
  testWith("Nothing is joined in CI", { principals: account, runtime: ci }, function*() {
    yield* runLine(app, "sync")
    assert.deepStrictEqual(yield* owners, [["CLI execution succeeded", "account_1"]])
    assert.deepInclude((yield* events)[0], { ci: "GitHub Actions", is_ci: true, is_tty: false })
  })

  test("A device that is varied within a test is another one than that of the test", function*() {
    yield* Usage.trackEffect("outside")(Effect.void)
    const inside = yield* Effect.gen(function*() {
      yield* Usage.trackEffect("inside")(Effect.void)
      return yield* events
    }).pipe(Effect.provide(TestUsage.layerWith({ runtime: ci, principals: account })))
    assert.deepStrictEqual(
      [...inside, ...(yield* events)].map((event) => [event["command_name"], event["ci"]]),
      [["inside", "GitHub Actions"], ["outside", undefined]]
    )
  })

  it("A disk in memory is what a host's own layers over a disk can be given", () => {
    const disk = MemoryDisk.make()
    assert.isUndefined(disk.create("/file", "text"))
    assert.deepStrictEqual(disk.read("/file"), { _tag: "Text", text: "text" })
  })
})
