/**
 * A process that disables and enables telemetry itself, as a menu may.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Device from "../fixtures/Device.ts"
import { test } from "../fixtures/Tests.ts"
import { runOf, scene, steady } from "../stitch/Command.ts"

/** A process whose command has begun. */
const begun = Effect.gen(function*() {
  const { start } = yield* scene(steady)
  const another = start({ consent: Device.environmentConsent() })
  const process = yield* another
  yield* process.begin
  const { allow, deny } = process.consent
  return { ...process, another, disableAndEnable: Effect.orDie(Effect.andThen(deny, allow)) }
})

test("An opt-out that a process withdraws counts for its next command, and not for the one that runs", function*() {
  const { begin, disableAndEnable, record } = yield* begun
  yield* disableAndEnable
  assert.isUndefined(yield* record)
  yield* begin
  assert.isDefined(yield* record)
})

test("A command within the one that runs does not take the consent that was given meanwhile", function*() {
  const { capture, disableAndEnable, record } = yield* begun
  yield* disableAndEnable
  yield* capture.follow(yield* runOf("inner"))
  assert.isUndefined(yield* record)
})

test("A process that has recorded something records nothing more after its own opt-out, although the device has a new anon id", function*() {
  const { another, begin, disableAndEnable, record } = yield* begun
  assert.isDefined(yield* record)
  yield* disableAndEnable
  assert.isDefined(yield* (yield* another).record)
  yield* begin
  assert.isUndefined(yield* record)
})
