import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as AnonId from "../../src/domain/AnonId.ts"

const isAnonId = (input: unknown) => Option.isSome(AnonId.decode(input))

describe("an anon id", () => {
  for (const version of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`may be a UUID of version ${version}: another tool may have made it`, () => {
      assert.isTrue(isAnonId(`01234567-89ab-${version}def-8123-456789abcdef`))
    })
  }

  it("may be in capitals, and stays so", () => {
    const id = "01234567-89AB-4DEF-8123-456789ABCDEF"
    assert.deepStrictEqual(AnonId.decode(id), Option.some(id) as Option.Option<AnonId.AnonId>)
  })

  for (
    const [what, id] of [
      ["the nil UUID, which many devices would share", "00000000-0000-0000-0000-000000000000"],
      ["the max UUID, which many devices would share", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
      ["of no version", "01234567-89ab-0def-8123-456789abcdef"],
      ["of an unknown version", "01234567-89ab-9def-8123-456789abcdef"],
      ["of another variant", "01234567-89ab-4def-c123-456789abcdef"],
      ["without dashes", "0123456789ab4def8123456789abcdef"],
      ["in braces", "{01234567-89ab-4def-8123-456789abcdef}"],
      ["with a line break after it", "01234567-89ab-4def-8123-456789abcdef\n"],
      ["with a path before it", "../01234567-89ab-4def-8123-456789abcdef"],
      ["empty", ""]
    ] as const
  ) {
    it(`is not one that is ${what}`, () => {
      assert.isFalse(isAnonId(id))
    })
  }

  it("is a string", () => {
    for (const value of [undefined, null, 1, {}, ["01234567-89ab-4def-8123-456789abcdef"]]) {
      assert.isFalse(isAnonId(value))
    }
  })
})
