/**
 * What the tests of the real worker say about its runs.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { marker } from "../../src/layers/WorkerMarks.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { event } from "../fixtures/Messages.ts"
import { type Device, RealWorker, silently, type StartOptions } from "./RealWorker.ts"

export const device = Effect.flatMap(RealWorker, (workers) => workers.device())

export const anon = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
export const alice = "account_alice"

export const uuids = (messages: ReadonlyArray<{ readonly uuid: string }>) => messages.map(({ uuid }) => uuid)

/** The uuids of the events of these numbers. */
export const of = (...numbers: ReadonlyArray<number>) => numbers.map((n) => event(n).uuid)

/** The uuids of the first events. */
export const first = (count: number) => of(...Array.from({ length: count }, (_, n) => n))

/** Runs a worker to its end, and sees that it ended by itself and said nothing. */
export const run = Effect.fnUntraced(function*(worker: Device, options?: StartOptions) {
  assert.deepStrictEqual(yield* worker.run(options), silently)
})

/** A worker delivered nothing: each message is kept, and the back-off is written. */
export const assertKept = Effect.fnUntraced(function*(
  worker: Device,
  expected: ReadonlyArray<string>,
  what: string,
  attempts = 1
) {
  const { backOff, leases, setAside, settled, waiting } = yield* worker.disk
  assert.deepStrictEqual([waiting, setAside, settled, leases], [expected, [], [], []], what)
  assert.strictEqual(backOff?.attempts, attempts, what)
  // The back-off began when the worker gave up: after these tests began, and before now.
  const began = (backOff?.until ?? 0) - 1_000 * 2 ** (attempts - 1)
  assert.isAtLeast(began, performance.timeOrigin, what)
  assert.isAtMost(began, Date.now(), what)
})

/** Workers delivered these messages, as they are on disk, and nothing waits. */
export const assertDelivered = Effect.fnUntraced(function*(
  worker: Device,
  expected: ReadonlyArray<string>,
  what = "delivered"
) {
  const { backOff, lastDelivery, leases, setAside, waiting } = yield* worker.disk
  const failure = `${what}: ${backOff?.reason ?? ""}`
  assert.deepStrictEqual(uuids(yield* worker.sink.messages), expected, failure)
  assert.deepStrictEqual(yield* worker.altered, [], failure)
  assert.deepStrictEqual([waiting, setAside, backOff, leases], [[], [], undefined, []], failure)
  // The delivery was after these tests began, and before now.
  assert.isAtLeast(lastDelivery ?? 0, performance.timeOrigin, failure)
  assert.isAtMost(lastDelivery ?? 0, Date.now(), failure)
})

/** When a timer fires in the place of its own time; `byHand`: when the worker gets SIGUSR2. */
type Firing = "soon" | "never" | "byHand"

/** By the milliseconds of a timer; `other` is for the rest, which otherwise keeps its own time. */
interface Timers {
  readonly [millis: number]: Firing
  readonly other?: Firing
}

/** The arguments of a worker that runs some lines first. */
export const withPreload = Effect.fnUntraced(function*(...lines: ReadonlyArray<string>) {
  const { file } = yield* RealWorker
  const preload = Path.join(yield* temporaryFolder("worker-preload-"), "preload.cjs")
  Fs.writeFileSync(preload, lines.join("\n"))
  return ["--require", preload, file, marker]
})

/** The arguments of a worker whose timers are replaced, and which runs `lines` first. */
export const withTimers = (timers: Timers, lines: ReadonlyArray<string> = []) =>
  withPreload(
    `const timers = ${JSON.stringify(timers)}`,
    `const byHand = []`,
    `process.on("SIGUSR2", () => byHand.splice(0).forEach((fire) => fire()))`,
    `const own = globalThis.setTimeout`,
    `globalThis.setTimeout = (fire, millis, ...rest) => {`,
    `  const firing = timers[millis] ?? timers.other`,
    `  if (firing === "byHand") byHand.push(fire)`,
    `  return own(fire, firing === undefined ? millis : firing === "soon" ? 1 : 2 ** 31 - 1, ...rest)`,
    `}`,
    ...lines
  )

type Test = <E>(
  title: string,
  body: (worker: Device) => Generator<Effect.Effect<unknown, E, RealWorker | Scope.Scope>, void, never>
) => void

/** Tests with a device each, on which the real worker runs. */
export const suite = (name: string, tests: (test: Test) => void): void =>
  layer(RealWorker.layer, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    tests((title, body) => it.effect(title, () => Effect.flatMap(device, (worker) => Effect.gen(() => body(worker)))))
  })
