import { assert, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as PrincipalId from "../../src/domain/PrincipalId.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"

const reason = (input: unknown): string | undefined =>
  Result.match(PrincipalId.decode(input), { onFailure: (reason) => reason, onSuccess: () => undefined })

// From PostHog's ingestion: the first in any letter case, the second exactly so.
const inAnyCase = "anonymous guest distinctid distinct_id id not_authenticated email undefined true false".split(" ")
const exactly = ["[object Object]", "NaN", "None", "none", "null", "0"]

const quoted = (id: string): ReadonlyArray<string> => [id, `'${id}'`, `"${id}"`]
const inCases = (id: string) => [id, id.toUpperCase(), id.charAt(0).toUpperCase() + id.slice(1)]

const table: ReadonlyArray<readonly [title: string, problem: RegExp, ids: ReadonlyArray<unknown>]> = [
  [
    "A placeholder into which PostHog merges no person is no principal id, quoted or not",
    /placeholder/,
    [...inAnyCase.flatMap(inCases), ...exactly].flatMap(quoted)
  ],
  ["A principal id is not blank", /blank/, ["", " ", "\t\n", "\u00a0", "''", "\"\"", "' '", "\" \""]],
  [
    "A principal id has at most 200 characters, as PostHog counts them",
    /200 characters/,
    ["x".repeat(201), "😀".repeat(100) + "x"]
  ],
  ["A principal id has no NUL", /NUL/, ["\0", "acct\0", "\0acct", "undefined\0"]],
  [
    "A principal id has no lone surrogate, which would not survive as UTF-8",
    /surrogate/,
    ["\ud800", "acct\udc00", "\ude00\ud83d"]
  ],
  ["A principal id is a string", /^not a string$/, [undefined, null, 0, 1, true, {}, ["acct_1"]]]
]

/** Of these, some differ from a placeholder in a letter. */
const legal = "NULL nan NONE 00 anonymous2 ' acct_1 user@example.com auth0|507f 12345 \"acct\" идентификатор".split(" ")
  .concat("[Object object]", "0 ", "my id", "'guest\"", "' id '", "x".repeat(200), "😀".repeat(100))

for (const [title, problem, ids] of table) {
  it(title, () => {
    for (const id of ids) assert.match(reason(id) ?? "", problem, JSON.stringify(id))
  })
}

it("A principal id is any other text, and stays as it is", () => {
  for (const id of legal) {
    assert.strictEqual(Result.getOrThrow(PrincipalId.decode(id)), id)
    assert.isTrue(PrincipalId.isPrincipalId(id))
  }
})

it("The reason for a refused id does not contain the id, because the reason is a debug line", () => {
  for (const id of ["secret\0", "secret".repeat(40), "secret\ud800"]) assert.notInclude(reason(id) ?? "", "secret")
})

it.prop(
  "A placeholder with any mutation is a principal id only where PostHog's own model takes it",
  { id: Schema.Literals([...inAnyCase, ...exactly].flatMap(quoted)), mutation: Fuzz.mutations },
  ({ id, mutation }) => {
    const decoded = PrincipalId.decode(Fuzz.mutate(id, mutation))
    if (Result.isSuccess(decoded)) assert.isTrue(Fuzz.isLegalId(decoded.success), decoded.success)
  },
  { arbitrary: { runs: 500 } }
)
