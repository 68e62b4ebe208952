/**
 * What a host's author touches beside commands and flows.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as EventList from "../../src/cli/EventList.ts"
import { DataDictionary, Flow, IdentityStitch, UsageCapture, UsageEvent } from "../../src/index.ts"
import * as TelemetryPage from "../../src/kit/TelemetryPage.ts"
import { messages, test, unnamed } from "./Harness.ts"

const Chosen = UsageEvent.make("Template chosen", {
  description: "A template was chosen",
  properties: Schema.Struct({ template: Schema.Literals(["blank", "blog"]), count: Schema.optionalKey(Schema.Int) })
})

const Sly = UsageEvent.make("Sly", {
  description: "It claims to be another command",
  // @ts-expect-error: every event has its own agent, arch, command_name and sequence
  properties: Schema.Struct({
    agent: Schema.String,
    arch: Schema.String,
    command_name: Schema.String,
    sequence: Schema.Int,
    plan: Schema.String
  })
})

const capture = <P>(event: UsageEvent.UsageEvent<P>, properties: NoInfer<P>) =>
  Effect.flatMap(UsageCapture, (usage) => usage.capture(event, properties))

describe("UsageEvent", () => {
  // UsageServices.test.ts holds that such a property is not sent.
  it("A property that every event has cannot be declared, and the dictionary does not list it as the event's own", () => {
    const own = DataDictionary.make([Sly]).events.find(({ name }) => name === "Sly")
    assert.deepStrictEqual(own?.properties.map(({ name }) => name), ["plan"])
  })

  test("An event that has no name, or one of PostHog's own, is not recorded, whatever the compiler was told", function*() {
    const options = { description: "It would merge people", properties: Schema.Struct({ alias: Schema.String }) }
    // @ts-expect-error: names that begin with $ are PostHog's own
    yield* capture(UsageEvent.make("$create_alias", options), { alias: "somebody" })
    // @ts-expect-error: an event has a name
    yield* capture(UsageEvent.make("", options), { alias: "somebody" })
    for (const name of ["$identify", " "] as ReadonlyArray<string>) {
      yield* capture(UsageEvent.make(name, options), { alias: "somebody" })
    }
    assert.deepStrictEqual(yield* messages, [])
  })

  it("Properties that JSON has a place for are sent, and the compiler names those that it has none for", () => {
    const description = "What is sent is what the data dictionary says"
    const fields = {
      text: Schema.optional(Schema.String),
      at: Schema.DateFromString,
      nested: Schema.optionalKey(Schema.Struct({ sizes: Schema.Array(Schema.Finite) })),
      json: Schema.Json,
      names: Schema.toCodecJson(Schema.ReadonlyMap(Schema.String, Schema.String))
    }
    const encoded = UsageEvent.encode(UsageEvent.make("Sent", { description, properties: Schema.Struct(fields) }), {
      at: new Date(0),
      json: [null],
      names: new Map([["a", "b"]])
    })
    assert.deepStrictEqual(Result.getOrThrow(encoded).properties, {
      at: "1970-01-01T00:00:00.000Z",
      json: [null],
      names: [["a", "b"]]
    })
    // @ts-expect-error: size is sent as JSON
    UsageEvent.make("Lost", { description, properties: Schema.Struct({ ...fields, size: Schema.BigInt }) })
    // @ts-expect-error: any is sent as JSON
    UsageEvent.make("Lost", { description, properties: Schema.Struct({ any: Schema.Unknown }) })
    const properties = Schema.Struct({ names: Schema.ReadonlyMap(Schema.String, Schema.String) })
    // @ts-expect-error: names is sent as JSON
    Flow.make("Lost", { description, properties, steps: ["one"] })
  })

  it("The compiler refuses an event, a flow or a value that was not declared, or that is this module's own", () => {
    const description = "It is refused"
    const steps = ["one"] as const
    const agent = Schema.Struct({ agent: Schema.String })
    const numbered = Schema.Struct({ count: Schema.Int }).pipe(Schema.encodeKeys({ count: "sequence" }))
    // It is sent under its own name.
    UsageEvent.make("Right", { description, properties: agent.pipe(Schema.encodeKeys({ agent: "editor" })) })
    const refused = [
      // @ts-expect-error: a template that was not declared
      capture(Chosen, { template: "shop" }),
      // @ts-expect-error: an event that was not declared
      capture({ name: "Anything" }, {}),
      // @ts-expect-error: every event has its own sequence
      UsageEvent.make("Sly", { description, properties: numbered }),
      // @ts-expect-error: every event has its own agent, also of a union
      UsageEvent.make("Sly", { description, properties: Schema.Union([Schema.Struct({ a: Schema.String }), agent]) }),
      // @ts-expect-error: every event has its own agent
      Flow.make("Sly", { description, properties: Schema.Struct({ agent: Schema.String }), steps }),
      // @ts-expect-error: a flow has its own step
      Flow.make("Sly", { description, properties: Schema.Struct({ step: Schema.String }), steps }),
      // @ts-expect-error: names that begin with $ are PostHog's own
      Flow.make("$sly", { description, properties: Schema.Struct({}), steps })
    ]
    assert.lengthOf(refused, 7)
  })
})

describe("DataDictionary", () => {
  const description = "It happened"
  const none = Schema.Struct({})
  const namesOf = (properties: ReadonlyArray<DataDictionary.Property> = []) => properties.map(({ name }) => name)

  it("The dictionary has every event with the type of each property, and what all events share", () => {
    const dictionary = DataDictionary.make([Chosen])
    const event = dictionary.events.find(({ name }) => name === "Template chosen")
    assert.deepStrictEqual(event?.properties.map(({ name, required }) => [name, required]), [
      ["count", false],
      ["template", true]
    ])
    assert.include(DataDictionary.toMarkdown(dictionary), "| `template` | `\"blank\"`, `\"blog\"` | yes |")
    assert.include(namesOf(dictionary.common), "invocation_id")
  })

  test("The dictionary names everything that is sent, with what joins a device to an account", function*() {
    yield* Effect.flatMap(IdentityStitch, (stitch) => stitch.login("account_1"))
    yield* capture(Chosen, { template: "blog", count: 1 })
    const { common, events } = DataDictionary.make([Chosen])
    const sent = yield* messages
    assert.deepStrictEqual(sent.map(({ event }) => event), ["$create_alias", "Template chosen"])
    for (const { event, properties } of sent) {
      const own = namesOf(events.find(({ name }) => name === event)?.properties)
      assert.deepStrictEqual(own, event === "$create_alias" ? ["alias", "distinct_id"] : ["count", "template"])
      const known = [...namesOf(common), ...own]
      assert.deepStrictEqual(Object.keys(properties).filter((name) => !known.includes(name)), [], event)
    }
  })

  it("The dictionary lists what a class, a schema with an identifier and one that refers to itself declare, in place", () => {
    class Template extends Schema.Class<Template>("acme/Template")({ name: Schema.String }) {}
    const Project = Schema.Struct({ kind: Schema.Literals(["web"]), size: Schema.optional(Schema.Finite) }).pipe(
      Schema.annotate({ identifier: "acme/~Project" })
    )
    interface Tree {
      readonly children: ReadonlyArray<Tree>
    }
    const Tree: Schema.Codec<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) }).pipe(
      Schema.annotate({ identifier: "Tree" })
    )
    const { events } = DataDictionary.make([
      UsageEvent.make("Class", { description, properties: Template }),
      UsageEvent.make("Identified", { description, properties: Project }),
      UsageEvent.make("Nested", { description, properties: Schema.Struct({ project: Project }) }),
      UsageEvent.make("Nothing", { description, properties: none }),
      UsageEvent.make("Grown", { description, properties: Schema.Struct({ tree: Tree }) })
    ])
    assert.deepStrictEqual(events.slice(3).map(({ name, properties }) => [name, namesOf(properties)]), [
      ["Class", ["name"]],
      ["Identified", ["kind", "size"]],
      ["Nested", ["project"]],
      ["Nothing", []],
      ["Grown", ["tree"]]
    ])
    assert.notInclude(JSON.stringify(events), "$ref")
    assert.include(JSON.stringify(events.find(({ name }) => name === "Nested")), "\"web\"")
  })

  it("Two events of one name, and an event with a schema that does not name its properties, are refused", () => {
    const own = UsageEvent.make("Built", { description, properties: none })
    assert.throws(() => DataDictionary.make([own, own]), /two events have the name "Built"/)
    const command = UsageEvent.make("CLI execution failed", { description, properties: none })
    assert.throws(() => DataDictionary.make([command]), /two events have the name "CLI execution failed"/)
    const { events } = DataDictionary.make([command], { events: { failed: "Command failed" } })
    assert.includeMembers(events.map(({ name }) => name), ["CLI execution failed", "Command failed"])
    for (const properties of unnamed) {
      assert.throws(
        () => DataDictionary.make([{ name: "Open", description, properties }]),
        /^"Open" sends properties that it does not name/
      )
    }
  })

  it("A value with a bar or a line break stays in its cell of a Markdown table", () => {
    const properties = Schema.Struct({ "a|b": Schema.Literals(["x|y"]) })
    const event = UsageEvent.make("Odd", { description: "One | two\nthree", properties })
    const dictionary = DataDictionary.make([event])
    assert.include(DataDictionary.toMarkdown(dictionary), "| `a\\|b` | `\"x\\|y\"` | yes |\n")
    assert.include(TelemetryPage.make(dictionary, "cli"), "| `Odd` | One \\| two three | `a\\|b` |\n")
  })

  it("A description and a name are shown on a page as they are written, with their code spans", () => {
    const properties = Schema.Struct({ "a`b": Schema.Literals(["`", "x ``| y"]) })
    const event = UsageEvent.make("Is __new__", {
      description: "Links `<name>` or `` a`_b_ ``, as <name> or 2*3*4 of __init__ in no_browser, \\<b> and `_",
      properties
    })
    const dictionary = DataDictionary.make([event])
    const shown = "Links `<name>` or `` a`_b_ ``, as \\<name> or 2\\*3\\*4 of \\_\\_init\\_\\_ in no_browser, " +
      "\\\\\\<b> and \\`\\_"
    const markdown = DataDictionary.toMarkdown(dictionary)
    assert.include(markdown, `## Is \\_\\_new\\_\\_\n\n${shown}.\n`)
    assert.include(markdown, "| `` a`b `` | `` \"`\" ``, ``` \"x ``\\| y\" ``` | yes |\n")
    assert.include(TelemetryPage.make(dictionary, "cli"), `| \`Is __new__\` | ${shown} | \`\` a\`b \`\` |\n`)
    assert.include(EventList.toText(dictionary), "  a`b  \"`\", \"x ``| y\"\n")
  })

  it("Each description ends with one full stop", () => {
    const text = DataDictionary.toMarkdown(DataDictionary.make([
      UsageEvent.make("With", { description: "It happened.", properties: none }),
      UsageEvent.make("Without", { description: "It happened", properties: none })
    ]))
    for (const name of ["With", "Without"]) assert.include(text, `## ${name}\n\nIt happened.\n`)
  })
})
