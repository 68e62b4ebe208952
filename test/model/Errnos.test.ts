import { assert, it } from "@effect/vitest"
import * as Errnos from "./Errnos.ts"
import * as Program from "./Program.ts"

const seed = Number(process.env["MODEL_SEED"] ?? "1")

it("A disk that refuses an operation breaks no rule and loses no event that it could keep", () => {
  // Of each step of each kind of command one code, once or for ever; `npm run model -- --errnos` tries all.
  const { count, runs, violations } = Errnos.run(seed)
  const [first] = violations
  if (first !== undefined) assert.fail(`MODEL_SEED=${seed}\n${Errnos.show(first)}`)
  // Rules about what was never tried would hold too.
  assert.isAbove(count, 1000)
  assert.sameMembers([...runs.keys()], [...Program.allErrnos])
  const operations = new Set([...runs.values()].flatMap((ofCode) => [...ofCode.keys()]))
  assert.sameMembers([...operations], [
    "access",
    "create",
    "follow",
    "link",
    "list",
    "look",
    "makeFolder",
    "read",
    "remove",
    "removeFolder",
    "rename"
  ])
})
