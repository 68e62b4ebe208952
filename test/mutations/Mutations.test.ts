import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { mutations } from "./Mutations.ts"

const root = Path.resolve(import.meta.dirname, "../..")

describe("the mutations", () => {
  it("Each mutation is one of the sources as they are: what it searches for is there once", () => {
    const wrong = mutations.flatMap(({ edits, file, name }) =>
      edits.flatMap(({ search }) => {
        const found = Fs.readFileSync(Path.join(root, file), "utf8").split(search).length - 1
        return found === 1 ? [] : [`${name}: found ${found} times in ${file}: ${search}`]
      })
    )
    assert.deepStrictEqual(wrong, [])
    assert.strictEqual(new Set(mutations.map(({ name }) => name)).size, mutations.length)
  })
})
