/**
 * What the tests of acme have in common: its accounts, a device, and what is looked at afterwards.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { noLease } from "../fixtures/Wait.ts"
import { type Device, eventually, Harness, noWorker } from "./Harness.ts"

export const accountA = "account_a"
export const accountB = "account_b"

export const isPersonless = (message: PostHogSink.ReceivedMessage) =>
  message.properties["$process_person_profile"] === false

export const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export const device = Effect.flatMap(Harness, (harness) => harness.device("device"))

/** A device whose first command ran in a terminal, and whose worker has ended. */
export const begunDevice = Effect.gen(function*() {
  const acme = yield* device
  yield* acme.run("deploy first")
  yield* acme.delivered(1)
  yield* noLease(acme.home)
  yield* noWorker(acme)
  return acme
})

/** The words of a command of acme on Node.js. */
export const nodeWords = Effect.fnUntraced(function*(line: string) {
  return [process.execPath, (yield* Harness).acme, ...line.split(" ")]
})

/** Delivers what waits; returns the counts, and the exit code. */
export const flush = (acme: Device) =>
  Effect.map(acme.run("telemetry flush --json", { runtime: "pipe" }), ({ code, stdout }) => [JSON.parse(stdout), code])

export const login = (key = "key-of-a") => `login --no-browser --api-key ${key}`

/** Asserts that there is no home and that PostHog got no request. */
export const assertUntouched = Effect.fnUntraced(function*({ home, sink }: Device, what: string) {
  assert.isFalse(Fs.existsSync(home), `${what} made the home`)
  assert.deepStrictEqual(yield* sink.requests, [], `${what} sent something`)
})

const decodeBackOff = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ until: Schema.Finite })))

/** Waits until a worker has written a back-off, and returns its file. */
export const backOff = ({ home }: Device) => {
  const outboxes = Path.join(home, "usage/outbox")
  const files = Effect.sync(() => Fs.readdirSync(outboxes).map((name) => Path.join(outboxes, name, "back-off.json")))
  return eventually(
    Effect.map(files, (files) => files.find((file) => Fs.existsSync(file))),
    (file) => file !== undefined
  )
}

/** Waits until the back-off of a file is over. */
export const backOffEnd = Effect.fnUntraced(function*(file: string | undefined) {
  const { until } = decodeBackOff(Fs.readFileSync(file ?? "", "utf8"))
  yield* eventually(Effect.sync(() => Date.now()), (now) => now > until)
})
