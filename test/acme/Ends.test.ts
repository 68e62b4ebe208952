/**
 * What is recorded and delivered of a command that ends in an unusual way.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { run } from "../fixtures/Process.ts"
import { eventually, runtimeName } from "./Harness.ts"
import { endsDevice, runUntilAsked, suite, usedDevice, waiting, words } from "./Prepared.ts"

const isWindows = process.platform === "win32"

suite("end of a process", (test) => {
  describe.concurrent("signals", () => {
    test("A command that Ctrl-C ends 2 ms after its output is recorded, 5 of 5 times", function*() {
      const acme = yield* usedDevice
      yield* acme.sink.answer(PostHogSink.Answer.Status({ status: 503 }))
      const command = yield* words("wait 5")
      for (let n = 0; n < 5; n++) {
        const { stdout } = yield* run(command, {
          env: acme.env,
          onStdout: (child) => setTimeout(() => child.kill("SIGINT"), 2)
        })
        assert.strictEqual(stdout, "Done\n")
        assert.lengthOf(waiting(acme.home), n + 1)
      }
      assert.isTrue(waiting(acme.home).every(({ properties }) => properties["command_name"] === "wait"))
    })

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      test(`A command that ${signal} ends in its middle is recorded as cancelled and delivered`, function*() {
        const { env, sink, words } = yield* endsDevice
        const { code } = yield* run(words("wait"), { env, onStdout: (child) => child.kill(signal) })
        assert.strictEqual(code, 130)
        const [event] = yield* sink.waitFor(({ length }) => length === 1)
        const { command_name, exit_code, user_cancelled } = { ...event?.properties }
        assert.deepStrictEqual(
          [event?.event, command_name, exit_code, user_cancelled],
          ["CLI execution failed", "wait", 130, true]
        )
      })
    }
  })

  describe.concurrent("exit codes and defects", () => {
    const failed = "CLI execution failed"
    const ends: ReadonlyArray<
      readonly [line: string, how: string, event: string, code: number, errorClass: string | undefined]
    > = [
      ["exit 0", "by process.exit(0)", "CLI execution succeeded", 0, undefined],
      ["exit 7", "by process.exit(7)", "CLI execution failed", 7, undefined],
      [
        "exit 256",
        "by process.exit(256)",
        isWindows ? failed : "CLI execution succeeded",
        isWindows ? 256 : 0,
        undefined
      ],
      ["exit 263", "by process.exit(263)", failed, isWindows ? 263 : 7, undefined],
      ["set 3", "by process.exitCode = 3 and a return", "CLI execution failed", 3, undefined],
      ["uncaught", "by an uncaught exception", "CLI execution failed", 1, "Broken"],
      ["guarded", "by an exception that cannot be looked at", "CLI execution failed", 3, "Error"],
      // Bun reports the error to no listener.
      [
        "unhandled",
        "by an unhandled rejection",
        "CLI execution failed",
        1,
        runtimeName === "bun" ? undefined : "Broken"
      ],
      ["defect", "by a defect", "CLI execution failed", 1, "Broken"]
    ]
    for (const [line, how, name, code, errorClass] of ends) {
      test(`A command that ends its process ${how} is recorded once, with its exit code, and delivered`, function*() {
        const { env, home, sink, words } = yield* endsDevice
        const ended = yield* run(words(...line.split(" ")), { env })
        assert.strictEqual(ended.code, code)
        const [event] = yield* sink.waitFor(({ length }) => length === 1)
        yield* eventually(Effect.sync(() => waiting(home)), ({ length }) => length === 0)
        assert.lengthOf(yield* sink.attempts, 1)
        assert.deepStrictEqual(
          [event?.event, event?.properties["exit_code"], event?.properties["error_class"]],
          [name, code, errorClass]
        )
      })
    }
  })

  const flowEnds = [[0, "Setup Aborted"], ...isWindows ? [] : [[256, "Setup Aborted"] as const], [
    4,
    "Setup Failed"
  ]] as const
  for (const [code, end] of flowEnds) {
    test(`A flow in which the process exits with ${code} ends once: ${end}`, function*() {
      const { env, sink, words } = yield* endsDevice
      yield* run(words("flow", String(code)), { env })
      const messages = yield* sink.waitFor(({ length }) => length === 3)
      assert.deepStrictEqual(messages.map(({ event, properties }) => [event, properties["step"]]), [
        ["Setup Started", undefined],
        [end, "one"],
        [code === 4 ? "CLI execution failed" : "CLI execution succeeded", undefined]
      ])
    })
  }

  test("A flow that has ended before the process exits is not ended again", function*() {
    const { env, sink, words } = yield* endsDevice
    yield* run(words("flown"), { env })
    const messages = yield* sink.waitFor((all) => all.some(({ event }) => event.startsWith("CLI")))
    assert.deepStrictEqual(messages.map(({ event }) => event), [
      "Setup Started",
      "Setup Completed",
      "CLI execution succeeded"
    ])
  })

  test("A flow of a first run that the process ends while it starts is ended too", function*() {
    const { env, home, sink, words } = yield* endsDevice
    Fs.rmSync(home, { recursive: true })
    yield* run(words("forked"), { env })
    const messages = yield* sink.waitFor(({ length }) => length === 3)
    assert.deepStrictEqual(messages.map(({ event }) => event), [
      "Setup Started",
      "Setup Failed",
      "CLI execution failed"
    ])
  })

  test("A command that calls `process.exit` at once is recorded on a new device, and gives it its identity", function*() {
    const { env, home, sink, words } = yield* endsDevice
    Fs.rmSync(home, { recursive: true })
    yield* run(words("exit", "0"), { env })
    const [first] = yield* sink.waitFor(({ length }) => length === 1)
    yield* run(words("exit", "0"), { env })
    const [, second] = yield* sink.waitFor(({ length }) => length === 2)
    const { anon_id } = JSON.parse(Fs.readFileSync(Path.join(home, "usage.json"), "utf8"))
    assert.deepStrictEqual([first?.properties["is_first_run"], second?.properties["is_first_run"]], [true, false])
    assert.deepStrictEqual([second?.distinct_id, first?.distinct_id === anon_id], [anon_id, false])
  })

  describe.concurrent("delivery at the end", () => {
    for (
      const [mode, what] of [["within", "ends its process within the layer"], [
        "open",
        "never closes the layer"
      ]] as const
    ) {
      test(`A host that ${what} delivers`, function*() {
        const { env, sink, words } = yield* endsDevice
        const { code } = yield* run(words("say"), { env: { ...env, ENDS_MODE: mode } })
        assert.strictEqual(code, 0)
        const messages = yield* sink.waitFor(({ length }) => length === 1)
        assert.deepStrictEqual(messages.map(({ properties }) => properties["command_name"]), ["say"])
      })
    }

    test("A host that listens to a signal with `once` still handles the signal during the wait for delivery", function*() {
      const acme = yield* endsDevice
      yield* acme.stopWorkers()
      const { code, stdout } = yield* runUntilAsked(acme, acme.words("say"), "SIGTERM", {
        env: { ...acme.env, CI: "true", ENDS_MODE: "gracefully" }
      })
      assert.deepStrictEqual([code, stdout], [0, "Said\nShut down\n"])
    })

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      test(`A host that listens to no signal is ended by ${signal} during the wait for delivery`, function*() {
        const acme = yield* endsDevice
        yield* acme.stopWorkers()
        const ended = yield* runUntilAsked(acme, acme.words("say"), signal, {
          env: { ...acme.env, CI: "true", ENDS_MODE: "goes on" }
        })
        assert.deepStrictEqual([ended.signal, ended.stdout], [signal, "Said\n"])
        assert.lengthOf(waiting(acme.home), 1)
      })
    }
  })

  test("A command that ends its process says in debug mode why it is not recorded", function*() {
    const { env, words } = yield* endsDevice
    const { stderr } = yield* run(words("exit", "7"), { env: { ...env, ENDS_USAGE_DEBUG: "1", DO_NOT_TRACK: "1" } })
    assert.strictEqual(stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
  })
})
