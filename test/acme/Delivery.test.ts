/**
 * What becomes of a command, its worker and its message while PostHog does not answer, or its processes end.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { run } from "../fixtures/Process.ts"
import { Harness } from "./Harness.ts"
import { runUntilAsked, suite, usedDevice, waiting, words } from "./Prepared.ts"

// `DELIVERY_COMMANDS=200 npx vitest run test/acme/Delivery.test.ts` takes about a minute.
const manyCommands = Number(process.env["DELIVERY_COMMANDS"] ?? 10)

suite("delivery", (test) => {
  describe.concurrent("an unresponsive PostHog", () => {
    test(`${manyCommands} commands in a row have one worker`, function*() {
      const acme = yield* usedDevice
      yield* acme.sink.answer(PostHogSink.Answer.Hang())
      const pids = new Set<number>()
      const command = yield* words("deploy site")
      const startedAt = Date.now()
      for (let n = 0; n < manyCommands; n++) {
        yield* run(command, { env: acme.env })
        for (const { pid } of yield* acme.workers) pids.add(pid)
      }
      const { length: requests } = yield* acme.sink.requests
      const seconds = (Date.now() - startedAt) / 1000
      assert.lengthOf(waiting(acme.home), manyCommands)
      // The starter of a worker holds the lease for at most 3 s, and a worker for 10 s. Only on a machine on which the
      // commands take that long is another worker started.
      assert.isAtLeast(pids.size, 1)
      assert.isAtMost(pids.size, 1 + Math.floor(seconds / 3))
      assert.isAtMost(requests, 1 + Math.floor(seconds / 10))
    })

    test("A command in a pipe ends while its worker lives on", function*() {
      const acme = yield* usedDevice
      yield* acme.stopWorkers()
      const { code, stdout } = yield* run(["sh", "-c", `"$@" | cat`, "sh", ...(yield* words("deploy x"))], {
        env: acme.env
      })
      assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
      yield* acme.sink.waitFor((_, requests) => requests.length > 0)
      assert.lengthOf(yield* acme.workers, 1)
    })

    test("A command in a terminal ends while its worker lives on", function*() {
      const acme = yield* usedDevice
      yield* acme.stopWorkers()
      const { code, stdout } = yield* acme.run("deploy x")
      assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
      yield* acme.sink.waitFor((_, requests) => requests.length > 0)
      assert.lengthOf(yield* acme.workers, 1)
      assert.strictEqual((yield* acme.status()).pending, 1)
    })

    // Handover.test.ts holds that the limit is 1 s.
    for (const [where, runtime] of [["CI", "ci"], ["a container", "container"]] as const) {
      test(`A command in ${where} stops its wait for delivery at the limit, and its message is kept`, function*() {
        const acme = yield* usedDevice
        yield* acme.stopWorkers()
        const { code, stdout } = yield* acme.run("deploy x", { runtime, limits: "own" })
        assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
        assert.lengthOf(waiting(acme.home), 1)
      })
    }

    test("Ctrl-C ends a command in CI that waits for delivery", function*() {
      const acme = yield* usedDevice
      yield* acme.stopWorkers()
      // No limit ends the wait: the limits are far, and the worker is stopped.
      const { stdout } = yield* runUntilAsked(acme, yield* words("deploy site"), "SIGINT", {
        env: { ...acme.env, CI: "true" }
      })
      assert.strictEqual(stdout, "Deployed site to eu\n")
      assert.lengthOf(waiting(acme.home), 1)
    })
  })

  describe.concurrent("PID namespaces", () => {
    test("A command delivers before its PID namespace ends, 5 of 5 times", function*() {
      const delivered = yield* Effect.forEach(
        Array.from({ length: 5 }),
        () =>
          Effect.gen(function*() {
            const acme = yield* (yield* Harness).device("namespace")
            // The reason is not the container: the process is the first of its PID namespace.
            yield* acme.run("deploy site", { runtime: "container", env: { TEST_IN_CONTAINER: "0" } })
            return (yield* acme.sink.messages).length
          }),
        { concurrency: 2 }
      )
      assert.deepStrictEqual(delivered, Array.from({ length: 5 }, () => 1))
    })

    test("Containers that use the same home one after the other each deliver, and leave no lease", function*() {
      const acme = yield* usedDevice
      for (const turn of [1, 2, 3, 4, 5]) {
        yield* acme.run("deploy site", { runtime: "container" })
        assert.lengthOf(yield* acme.sink.messages, turn)
        assert.deepStrictEqual((yield* acme.files).filter((file) => file.includes("lease-")), [])
      }
    })
  })
})
