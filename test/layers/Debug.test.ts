import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as TestConsole from "effect/testing/TestConsole"
import * as Debug from "../../src/layers/Debug.ts"

const loggers = {
  default: Logger.defaultLogger,
  json: Logger.consoleJson,
  logfmt: Logger.consoleLogFmt,
  structured: Logger.consoleStructured,
  pretty: Logger.consolePretty()
}

/** What a debug line prints, on stdout and on stderr. */
const printed = (line: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    yield* line
    return { out: yield* TestConsole.logLines, err: yield* TestConsole.errorLines }
  }).pipe(Effect.provide(TestConsole.layer))

describe("a debug line", () => {
  for (const [name, logger] of Object.entries(loggers)) {
    it.effect(`goes through the host's ${name} logger to stderr, and not to stdout`, () =>
      Effect.gen(function*() {
        const { err, out } = yield* printed(Debug.debug("it was dropped", { why: "too long" })).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "Debug")
        )
        assert.deepStrictEqual(out, [])
        assert.include(JSON.stringify(err), "usage: it was dropped")
        assert.include(JSON.stringify(err), "too long")
      }))
  }

  it.effect("needs no console that can be changed", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Debug.debug("it was dropped")).pipe(
        Effect.updateService(Console.Console, (console) => Object.freeze(Object.assign({}, console)))
      )
      assert.isTrue(Exit.isSuccess(exit))
      const { err } = yield* printed(
        Effect.updateService(Debug.debug("seen"), Console.Console, (console) => Object.freeze(Object.create(console)))
      ).pipe(
        Effect.provide(Logger.layer([Logger.consoleJson])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert.include(JSON.stringify(err), "seen")
    }))

  it.effect("does not end in the failure of the host's logger", () =>
    Effect.gen(function*() {
      const dying = Logger.make(() => {
        throw new Error("the host's")
      })
      const exit = yield* Effect.exit(Debug.debug("it was dropped")).pipe(
        Effect.provide(Logger.layer([dying])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("leaves the host's own lines where they were", () =>
    Effect.gen(function*() {
      const { err, out } = yield* printed(Effect.andThen(Debug.debug("ours"), Effect.logDebug("theirs"))).pipe(
        Effect.provide(Logger.layer([Logger.consoleJson])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert.include(JSON.stringify(err), "ours")
      assert.lengthOf(out, 1)
      assert.include(JSON.stringify(out), "theirs")
    }))

  it.effect("is not seen at the usual level", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* Effect.provide(printed(Debug.debug("quiet")), Logger.layer([Logger.consoleJson])),
        { out: [], err: [] }
      )
    }))

  it.effect("is printed at any level and without any logger where lines are shown", () =>
    Effect.gen(function*() {
      const failing = Effect.fail("the reason").pipe(Debug.quietly("it did not work", undefined))
      const { err, out } = yield* printed(failing).pipe(
        Effect.provide(Logger.layer([])),
        Effect.provideService(Debug.IsShown, true)
      )
      assert.deepStrictEqual(out, [])
      assert.strictEqual(err[0], "usage: it did not work")
      assert.include(String(err[1]), "the reason")
    }))
})
