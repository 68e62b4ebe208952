/**
 * What a host's author touches beside commands and flows.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DataDictionary, Flow, IdentityStitch, UsageCapture, UsageContext, UsageEvent } from "../../src/index.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"

const root = Path.resolve(import.meta.dirname, "../..")

const Chosen = UsageEvent.make("Template chosen", {
  description: "A template was chosen",
  properties: Schema.Struct({ template: Schema.Literals(["blank", "blog"]), count: Schema.optionalKey(Schema.Int) })
})

const layer = Layer.fresh(TestUsage.layer)

describe("a declared event", () => {
  it.effect("is captured with its own properties and what the scope shares, and cannot override the common ones", () =>
    Effect.gen(function*() {
      const capture = yield* UsageCapture
      const Sly = UsageEvent.make("Sly", {
        description: "It claims to be somebody else",
        // @ts-expect-error: every event has its own arch and sequence
        properties: Schema.Struct({ sequence: Schema.Int, arch: Schema.String, plan: Schema.String })
      })
      yield* capture.capture(Sly, { sequence: 99, arch: "none of yours", plan: "own" }).pipe(
        Effect.provideService(UsageContext, {
          properties: { plan: "shared", cli_version: "9", project_kind: "web" },
          groups: { organization: "org_1", project: "prj_2" }
        })
      )
      const [message] = yield* TestUsage.messages
      assert.strictEqual(message?.properties["sequence"], 0)
      assert.strictEqual(message?.properties["arch"], "none")
      assert.strictEqual(message?.properties["cli_version"], "0.0.0")
      assert.strictEqual(message?.properties["plan"], "own")
      assert.strictEqual(message?.properties["project_kind"], "web")
      assert.deepStrictEqual(message?.properties["$groups"], { organization: "org_1", project: "prj_2" })
    }).pipe(Effect.provide(layer)))

  it.effect("is not PostHog's own, nor without a name, whatever the compiler was told", () =>
    Effect.gen(function*() {
      const capture = yield* UsageCapture
      const properties = Schema.Struct({ alias: Schema.String })
      const description = "It would merge people"
      // @ts-expect-error: names that begin with $ are PostHog's own
      yield* capture.capture(UsageEvent.make("$create_alias", { description, properties }), { alias: "somebody" })
      // @ts-expect-error: an event has a name
      yield* capture.capture(UsageEvent.make("", { description, properties }), { alias: "somebody" })
      for (const name of ["$identify", " "] as ReadonlyArray<string>) {
        yield* capture.capture(UsageEvent.make(name, { description, properties }), { alias: "somebody" })
      }
      assert.deepStrictEqual(yield* TestUsage.messages, [])
    }).pipe(Effect.provide(layer)))

  it("has properties that JSON has a place for, or the compiler says which has not", () => {
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

  it("is checked by the compiler", () => {
    const bad = Effect.gen(function*() {
      const capture = yield* UsageCapture
      // @ts-expect-error: a template that was not declared
      yield* capture.capture(Chosen, { template: "shop" })
      // @ts-expect-error: an event that was not declared
      yield* capture.capture({ name: "Anything" }, {})
      yield* Flow.make("Sly", {
        description: "It claims to be an agent",
        // @ts-expect-error: every event has its own agent
        properties: Schema.Struct({ agent: Schema.String }),
        steps: ["one"]
      }).step("one")
      yield* Flow.make("Sly", {
        description: "It claims to know how far it came",
        // @ts-expect-error: a flow has its own step
        properties: Schema.Struct({ step: Schema.String }),
        steps: ["one"]
      }).step("one")
      // @ts-expect-error: names that begin with $ are PostHog's own
      yield* Flow.make("$sly", { description: "It would be dropped", properties: Schema.Struct({}), steps: ["one"] })
        .step("one")
    })
    assert.isTrue(Effect.isEffect(bad))
  })
})

describe("the data dictionary", () => {
  it("has every event with the type of each property, and what all events share", () => {
    const dictionary = DataDictionary.make([Chosen])
    const event = dictionary.events.find(({ name }) => name === "Template chosen")
    assert.deepStrictEqual(event?.properties.map(({ name, required }) => [name, required]), [
      ["count", false],
      ["template", true]
    ])
    assert.include(DataDictionary.toMarkdown(dictionary), "| `template` | `\"blank\"`, `\"blog\"` | yes |")
    assert.include(dictionary.common.map(({ name }) => name), "invocation_id")
  })

  it.effect("names everything that is sent", () =>
    Effect.gen(function*() {
      const capture = yield* UsageCapture
      yield* capture.capture(Chosen, { template: "blog", count: 1 })
      const [message] = yield* TestUsage.messages
      const { common, events } = DataDictionary.make([Chosen])
      const known = [...common, ...events.flatMap(({ properties }) => properties)].map(({ name }) => name)
      assert.deepStrictEqual(Object.keys(message?.properties ?? {}).filter((name) => !known.includes(name)), [])
    }).pipe(Effect.provide(layer)))

  it.effect("names what joins a device to an account", () =>
    Effect.gen(function*() {
      const stitch = yield* IdentityStitch
      yield* stitch.login("account_1")
      const [alias] = yield* TestUsage.messages
      const { common, events } = DataDictionary.make([])
      const own = events.find(({ name }) => name === alias?.event)?.properties ?? []
      assert.deepStrictEqual(own.map(({ name }) => name), ["alias", "distinct_id"])
      const known = [...common, ...own].map(({ name }) => name)
      assert.deepStrictEqual(Object.keys(alias?.properties ?? {}).filter((name) => !known.includes(name)), [])
    }).pipe(Effect.provide(layer)))

  it.effect("leaves out what an event declares under a name that is this module's, as does what is sent", () =>
    Effect.gen(function*() {
      const event = UsageEvent.make("Named", {
        description: "Something was named",
        // @ts-expect-error: every event has its own command_name and agent
        properties: Schema.Struct({ command_name: Schema.String, agent: Schema.String, name: Schema.String })
      })
      const own = DataDictionary.make([event]).events.find(({ name }) => name === "Named")?.properties ?? []
      assert.deepStrictEqual(own.map(({ name }) => name), ["name"])
      const usage = yield* UsageCapture
      yield* usage.capture(event, { command_name: "theirs", agent: "theirs", name: "theirs" })
      const [message] = yield* TestUsage.messages
      assert.deepStrictEqual(Object.entries(message?.properties ?? {}).filter(([, value]) => value === "theirs"), [
        ["name", "theirs"]
      ])
    }).pipe(Effect.provide(layer)))

  it("lists what a class and a schema with an identifier declare, and what stands in them", () => {
    class Template extends Schema.Class<Template>("Template")({ name: Schema.String }) {}
    const Project = Schema.Struct({ kind: Schema.Literals(["web"]), size: Schema.optional(Schema.Finite) }).pipe(
      Schema.annotate({ identifier: "Project" })
    )
    const { events } = DataDictionary.make([
      UsageEvent.make("Class", { description: "A class", properties: Template }),
      UsageEvent.make("Identified", { description: "A struct", properties: Project }),
      UsageEvent.make("Nested", { description: "In another", properties: Schema.Struct({ project: Project }) }),
      UsageEvent.make("Nothing", { description: "No properties", properties: Schema.Struct({}) })
    ])
    const names = events.slice(3).map(({ name, properties }) => [name, properties.map(({ name }) => name)])
    assert.deepStrictEqual(names, [["Class", ["name"]], ["Identified", ["kind", "size"]], ["Nested", ["project"]], [
      "Nothing",
      []
    ]])
    assert.notInclude(JSON.stringify(events), "$ref")
    assert.include(JSON.stringify(events.find(({ name }) => name === "Nested")), "\"web\"")
  })

  it("lists a property that refers to itself", () => {
    interface Tree {
      readonly children: ReadonlyArray<Tree>
    }
    const Tree: Schema.Codec<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) }).pipe(
      Schema.annotate({ identifier: "Tree" })
    )
    const properties = Schema.Struct({ tree: Tree })
    const own = DataDictionary.make([UsageEvent.make("Grown", { description: "A tree", properties })]).events.at(-1)
    assert.deepStrictEqual(own?.properties.map(({ name }) => name), ["tree"])
  })

  it("refuses two events of one name", () => {
    const properties = Schema.Struct({})
    const own = UsageEvent.make("Built", { description: "A build", properties })
    assert.throws(() => DataDictionary.make([own, own]), /two events are called "Built"/)
    const command = UsageEvent.make("CLI execution failed", { description: "A build", properties })
    assert.throws(() => DataDictionary.make([command]), /two events are called "CLI execution failed"/)
    assert.doesNotThrow(() => DataDictionary.make([command], { events: { failed: "Command failed" } }))
  })

  it("refuses an event whose schema does not name what is sent", () => {
    const named = Schema.Struct({ name: Schema.String })
    const open = {
      record: Schema.Record(Schema.String, Schema.String),
      union: Schema.Union([named, Schema.Struct({ other: Schema.String })]),
      rest: Schema.StructWithRest(named, [Schema.Record(Schema.String, Schema.String)])
    }
    for (const [what, properties] of Object.entries(open)) {
      assert.throws(
        () => DataDictionary.make([{ name: "Open", description: "Of anything", properties }]),
        /^"Open" sends properties that it does not name/,
        what
      )
    }
  })

  it("ends each description with one full stop", () => {
    const properties = Schema.Struct({})
    const text = DataDictionary.toMarkdown(DataDictionary.make([
      UsageEvent.make("With", { description: "It happened.", properties }),
      UsageEvent.make("Without", { description: "It happened", properties })
    ]))
    assert.include(text, "## With\n\nIt happened.\n")
    assert.include(text, "## Without\n\nIt happened.\n")
  })

  it("of acme is committed as it is, and a stale one is told", () => {
    const check = (cwd: string) =>
      spawnSync(process.execPath, [Path.join(cwd, "scripts/dictionary.ts"), "--check"], { cwd, encoding: "utf8" })
    assert.strictEqual(check(root).status, 0, check(root).stderr)
    const copy = Fs.mkdtempSync(Path.join(Os.tmpdir(), "dictionary-"))
    try {
      for (const name of ["package.json", "src", "scripts", "examples"]) {
        Fs.cpSync(Path.join(root, name), Path.join(copy, name), { recursive: true })
      }
      Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(copy, "node_modules"))
      Fs.appendFileSync(Path.join(copy, "examples/acme/usage-events.md"), "stale\n")
      const stale = check(copy)
      assert.strictEqual(stale.status, 1)
      assert.include(stale.stderr, "npm run dictionary")
    } finally {
      Fs.rmSync(copy, { recursive: true, force: true })
    }
  })
})

describe("the README's host", () => {
  it.live("compiles and runs, and its command is recorded", () =>
    Effect.gen(function*() {
      const [code = ""] = /(?<=```ts\n)[^]*?(?=```)/.exec(Fs.readFileSync(Path.join(root, "README.md"), "utf8")) ?? []
      assert.isAbove(code.length, 100)
      const sink = yield* PostHogSink.make()
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.mkdtempSync(Path.join(root, "examples", ".readme-"))),
        (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
      )
      const file = Path.join(directory, "host.ts")
      const commands = `import * as Console from "effect/Console"
const acme = Command.make("acme")
const deploy = Command.make("deploy", {}, () => Console.log("Deployed"))
`
      // What the README leaves out: the host's own commands; and a PostHog that is not the world's.
      Fs.writeFileSync(
        file,
        code.replace(/(?=^const UsageLive)/m, commands).replace(
          "posthog: { key: \"phc_…\" }",
          `posthog: { key: "phc_readme", host: "${sink.url}" }, home: ${JSON.stringify(Path.join(directory, "home"))}`
        )
      )
      Fs.writeFileSync(
        Path.join(directory, "tsconfig.json"),
        JSON.stringify({ extends: "../../tsconfig.json", include: ["host.ts"] })
      )
      execFileSync(process.execPath, [
        Path.join(root, "node_modules/typescript/lib/tsc.js"),
        "-p",
        directory
      ], { encoding: "utf8" })
      const run = spawnSync(process.execPath, [file, "deploy"], {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], HOME: directory }
      })
      assert.strictEqual(run.stdout, "Deployed\n", run.stderr)
      const [message] = yield* sink.waitFor((messages) => messages.length > 0, "10 seconds")
      assert.strictEqual(message?.properties["command_name"], "deploy")
      assert.strictEqual(message?.properties["cli_version"], "1.2.3")
    }), 60_000)
})
