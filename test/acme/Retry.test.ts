/**
 * What becomes of messages that PostHog does not take.
 */
import { assert, describe } from "@effect/vitest"
import { makeSink, stoppedSink } from "../fixtures/Wait.ts"
import { eventually, noWorker, suite } from "./Harness.ts"
import { waiting } from "./Prepared.ts"
import { backOff, backOffEnd, device } from "./Steps.ts"

suite("retry", (test) => {
  describe.concurrent("unaccepted messages", () => {
    test("Messages wait while PostHog is down, and the first command after it is back delivers each once, in order", function*() {
      const acme = yield* device
      const down = yield* stoppedSink
      const env = { ACME_POSTHOG_HOST: down.url }

      yield* acme.run("deploy one", { env })
      const file = yield* backOff(acme)
      yield* acme.run("deploy two", { env })
      const { last_delivery, pending, set_aside } = yield* acme.status({ env })
      assert.deepStrictEqual([pending, set_aside, last_delivery], [2, 0, null])
      const kept = waiting(acme.home)

      // On a slow machine the back-off may be over before the second command, which then starts a worker.
      yield* noWorker(acme)
      yield* backOffEnd(file)
      const up = yield* makeSink({ port: Number(new URL(down.url).port) })
      yield* acme.run("deploy three", { env })
      const messages = yield* up.waitFor(({ length }) => length >= 3)
      yield* eventually(acme.status({ env }), ({ pending }) => pending === 0)
      assert.lengthOf(yield* up.attempts, 3)
      assert.deepStrictEqual(messages.slice(0, 2).map(({ raw }) => raw), kept.map((message) => JSON.stringify(message)))
      const times = messages.map(({ timestamp }) => timestamp)
      assert.deepStrictEqual(times, times.toSorted())
      assert.strictEqual(new Set(messages.map(({ uuid }) => uuid)).size, 3)
      assert.isNotNull((yield* acme.status({ env })).last_delivery)
    })
  })
})
