/**
 * That telemetry changes nothing of what acme does.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Fs from "node:fs"
import { type ApiMode, eventually, type Run, suite } from "./Harness.ts"
import { accountA, device, isPersonless, login } from "./Steps.ts"

suite("host", (test) => {
  describe.concurrent("unchanged output and exit code", () => {
    const commands = [
      "logout",
      "whoami",
      login("key-of-nobody"),
      login(),
      "whoami",
      "deploy site --region us --message hello",
      "fail",
      "fail --message why",
      "fail --defect --message why",
      "wait 5",
      "wait soon",
      "nonsense",
      "deploy",
      "telemetry",
      "--help",
      "--version",
      "logout",
      "logout"
    ]
    const isRecorded = (line: string) => /^(login|logout|whoami|deploy site|fail|wait 5)/.test(line)
    const inCI = commands.filter((line, n) => isRecorded(line) && commands.lastIndexOf(line) === n)
    // The report of a defect is stamped with the time.
    const seen = ({ code, stderr, stdout }: Run) => ({ stdout: stdout.replace(/^\[[\d:.]+\]/, "[time]"), stderr, code })

    for (const runtime of ["terminal", "ci"] as const) {
      test(`Every command prints and exits the same with telemetry on and off (${runtime})`, function*() {
        const [on, off] = [yield* device, yield* device]
        for (const line of runtime === "ci" ? inCI : commands) {
          const [first, second] = yield* Effect.all([
            on.run(line, { runtime }),
            off.run(line, { runtime, env: { ACME_USAGE_TRACKING: "0", ACME_API_URL: on.api.url } })
          ], { concurrency: 2 })
          assert.deepStrictEqual(seen(first), seen(second), line)
        }
        assert.isNotEmpty(yield* on.sink.waitFor(({ length }) => length > 0))
        assert.isEmpty(yield* off.sink.requests)
      })
    }

    test("A host that logs everything has its debug lines on stderr and none on stdout", function*() {
      const acme = yield* device
      yield* acme.storeKey("key-of-a")
      yield* acme.api.mode({ _tag: "Answer", status: 500, body: "{}" })
      const { code, stderr, stdout } = yield* acme.run("deploy site --log-level all")
      assert.deepStrictEqual([stdout, code], ["Deployed site to eu\n", 0])
      assert.include(stderr, "usage: no principal is known for the credential: status 500")
    })

    test("A host works the same with a home that cannot be written", function*() {
      const acme = yield* device
      Fs.writeFileSync(acme.home, "in the way")
      for (const runtime of ["terminal", "pipe", "ci"] as const) {
        const { code, stderr, stdout } = yield* acme.run("deploy site", { runtime })
        assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to eu\n", "", 0])
      }
      assert.strictEqual((yield* acme.run("fail", { runtime: "pipe" })).code, 1)
      assert.strictEqual((yield* acme.status()).decided_by, "unsafe home")
      assert.strictEqual(Fs.readFileSync(acme.home, "utf8"), "in the way")
    })

    // HttpPrincipalResolver.test.ts has every other answer.
    const modes: ReadonlyArray<readonly [name: string, mode: ApiMode]> = [
      ["not before the command has ended", { _tag: "Hold" }],
      ["with a 500", { _tag: "Answer", status: 500, body: JSON.stringify({ data: { principal_id: accountA } }) }],
      ["in another shape", { _tag: "Answer", status: 200, body: JSON.stringify({ principal: accountA }) }],
      ["with a placeholder for an id", { _tag: "Principal", id: "undefined" }]
    ]
    test("A host ends its command and claims nothing when its API answers badly or too late", function*() {
      yield* Effect.forEach(modes, ([name, mode]) =>
        Effect.gen(function*() {
          const acme = yield* device
          yield* acme.storeKey("key-of-a")
          yield* acme.api.mode(mode)
          // Only where no answer comes does the resolver's own limit end the wait.
          const { code, stderr, stdout } = yield* acme.run("deploy site", {
            limits: mode._tag === "Hold" ? "own" : "far"
          })
          assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to eu\n", "", 0], name)
          if (mode._tag === "Hold") yield* acme.api.release
          const { anon_id, linked_principal_id } = yield* acme.identity
          assert.isNull(linked_principal_id, name)
          const messages = yield* acme.delivered(1)
          assert.deepStrictEqual(messages.map((message) => [message.distinct_id, isPersonless(message)]), [
            [anon_id, true]
          ], name)
          assert.lengthOf(acme.api.requests, 1, name)
          // That there was no answer is remembered: the next command does not ask.
          yield* acme.run("deploy again")
          assert.lengthOf(acme.api.requests, 1, name)
        }), { concurrency: 3, discard: true })
    })

    test("A host waits for an API that answers when the command's own work is done", function*() {
      const acme = yield* device
      yield* acme.storeKey("key-of-a")
      yield* acme.api.mode({ _tag: "Hold" })
      let hasPrinted = false
      const command = yield* Effect.forkChild(acme.run("deploy site", { onStdout: () => hasPrinted = true }))
      yield* eventually(
        Effect.sync(() => [hasPrinted, acme.api.requests.length]),
        ([printed, requests]) => printed === true && requests === 1
      )
      yield* acme.api.release
      yield* Fiber.join(command)
      assert.strictEqual((yield* acme.identity).linked_principal_id, accountA)
    })
  })
})
