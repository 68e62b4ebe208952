import { assert, describe, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AssertionError } from "node:assert"
import * as Path from "node:path"
import { IdentityStitch, IdentityStore, Usage, UsageCapture, UsageEvent } from "../../src/index.ts"
import { Consent, Outbox } from "../../src/layers/index.ts"
import { TestUsage } from "../../src/testing/index.ts"
import { runLine, test, testWith } from "../cli/Harness.ts"
import { run } from "../fixtures/Process.ts"

const { assertEvent, assertEvents, assertJoined, assertNoEvent, ci, firstRun, loggedIn, optedOut, recorded } = TestUsage

const Chosen = UsageEvent.make("Template chosen", {
  description: "A template was chosen",
  properties: Schema.Struct({ template: Schema.String.check(Schema.isMaxLength(4)) })
})
const choose = (template: string) =>
  Effect.flatMap(UsageCapture, (usage) => {
    const properties = { template, undeclared: "secret" }
    return usage.capture(Chosen, properties)
  })

const sync = Command.make("sync", {}, () => choose("blog"))
const logout = Command.make("logout", {}, () => Effect.flatMap(IdentityStitch, (stitch) => stitch.logout))
const app = Command.make("app").pipe(Command.withSubcommands([sync, logout, Usage.telemetryCommand]), Usage.track)

const both = ["Template chosen", "CLI execution succeeded"]

describe("recorded messages", () => {
  test("A recorded event has its command, its device, what it declares, and apart from that what every event has", function*() {
    yield* runLine(app, "sync")
    const { aliases, events: [first, second], refused } = yield* recorded
    assert.deepStrictEqual([aliases, refused], [[], []])
    const { anonId, common, ...rest } = first ?? assert.fail("nothing was recorded")
    assert.deepStrictEqual(rest, {
      event: "Template chosen",
      command: "sync",
      principal: undefined,
      properties: { template: "blog" }
    })
    assert.deepInclude(common, { sequence: 0, is_ci: false, is_tty: true, is_first_run: false, cli_version: "0.0.0" })
    assert.deepStrictEqual([second?.anonId, second?.command], [anonId, "sync"])
    assert.deepStrictEqual(second?.properties, { duration_ms: 0, exit_code: 0, flags_used: [] })
  })

  test("An event that its own schema refuses is not recorded, and the test sees why", function*() {
    yield* choose("shopping")
    assert.deepStrictEqual(yield* recorded, {
      events: [],
      aliases: [],
      refused: [{ event: "Template chosen", reason: "the event does not declare this value of template" }]
    })
  })

  test("The test sees a refused event also if another event is recorded at the same time", function*() {
    const context = yield* Effect.context<UsageCapture>()
    let isRecorded = false
    // Runs while the event is captured, as another fiber may.
    const recordAnother = Schema.makeFilter(() => {
      if (!isRecorded) Effect.runSyncWith(context)(choose("blog"))
      isRecorded = true
      return false
    })
    const Refused = UsageEvent.make("Refused", {
      description: "An event that is always refused",
      properties: Schema.Struct({ text: Schema.String.check(recordAnother) })
    })
    yield* Effect.flatMap(UsageCapture, (usage) => usage.capture(Refused, { text: "" }))
    const { events, refused } = yield* recorded
    assert.deepStrictEqual([events.map(({ event }) => event), refused.map(({ event }) => event)], [
      ["Template chosen"],
      ["Refused"]
    ])
  })
})

test("An assertion with a field that no event has fails, and names the fields", function*() {
  yield* runLine(app, "sync")
  const all = yield* recorded
  // Not a literal, in which TypeScript refuses the field.
  const misspelled = { event: "CLI execution succeeded", property: { exit_code: 0 } }
  for (const check of [assertEvent, assertNoEvent]) {
    assert.throws(() => check(all, misspelled), /^an event has no field "property": event, command, principal/)
  }
})

describe("users and machines", () => {
  testWith("The first command of a machine is a first run", firstRun, function*() {
    yield* runLine(app, "sync")
    assertEvent(yield* recorded, { common: { is_first_run: true } })
  })

  testWith("Nothing is recorded of a user who opted out, until the user opts in", optedOut, function*() {
    yield* runLine(app, "sync")
    yield* choose("shopping")
    assert.deepStrictEqual(yield* recorded, { events: [], aliases: [], refused: [] })
    yield* runLine(app, "telemetry enable")
    yield* runLine(app, "sync")
    assertEvents(yield* recorded, both)
  })

  test("An opt-out deletes what was recorded, which is no delivery", function*() {
    yield* runLine(app, "sync")
    assertEvents(yield* recorded, both)
    yield* runLine(app, "telemetry disable")
    yield* runLine(app, "sync")
    assertEvents(yield* recorded, [])
    const { lastDelivery, pending } = yield* Effect.flatMap(Outbox, ({ status }) => status)
    assert.deepStrictEqual([lastDelivery, pending], [undefined, 0])
  })

  test("Consent that a test denies is denied to the commands after it", function*() {
    yield* Effect.flatMap(Consent, ({ deny }) => deny)
    yield* runLine(app, "sync")
    assertEvents(yield* recorded, [])
  })

  testWith("A user who logged in before is known from the first event on, and a logout gives the device a new id", {
    ...loggedIn("account_1")
  }, function*() {
    yield* runLine(app, "sync")
    const { events } = yield* recorded
    assert.deepStrictEqual(
      events.map(({ event, principal }) => [event, principal]),
      both.map((event) => [event, "account_1"])
    )
    assertJoined(yield* recorded, [])
    yield* runLine(app, "logout")
    assertEvent(yield* recorded, { command: "logout", principal: "account_1" })
    yield* choose("blog")
    assertEvent(yield* recorded, { principal: undefined, command: undefined })
  })

  testWith("The first command of a logged-in user on a machine joins the machine to the account", {
    ...firstRun,
    ...loggedIn("account_1")
  }, function*() {
    yield* runLine(app, "sync")
    assertJoined(yield* recorded, ["account_1"])
    assertEvent(yield* recorded, { event: "CLI execution succeeded", principal: "account_1" })
  })

  testWith(
    "In CI events go to the account, and nothing is joined or kept",
    { ...ci, ...loggedIn("account_1") },
    function*() {
      yield* runLine(app, "sync")
      assertEvents(yield* recorded, both)
      assertNoEvent(yield* recorded, { principal: undefined })
      assertEvent(yield* recorded, { common: { ci: "GitHub Actions", is_ci: true, is_tty: false } })
      assert.isFalse((yield* Effect.flatMap(IdentityStore, ({ get }) => get)).durable)
      assertJoined(yield* recorded, [])
    }
  )

  it.effect("Of several options the later one counts, and what it does not say stays", () =>
    Effect.gen(function*() {
      yield* choose("blog")
      const agent = assertEvent(yield* recorded, { common: { agent: "codex" } })
      assert.deepInclude(agent.common, { is_ci: false, is_tty: true, is_first_run: false })
    }).pipe(Effect.provide(TestUsage.layer({ runtime: { agent: "codex" } }, ci, TestUsage.persistent))))

  test("A machine that is given within a test is another one than that of the test", function*() {
    yield* Usage.trackEffect("outside")(Effect.void)
    const inside = yield* Effect.andThen(Usage.trackEffect("inside")(Effect.void), recorded).pipe(
      Effect.provide(TestUsage.layer(ci))
    )
    const { events } = yield* recorded
    assert.deepStrictEqual([...inside.events, ...events].map(({ command, common }) => [command, common["ci"]]), [
      ["inside", "GitHub Actions"],
      ["outside", undefined]
    ])
  })
})

describe("isolation", () => {
  it.effect("TestUsage reads the variables of a ConfigProvider that the test provides, none of which denies", () => {
    const outer = "00000000-0000-4000-8000-000000000000"
    const env = { TEST_USAGE_INVOCATION: outer, NODE_ENV: "test", VITEST: "true", DO_NOT_TRACK: "1" }
    return Effect.andThen(choose("blog"), recorded).pipe(
      Effect.map((recorded) => assertEvent(recorded, { common: { parent_invocation_id: outer } })),
      Effect.provide(TestUsage.layer()),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )
  })

  it.live("TestUsage reads no variable of the process, and writes no file, starts no process and makes no request", () =>
    Effect.gen(function*() {
      const host = Path.join(import.meta.dirname, "hosts/Sealed.ts")
      // Node.js refuses whatever a permission is needed for; a request too, where it has one for requests.
      const { code, stderr, stdout } = yield* run([process.execPath, "--permission", "--allow-fs-read=*", host], {
        env: {
          DO_NOT_TRACK: "1",
          TEST_USAGE_TRACKING: "0",
          CI: "true",
          TEST_USAGE_INVOCATION: "00000000-0000-4000-8000-000000000000"
        }
      })
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(JSON.parse(stdout), { names: ["CLI execution succeeded"], ci: false, requests: 0 })
    }))
})

describe("the assertions", () => {
  const failureOf = (run: () => unknown): AssertionError => {
    try {
      run()
    } catch (error) {
      if (error instanceof AssertionError) return error
    }
    return assert.fail("it did not fail")
  }

  testWith("An assertion that fails says what was recorded, joined and refused", {
    ...firstRun,
    ...loggedIn("account_1")
  }, function*() {
    yield* Usage.trackEffect("sync")(Effect.void)
    yield* choose("shopping")
    const seen = yield* recorded
    const summary = [
      "Recorded:",
      "  CLI execution succeeded (sync) of account_1: {\"duration_ms\":0,\"exit_code\":0,\"flags_used\":[]}",
      "Joined:",
      `  ${seen.aliases[0]?.anonId} to account_1`,
      "Refused:",
      "  Template chosen: the event does not declare this value of template"
    ]
    const table = [
      [
        () => assertEvent(seen, { event: "Template chosen", principal: undefined }),
        "No recorded event is {\"event\":\"Template chosen\",\"principal\":\"(undefined)\"}."
      ],
      [
        () => assertEvent(seen, { properties: { exit_code: 1 } }),
        "No recorded event is {\"properties\":{\"exit_code\":1}}."
      ],
      [() => assertEvent(seen, { common: { is_ci: true } }), "No recorded event is {\"common\":{\"is_ci\":true}}."],
      [() => assertNoEvent(seen, { command: "sync" }), "A recorded event is {\"command\":\"sync\"}."],
      [
        () => assertEvents(seen, ["Template chosen"]),
        "The recorded events are [\"CLI execution succeeded\"], not [\"Template chosen\"]."
      ],
      [() => assertJoined(seen, []), "The accounts joined are [\"account_1\"], not []."]
    ] as const
    for (const [run, problem] of table) {
      assert.deepStrictEqual(failureOf(run).message.split("\n"), [problem, ...summary])
    }
  })

  test("An assertion that fails names the device of an event without an account, and no command of one outside a command", function*() {
    yield* choose("blog")
    const seen = yield* recorded
    const { message } = failureOf(() => assertEvents(seen, []))
    assert.include(message, `\n  Template chosen of nobody, ${seen.events[0]?.anonId}: {"template":"blog"}`)
  })

  test("An assertion that fails where nothing was recorded says so, and shows a runner both sides", function*() {
    const seen = yield* recorded
    const { actual, expected, message } = failureOf(() => assertEvents(seen, ["Template chosen"]))
    assert.deepStrictEqual([actual, expected], [[], ["Template chosen"]])
    assert.include(message, "\nNo event was recorded.")
  })

  test("An event is as expected where each field and property that is named is equal, lists and objects by content", function*() {
    yield* runLine(app, "sync")
    const seen = yield* recorded
    const { anonId } = assertEvent(seen, { properties: { flags_used: [] } })
    assertEvent(seen, { anonId, command: "sync", event: "Template chosen", properties: { template: "blog" } })
    assertNoEvent(seen, { properties: { template: "blog", other: 1 } })
    assertNoEvent(seen, { command: undefined })
    assertJoined(seen, [])
  })
})
