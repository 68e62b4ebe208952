import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { once } from "../../src/layers/Lazy.ts"
import { test } from "../fixtures/Tests.ts"

test("An effect that runs once is completed if its first caller is interrupted, such as by the end of a command", function*() {
  const gate = yield* Deferred.make<void>()
  let runs = 0
  const loaded = once(Effect.andThen(Effect.sync(() => runs += 1), Deferred.await(gate)))
  const first = yield* Effect.forkChild(loaded, { startImmediately: true })
  const interrupted = yield* Effect.forkChild(Fiber.interrupt(first), { startImmediately: true })
  const second = yield* Effect.forkChild(loaded, { startImmediately: true })
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.join(interrupted)
  yield* Fiber.join(second)
  assert.strictEqual(runs, 1)
})
