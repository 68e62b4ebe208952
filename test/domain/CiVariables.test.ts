import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { mayBeCi } from "../../src/domain/CiVariables.ts"

const require = createRequire(import.meta.url)

type Mark = string | { readonly env?: string; readonly includes?: string; readonly any?: ReadonlyArray<string> }

const vendors: ReadonlyArray<{ readonly env: Mark | ReadonlyArray<Mark> }> = require("ci-info/vendors.json")

/** The smallest environments with the mark of a vendor. */
const environmentsOf = (mark: Mark): ReadonlyArray<Readonly<Record<string, string>>> => {
  if (typeof mark === "string") return [{ [mark]: "1" }]
  const { any, env, includes, ...others } = mark
  if (env !== undefined && includes !== undefined) return [{ [env]: `a ${includes} b` }]
  return any?.map((name) => ({ [name]: "1" })) ?? [others]
}

describe("the variables of CI systems", () => {
  it("Each CI system that ci-info knows has a variable that is looked for", () => {
    const environments = vendors.flatMap(({ env }) => [env].flat()).flatMap(environmentsOf)
    assert.isAbove(environments.length, 50)
    for (const environment of environments) assert.isTrue(mayBeCi(environment), JSON.stringify(environment))
  })

  it("Each variable that ci-info looks at without a vendor is looked for", () => {
    const code = readFileSync(require.resolve("ci-info"), "utf8")
    const [, rest = ""] = code.split("exports.isCI = ")
    const names = [...rest.split("\n)")[0]?.matchAll(/env\.(\w+)/g) ?? []].map(([, name = ""]) => name)
    assert.include(names, "CONTINUOUS_INTEGRATION")
    for (const name of names) assert.isTrue(mayBeCi({ [name]: "1" }), name)
  })

  it("Variables that npm and shells set are no CI system", () => {
    assert.isFalse(mayBeCi({ NODE: "/usr/bin/node", PATH: "/usr/bin", TERM: "xterm", npm_config_user_agent: "npm" }))
  })
})
