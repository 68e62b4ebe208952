/**
 * What acme says about its users, tested as any CLI can be: no network, no file, no PostHog.
 *
 * `TestUsage.layer` takes the place of `Usage.layer`. It is given a user on a machine, and `TestUsage.recorded` is what
 * would have been sent. Read it from top to bottom.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { DataDictionary, Usage } from "effect-cli-usage"
import { TestUsage } from "effect-cli-usage/testing"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { Api, ApiError } from "./Api.ts"
import { acme } from "./Cli.ts"
import { Credentials } from "./Credentials.ts"
import { Auth } from "./Events.ts"

const { assertEvent, assertEvents, assertJoined, assertNoEvent, recorded } = TestUsage

// First, acme's own services in memory: an API that knows one key, and a place for it.

const api = Layer.succeed(Api, {
  principal: (_, key) =>
    key === "key-of-1"
      ? Effect.succeed("account_1")
      : Effect.fail(new ApiError({ message: "The API key is not valid" }))
})

const credentials = Layer.effect(
  Credentials,
  Effect.map(Ref.make(Option.none<string>()), (key) => ({
    key: Ref.get(key),
    save: (secret) => Ref.set(key, Option.some(secret)),
    remove: Effect.map(Ref.getAndSet(key, Option.none()), Option.isSome)
  }))
)

/** The services of one process of acme, for a user on a machine; the developer's own where none is named. */
const acmeFor = (...user: ReadonlyArray<TestUsage.Options>) =>
  Layer.mergeAll(api, credentials).pipe(
    Layer.merge(TestUsage.layer(...user)),
    Layer.provideMerge(NodeServices.layer)
  )

/** Runs a command line as `main.ts` does. */
const run = (line: string) => Effect.exit(Command.runWith(Usage.track(acme), { version: "1.2.3" })(line.split(" ")))

describe("tracked commands", () => {
  it.effect("A command is one event, which has the names of its flags and none of their values", () =>
    Effect.gen(function*() {
      yield* run("deploy shop --region us --message hush")
      const seen = yield* recorded
      assertEvents(seen, ["CLI execution succeeded"])
      assertEvent(seen, { command: "deploy", properties: { exit_code: 0, flags_used: ["message", "region"] } })
      for (const value of ["shop", "hush"]) assert.notInclude(JSON.stringify(seen), value)
    }).pipe(Effect.provide(acmeFor())))

  it.effect("A command that fails has the class of its error or defect, and not its message", () =>
    Effect.gen(function*() {
      yield* run("fail --message hush")
      yield* run("fail --defect --message hush")
      const seen = yield* recorded
      for (const flags_used of [["message"], ["defect", "message"]]) {
        assertEvent(seen, {
          event: "CLI execution failed",
          command: "fail",
          properties: { flags_used, exit_code: 1, error_class: "DeployError", user_cancelled: false }
        })
      }
      assert.notInclude(JSON.stringify(seen), "hush")
    }).pipe(Effect.provide(acmeFor())))

  it.effect("A question about acme is no event", () =>
    Effect.gen(function*() {
      for (const line of ["--help", "--version", "deploy --help", "deploi shop", "telemetry status"]) yield* run(line)
      assertEvents(yield* recorded, [])
    }).pipe(Effect.provide(acmeFor())))
})

describe("acme login", () => {
  it.effect("A login is a flow from its start to its end, and joins the device to the account", () =>
    Effect.gen(function*() {
      yield* run("deploy shop")
      yield* run("login --api-key key-of-1")
      const seen = yield* recorded
      assertEvents(seen, [
        "CLI execution succeeded",
        "CLI Auth Started",
        "CLI Auth Completed",
        "CLI execution succeeded"
      ])
      // Nobody was known before, and what was recorded until then is joined to the account.
      const before = assertEvent(seen, { command: "deploy", principal: undefined })
      assertEvent(seen, { command: "login", principal: "account_1", properties: { exit_code: 0 } })
      assertEvent(seen, { event: "CLI Auth Completed", properties: { flow: "login", step: "code_exchange" } })
      assertJoined(seen, ["account_1"])
      assert.strictEqual(seen.aliases[0]?.anonId, before.anonId)
      assert.notInclude(JSON.stringify(seen), "key-of-1")
    }).pipe(Effect.provide(acmeFor())))

  it.effect("A login that the API refuses ends its flow at the step that failed, and joins nobody", () =>
    Effect.gen(function*() {
      yield* run("login --no-browser --api-key wrong")
      const seen = yield* recorded
      assertEvents(seen, ["CLI Auth Started", "CLI Auth Failed", "CLI execution failed"])
      assertEvent(seen, {
        event: "CLI Auth Failed",
        properties: { flow: "login", step: "code_exchange", error_class: "ApiError", no_browser: true }
      })
      assertEvent(seen, { event: "CLI execution failed", properties: { error_class: "ApiError" } })
      assertJoined(seen, [])
    }).pipe(Effect.provide(acmeFor())))

  it.effect("A logout is recorded for the account, and what follows is a new device's", () =>
    Effect.gen(function*() {
      yield* run("login --api-key key-of-1")
      yield* run("logout")
      yield* run("deploy shop")
      const seen = yield* recorded
      assertEvent(seen, { command: "logout", principal: "account_1" })
      const { anonId } = assertEvent(seen, { command: "deploy", principal: undefined })
      assert.notStrictEqual(anonId, seen.aliases[0]?.anonId)
    }).pipe(Effect.provide(acmeFor())))
})

describe("users and machines", () => {
  it.effect("A user who logged in before is known from the first event on", () =>
    Effect.gen(function*() {
      yield* run("deploy shop")
      assertEvent(yield* recorded, { command: "deploy", principal: "account_1" })
      assertJoined(yield* recorded, [])
    }).pipe(Effect.provide(acmeFor(TestUsage.loggedIn("account_1")))))

  it.effect("In CI an event is the account's, and the machine is joined to nobody", () =>
    Effect.gen(function*() {
      yield* run("deploy shop")
      assertEvent(yield* recorded, { command: "deploy", principal: "account_1", common: { is_ci: true } })
      assertJoined(yield* recorded, [])
    }).pipe(Effect.provide(acmeFor(TestUsage.ci, TestUsage.loggedIn("account_1")))))

  it.effect("The first command of a machine says so", () =>
    Effect.gen(function*() {
      yield* run("deploy shop")
      assertEvent(yield* recorded, { command: "deploy", common: { is_first_run: true } })
    }).pipe(Effect.provide(acmeFor(TestUsage.firstRun))))

  it.effect("Nothing is recorded of a user who has opted out, until the user opts in", () =>
    Effect.gen(function*() {
      yield* run("deploy shop")
      assertEvents(yield* recorded, [])
      yield* run("telemetry enable")
      yield* run("fail")
      assertEvents(yield* recorded, ["CLI execution failed"])
    }).pipe(Effect.provide(acmeFor(TestUsage.optedOut))))

  it.effect("An opt-out takes back what was not sent yet", () =>
    Effect.gen(function*() {
      yield* run("deploy shop")
      yield* run("telemetry disable")
      yield* run("fail")
      assertNoEvent(yield* recorded, {})
    }).pipe(Effect.provide(acmeFor())))
})

describe("DataDictionary", () => {
  it.effect("Every property that acme sends is in the data dictionary", () =>
    Effect.gen(function*() {
      for (const line of ["login --api-key key-of-1", "login --api-key wrong", "fail", "deploy shop --region us"]) {
        yield* run(line)
      }
      const { common, events } = DataDictionary.make(Auth.events)
      const { events: seen } = yield* recorded
      assert.isAbove(seen.length, 5)
      for (const { common: shared, event, properties } of seen) {
        const declared = events.find(({ name }) => name === event) ?? assert.fail(`${event} is not declared`)
        const names = [...common, ...declared.properties].map(({ name }) => name)
        assert.includeMembers(names, Object.keys({ ...shared, ...properties }))
      }
    }).pipe(Effect.provide(acmeFor())))
})
