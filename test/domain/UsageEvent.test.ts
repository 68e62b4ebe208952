import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import { jsonObject } from "../fixtures/Json.ts"

const description = "For a test"

const event = <A extends object>(properties: Schema.Codec<A, unknown> & UsageEvent.OwnNames<A>) =>
  UsageEvent.make("Template chosen", { description, properties })

const anything = event(Schema.Record(Schema.String, Schema.Unknown))

const encoded = <A>(event: UsageEvent.UsageEvent<A>, input: A): UsageEvent.Encoded =>
  Result.getOrThrowWith(UsageEvent.encode(event, input), (reason) => new Error(reason))

const refusal = <A>(event: UsageEvent.UsageEvent<A>, input: A): string =>
  Result.match(UsageEvent.encode(event, input), {
    onFailure: (reason) => reason,
    onSuccess: () => assert.fail("it was taken")
  })

const cycle = (): object => {
  const object: Record<string, unknown> = {}
  object["self"] = object
  return object
}

describe("an event", () => {
  it("is sent with what it declares, and with nothing else", () => {
    const chosen = event(Schema.Struct({ template: Schema.String, nested: Schema.Struct({ a: Schema.Int }) }))
    const input = { template: "blog", path: "/home/me", nested: { a: 1, secret: "s" } }
    assert.deepStrictEqual(encoded(chosen, input), {
      properties: { template: "blog", nested: { a: 1 } },
      stripped: []
    })
  })

  it("is encoded by its schema", () => {
    const dated = event(Schema.Struct({ at: Schema.DateTimeUtcFromMillis, url: Schema.URLFromString }))
    const input = Schema.decodeUnknownSync(dated.properties)({ at: 0, url: "https://example.com/" })
    assert.deepStrictEqual(encoded(dated, input).properties, { at: 0, url: "https://example.com/" })
  })

  it("that its schema refuses names the properties, never the values", () => {
    const strict = event(Schema.Struct({
      template: Schema.Literals(["blank", "blog"]),
      count: Schema.Int,
      nested: Schema.Struct({ deep: Schema.String })
    }))
    const reason = refusal(strict, {
      // @ts-expect-error a value that is not declared
      template: "secret-template",
      count: 1.5,
      // @ts-expect-error a value that is not declared
      nested: { deep: 12345 }
    })
    for (const name of ["template", "count", "nested"]) assert.include(reason, name)
    for (const value of ["secret", "12345", "1.5"]) assert.notInclude(reason, value)
  })

  it("that is no object at all is refused in a word", () => {
    // @ts-expect-error no properties
    assert.include(refusal(event(Schema.Struct({ a: Schema.String })), "secret"), "(all)")
    // @ts-expect-error no properties
    assert.notInclude(refusal(event(Schema.Struct({ a: Schema.String })), "secret"), "secret")
  })

  for (
    const [what, value] of [
      ["a BigInt", 1n],
      ["a cycle", cycle()],
      ["a function", () => "secret"],
      ["a symbol", Symbol("secret")],
      ["a date that is none", new Date(Number.NaN)],
      ["a number that is none", Number.NaN],
      ["a number without end", Infinity],
      ["an object that cannot be written", {
        toJSON: () => {
          throw new Error("secret")
        }
      }]
    ] as const
  ) {
    it(`goes without a property that is no JSON, and says which: ${what}`, () => {
      assert.deepStrictEqual(encoded(anything, { good: 1, bad: value }), { properties: { good: 1 }, stripped: ["bad"] })
    })
  }

  it("goes without a property that is undefined, and does not mention it", () => {
    assert.deepStrictEqual(encoded(anything, { good: 1, bad: undefined }), { properties: { good: 1 }, stripped: [] })
  })

  it("writes a date, and what knows how to be JSON, as JSON does", () => {
    const { properties } = encoded(anything, { at: new Date(0), own: { toJSON: () => ["x"] } })
    assert.deepStrictEqual(properties, { at: "1970-01-01T00:00:00.000Z", own: ["x"] })
  })

  it("cuts a string of 2 MB, wherever it stands", () => {
    const long = "x".repeat(2 * 1024 * 1024)
    const { properties } = encoded(anything, { long, nested: { list: [long] } })
    assert.deepStrictEqual(properties, { long: "x".repeat(8192), nested: { list: ["x".repeat(8192)] } })
  })

  it("has no lone surrogate, neither given nor made by cutting", () => {
    const { properties } = encoded(anything, { lone: "a\ud800b", cut: `${"x".repeat(8191)}😀` })
    assert.deepStrictEqual(properties, { lone: "a\ufffdb", cut: `${"x".repeat(8191)}\ufffd` })
  })

  it("carries no __proto__, and is not changed by one", () => {
    const input = JSON.parse(
      "{ \"__proto__\": { \"polluted\": 1 }, \"nested\": { \"__proto__\": { \"p\": 1 }, \"a\": 1 } }"
    )
    const { properties } = encoded(anything, input)
    assert.deepStrictEqual(JSON.stringify(properties), "{\"nested\":{\"a\":1}}")
    assert.isUndefined(Object.getOwnPropertyDescriptor(Object.prototype, "polluted"))
    assert.notProperty(properties, "polluted")
  })

  it("has no name with a lone surrogate, for which the whole batch could be refused", () => {
    const { properties, stripped } = encoded(anything, { "a\ud800": 1, nested: { "\udc00": 1, b: 1 } })
    assert.deepStrictEqual(properties, { nested: { b: 1 } })
    assert.deepStrictEqual(stripped, ["a\ud800"])
  })

  it.prop(
    "that is JSON already goes as it is, but for what cannot be written as UTF-8",
    { input: jsonObject },
    ({ input }) => {
      const { properties } = encoded(anything, input)
      const expected = JSON.parse(
        JSON.stringify(input),
        (_, value) => typeof value === "string" ? value.toWellFormed() : value
      )
      assert.deepStrictEqual(properties, expected)
    },
    { arbitrary: { runs: 200, size: 20 } }
  )
})

describe("a command's own events", () => {
  it("declare what they send", () => {
    const common = { duration_ms: 12, exit_code: 0, flags_used: ["region"] }
    assert.deepStrictEqual(encoded(UsageEvent.CommandSucceeded, common).properties, common)
    const failed = { ...common, exit_code: 1, user_cancelled: false }
    assert.deepStrictEqual(encoded(UsageEvent.CommandFailed, failed).properties, failed)
    const named = { ...failed, error_class: "DeployError" }
    assert.deepStrictEqual(encoded(UsageEvent.CommandFailed, named).properties, named)
  })

  it.prop(
    "are encoded as their schema would, although none is compiled for them",
    { properties: Arbitrary.schema(UsageEvent.CommandFailed.properties), extra: jsonObject },
    ({ extra, properties }) => {
      const { encodeOwn: _, ...bySchema } = UsageEvent.CommandFailed
      const own = { ...extra, ...properties }
      assert.deepStrictEqual(encoded(UsageEvent.CommandFailed, own), encoded(bySchema, own))
    },
    { arbitrary: { runs: 200, size: 20 } }
  )

  it("have the names that dashboards know", () => {
    assert.strictEqual(UsageEvent.CommandSucceeded.name, "CLI execution succeeded")
    assert.strictEqual(UsageEvent.CommandFailed.name, "CLI execution failed")
  })

  it("send no error message, argument or path that a caller adds", () => {
    const more = {
      duration_ms: 12,
      exit_code: 1,
      flags_used: [],
      user_cancelled: false,
      message: "secret",
      argv: ["secret"],
      cwd: "/secret"
    }
    assert.notInclude(JSON.stringify(encoded(UsageEvent.CommandFailed, more)), "secret")
  })
})
