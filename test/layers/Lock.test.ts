import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Lock from "../../src/layers/Lock.ts"
import { test } from "../fixtures/Tests.ts"

test("A lock runs one effect at a time, in their order, also after one that dies, and whether or not one is interrupted", function*() {
  const lock = Lock.make()
  const log: Array<string> = []
  const gate = yield* Deferred.make<void>()
  const step = (name: string, wait: Effect.Effect<void> = Effect.void) =>
    lock(
      Effect.andThen(Effect.sync(() => log.push(`${name} begins`)), wait).pipe(
        Effect.andThen(Effect.sync(() => log.push(`${name} ends`)))
      )
    )
  const fork = <A>(effect: Effect.Effect<A>) => Effect.forkChild(effect, { startImmediately: true })
  const first = yield* fork(step("first", Deferred.await(gate)))
  const second = yield* fork(step("second", Effect.die("broken")))
  const third = yield* fork(step("third", Effect.yieldNow))
  const fourth = yield* fork(step("fourth"))
  for (const fiber of [first, third]) yield* fork(Fiber.interrupt(fiber))
  assert.deepStrictEqual(log, ["first begins"])
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.join(fourth)
  assert.isTrue(Exit.isFailure(yield* Fiber.await(second)))
  const rest = ["third begins", "third ends", "fourth begins", "fourth ends"]
  assert.deepStrictEqual(log, ["first begins", "first ends", "second begins", ...rest])
})
