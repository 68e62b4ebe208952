import { assert, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { mutations } from "./Mutations.ts"

const src = Path.resolve(import.meta.dirname, "../../src")

it("Each export that a mutation replaces is one of its module, and each importer imports the module", async () => {
  for (const { name, wrong } of mutations) {
    for (const one of wrong) {
      const right: object = await import(Path.join(src, one.module))
      const exports = Object.keys(one.exports(right))
      assert.isNotEmpty(exports, name)
      assert.deepStrictEqual(exports.filter((key) => !(key in right)), [], name)
      if (one.importer === undefined) continue
      assert.include(Fs.readFileSync(Path.join(src, one.importer), "utf8"), `/${Path.basename(one.module)}"`, name)
    }
  }
})

it("Each mutation has a name of its own", () => {
  assert.strictEqual(new Set(mutations.map(({ name }) => name)).size, mutations.length)
})
