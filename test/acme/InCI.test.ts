/**
 * A host in CI, where the account of its credential is not known before the API has answered, and what becomes of the
 * events that it records until then; and the exit codes that a host decides on.
 */
import { assert, describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import type * as Message from "../../src/domain/Message.ts"
import type * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { run, start } from "../fixtures/Process.ts"
import { suiteOf } from "../fixtures/Tests.ts"
import { bundleHost, eventually, Harness } from "./Harness.ts"
import { waiting } from "./Prepared.ts"

/** The host, bundled into one file. */
class Records extends Context.Service<Records, string>()("test/acme/Records") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const file = Path.join(yield* temporaryFolder("acme-records-"), "records.mjs")
      yield* bundleHost(fileURLToPath(new URL("./hosts/Records.ts", import.meta.url)), file)
      return file
    })
  )
}

/** A device of the host, whose API holds its answers. */
const device = Effect.gen(function*() {
  const file = yield* Records
  const { api, env, home, sink } = yield* (yield* Harness).device("records")
  yield* api.mode({ _tag: "Hold" })
  return {
    api,
    home,
    sink,
    env: {
      ...env,
      CI: "true",
      RECORDS_HOME: home,
      RECORDS_POSTHOG_HOST: sink.url,
      RECORDS_API_URL: api.url,
      RECORDS_API_KEY: "key-of-a"
    },
    words: (line: string) => [process.execPath, file, ...line.split(" ")]
  }
})

/** What the events say of their order and their owner. */
const told = (messages: ReadonlyArray<PostHogSink.ReceivedMessage | Message.Message>) =>
  messages.map(({ distinct_id, event, properties }) => [
    properties["sequence"],
    event.replace("CLI execution ", ""),
    properties["$process_person_profile"] === false ? "nobody" : distinct_id
  ])

const services = Records.layer.pipe(Layer.provideMerge(Harness.layer))

suiteOf(services)("CI", (test) => {
  describe.concurrent("a slow API", () => {
    test("A host in CI that waits for its API sends its first event under the account of the answer, in order", function*() {
      const { api, env, home, sink, words } = yield* device
      let before: ReadonlyArray<Message.Message> | undefined
      const onStdout = () => {
        before = waiting(home)
        Effect.runFork(api.release)
      }
      assert.strictEqual((yield* run(words("return"), { env, onStdout })).code, 0)
      // Nothing is on disk before the answer.
      assert.deepStrictEqual(before, [])
      const messages = yield* sink.messages
      assert.deepStrictEqual(told(messages), [[0, "Recorded", "account_a"], [1, "succeeded", "account_a"]])
      const times = messages.map(({ timestamp }) => timestamp)
      assert.deepStrictEqual(times, times.toSorted())
    })

    test("A host in CI that waits for its API loses no event at process.exit", function*() {
      const { env, sink, words } = yield* device
      assert.strictEqual((yield* run(words("exit"), { env })).code, 0)
      const messages = yield* sink.waitFor(({ length }) => length === 2)
      assert.deepStrictEqual(told(messages), [[0, "Recorded", "nobody"], [1, "succeeded", "nobody"]])
    })

    test("A host in CI whose first event comes at process.exit records it, while its API is asked", function*() {
      const { api, env, sink, words } = yield* device
      const { child, ended } = yield* start(words("leave"), { env })
      yield* eventually(Effect.sync(() => api.requests.length), (count) => count === 1)
      child.kill("SIGUSR2")
      assert.strictEqual((yield* ended).code, 0)
      const messages = yield* sink.waitFor(({ length }) => length === 1)
      assert.deepStrictEqual(told(messages), [[0, "succeeded", "nobody"]])
    })

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      test(`A host in CI that waits for its API loses no event at ${signal} during its command`, function*() {
        const { env, sink, words } = yield* device
        const { code } = yield* run(words("stay"), { env, onStdout: (child) => child.kill(signal) })
        assert.strictEqual(code, 130)
        const messages = yield* sink.waitFor(({ length }) => length === 2)
        assert.deepStrictEqual(told(messages), [[0, "Recorded", "nobody"], [1, "failed", "nobody"]])
      })

      test(`A host in CI loses no event at ${signal} while it waits for the answer of its API`, function*() {
        const { api, env, sink, words } = yield* device
        let hasRecorded = false
        const { child, ended } = yield* start(words("return"), { env, onStdout: () => void (hasRecorded = true) })
        // No limit ends the wait.
        yield* eventually(Effect.sync(() => hasRecorded && api.requests.length === 1), (isWaiting) => isWaiting)
        child.kill(signal)
        assert.strictEqual((yield* ended).code, 130)
        const messages = yield* sink.waitFor(({ length }) => length === 2)
        assert.deepStrictEqual(told(messages).map(([sequence, , owner]) => [sequence, owner]), [
          [0, "nobody"],
          [1, "nobody"]
        ])
      })

      test(`A host in CI that listens to no signal loses no event at ${signal}`, function*() {
        const { env, home, words } = yield* device
        const ended = yield* run(words("stay"), {
          env: { ...env, RECORDS_MODE: "listens to no signal" },
          onStdout: (child) => child.kill(signal)
        })
        assert.strictEqual(ended.signal, signal)
        assert.deepStrictEqual(told(waiting(home)), [[0, "Recorded", "nobody"]])
      })
    }
  })

  describe.concurrent("exit codes", () => {
    const codes: ReadonlyArray<readonly [error: string, mode: string, exitCode: number, why: string]> = [
      ["coded", "ends", 5, "its error says so"],
      ["coded", "catches", 5, "its error says so, also where the host catches it"],
      ["broken", "catches", 1, "the host decides on its own only after the event"]
    ]
    for (const [error, mode, exitCode, why] of codes) {
      test(`A host in CI that fails exits with 5, and its event has the exit code ${exitCode}: ${why}`, function*() {
        const { env, sink, words } = yield* device
        const { code } = yield* run(words(`fail ${error}`), {
          env: { ...env, RECORDS_API_KEY: "", RECORDS_MODE: mode }
        })
        assert.strictEqual(code, 5)
        assert.deepStrictEqual((yield* sink.messages).map(({ properties }) => properties["exit_code"]), [exitCode])
      })
    }
  })
})
