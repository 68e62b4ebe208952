/**
 * What `telemetry events` lists.
 */
import { assert, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestConsole from "effect/testing/TestConsole"
import { Auth } from "../../examples/acme/Events.ts"
import * as EventList from "../../src/cli/EventList.ts"
import { DataDictionary, Usage, UsageEvent } from "../../src/index.ts"
import { runLine, test, unnamed } from "./Harness.ts"

const description = "It happened"

class Template extends Schema.Class<Template>("Template")({ name: Schema.String }) {}

const Size = { Small: "small", Large: "large" } as const

interface Tree {
  readonly children: ReadonlyArray<Tree>
}

const Tree: Schema.Codec<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) }).pipe(
  Schema.annotate({ identifier: "Tree" })
)

const events: ReadonlyArray<DataDictionary.Declared> = [
  ...Auth.events,
  { name: "Nothing", description, properties: Schema.Struct({}) },
  { name: "Class", description, properties: Template },
  { name: "Itself", description, properties: Tree },
  { name: "Later", description, properties: Schema.suspend(() => Template) },
  {
    name: "Everything",
    description,
    properties: Schema.Struct({
      array: Schema.Array(Schema.Struct({ name: Schema.String })),
      at: Schema.toCodecJson(Schema.Date),
      boolean: Schema.Boolean,
      class: Template,
      count: Schema.Int,
      cpus: Schema.Int.check(Schema.isInt32()),
      enum: Schema.Enum(Size),
      literals: Schema.Literals(["blank", "blog", 3]),
      nullable: Schema.NullOr(Schema.String),
      number: Schema.Finite,
      numbers: Schema.Array(Schema.Number),
      optional: Schema.optional(Schema.String),
      optionalKey: Schema.optionalKey(Schema.Finite),
      optionalNull: Schema.optional(Schema.NullOr(Schema.Int)),
      option: Schema.OptionFromUndefinedOr(Schema.String),
      pair: Schema.Tuple([Schema.String, Schema.Int]),
      path: Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.Int]),
      port: Schema.Number.check(Schema.isInt32()),
      record: Schema.Record(Schema.String, Schema.String),
      template: Schema.TemplateLiteral(["v", Schema.Int]),
      text: Schema.FiniteFromString,
      union: Schema.Union([Schema.String, Schema.Boolean]),
      shape: Schema.Union([Schema.Struct({ radius: Schema.Number }), Schema.Struct({ side: Schema.Number })]),
      notAlways: Schema.optional(Schema.NullOr(Schema.Number)),
      unions: Schema.Array(Schema.Union([Schema.String, Schema.Boolean])),
      unknown: Schema.Unknown,
      agent: Schema.String
    })
  }
]

const Build = Command.make("build", {}, () => Effect.void)

it("Each property in the list of events has the type that the data dictionary says, made from the same events", () => {
  const markdown = DataDictionary.toMarkdown(DataDictionary.make(events))
  assert.strictEqual(DataDictionary.toMarkdown(EventList.make(events)), markdown)
  for (const type of ["integer", "list of object", "any", "`\"small\"`, `\"large\"`"]) assert.include(markdown, type)
})

it("A property that may be undefined is not always there, and is never null", () => {
  const markdown = DataDictionary.toMarkdown(DataDictionary.make(events))
  for (const name of ["optional", "option"]) assert.include(markdown, `| \`${name}\` | string | no |`)
  assert.include(markdown, "| `optionalNull` | integer, null | no |")
  assert.include(markdown, "| `nullable` | string, null | yes |")
})

it("A number has no text for what JSON does not have, because that is not sent, and a type is named once", () => {
  const properties = Schema.Struct({
    count: Schema.Number,
    shape: Schema.Union([Schema.Struct({ radius: Schema.Number }), Schema.Struct({ side: Schema.Number })])
  })
  const dictionary = DataDictionary.make([{ name: "Drawn", description, properties }])
  const number = { type: "number" }
  const object = (name: string) => ({
    type: "object",
    properties: { [name]: number },
    required: [name],
    additionalProperties: true
  })
  assert.deepStrictEqual(dictionary.events.at(-1)?.properties.map(({ schema }) => schema), [
    number,
    { anyOf: [object("radius"), object("side")] }
  ])
  for (const line of ["| `count` | number | yes |", "| `shape` | object | yes |"]) {
    assert.include(DataDictionary.toMarkdown(dictionary), line)
  }
})

it("Each event in the list of events has its description, and each property its own if it has one", () => {
  const properties = Schema.Struct({
    template: Schema.String.annotate({ description: "The template's name" }),
    count: Schema.optionalKey(Schema.Int)
  })
  const text = EventList.toText(EventList.make([{ name: "Built", description, properties }]))
  const lines = [
    "Built",
    "  It happened",
    "  count     integer (not always)",
    "  template  string: The template's name",
    ""
  ]
  assert.include(text, `\n${lines.join("\n")}\n`)
})

it("The data dictionary has a column of descriptions where a property has one", () => {
  const properties = Schema.Struct({
    template: Schema.String.annotate({ description: "Its <name> |\n`blank`" }),
    count: Schema.optional(Schema.Int.annotate({ description: "How many" })),
    size: Schema.Int
  })
  const table = [
    "| property | type | always there | description |",
    "| --- | --- | --- | --- |",
    "| `count` | integer | no | How many |",
    "| `size` | integer | yes |  |",
    "| `template` | string | yes | Its \\<name> \\| `blank` |",
    ""
  ]
  const dictionary = DataDictionary.make([{ name: "Built", description, properties }])
  assert.include(DataDictionary.toMarkdown(dictionary), `\n${table.join("\n")}\n`)
  assert.include(DataDictionary.toMarkdown(dictionary), "| property | type | always there |\n")
})

it("A description of several lines is one line in the list of events", () => {
  const properties = Schema.Struct({ size: Schema.Int.annotate({ description: "\n  Its size,\n  in bytes\n" }) })
  const text = EventList.toText(EventList.make([{ name: "Built", description: "It\r\n\thappened", properties }]))
  assert.include(text, "\nBuilt\n  It happened\n  size  integer: Its size, in bytes\n")
})

it("The list of events refuses an event with a schema that does not name its properties", () => {
  for (const properties of unnamed) {
    assert.throws(
      () => EventList.make([{ name: "Open", description, properties }]),
      /^"Open" sends properties that it does not name/
    )
  }
})

test("The command `telemetry events` lists the catalog and the names of `Usage.track`, and nothing of an author's mistake but its reason", function*() {
  const Built = UsageEvent.make("Built", { description, properties: Schema.Struct({}) })
  const app = Command.make("app").pipe(Command.withSubcommands([Build, Usage.telemetryCommand]))
  const names = { succeeded: "app ran", failed: "app broke" }
  yield* runLine(Usage.track(app, { catalog: [Built], events: names }), "telemetry events --json")
  yield* runLine(Usage.track(app, { catalog: [Built, Built] }), "telemetry events")
  const [json = "", ...rest] = (yield* TestConsole.logLines).map(String)
  const listed: DataDictionary.DataDictionary = JSON.parse(json)
  assert.deepStrictEqual(listed.events.map(({ name }) => name), ["app ran", "app broke", "$create_alias", "Built"])
  assert.isEmpty(rest)
  assert.include(String(yield* TestConsole.errorLines), "two events have the name \"Built\"")
})
