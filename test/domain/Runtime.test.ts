import { assert, it } from "@effect/vitest"
import { isEphemeral, isShortLived, isStateless } from "../../src/domain/Runtime.ts"
import * as Device from "../fixtures/Device.ts"

const { runtimes } = Device

const seenBefore = { durable: true, firstRun: false }
const firstRun = { durable: true, firstRun: true }
const inMemory = { durable: false, firstRun: false }

interface Row {
  /** Whether files are kept at all. */
  readonly keeps: boolean
  /** Whether the disk survives, on a first run and later. */
  readonly lasts: readonly [firstRun: boolean, later: boolean]
  /** Whether a detached process survives the command. */
  readonly longLived: boolean
}

const table: ReadonlyArray<readonly [Device.RuntimeName, Row]> = [
  ["persistent", { keeps: true, lasts: [true, true], longLived: true }],
  ["no terminal", { keeps: true, lasts: [false, true], longLived: true }],
  ["container with a terminal", { keeps: true, lasts: [true, true], longLived: false }],
  ["container", { keeps: false, lasts: [false, false], longLived: false }],
  ["ci", { keeps: false, lasts: [false, false], longLived: false }],
  ["ci with a terminal", { keeps: false, lasts: [false, false], longLived: false }]
]

it.each(table)("What survives a command follows from its runtime: %s", (name, row) => {
  const runtime = runtimes[name]
  assert.deepStrictEqual({
    keeps: !isStateless(runtime),
    lasts: [!isEphemeral(runtime, firstRun), !isEphemeral(runtime, seenBefore)],
    longLived: !isShortLived(runtime, seenBefore)
  }, row)
  // Nor does anything survive where nothing can be written.
  assert.isTrue(isEphemeral(runtime, inMemory))
  assert.isTrue(isShortLived(runtime, inMemory))
})

it("No other process survives the first process of a system, and its disk does", () => {
  const first = { ...runtimes.persistent, pid: 1 }
  assert.isTrue(isShortLived(first, seenBefore))
  assert.isFalse(isEphemeral(first, seenBefore))
})
