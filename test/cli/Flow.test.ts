import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Terminal from "effect/Terminal"
import * as TestClock from "effect/testing/TestClock"
import { withName } from "../../src/domain/CommandEvents.ts"
import * as CommandEvents from "../../src/domain/CommandEvents.ts"
import { Flow, Usage, UsageEvent } from "../../src/index.ts"
import { type CommandRun, trackedCommand } from "../../src/services/CurrentCommand.ts"
import { UsageContext } from "../../src/services/UsageContext.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"
import * as Device from "../fixtures/Device.ts"
import { events, test, testWith } from "./Harness.ts"

const properties = Schema.Struct({ flow: Schema.Literals(["login", "refresh"]) })

const Auth = Flow.make("CLI Auth", {
  description: "A user logs in",
  properties,
  steps: ["browser_wait", "code_exchange"]
})

const Deploy = Flow.make("Deploy", { description: "A deployment", properties: Schema.Struct({}), steps: ["upload"] })

class Denied extends Schema.TaggedError<Denied>()("Denied", {}) {}

const login = Auth.run({ flow: "login" }, { aborted: ["Denied"] })
const again = Auth.step("code_exchange").pipe(Auth.run({ flow: "refresh" }))

/** The events of flows, with their own properties. */
const told = Effect.map(
  events,
  (events) => events.map(({ event, ...rest }) => [event, UsageEvent.sanitize(own(rest)).properties])
)
const own = ({ duration_ms, error_class, flow, step }: Readonly<Record<string, unknown>>) => ({
  flow,
  step,
  duration_ms,
  error_class
})

const started = ["CLI Auth Started", { flow: "login" }]

it("The description of a flow's event is one sentence, also if that of the flow ends with a full stop", () => {
  const options = { properties: Schema.Struct({}), steps: ["questions"] } as const
  for (const description of ["It asks questions", "It asks questions."]) {
    const { events: [event] } = Flow.make("Setup", { description, ...options })
    assert.strictEqual(event?.description, "It asks questions: started")
  }
})

describe("steps and results", () => {
  test("A flow completes with its last step and its duration by a monotonic clock", function*() {
    const result = yield* Effect.gen(function*() {
      yield* Auth.step("browser_wait")
      yield* TestClock.adjust("3 seconds")
      yield* TestClock.setTime(0)
      yield* Auth.step("code_exchange")
      return 1
    }).pipe(login)
    assert.strictEqual(result, 1)
    assert.deepStrictEqual(yield* told, [
      started,
      ["CLI Auth Completed", { flow: "login", step: "code_exchange", duration_ms: 3000 }]
    ])
  })

  test("An error or a property that throws when it is read does not change the exit of a flow", function*() {
    const broken = (): never => {
      throw new Error("the author's")
    }
    const error = Object.defineProperty(new Error("the host's"), "_tag", { get: broken })
    const exit = yield* Effect.exit(login(Effect.fail(error)))
    assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.some((r) => Cause.isFailReason(r) && r.error === error))
    assert.deepStrictEqual(yield* told, [
      started,
      ["CLI Auth Failed", { flow: "login", duration_ms: 0, error_class: "Error" }]
    ])
    const unreadable = Object.defineProperty({ flow: "login" as const }, "flow", { enumerable: true, get: broken })
    assert.strictEqual(yield* Auth.run(unreadable)(Effect.succeed(1)), 1)
  })

  const endings: ReadonlyArray<
    readonly [title: string, effect: Effect.Effect<never, unknown>, event: string, properties: object]
  > = [
    ["A flow fails with the class of its error", Effect.fail(new Error()), "Failed", { error_class: "Error" }],
    ["A flow fails with the class of its defect", Effect.die(new TypeError("x")), "Failed", {
      error_class: "TypeError"
    }],
    ["A flow is aborted by a prompt that was left", Effect.fail(new Terminal.QuitError({})), "Aborted", {}],
    ["A flow is aborted by an error that the author names", Effect.fail(new Denied()), "Aborted", {}],
    ["A flow is aborted by an interruption", Effect.interrupt, "Aborted", {}]
  ]
  for (const [title, effect, event, properties] of endings) {
    test(`${title}, once, and the exit goes on`, function*() {
      const exit = yield* Effect.exit(Effect.andThen(Auth.step("browser_wait"), effect).pipe(login))
      assert.strictEqual(String(exit), String(yield* Effect.exit(effect)))
      const timed = event === "Failed" ? { duration_ms: 0 } : {}
      assert.deepStrictEqual(yield* told, [
        started,
        [`CLI Auth ${event}`, { flow: "login", step: "browser_wait", ...timed, ...properties }]
      ])
    })
  }

  test("A flow is aborted once where its fiber is interrupted", function*() {
    const fiber = yield* Effect.forkChild(Effect.never.pipe(login))
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(yield* told, [started, ["CLI Auth Aborted", { flow: "login" }]])
  })

  test("A flow inside another belongs to the outer one, and its steps do not count", function*() {
    yield* Effect.andThen(Auth.step("browser_wait"), again).pipe(login)
    const steps = Effect.andThen(again, Auth.step("browser_wait"))
    yield* Effect.andThen(Deploy.step("upload"), steps).pipe(Deploy.run({}))
    assert.deepStrictEqual(yield* told, [
      started,
      ["CLI Auth Completed", { flow: "login", step: "code_exchange", duration_ms: 0 }],
      ["Deploy Started", {}],
      ["Deploy Completed", { step: "upload", duration_ms: 0 }]
    ])
  })

  test("A flow that a fiber runs after its outer flow has ended is a flow of its own", function*() {
    const later = Effect.andThen(Effect.sleep("1 second"), Effect.void.pipe(Deploy.run({})))
    const fiber = yield* Effect.forkDetach(later).pipe(login)
    yield* TestClock.adjust("1 second")
    yield* Fiber.await(fiber)
    assert.deepStrictEqual(yield* told, [
      started,
      ["CLI Auth Completed", { flow: "login", duration_ms: 0 }],
      ["Deploy Started", {}],
      ["Deploy Completed", { duration_ms: 0 }]
    ])
  })

  test("A flow that the process ends has the properties of its scope", function*() {
    const running = yield* Deferred.make<CommandRun | undefined>()
    yield* Effect.andThen(Deferred.complete(running, trackedCommand), Effect.never).pipe(
      Deploy.run({}),
      Effect.provideService(UsageContext, { properties: { project: "p" } }),
      Usage.trackEffect("deploy"),
      Effect.forkChild
    )
    const command = yield* Deferred.await(running)
    // As an exit listener does, outside of the flow.
    yield* command?.recordExit(4, undefined) ?? assert.fail()
    assert.deepStrictEqual((yield* events).map(({ event, project }) => [event, project]), [
      ["Deploy Started", "p"],
      ["Deploy Failed", "p"],
      ["CLI execution failed", undefined]
    ])
  })

  test("A step outside of its flow does nothing", function*() {
    yield* Auth.step("browser_wait")
    assert.deepStrictEqual(yield* told, [])
  })
})

describe("lazy schemas", () => {
  /** A flow, with how often its schema's fields were asked for. */
  const watched = () => {
    const asked = { times: 0 }
    const fields = new Proxy(properties, {
      get: (target, name) => {
        if (name === "fields") asked.times++
        return Reflect.get(target, name)
      }
    })
    return { asked, flow: Flow.make("CLI Auth", { description: "A user logs in", properties: fields, steps: ["one"] }) }
  }

  testWith("A flow makes no schema where its events are not recorded", TestUsage.optedOut, function*() {
    const { asked, flow } = watched()
    yield* flow.step("one").pipe(flow.run({ flow: "login" }), Effect.exit)
    assert.deepStrictEqual([asked.times, yield* told], [0, []])
  })

  // On a device, because `TestUsage.layer` encodes each event once more.
  it.effect("A flow makes the schemas of the events that are recorded, and of no others", () =>
    Effect.gen(function*() {
      const { asked, flow } = watched()
      assert.strictEqual(asked.times, 0)
      const device = yield* Device.make
      yield* flow.step("one").pipe(flow.run({ flow: "login" }), Effect.provide(device.layer()))
      assert.deepStrictEqual([asked.times, device.events().length], [2, 2])
      assert.isAbove(flow.events.map(({ properties }) => properties).length, 0)
      assert.strictEqual(asked.times, 2 + flow.events.length)
    }))

  test("A command's event makes no schema when it is recorded, nor under the author's name", function*() {
    let asked = 0
    const watch = <P>(event: UsageEvent.UsageEvent<P>): UsageEvent.UsageEvent<P> =>
      Object.defineProperties({ ...event }, {
        properties: {
          get: () => {
            asked++
            return event.properties
          }
        }
      })
    const succeeded = watch(CommandEvents.CommandSucceeded)
    const own = withName(succeeded, "acme ran")
    const input = { duration_ms: 1, exit_code: 0, flags_used: [] }
    for (const event of [succeeded, own]) assert.isTrue(Result.isSuccess(UsageEvent.encode(event, input)))
    assert.deepStrictEqual([asked, own.name], [0, "acme ran"])
    assert.strictEqual(own.properties.ast._tag, succeeded.properties.ast._tag)
    assert.strictEqual(asked, 2)
    yield* Usage.trackEffect("sync")(Effect.void)
    assert.lengthOf(yield* events, 1)
  })

  it("The events of commands and flows have their schemas behind getters", () => {
    for (const event of [CommandEvents.CommandSucceeded, CommandEvents.CommandFailed, ...Auth.events]) {
      assert.isFunction(Object.getOwnPropertyDescriptor(event, "properties")?.get, event.name)
    }
  })
})
