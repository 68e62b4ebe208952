/**
 * What the compiler tells a host's author of a mistake.
 */
import { assert, beforeAll, it } from "@effect/vitest"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "../..")

const preamble = `import * as NodeServices from "@effect/platform-node/NodeServices"
import { Flow, Usage, UsageEvent } from "effect-cli-usage"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
const tags = Flag.String("tag").pipe(Flag.atLeast(1))
const flags = { tags, region: Flag.String("region"), size: Flag.optional(Flag.Int("size")), since: Flag.Date("since") }
const deploy = Command.make("deploy", flags, () => Effect.fail("no" as const))
const leaf = Command.make("leaf")
const description = "It happened"
const bare = { flow: Schema.Literal("login") }
const steps = ["one"]
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? "same" : never) : never
`

const needsStruct = "the properties are a schema: Schema.Struct({ … }) around the fields"

/** Lines of a host, with what the compiler's message of each has; those without one are right. */
const lines: ReadonlyArray<readonly [what: string, line: string, message?: string]> = [
  ["values of a text and of an Option", `deploy.pipe(Usage.withFlagValues("region", "size"))`],
  [
    "a flag that the command does not have",
    `deploy.pipe(Usage.withFlagValues("region", "regoin"))`,
    `this command has no flag or argument under the key \\"regoin\\"`
  ],
  [
    "a flag of a command that has none",
    `Command.make("bare").pipe(Usage.withFlagValues("region"))`,
    `this command has no flag or argument under the key \\"region\\"`
  ],
  [
    "a flag with a value that has no place in a property",
    `deploy.pipe(Usage.withFlagValues("region", "since"))`,
    `the value of \\"since\\" is no text, number or boolean, nor an Option of one`
  ],
  [
    "a flag that is given many times",
    `deploy.pipe(Usage.withFlagValues("tags"))`,
    `the value of \\"tags\\" is no text, number or boolean, nor an Option of one`
  ],
  [
    "values of a command with subcommands",
    `deploy.pipe(Command.withSubcommands([leaf]), Usage.withFlagValues("region", "size"))`
  ],
  [
    "a flag that a command with subcommands does not have",
    `deploy.pipe(Command.withSubcommands([leaf]), Usage.withFlagValues("region", "regoin"))`,
    `this command has no flag or argument under the key \\"regoin\\"`
  ],
  [
    "a flag of a command with subcommands that is given many times",
    `deploy.pipe(Command.withSubcommands([leaf]), Usage.withFlagValues("tags"))`,
    `the value of \\"tags\\" is no text, number or boolean, nor an Option of one`
  ],
  [
    "a value that a command shares with its subcommands",
    `Command.make("root").pipe(Command.withSharedFlags({ region: flags.region }), Command.withSubcommands([leaf]), Usage.withFlagValues("region"))`
  ],
  ["a flow with a schema", `Flow.make("Auth", { description, steps, properties: Schema.Struct(bare) })`],
  ["a flow with bare fields", `Flow.make("Auth", { description, steps, properties: bare })`, needsStruct],
  [
    "a flow with bare fields in place",
    `Flow.make("Auth", { description, steps, properties: { size: Schema.Finite } })`,
    needsStruct
  ],
  ["an event with bare fields", `UsageEvent.make("Done", { description, properties: bare })`, needsStruct],
  [
    "an event with bare fields in place",
    `UsageEvent.make("Done", { description, properties: { size: Schema.Finite } })`,
    needsStruct
  ],
  [
    "an event whose properties are a list",
    `UsageEvent.make("Done", { description, properties: Schema.Array(Schema.String) })`,
    needsStruct
  ],
  [
    "an event whose properties are a text",
    `UsageEvent.make("Done", { description, properties: Schema.String })`,
    needsStruct
  ],
  [
    "an event whose properties are a number",
    `UsageEvent.make("Done", { description, properties: Schema.DateFromMillis })`,
    needsStruct
  ],
  [
    "an event with the schema of another event",
    `UsageEvent.make("Done", { description, properties: other.properties })
declare const other: UsageEvent.UsageEvent<{ readonly size: number }>`
  ],
  [
    "an event whose properties may be a list",
    `UsageEvent.make("Done", { description, properties: Schema.Union([Schema.Struct(bare), Schema.Array(Schema.String)]) })`,
    needsStruct
  ],
  [
    "an event with one of two structs",
    `UsageEvent.make("Done", { description, properties: Schema.Union([Schema.Struct(bare), Schema.Struct({})]) })`
  ],
  [
    "an event of which one of two structs has a property that JSON has no place for",
    `UsageEvent.make("Done", { description, properties: Schema.Union([Schema.Struct(bare), Schema.Struct({ big: Schema.BigInt })]) })`,
    "big is sent as JSON"
  ],
  [
    "an event with a class",
    `class Done extends Schema.Class<Done>("Done")({ size: Schema.Int }) {}
UsageEvent.make("Done", { description, properties: Done })`
  ],
  [
    "an event with a property that JSON has no place for",
    `UsageEvent.make("Done", { description, properties: Schema.Struct({ size: Schema.BigInt }) })`,
    "size is sent as JSON"
  ],
  [
    "the forms of track",
    `"same" satisfies Same<typeof first, typeof piped> & Same<typeof piped, typeof plain>
const plain = deploy.pipe(Usage.track)
const first = Usage.track(deploy, { errorMessage: (error) => String(error) })
const piped = deploy.pipe(Usage.track({ errorMessage: (error) => String(error) }))`
  ],
  [
    "an option that track does not have",
    `deploy.pipe(Usage.track({ event: { failed: "x" } }))`,
    "'event' does not exist"
  ],
  [
    "an option that track does not have, beside one that it has",
    `deploy.pipe(Usage.track({ catalog: [], onError: String }))`,
    `Usage.track has no option \\"onError\\"`
  ],
  [
    "a name of an event that track does not have, beside one that it has",
    `deploy.pipe(Usage.track({ events: { failed: "x", success: "y" } }))`,
    `Usage.track has no option \\"success\\"`
  ],
  ["all options of track", `deploy.pipe(Usage.track({ catalog: [], errorMessage: String, events: { failed: "x" } }))`],
  [
    "options of track that are made elsewhere",
    `deploy.pipe(Usage.track(options)); declare const options: Usage.TrackOptions`
  ],
  [
    "a layer that is missing",
    `deploy.pipe(Usage.track({}), Command.run({ version: "1" }), Effect.provide(NodeServices.layer), Effect.runPromise)`,
    "GivenByUsageLayer"
  ]
]

let messages: ReadonlyArray<string> = []

beforeAll(() => {
  const folder = Fs.mkdtempSync(Path.join(root, "examples", ".readme-"))
  try {
    const tsconfig = JSON.stringify({ extends: "../../tsconfig.json", include: ["*.ts"] })
    Fs.writeFileSync(Path.join(folder, "tsconfig.json"), tsconfig)
    for (const [n, [, line]] of lines.entries()) Fs.writeFileSync(Path.join(folder, `${n}.ts`), `${preamble}${line}`)
    const { stdout } = ChildProcess.spawnSync(
      process.execPath,
      [Path.join(root, "node_modules/typescript/lib/tsc.js"), "--noUnusedLocals", "false", "-p", "."],
      { cwd: folder, encoding: "utf8" }
    )
    messages = stdout.split(/^(?=\d+\.ts)/m)
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
})

for (const [n, [what, , message]] of lines.entries()) {
  const named = message === undefined ? "is none" : "names the mistake"
  it(`The compiler's message about ${what} ${named}`, () => {
    const own = messages.filter((text) => text.startsWith(`${n}.ts(`))
    if (message === undefined) return assert.deepStrictEqual(own, [])
    assert.lengthOf(own, 1)
    assert.include(own[0], message)
  })
}
