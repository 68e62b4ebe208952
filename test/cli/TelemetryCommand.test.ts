/**
 * The `telemetry` command, whose parts are made when they are asked for.
 */
import { assert, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as TestConsole from "effect/testing/TestConsole"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import * as TelemetryHandlers from "../../src/cli/TelemetryHandlers.ts"
import { Usage } from "../../src/index.ts"
import { temporary } from "../fixtures/Disks.ts"
import { test } from "../fixtures/Tests.ts"
import { events, messages, runLine, type Services, services } from "./Harness.ts"

const root = Path.resolve(import.meta.dirname, "../..")

const json = Flag.Boolean("json").pipe(Flag.withDescription("Print one JSON object"), Flag.withDefault(false))

const sent = Flag.Boolean("sent").pipe(
  Flag.withDescription("List the last messages that were sent: 100 at most, of 7 days"),
  Flag.withDefault(false)
)
const eachAsJson = Flag.Boolean("json").pipe(
  Flag.withDescription("With --sent: print each message as it was sent, one JSON object a line"),
  Flag.withDefault(false)
)

/** The same command, made at once. */
const eager = Command.make("telemetry").pipe(
  Command.withDescription("Usage telemetry of this program"),
  Command.annotate(Usage.Untracked, true),
  Command.withSubcommands([
    Command.make("status", { json }, TelemetryHandlers.status).pipe(
      Command.withDescription("Show whether telemetry is on, and how many messages wait to be sent")
    ),
    Command.make("enable", {}, () => TelemetryHandlers.enable).pipe(Command.withDescription("Turn telemetry on again")),
    Command.make("disable", {}, () => TelemetryHandlers.disable).pipe(
      Command.withDescription("Turn telemetry off, and delete its files on this machine")
    ),
    Command.make("log", { sent, json: eachAsJson }, TelemetryHandlers.log).pipe(
      Command.withDescription("Print the messages that wait to be sent, byte for byte, or list those that were sent")
    ),
    Command.make("events", { json }, TelemetryHandlers.events).pipe(
      Command.withDescription("List the events that this program declares, with their properties")
    ),
    Command.make("flush", { json }, TelemetryHandlers.flush).pipe(
      Command.withDescription("Send the messages that wait, now")
    )
  ])
)

type Telemetry = typeof eager

const deploy = Command.make("deploy", {}, () => Console.log("Deployed"))
const verbose = Flag.Boolean("verbose").pipe(Flag.withDefault(false))

type Run = (line: string) => Effect.Effect<Exit.Exit<void, unknown>, never, Services>

/** The trees of hosts, tracked. */
const trees: Readonly<Record<string, (telemetry: Telemetry) => Run>> = {
  plain: (telemetry) => {
    const app = Command.make("app").pipe(Command.withSubcommands([deploy, telemetry]), Usage.track)
    return (line) => runLine(app, line)
  },
  grouped: (telemetry) => {
    const group = { group: "Housekeeping", commands: [telemetry] }
    const app = Command.make("app").pipe(Command.withSubcommands([deploy, group]), Usage.track)
    return (line) => runLine(app, line)
  },
  nested: (telemetry) => {
    const inner = Command.make("telemetry").pipe(Command.withSubcommands([deploy, telemetry]))
    const app = Command.make("app").pipe(
      Command.withSharedFlags({ verbose }),
      Command.withSubcommands([inner]),
      Usage.track
    )
    return (line) => runLine(app, line)
  },
  aliased: (telemetry) => {
    const app = Command.make("app").pipe(
      Command.withSubcommands([deploy, telemetry.pipe(Command.withAlias("t"))]),
      Usage.track
    )
    return (line) => runLine(app, line)
  },
  changed: (telemetry) => {
    const own = telemetry.pipe(Command.withDescription("Our own"), Command.withAlias("t"))
    const app = Command.make("app").pipe(Command.withSubcommands([deploy, own]), Usage.track)
    return (line) => runLine(app, line)
  }
}

const ofTelemetry = `
  --help, status, status --json, status --jsn, status --help, status more, stauts, disable, enable,
  log, log --sent, log --help, events, events --json, flush --json, telemetry status
`.trim().split(/,\s+/).map((line) => `telemetry ${line}`)
const completions = ["bash", "zsh", "fish"].map((shell) => `--completions ${shell}`)
const lines = ["", "--help", ...completions, "deploy", "telemetry", ...ofTelemetry, "t flush"]

/** What a command line prints in a process of its own, and how it ends. */
const seen = (run: Run, line: string) =>
  Effect.gen(function*() {
    const exit = yield* run(line)
    const out = yield* TestConsole.logLines
    const err = yield* TestConsole.errorLines
    return [String(exit), ...out, "stderr:", ...err].join("\n").replaceAll(
      /[0-9a-f]{8}(-[0-9a-f]{4}){3}-\w{12}/g,
      "<uuid>"
    )
  }).pipe(Effect.provide([services(), Layer.fresh(TestConsole.layer)]))

for (const [name, tree] of Object.entries(trees)) {
  test(`The telemetry command has the parsing, help, completions, errors and output of a command that is made at once: ${name}`, function*() {
    const outputs = new Set<string>()
    for (const line of lines) {
      const expected = yield* seen(tree(eager), line)
      assert.strictEqual(yield* seen(tree(Usage.telemetryCommand), line), expected, line)
      outputs.add(expected)
    }
    // Each line does something of its own, but for those that only a nested command, or an alias, has.
    assert.isAtLeast(outputs.size, lines.length - 7, [...outputs].join("\n---\n"))
  })
}

test("The status tells the author that commands are not tracked, or are tracked before their subcommands are added", function*() {
  const app = Command.make("app")
  const subcommands = Command.withSubcommands([deploy, Usage.telemetryCommand])
  const why = "`Usage.track` is missing, or is applied before the subcommands: apply it last, to the root command"
  for (const wrong of [app.pipe(subcommands), app.pipe(Usage.track, subcommands)]) {
    const whole = yield* seen((line) => runLine(wrong, line), "telemetry status")
    assert.include(whole, `No command is recorded: ${why}\n`)
    const json = yield* seen((line) => runLine(wrong, line), "telemetry status --json")
    assert.include(json, `"obstacles":[${JSON.stringify({ what: "not_tracked", why })}]`)
  }
  const right = app.pipe(subcommands, Usage.track)
  assert.include(yield* seen((line) => runLine(right, line), "telemetry status --json"), `"obstacles":[]`)
})

it("The subcommands of the telemetry command are made by a command that asks for them, and by no other", () => {
  const folder = temporary()()
  const module = pathToFileURL(Path.join(root, "src/cli/TelemetryCommand.ts")).href
  /** Whether a function of the module was called by a command of acme, by V8's own count. */
  const isCalled = (name: string, ...words: ReadonlyArray<string>): boolean => {
    const coverage = Path.join(folder, words.join("-"))
    const { status, stderr } = spawnSync(process.execPath, [Path.join(root, "examples/acme/main.ts"), ...words], {
      encoding: "utf8",
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        NODE_V8_COVERAGE: coverage,
        ACME_POSTHOG_KEY: "phc_test",
        ACME_USAGE_DEBUG: "1"
      }
    })
    assert.strictEqual(status, 0, stderr)
    interface Report {
      readonly result: ReadonlyArray<{
        readonly url: string
        readonly functions: ReadonlyArray<{
          readonly functionName: string
          readonly ranges: ReadonlyArray<{ readonly count: number }>
        }>
      }>
    }
    const reports = Fs.readdirSync(coverage).map((file): Report =>
      JSON.parse(Fs.readFileSync(Path.join(coverage, file), "utf8"))
    )
    const functions = reports.flatMap(({ result }) => result).filter(({ url }) => url === module)
      .flatMap(({ functions }) => functions)
    assert.isAbove(functions.length, 0, `${module} was not loaded`)
    return functions.some(({ functionName, ranges }) => functionName === name && (ranges[0]?.count ?? 0) > 0)
  }
  assert.isFalse(isCalled("makeSubcommands", "deploy", "site"))
  assert.isTrue(isCalled("makeSubcommands", "telemetry", "status"))
})

it.effect("Shared flags that are added after `track` record no command, untracked ones included, and a debug line says so", () =>
  Effect.gen(function*() {
    const app = Command.make("app").pipe(
      Command.withSubcommands([deploy, Usage.telemetryCommand]),
      Usage.track,
      Command.withSharedFlags({ verbose })
    )
    for (const line of ["deploy", "telemetry log"]) yield* runLine(app, line)
    assert.deepStrictEqual(yield* messages, [])
    assert.include(
      yield* TestConsole.errorLines,
      "usage: not recorded: apply `Usage.track` after subcommands, shared flags and `withFlagValues`"
    )
  }).pipe(Effect.provide(services({ debug: true }))))

it.effect("Flag values that are named after `track` are not sent, and a debug line says so", () =>
  Effect.gen(function*() {
    const root = Command.make("app", { verbose }, () => Effect.void).pipe(Usage.track, Usage.withFlagValues("verbose"))
    yield* runLine(root, "--verbose")
    assert.deepStrictEqual((yield* events).map(({ flag_values }) => flag_values), [undefined])
    assert.include(
      yield* TestConsole.errorLines,
      "usage: not recorded: apply `Usage.track` after subcommands, shared flags and `withFlagValues`"
    )
  }).pipe(Effect.provide(services({ debug: true }))))

it.effect("No debug line speaks of flag values in a command that is not recorded", () =>
  Effect.gen(function*() {
    const leaf = Command.make("leaf", { verbose }, () => Effect.void).pipe(
      Usage.withFlagValues("verbose"),
      Command.annotate(Usage.Untracked, true)
    )
    yield* runLine(Command.make("app").pipe(Command.withSubcommands([leaf]), Usage.track), "leaf --verbose")
    assert.notInclude(String(yield* TestConsole.errorLines), "not recorded: apply")
  }).pipe(Effect.provide(services({ debug: true }))))

it.effect("No debug line says so of a command that an outer `track` records", () =>
  Effect.gen(function*() {
    const leaf = Command.make("leaf", {}, () => Effect.void).pipe(Usage.track, Command.withSharedFlags({ verbose }))
    yield* runLine(Command.make("app").pipe(Command.withSubcommands([leaf]), Usage.track), "leaf")
    assert.deepStrictEqual((yield* events).map(({ command_name }) => command_name), ["leaf"])
    assert.notInclude(String(yield* TestConsole.errorLines), "not recorded: apply")
  }).pipe(Effect.provide(services({ debug: true }))))

it.effect("A command that fails with an exit code which is no integer is recorded with the code of Node.js, 1", () =>
  Effect.gen(function*() {
    for (const code of [Number.NaN, 0.5]) {
      const error = { [Runtime.errorExitCode]: code }
      yield* Effect.exit(Effect.fail(error).pipe(Usage.trackEffect("build")))
    }
    assert.deepStrictEqual((yield* events).map(({ event, exit_code }) => [event, exit_code]), [
      ["CLI execution failed", 1],
      ["CLI execution failed", 1]
    ])
  }).pipe(Effect.provide(services())))
