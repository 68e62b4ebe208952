import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Env from "std-env"
import * as CodingAgent from "../../src/domain/CodingAgent.ts"

// The library looks at the object that is this process's environment when it is loaded.
const byLibrary = (variables: Readonly<Record<string, string>>): string | undefined => {
  const replace = (env: NodeJS.ProcessEnv) => {
    for (const name of Object.keys(process.env)) delete process.env[name]
    Object.assign(process.env, env)
  }
  const before = { ...process.env }
  replace(variables)
  try {
    return Env.detectAgent().name
  } finally {
    replace(before)
  }
}

const text = readFileSync(fileURLToPath(import.meta.resolve("std-env")), "utf8")
const words = [...new Set(text.match(/[A-Z][A-Z_]{3,}/g))].filter((word) => word !== "AI_AGENT")

it("The coding agent is the one that std-env names, by any variable of std-env", () => {
  const named = new Set<string>()
  for (const word of words) {
    for (const value of ["1", "/home/me/.pi/agent/bin", "devin --wait", "kiro"]) {
      const variables = { [word]: value }
      const expected = byLibrary(variables)
      assert.strictEqual(CodingAgent.detect(variables, false), expected, `${word}=${value}`)
      if (expected !== undefined) {
        named.add(expected)
        assert.include(CodingAgent.variables, word)
      }
    }
  }
  assert.strictEqual(named.size, 13)
})

it("AI_AGENT chooses among the known agents, and no other text in it leaves the machine", () => {
  for (const name of ["claude", "Claude", "github_copilot_cloud_agent"]) {
    assert.strictEqual(CodingAgent.detect({ AI_AGENT: name }, false), byLibrary({ AI_AGENT: name }))
  }
  for (const name of ["my-secret-project", "__proto__"]) {
    assert.strictEqual(CodingAgent.detect({ AI_AGENT: name }, false), "other")
  }
  for (const none of [{ AI_AGENT: "" }, {}]) assert.isUndefined(CodingAgent.detect(none, false))
})

it("A command that a person types into the terminal of Kiro has no coding agent", () => {
  assert.strictEqual(CodingAgent.detect({ TERM_PROGRAM: "kiro" }, false), "kiro")
  assert.isUndefined(CodingAgent.detect({ TERM_PROGRAM: "kiro" }, true))
})
