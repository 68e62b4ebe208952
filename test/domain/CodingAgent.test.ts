import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Env from "std-env"
import * as CodingAgent from "../../src/domain/CodingAgent.ts"

// The library looks at this process's environment.
const byLibrary = (variables: Readonly<Record<string, string>>): string | undefined => {
  const before = { ...process.env }
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, variables)
  try {
    return Env.detectAgent().name
  } finally {
    for (const name of Object.keys(process.env)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

const text = readFileSync(fileURLToPath(import.meta.resolve("std-env")), "utf8")
const words = new Set(text.match(/[A-Z][A-Z_]{3,}/g))

describe("the coding agent", () => {
  it("is the one that std-env names, whichever variable is set", () => {
    const named = new Set<string>()
    for (const word of words) {
      for (const value of ["1", "/home/me/.pi/agent/bin", "devin --wait", "kiro"]) {
        const variables = { [word]: value }
        const expected = byLibrary(variables)
        if (word === "AI_AGENT") continue
        assert.strictEqual(CodingAgent.detect(variables, false), expected, `${word}=${value}`)
        if (expected !== undefined) named.add(expected)
      }
    }
    assert.strictEqual(named.size, 13)
  })

  it("is one that AI_AGENT names, and never what else may stand there", () => {
    for (const name of ["claude", "Claude", "github_copilot_cloud_agent"]) {
      assert.strictEqual(CodingAgent.detect({ AI_AGENT: name }, false), byLibrary({ AI_AGENT: name }))
    }
    assert.strictEqual(CodingAgent.detect({ AI_AGENT: "my-secret-project" }, false), "other")
    assert.strictEqual(CodingAgent.detect({ AI_AGENT: "__proto__" }, false), "other")
    assert.isUndefined(CodingAgent.detect({ AI_AGENT: "" }, false))
    assert.isUndefined(CodingAgent.detect({}, false))
  })

  it("is not Kiro's where somebody sits at its terminal", () => {
    assert.strictEqual(CodingAgent.detect({ TERM_PROGRAM: "kiro" }, false), "kiro")
    assert.isUndefined(CodingAgent.detect({ TERM_PROGRAM: "kiro" }, true))
  })
})
