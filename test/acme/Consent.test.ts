/**
 * When acme records nothing.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually, noWorker, suite } from "./Harness.ts"
import { accountA, assertUntouched, device, login } from "./Steps.ts"

suite("consent", (test) => {
  describe.concurrent("commands without a recorded event", () => {
    const untracked = `
      --help, --version, --completions bash, deploy --help, nonsense, deploy, deploy site --region mars,
      deploy site --unknown, wait soon, telemetry, telemetry nonsense, telemetry status, telemetry status --json,
      telemetry enable
    `.trim().split(/,\s+/)
    test("Help, versions, completions, usage errors and the telemetry commands are not recorded, and make no file", function*() {
      const acme = yield* device
      // Nor is the API asked whose the key is.
      const env = { ACME_API_KEY: "key-of-a" }
      yield* Effect.forEach(
        untracked,
        (line) => Effect.andThen(acme.run(line, { env }), assertUntouched(acme, line)),
        { concurrency: 3 }
      )
      assert.deepStrictEqual(acme.api.requests, [])
    })

    const denials: ReadonlyArray<readonly [env: Record<string, string>, decidedBy: string]> = [
      [{ ACME_USAGE_TRACKING: "0" }, "ACME_USAGE_TRACKING"],
      [{ ACME_USAGE_TRACKING: "1", DO_NOT_TRACK: "TRUE" }, "DO_NOT_TRACK"],
      [{ VITEST: "true" }, "test run"],
      [{ ACME_POSTHOG_KEY: "" }, "no key"],
      [{ ACME_POSTHOG_HOST: "http://posthog.example" }, "no key"]
    ]
    test("Nothing is recorded under a variable that denies, in a test run or without a key, and the status says why", function*() {
      const acme = yield* device
      yield* Effect.forEach(denials, ([env, decidedBy]) =>
        Effect.gen(function*() {
          const { code, stdout } = yield* acme.run("deploy site", { env })
          assert.deepStrictEqual([stdout, code], ["Deployed site to eu\n", 0])
          yield* assertUntouched(acme, JSON.stringify(env))
          assert.deepStrictEqual(yield* acme.status({ env }), {
            enabled: false,
            decided_by: decidedBy,
            anon_id: null,
            principal_id: null,
            pending: 0,
            set_aside: 0,
            last_delivery: null
          })
        }), { concurrency: 3, discard: true })
      yield* assertUntouched(acme, "status")
    })

    test("Nothing is recorded for an invalid destination, and the status, `enable` and debug mode name the mistake", function*() {
      const acme = yield* device
      const mistakes: ReadonlyArray<readonly [env: Record<string, string>, problem: string]> = [
        [{ ACME_POSTHOG_HOST: "us.i.posthog.com" }, "the PostHog host must be a URL such as"],
        [{ ACME_POSTHOG_KEY: "phx_secret" }, "the PostHog key is a personal API key"]
      ]
      for (const [env, problem] of mistakes) {
        const status = yield* acme.run("telemetry status", { env })
        assert.include(status.stdout, `Telemetry is off (${problem}`)
        const enable = yield* acme.run("telemetry enable", { env })
        assert.include(enable.stdout, `Telemetry is still off: ${problem}`)
        assert.strictEqual((yield* acme.status({ env })).decided_by, "no key")
        const { stderr } = yield* acme.run("deploy site", { env: { ...env, ACME_USAGE_DEBUG: "1" } })
        assert.include(stderr, `usage: telemetry is off: ${problem}`)
        assert.notInclude(status.stdout + enable.stdout + stderr, "phx_secret")
      }
      const none = yield* acme.run("telemetry status", { env: { ACME_POSTHOG_KEY: "" } })
      assert.include(none.stdout, "Telemetry is off (no key)")
    })

    test("`telemetry disable` deletes all files and stops recording, and `telemetry enable` starts with a new anon id", function*() {
      const acme = yield* device
      yield* acme.run("deploy before")
      const { anon_id } = yield* acme.identity
      const before = yield* acme.delivered(1)
      const { code } = yield* acme.run("telemetry disable")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])
      yield* acme.run("deploy after")
      yield* acme.run("telemetry disable")
      assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])
      const { anon_id: none, decided_by, enabled } = yield* acme.status()
      assert.deepStrictEqual([enabled, decided_by, none], [false, "opt-out file", null])
      assert.lengthOf(yield* acme.sink.messages, before.length)

      yield* acme.run("telemetry enable")
      yield* acme.run("deploy again")
      const messages = yield* acme.delivered(2)
      assert.lengthOf(messages, 2)
      assert.notStrictEqual((yield* acme.identity).anon_id, anon_id)
    })

    test("`telemetry enable` under a variable that denies says that telemetry is still off", function*() {
      const acme = yield* device
      const { stdout } = yield* acme.run("telemetry enable", { env: { DO_NOT_TRACK: "1" } })
      assert.include(stdout, "still off")
      assert.include(stdout, "DO_NOT_TRACK")
    })

    test("A command that DO_NOT_TRACK keeps from being recorded says so once in debug mode", function*() {
      const acme = yield* device
      const env = { ACME_USAGE_DEBUG: "1", DO_NOT_TRACK: "1" }
      const { stderr, stdout } = yield* acme.run("deploy site", { env })
      assert.strictEqual(stdout, "Deployed site to eu\n")
      assert.strictEqual(stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
      assert.match((yield* acme.run("--help", { env })).stderr, /^usage: nothing was tracked: no [^\n]+\n$/)
      const flow = yield* acme.run("login --no-browser --api-key key-of-a", { env })
      assert.strictEqual(flow.stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
      assert.strictEqual((yield* acme.run("deploy site", { env: { DO_NOT_TRACK: "1" } })).stderr, "")
    })

    test("A command with ACME_USAGE_DEBUG prints each event to stderr and sends nothing", function*() {
      const acme = yield* device
      for (const value of ["1", " TRUE ", "yes", "On"]) {
        const { stderr, stdout } = yield* acme.run("deploy site", { env: { ACME_USAGE_DEBUG: value } })
        assert.strictEqual(stdout, "Deployed site to eu\n")
        assert.include(stderr, "\"event\":\"CLI execution succeeded\"")
        yield* assertUntouched(acme, `ACME_USAGE_DEBUG=${value}`)
      }
    })

    test("An opt-out and its end also count if they are made in debug mode", function*() {
      const acme = yield* device
      const env = { ACME_USAGE_DEBUG: "1" }
      yield* acme.run("telemetry disable", { env })
      assert.strictEqual((yield* acme.status()).decided_by, "opt-out file")
      yield* acme.run("telemetry enable", { env })
      assert.isTrue((yield* acme.status()).enabled)
    })

    test("A command in debug mode on a used device prints the events that it would keep, and changes nothing on the disk", function*() {
      const acme = yield* device
      const env = { ACME_USAGE_DEBUG: "1" }
      yield* acme.run(login())
      yield* acme.delivered(1)
      yield* eventually(acme.status(), ({ pending }) => pending === 0)
      yield* noWorker(acme)
      yield* acme.run("deploy one", { env: { ACME_POSTHOG_HOST: "http://127.0.0.1:9" } })
      const elsewhere = { env: { ...env, ACME_POSTHOG_HOST: "http://127.0.0.1:9" } }
      yield* noWorker(acme)
      const before = yield* acme.files
      const asked = acme.api.requests.length

      const { stderr } = yield* acme.run("deploy two", elsewhere)
      const [message] = stderr.trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual([message.distinct_id, message.properties.is_first_run], [accountA, false])
      assert.strictEqual(acme.api.requests.length, asked)
      const status = yield* acme.status(elsewhere)
      assert.deepStrictEqual([status.pending, status.principal_id], [1, accountA])
      assert.include((yield* acme.run("telemetry log", elsewhere)).stdout, "\"distinct_id\"")
      const flush = yield* acme.run("telemetry flush", elsewhere)
      assert.deepStrictEqual([flush.code, flush.stdout.includes("kept 1")], [1, true])
      assert.deepStrictEqual(yield* acme.files, before)
    })
  })
})
