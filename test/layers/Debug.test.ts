import { assert, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as TestConsole from "effect/testing/TestConsole"
import * as Debug from "../../src/layers/Debug.ts"
import { test } from "../fixtures/Tests.ts"

const loggers = {
  default: Logger.defaultLogger,
  json: Logger.consoleJson,
  logfmt: Logger.consoleLogFmt,
  structured: Logger.consoleStructured,
  pretty: Logger.consolePretty()
}

/** What an effect prints on stdout and on stderr, with the loggers of a host. */
const printed = (effect: Effect.Effect<unknown>, ...loggers: ReadonlyArray<Logger.Logger<unknown, unknown>>) =>
  Effect.gen(function*() {
    yield* effect
    return { out: yield* TestConsole.logLines, err: yield* TestConsole.errorLines }
  }).pipe(Effect.provide([TestConsole.layer, Logger.layer(loggers)]))

const atDebug = Effect.provideService(References.MinimumLogLevel, "Debug")

for (const [name, logger] of Object.entries(loggers)) {
  it.effect(`A debug line goes through the host's ${name} logger to stderr, and not to stdout`, () =>
    Effect.gen(function*() {
      const { err, out } = yield* printed(Debug.debug("it was dropped", { why: "too long" }), logger)
      assert.deepStrictEqual(out, [])
      assert.include(JSON.stringify(err), "usage: it was dropped")
      assert.include(JSON.stringify(err), "too long")
    }).pipe(atDebug))
}

it.effect("A debug line does not change the host's console, which may be frozen", () =>
  Effect.gen(function*() {
    for (
      const freeze of [(console: object) => Object.assign({}, console), (console: object) => Object.create(console)]
    ) {
      const line = Effect.updateService(
        Debug.debug("seen"),
        Console.Console,
        (console) => Object.freeze(freeze(console))
      )
      const { err } = yield* printed(line, Logger.consoleJson)
      assert.include(JSON.stringify(err), "seen")
    }
  }).pipe(atDebug))

it.effect("A debug line does not fail when the logger of the host fails", () =>
  Effect.gen(function*() {
    const dying = Logger.make(() => {
      throw new Error("the host's")
    })
    assert.deepStrictEqual(yield* printed(Debug.debug("it was dropped"), dying), { out: [], err: [] })
  }).pipe(atDebug))

it.effect("A debug line does not change where the lines of the host go", () =>
  Effect.gen(function*() {
    const lines = Effect.andThen(Debug.debug("ours"), Effect.logDebug("theirs"))
    const { err, out } = yield* printed(lines, Logger.consoleJson)
    assert.include(JSON.stringify(err), "ours")
    assert.lengthOf(out, 1)
    assert.include(JSON.stringify(out), "theirs")
  }).pipe(atDebug))

test("A debug line is not printed at the usual log level", function*() {
  assert.deepStrictEqual(yield* printed(Debug.debug("quiet"), Logger.consoleJson), { out: [], err: [] })
})

it.effect("A debug line is printed at any log level and without any logger if lines are shown", () =>
  Effect.gen(function*() {
    const failing = Effect.fail("the reason").pipe(Debug.debugFailure("it did not work"))
    const { err, out } = yield* printed(failing)
    assert.deepStrictEqual(out, [])
    assert.strictEqual(err[0], "usage: it did not work")
    assert.include(String(err[1]), "the reason")
  }).pipe(Effect.provideService(Debug.IsDebugMode, true)))
