import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as PrincipalId from "../../src/domain/PrincipalId.ts"

const reason = (input: unknown): string | undefined =>
  Result.match(PrincipalId.decode(input), { onFailure: (reason) => reason, onSuccess: () => undefined })

// From PostHog's ingestion: the first in any letter case, the second exactly so.
const inAnyCase = [
  "anonymous",
  "guest",
  "distinctid",
  "distinct_id",
  "id",
  "not_authenticated",
  "email",
  "undefined",
  "true",
  "false"
]
const exactly = ["[object Object]", "NaN", "None", "none", "null", "0"]

describe("a principal id", () => {
  const placeholder = /placeholder/

  for (const id of inAnyCase) {
    it(`is not ${id}, in any letter case, quoted or not`, () => {
      const capital = id.charAt(0).toUpperCase() + id.slice(1)
      for (const written of [id, id.toUpperCase(), capital]) {
        for (const quoted of [written, `'${written}'`, `"${written}"`]) assert.match(reason(quoted) ?? "", placeholder)
      }
    })
  }

  for (const id of exactly) {
    it(`is not ${id}, quoted or not`, () => {
      for (const quoted of [id, `'${id}'`, `"${id}"`]) assert.match(reason(quoted) ?? "", placeholder)
    })
  }

  for (const id of ["NULL", "nan", "NONE", "[Object object]", "00", "0 "]) {
    it(`may be ${JSON.stringify(id)}: PostHog merges it`, () => {
      assert.isUndefined(reason(id))
    })
  }

  for (const id of ["", " ", "\t\n", "\u00a0", "''", "\"\"", "' '", "\" \""]) {
    it(`is not blank: ${JSON.stringify(id)}`, () => {
      assert.match(reason(id) ?? "", /blank/)
    })
  }

  it("has at most 200 characters, as PostHog counts them", () => {
    assert.isUndefined(reason("x".repeat(200)))
    assert.match(reason("x".repeat(201)) ?? "", /200 characters/)
    assert.isUndefined(reason("😀".repeat(100)))
    assert.match(reason("😀".repeat(100) + "x") ?? "", /200 characters/)
  })

  it("has no NUL, wherever it stands", () => {
    for (const id of ["\0", "acct\0", "\0acct", "undefined\0"]) assert.match(reason(id) ?? "", /NUL/)
  })

  it("has no lone surrogate, which would not survive as UTF-8", () => {
    for (const id of ["\ud800", "acct\udc00", "\ude00\ud83d"]) assert.match(reason(id) ?? "", /surrogate/)
    assert.isUndefined(reason("\ud83d\ude00"))
  })

  it("is a string", () => {
    for (const value of [undefined, null, 0, 1, true, {}, ["acct_1"]]) {
      assert.strictEqual(reason(value), "not a string")
    }
  })

  for (
    const id of [
      "acct_1",
      "user@example.com",
      "auth0|507f",
      "12345",
      "'",
      "\"acct\"",
      "anonymous2",
      "my id",
      "идентификатор"
    ]
  ) {
    it(`may be ${id}, and stays as it is`, () => {
      const decoded = PrincipalId.decode(id)
      assert.isTrue(Result.isSuccess(decoded))
      assert.strictEqual(Result.getOrThrow(decoded), id)
    })
  }

  it("is never told in the reason for which it is refused: it goes into debug lines", () => {
    for (const id of ["secret\0", "secret".repeat(40), "secret\ud800"]) assert.notInclude(reason(id) ?? "", "secret")
  })

  it.prop(
    "that is taken is one that PostHog takes, and comes back as it was",
    { id: Schema.String },
    ({ id }) => {
      const decoded = PrincipalId.decode(id)
      const bare = /^(['"])([\s\S]*)\1$/.exec(id)?.[2] ?? id
      const illegal = id.trim() === "" || bare.trim() === "" || id.length > 200 || id.includes("\0") ||
        !id.isWellFormed() || inAnyCase.includes(bare.toLowerCase()) || exactly.includes(bare)
      assert.strictEqual(Result.isFailure(decoded), illegal)
      if (Result.isSuccess(decoded)) assert.strictEqual(decoded.success, id)
    },
    { arbitrary: { runs: 500, size: 250 } }
  )
})
