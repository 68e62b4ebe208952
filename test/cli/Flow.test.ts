import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Terminal from "effect/Terminal"
import * as TestClock from "effect/testing/TestClock"
import { Flow } from "../../src/index.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"

const Auth = Flow.make("CLI Auth", {
  description: "A user logs in",
  properties: Schema.Struct({ flow: Schema.Literals(["login", "refresh"]) }),
  steps: ["browser_wait", "code_exchange"]
})

class Denied extends Schema.TaggedError<Denied>()("Denied", {}) {}

const layer = Layer.fresh(TestUsage.layer)

const own = ["flow", "step", "duration_ms", "error_class"]

/** The events of the flow, with their own properties only. */
const told = Effect.map(TestUsage.messages, (messages) =>
  messages.map(({ event, properties }) => [
    event,
    Object.fromEntries(Object.entries(properties).filter(([name]) => own.includes(name)))
  ]))

describe("a flow", () => {
  it.effect("starts, and completes with its last step and its duration", () =>
    Effect.gen(function*() {
      const result = yield* Effect.gen(function*() {
        yield* Auth.step("browser_wait")
        yield* TestClock.adjust("3 seconds")
        yield* TestClock.setTime(0)
        yield* Auth.step("code_exchange")
        return 1
      }).pipe(Auth.run({ flow: "login" }))
      assert.strictEqual(result, 1)
      assert.deepStrictEqual(yield* told, [
        ["CLI Auth Started", { flow: "login" }],
        ["CLI Auth Completed", { flow: "login", step: "code_exchange", duration_ms: 3000 }]
      ])
    }).pipe(Effect.provide(layer)))

  it.effect("fails with the class of the error, and the error goes on", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.fail(new Denied()).pipe(Auth.run({ flow: "login" })))
      assert.deepStrictEqual(exit, Exit.fail(new Denied()))
      assert.deepStrictEqual(yield* told, [
        ["CLI Auth Started", { flow: "login" }],
        ["CLI Auth Failed", { flow: "login", duration_ms: 0, error_class: "Denied" }]
      ])
    }).pipe(Effect.provide(layer)))

  it.effect("fails where it dies", () =>
    Effect.gen(function*() {
      yield* Effect.exit(Effect.die(new TypeError("x")).pipe(Auth.run({ flow: "login" })))
      const [, last] = yield* told
      assert.deepStrictEqual(last, ["CLI Auth Failed", { flow: "login", duration_ms: 0, error_class: "TypeError" }])
    }).pipe(Effect.provide(layer)))

  const aborting: ReadonlyArray<readonly [string, Effect.Effect<never, Terminal.QuitError | Denied>]> = [
    ["a prompt that was left", Effect.fail(new Terminal.QuitError({}))],
    ["an error that the author names", Effect.fail(new Denied())]
  ]
  for (const [name, effect] of aborting) {
    it.effect(`is aborted by ${name}`, () =>
      Effect.gen(function*() {
        yield* Effect.exit(
          Effect.andThen(Auth.step("browser_wait"), effect).pipe(Auth.run({ flow: "login" }, { aborted: ["Denied"] }))
        )
        assert.deepStrictEqual(yield* told, [
          ["CLI Auth Started", { flow: "login" }],
          ["CLI Auth Aborted", { flow: "login", step: "browser_wait" }]
        ])
      }).pipe(Effect.provide(layer)))
  }

  it.effect("is aborted by an interruption, exactly once", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.never.pipe(Auth.run({ flow: "login" })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual((yield* told).map(([event]) => event), ["CLI Auth Started", "CLI Auth Aborted"])
    }).pipe(Effect.provide(layer)))

  it.effect("inside another is a part of that one", () =>
    Effect.gen(function*() {
      const again = Auth.step("code_exchange").pipe(Auth.run({ flow: "refresh" }))
      yield* Effect.andThen(Auth.step("browser_wait"), again).pipe(Auth.run({ flow: "login" }))
      assert.deepStrictEqual(yield* told, [
        ["CLI Auth Started", { flow: "login" }],
        ["CLI Auth Completed", { flow: "login", step: "code_exchange", duration_ms: 0 }]
      ])
    }).pipe(Effect.provide(layer)))

  it.effect("ends all the same where a part of it is a flow of its own elsewhere, with steps that this one has not", () =>
    Effect.gen(function*() {
      const Deploy = Flow.make("Deploy", {
        description: "A deployment",
        properties: Schema.Struct({}),
        steps: ["upload"]
      })
      const again = Auth.step("code_exchange").pipe(Auth.run({ flow: "refresh" }))
      yield* Deploy.step("upload").pipe(
        Effect.andThen(again),
        Effect.andThen(Auth.step("browser_wait")),
        Deploy.run({})
      )
      assert.deepStrictEqual(yield* told, [
        ["Deploy Started", {}],
        ["Deploy Completed", { step: "upload", duration_ms: 0 }]
      ])
    }).pipe(Effect.provide(layer)))

  it.effect("has no step outside of it", () =>
    Effect.gen(function*() {
      yield* Auth.step("browser_wait")
      assert.deepStrictEqual(yield* told, [])
    }).pipe(Effect.provide(layer)))
})
