import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { CommandFailed, CommandSucceeded } from "../../src/domain/CommandEvents.ts"
import { CommonProperties } from "../../src/domain/CommonProperties.ts"
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

describe("encode and sanitize", () => {
  it("An event is sent as its schema encodes it, without what the schema does not declare", () => {
    const chosen = event(Schema.Struct({
      template: Schema.String,
      nested: Schema.Struct({ a: Schema.Int }),
      at: Schema.DateTimeUtcFromMillis,
      url: Schema.URLFromString
    }))
    const json = { template: "blog", nested: { a: 1 }, at: 0, url: "https://example.com/" }
    const input = { ...Schema.decodeUnknownSync(chosen.properties)(json), path: "/home/me" }
    Object.assign(input.nested, { secret: "s" })
    assert.deepStrictEqual(encoded(chosen, input), { properties: json, stripped: [] })
  })

  it("An event that its schema refuses is refused by the names of its properties, never by their values", () => {
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
    // @ts-expect-error no properties
    const none = refusal(strict, "secret")
    for (const name of ["template", "count", "nested"]) assert.include(reason, name)
    assert.include(none, "(all)")
    for (const value of ["secret", "12345", "1.5"]) assert.notInclude(reason + none, value)
  })

  it("An event is sent without a property that is no JSON, which is named, and without an absent one", () => {
    const bad = {
      bigint: 1n,
      cycle: cycle(),
      function: () => "secret",
      symbol: Symbol("secret"),
      date: new Date(Number.NaN),
      number: Number.NaN,
      endless: Infinity,
      unwritable: {
        toJSON: () => {
          throw new Error("secret")
        }
      }
    }
    assert.deepStrictEqual(encoded(anything, { good: 1, ...bad, nothing: undefined }), {
      properties: { good: 1 },
      stripped: Object.keys(bad)
    })
  })

  const table: ReadonlyArray<
    readonly [title: string, input: object, properties: Schema.JsonObject, stripped?: ReadonlyArray<string>]
  > = [
    [
      "A value of an event is written as JSON does it",
      { at: new Date(0), own: { toJSON: () => ["x"] } },
      { at: "1970-01-01T00:00:00.000Z", own: ["x"] }
    ],
    [
      "A text of an event is cut at 8,192 characters, wherever it is",
      { long: "x".repeat(2 * 1024 * 1024), nested: { list: ["x".repeat(8193)] } },
      { long: "x".repeat(8192), nested: { list: ["x".repeat(8192)] } }
    ],
    [
      "A text of an event has no lone surrogate, neither given nor made by cutting",
      { lone: "a\ud800b", cut: `${"x".repeat(8191)}😀` },
      { lone: "a\ufffdb", cut: `${"x".repeat(8191)}\ufffd` }
    ],
    [
      "A value that fills a message by itself is left out, and takes no other with it",
      {
        few: ["x".repeat(64 * 1024)],
        many: Array.from({ length: 9 }, () => "x".repeat(8192)),
        wide: Array.from({ length: 3 }, () => "語".repeat(8000)),
        numbers: Array.from({ length: 600_000 }, () => 1),
        raw: ["x".repeat(1024 * 1024)],
        other: 1
      },
      { few: ["x".repeat(8192)], other: 1 },
      ["many", "wide", "numbers", "raw"]
    ],
    [
      "A name with a lone surrogate is left out: PostHog could refuse the whole batch for it",
      { "a\ud800": 1, nested: { "\udc00": 1, b: 1 } },
      { nested: { b: 1 } },
      ["a\ud800"]
    ]
  ]
  for (const [title, input, properties, stripped = []] of table) {
    it(title, () => assert.deepStrictEqual(UsageEvent.sanitize(input), { properties, stripped }))
  }

  it("An event has no property __proto__, and is not changed by one", () => {
    const { properties } = encoded(
      anything,
      JSON.parse("{ \"__proto__\": { \"polluted\": 1 }, \"nested\": { \"__proto__\": { \"p\": 1 }, \"a\": 1 } }")
    )
    assert.strictEqual(JSON.stringify(properties), "{\"nested\":{\"a\":1}}")
    assert.isUndefined(Object.getOwnPropertyDescriptor(Object.prototype, "polluted"))
    assert.notProperty(properties, "polluted")
  })

  it.prop(
    "Properties that are JSON already stay as they are, but for what cannot be written as UTF-8",
    { input: jsonObject },
    ({ input }) => {
      const expected = JSON.parse(
        JSON.stringify(input),
        (_, value) => typeof value === "string" ? value.toWellFormed() : value
      )
      assert.deepStrictEqual(encoded(anything, input).properties, expected)
    },
    { arbitrary: { runs: 200, size: 20 } }
  )

  it("Minus zero is sent as zero, as JSON has it", () => {
    assert.deepStrictEqual(encoded(anything, { n: -0 }).properties, { n: 0 })
  })
})

describe("isReserved and isPersonProperty", () => {
  const common = Object.keys(CommonProperties.fields)

  it("A name is reserved exactly where every event has the property, but for the groups, which come with an event", () => {
    for (const name of [...common, "duration_ms", "toString", "__proto__", "$set", "Arch", ""]) {
      assert.strictEqual(UsageEvent.isReserved(name), common.includes(name) && name !== "$groups", name)
    }
  })

  it("The properties of a person are those that would make a person of a device", () => {
    const names = ["$set", "$set_once", "$unset", "$anon_distinct_id", "$groups", "set", "toString"]
    assert.deepStrictEqual(names.filter(UsageEvent.isPersonProperty), names.slice(0, 4))
  })
})

describe("CommandEvents", () => {
  const common = { duration_ms: 12, exit_code: 1, flags_used: ["region"] }
  const failed = { ...common, user_cancelled: false }

  it("A command's events have the names that dashboards know, and declare what they send", () => {
    assert.deepStrictEqual([CommandSucceeded.name, CommandFailed.name], [
      "CLI execution succeeded",
      "CLI execution failed"
    ])
    assert.deepStrictEqual(encoded(CommandSucceeded, common).properties, common)
    for (const one of [failed, { ...failed, error_class: "DeployError", flag_values: { region: "eu" } }]) {
      assert.deepStrictEqual(encoded(CommandFailed, one).properties, one)
    }
  })

  const surplus = { message: "secret", argv: ["secret"], cwd: "/secret" }

  const suite = <Properties extends object>(own: UsageEvent.UsageEvent<Properties>) =>
    it.prop(
      `A command's event is encoded as its schema would, and no schema is made for that: ${own.name}`,
      { properties: Arbitrary.schema(own.properties), extra: jsonObject },
      ({ extra, properties }) => {
        const input = { ...extra, ...surplus, ...properties }
        const unasked: UsageEvent.UsageEvent<Properties> = {
          name: own.name,
          description,
          get properties(): never {
            return assert.fail("a schema was made")
          },
          ownNames: own.ownNames
        }
        const bySchema = { name: own.name, description, properties: own.properties }
        const sent = encoded(unasked, input)
        assert.deepStrictEqual(sent, encoded(bySchema, input))
        assert.notInclude(JSON.stringify(sent), "secret")
      },
      { arbitrary: { runs: 200, size: 20 } }
    )

  suite(CommandSucceeded)
  suite(CommandFailed)
})
