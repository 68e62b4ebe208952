import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import * as CiMarks from "../../src/domain/CiMarks.ts"

const read = (file: string): string => readFileSync(createRequire(import.meta.url).resolve(`ci-info/${file}`), "utf8")

// Each entry's "env" is a name, a list of entries, or an object with names as keys or in "env" and "any".
const namesIn = (mark: unknown): ReadonlyArray<string> => {
  if (typeof mark === "string") return [mark]
  if (Array.isArray(mark)) return mark.flatMap(namesIn)
  if (typeof mark !== "object" || mark === null) return []
  if ("env" in mark) return namesIn(mark.env)
  return "any" in mark ? namesIn(mark.any) : Object.keys(mark)
}

describe("the marks of CI", () => {
  const vendors: ReadonlyArray<{ readonly env: unknown }> = JSON.parse(read("vendors.json"))
  const general = [...read("index.js").matchAll(/\benv\.(\w+)/g)].map(([, name = ""]) => name)

  it("are all that ci-info looks at", () => {
    const names = new Set([...vendors.flatMap(({ env }) => namesIn(env)), ...general])
    assert.isAbove(names.size, 60)
    for (const name of names) assert.isTrue(CiMarks.any({ HOME: "/home/me", [name]: "1" }), name)
  })

  it("are not the variables of a usual shell", () => {
    assert.isFalse(CiMarks.any({ HOME: "/home/me", PATH: "/usr/bin", TERM: "xterm", CIX: "1", HASOWNPROPERTY: "1" }))
  })
})
