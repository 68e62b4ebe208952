import { assert, describe, it } from "@effect/vitest"
import { isEphemeral, isShortLived, keepsNothing } from "../../src/domain/Runtime.ts"
import * as Device from "../fixtures/Device.ts"

const { runtimes } = Device

const seenBefore = { durable: true, firstRun: false }
const firstRun = { durable: true, firstRun: true }
const inMemory = { durable: false, firstRun: false }

const table: ReadonlyArray<
  readonly [Device.RuntimeName, { keeps: boolean; lasting: boolean; lastingFirst: boolean; longLived: boolean }]
> = [
  ["persistent", { keeps: true, lasting: true, lastingFirst: true, longLived: true }],
  ["no terminal", { keeps: true, lasting: true, lastingFirst: false, longLived: true }],
  ["container with a terminal", { keeps: true, lasting: true, lastingFirst: true, longLived: false }],
  ["container", { keeps: false, lasting: false, lastingFirst: false, longLived: false }],
  ["ci", { keeps: false, lasting: false, lastingFirst: false, longLived: false }],
  ["ci with a terminal", { keeps: false, lasting: false, lastingFirst: false, longLived: false }]
]

describe("a runtime", () => {
  for (const [name, row] of table) {
    it(`is told from the others: ${name}`, () => {
      const runtime = runtimes[name]
      assert.deepStrictEqual({
        keeps: !keepsNothing(runtime),
        lasting: !isEphemeral(runtime, seenBefore),
        lastingFirst: !isEphemeral(runtime, firstRun),
        longLived: !isShortLived(runtime, seenBefore)
      }, row)
    })

    it(`is ephemeral where nothing can be written: ${name}`, () => {
      assert.isTrue(isEphemeral(runtimes[name], inMemory))
      assert.isTrue(isShortLived(runtimes[name], inMemory))
    })
  }

  it("ends with its first process", () => {
    const first = { ...runtimes.persistent, pid: 1 }
    assert.isTrue(isShortLived(first, seenBefore))
    assert.isFalse(isEphemeral(first, seenBefore))
  })
})
