import { assert, it } from "@effect/vitest"
import { isAnonId } from "../../src/domain/AnonId.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"
import * as Arbitraries from "./Arbitraries.ts"

it("An anon id is a UUID of any version, in any letter case: another tool may have made it", () => {
  for (const version of [1, 2, 3, 4, 5, 6, 7, 8]) {
    for (
      const id of [`01234567-89ab-${version}def-8123-456789abcdef`, `01234567-89AB-${version}DEF-8123-456789ABCDEF`]
    ) {
      assert.isTrue(isAnonId(id))
    }
  }
})

it("An anon id is no UUID that many devices would share, and nothing that is no UUID", () => {
  for (
    const input of [
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      // No version, an unknown one, and another variant.
      "01234567-89ab-0def-8123-456789abcdef",
      "01234567-89ab-9def-8123-456789abcdef",
      "01234567-89ab-4def-c123-456789abcdef",
      "0123456789ab4def8123456789abcdef",
      "{01234567-89ab-4def-8123-456789abcdef}",
      "01234567-89ab-4def-8123-456789abcdef\n",
      "../01234567-89ab-4def-8123-456789abcdef",
      "",
      ["01234567-89ab-4def-8123-456789abcdef"],
      undefined,
      null,
      1,
      {}
    ]
  ) {
    assert.isFalse(isAnonId(input), JSON.stringify(input))
  }
})

it.prop(
  "An anon id with any mutation is one only where it is still the name of a file, whatever else a UUID may be",
  { id: Arbitraries.anonIds, mutation: Fuzz.mutations },
  ({ id, mutation }) => {
    const mutated = Fuzz.mutate(id, mutation)
    if (isAnonId(mutated)) assert.match(mutated, /^[0-9a-f-]{36}$/)
    Fuzz.assertSafe({ anon_id: isAnonId(mutated) ? mutated : id })
  },
  { arbitrary: { runs: 500 } }
)
