import { assert, describe, it } from "@effect/vitest"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Terminal from "effect/Terminal"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import { DataDictionary, IdentityStitch, Usage, UsageCapture, UsageEvent } from "../../src/index.ts"
import { IdentityStore } from "../../src/services/IdentityStore.ts"
import { events, messages, runLine, services, test, testWith, told } from "./Harness.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { message: Schema.String }) {}
class Wrapper extends Error {}

const broken = new Broken({ message: "a secret" })

const push = Command.make(
  "push",
  {
    name: Argument.String("name").pipe(Argument.optional),
    region: Flag.Literals("region", ["eu", "us"]).pipe(Flag.withAlias("r"), Flag.optional),
    secret: Flag.String("secret").pipe(Flag.optional)
  },
  ({ name }) => Console.log(`pushed ${Option.getOrElse(name, () => "all")}`)
).pipe(Usage.withFlagValues("region"), Command.withAlias("p"))

const ring = Effect.suspend(() => {
  const error = new Error("outer")
  error.cause = error
  return Effect.die(error)
})

// An authenticated response of the host's own API, as `ObservedHttpClient` sees it.
const asking = Command.make("asking", {}, () => Effect.flatMap(IdentityStitch, (stitch) => stitch.observe("acct_p")))
const leaving = Command.make("leaving", {}, () => Effect.flatMap(IdentityStitch, (stitch) => stitch.logout))

const verbose = Flag.Boolean("verbose").pipe(Flag.withDefault(false))
const Level = GlobalFlag.Setting("level")({ flag: Flag.String("level").pipe(Flag.withDefault("low")) })

const untracked = Command.make("app").pipe(
  Command.withSubcommands([
    Command.make("remote").pipe(Command.withSharedFlags({ verbose }), Command.withSubcommands([push])),
    Command.make("failing", {}, () => Effect.fail(broken)),
    Command.make("wrapped", {}, () => Effect.fail(new CliError.UserError({ cause: broken, userMessage: "told" }))),
    Command.make("ring", {}, () => ring),
    Command.make("dying", {}, () => Effect.die(new Wrapper("a secret", { cause: broken }))),
    Command.make("quitting", {}, () => Effect.fail(new Terminal.QuitError({}))),
    Command.make("slow", {}, () => Effect.sleep("5 seconds")),
    Command.make("confused", {}, () => Effect.fail(new CliError.ShowHelp({ commandPath: ["app"], errors: [] }))),
    leaving,
    Usage.telemetryCommand
  ]),
  Command.withGlobalFlags([Level])
)
const app = Usage.track(untracked)

const run = (line: string) => runLine(app, line)

/** Waits for something else where a command waits for an account. */
const awaitingFor = (awaitPrincipal: Effect.Effect<void>) =>
  Layer.effect(
    UsageCapture,
    Effect.map(UsageCapture, ({ capture, follow }) =>
      UsageCapture.of({
        capture,
        follow: (command) => Effect.map(follow(command), (followed) => followed && { ...followed, awaitPrincipal })
      }))
  )

describe("recorded commands", () => {
  test("A command is recorded by its dotted path, through aliases and shared flags, with the flags that were given", function*() {
    assert.isTrue(Exit.isSuccess(yield* run("--level high remote --verbose p thing -r us")))
    assert.deepStrictEqual(yield* told("event", "command_name", "flags_used", "exit_code"), [
      ["CLI execution succeeded", "remote.push", ["region", "verbose"], 0]
    ])
  })

  for (
    const [line, flags] of [["remote push --region=us", ["region"]], ["remote push -- --region", []]] as const
  ) {
    test(`The flags of "${line}" are those that the parser saw`, function*() {
      yield* run(line)
      assert.deepStrictEqual(yield* told("flags_used"), [[flags]])
    })
  }

  test("The values of the flags that the author allowed are sent, and no others", function*() {
    yield* run("remote push thing --region eu --secret hush")
    assert.deepStrictEqual(yield* told("flag_values", "flags_used"), [[{ region: "eu" }, ["region", "secret"]]])
    for (const secret of ["hush", "thing"]) assert.notInclude(JSON.stringify(yield* events), secret)
  })

  test("The values that several combinators allow are sent, and none of an earlier command", function*() {
    const flags = { a: Flag.String("a"), b: Flag.optional(Flag.Int("b")) }
    const both = Command.make("both", flags, () => Effect.void).pipe(
      Usage.withFlagValues("a"),
      Usage.withFlagValues("b")
    )
    yield* runLine(Usage.track(both), "--a x --b 2")
    yield* run("remote push")
    assert.deepStrictEqual(yield* told("flag_values"), [[{ a: "x", b: 2 }], [undefined]])
  })

  test("The values of a command with subcommands are sent of its own run, and shared values of each run", function*() {
    const app = Command.make("app", { region: Flag.String("region").pipe(Flag.withDefault("eu")) }, () => Effect.void)
      .pipe(
        Command.withSharedFlags({ verbose }),
        Command.withSubcommands([Command.make("leaf", {}, () => Effect.void)]),
        Usage.withFlagValues("region", "verbose"),
        Usage.track
      )
    yield* runLine(app, "--region us")
    yield* runLine(app, "leaf --verbose")
    assert.deepStrictEqual(yield* told("flag_values"), [[{ region: "us", verbose: false }], [{ verbose: true }]])
  })

  for (
    const line of [
      "--help",
      "remote push --help",
      "--version",
      "--completions bash",
      "",
      "remote",
      "nonsense",
      "remote push --unknown x",
      "remote push --region mars",
      "confused",
      "telemetry",
      "telemetry status",
      "telemetry log"
    ]
  ) {
    test(`Nothing is recorded of "${line}"`, function*() {
      yield* run(line)
      assert.deepStrictEqual(yield* messages, [])
    })
  }

  testWith("A command that is tracked twice is recorded once, and a debug line says so", { debug: true }, function*() {
    const leaf = Command.make("leaf", {}, () => Effect.void).pipe(Usage.track)
    yield* runLine(Command.make("app").pipe(Command.withSubcommands([leaf]), Usage.track, Usage.track), "leaf")
    assert.deepStrictEqual(yield* told("command_name"), [["leaf"]])
    assert.include(
      yield* TestConsole.errorLines,
      "usage: \"leaf\" is not recorded again: apply `Usage.track` once, to the root"
    )
  })

  for (const line of ["leaving", "nonsense"]) {
    it.effect(`A debug line says that nothing was tracked of "${line}", and why only where it is the author's mistake`, () =>
      Effect.gen(function*() {
        const early = Command.make("app").pipe(Usage.track, Command.withSubcommands([leaving]))
        yield* Effect.provide(runLine(early, line), services({ debug: true }))
        const lines = (yield* TestConsole.errorLines).map(String).filter((line) => line.startsWith("usage: "))
        assert.deepStrictEqual(lines, [
          ...(line === "nonsense"
            ? []
            : ["usage: not recorded: apply `Usage.track` after subcommands, shared flags and `withFlagValues`"]),
          "usage: nothing was tracked: no command of `Usage.track` ran"
        ])
      }))
  }

  test("A command that another command runs is recorded by its own name and flags", function*() {
    const other = Command.make("app").pipe(
      Command.withSubcommands([
        Command.make("deploy", { region: Flag.String("region") }, () => Effect.void).pipe(
          Usage.withFlagValues("region")
        )
      ]),
      Usage.track
    )
    const init = Command.make(
      "init",
      {},
      () => Effect.andThen(runLine(other, "deploy --region eu"), Usage.annotateCommand({ properties: { kind: "web" } }))
    )
    yield* runLine(Command.make("app").pipe(Command.withSubcommands([init]), Usage.track), "init")
    assert.deepStrictEqual(yield* told("command_name", "flag_values", "flags_used", "kind"), [
      ["deploy", { region: "eu" }, ["region"], undefined],
      ["init", undefined, [], "web"]
    ])
  })

  test("A command that runs another one with its own name, or itself, is recorded, and so is the other one", function*() {
    const again = (line: string): ReturnType<typeof run> => runLine(tree, line)
    const each = Command.make(
      "each",
      { rest: Flag.Int("rest") },
      ({ rest }) => rest === 0 ? Effect.void : again(`each --rest ${rest - 1}`)
    )
    const tree = Command.make("app").pipe(
      Command.withSubcommands([
        Command.make("login", {}, () => Effect.void),
        Command.make("auth").pipe(Command.withSubcommands([Command.make("login", {}, () => again("login"))])),
        each
      ]),
      Usage.track
    )
    yield* runLine(tree, "auth login")
    yield* runLine(tree, "each --rest 1")
    yield* Effect.void.pipe(Usage.trackEffect("login"), Usage.trackEffect("auth.login"))
    const names = (yield* told("command_name")).flat()
    assert.deepStrictEqual(names, ["login", "auth.login", "each", "each", "login", "auth.login"])
  })

  test("A plain effect is recorded under its name, also beside others, and its result is untouched", function*() {
    const steps = ["build", "lint"].map((name) => Effect.as(Effect.yieldNow, name).pipe(Usage.trackEffect(name)))
    assert.deepStrictEqual(yield* Effect.all(steps, { concurrency: 2 }), ["build", "lint"])
    assert.sameDeepMembers([...(yield* told("command_name"))], [["build"], ["lint"]])
  })

  test("Properties that a command adds are sent with its own event, and not with that of the next command", function*() {
    const build = Command.make("build", {}, () =>
      Effect.andThen(
        Usage.annotateCommand({ properties: { kind: "web" }, groups: { project: "prj_1" } }),
        Usage.annotateCommand({ groups: { organization: "org_1" } })
      ))
    yield* runLine(Usage.track(build), "")
    yield* run("failing")
    assert.deepStrictEqual(yield* told("kind", "$groups"), [
      ["web", { project: "prj_1", organization: "org_1" }],
      [undefined, undefined]
    ])
  })

  test("Properties that throw when they are read change neither the command nor its event", function*() {
    const properties = Object.defineProperty({}, "broken", {
      enumerable: true,
      get: () => {
        throw new Error("the author's")
      }
    })
    const build = Command.make("build", {}, () => Usage.annotateCommand({ properties }))
    assert.isTrue(Exit.isSuccess(yield* runLine(Usage.track(build), "")))
    assert.deepStrictEqual(yield* told("command_name", "exit_code"), [["build", 0]])
  })

  test("Properties that are added outside of a command are added to no event", function*() {
    yield* Usage.annotateCommand({ properties: { kind: "web" } })
    yield* run("failing")
    assert.deepStrictEqual(yield* told("command_name", "kind"), [["failing", undefined]])
  })

  test("A command is recorded under the author's names, which the dictionary lists", function*() {
    const names = { succeeded: "app ran", failed: "app broke" }
    const command = untracked.pipe(Usage.track({ events: names }))
    for (const line of ["remote push", "failing"]) yield* runLine(command, line)
    assert.deepStrictEqual(yield* told("event"), [["app ran"], ["app broke"]])
    const dictionary = DataDictionary.make([], { events: names })
    assert.deepStrictEqual(dictionary.events.slice(0, 2).map(({ name }) => name), ["app ran", "app broke"])
  })
})

describe("results and durations", () => {
  for (
    const [line, errorClass] of [
      ["failing", "Broken"],
      ["wrapped", "Broken"],
      ["dying", "Broken"],
      ["ring", "Error"]
    ] as const
  ) {
    test(`The class of what "${line}" ended with is sent, and not its message`, function*() {
      assert.isTrue(Exit.isFailure(yield* run(line)))
      assert.deepStrictEqual(yield* told("event", "error_class", "exit_code", "user_cancelled"), [
        ["CLI execution failed", errorClass, 1, false]
      ])
      assert.notInclude(JSON.stringify(yield* events), "secret")
    })
  }

  test("A message is sent through the author's own function only", function*() {
    const errorMessage = (error: unknown) => error instanceof Broken ? "it broke" : undefined
    yield* runLine(Usage.track(untracked, { errorMessage }), "failing")
    yield* run("failing")
    assert.deepStrictEqual(yield* told("error_message"), [["it broke"], [undefined]])
  })

  testWith("A message function that throws changes nothing but the message", { debug: true }, function*() {
    const errorMessage = () => Schema.decodeUnknownSync(Schema.Never)("the author's")
    const exit = yield* runLine(Usage.track(untracked, { errorMessage }), "failing")
    assert.deepStrictEqual(exit, yield* runLine(untracked, "failing"))
    assert.deepStrictEqual(yield* told("error_class", "error_message"), [["Broken", undefined]])
    const line = "usage: no error message is sent: `errorMessage` of `Usage.track` threw"
    assert.include(yield* TestConsole.errorLines, line)
  })

  test("A prompt that was left counts as cancelled, has no message, and no account is waited for", function*() {
    const command = Usage.track(untracked, { errorMessage: () => "it broke" })
    yield* Effect.provide(runLine(command, "quitting"), awaitingFor(Effect.never))
    assert.deepStrictEqual(yield* told("user_cancelled", "exit_code", "error_class", "error_message"), [
      [true, 130, "QuitError", undefined]
    ])
  })

  test("An interruption counts as cancelled, and is measured until then", function*() {
    const fiber = yield* Effect.forkChild(run("slow"))
    yield* TestClock.adjust("2 seconds")
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(yield* told("user_cancelled", "exit_code", "duration_ms"), [[true, 130, 2000]])
  })

  test("The duration is that of the command, without what telemetry then waits for", function*() {
    const fiber = yield* Effect.forkChild(Effect.provide(run("slow"), awaitingFor(Effect.sleep("2 seconds"))))
    yield* TestClock.adjust("6 seconds")
    assert.isUndefined(fiber.pollUnsafe())
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(fiber)
    assert.deepStrictEqual(yield* told("duration_ms"), [[5000]])
  })

  test("A process that exits before the handler runs has a command without a duration", function*() {
    yield* TestClock.adjust("1 hour")
    const exiting = Effect.map(
      UsageCapture,
      ({ capture }) =>
        UsageCapture.of({ capture, follow: (command) => Effect.as(command.recordExit(3, undefined), undefined) })
    )
    yield* Effect.provide(run("slow"), Layer.effect(UsageCapture, exiting)).pipe(Effect.forkChild)
    yield* TestClock.adjust("5 seconds")
    assert.deepStrictEqual(yield* told("exit_code", "duration_ms"), [[3, 0]])
  })

  test("The duration of a command is measured by a monotonic clock", function*() {
    yield* TestClock.setTime(1_000_000)
    yield* Usage.trackEffect("sync")(Effect.andThen(TestClock.adjust("3 seconds"), TestClock.setTime(0)))
    assert.deepStrictEqual(yield* told("duration_ms"), [[3000]])
  })

  let code = 0
  testWith("A code that the host set on its process counts where the command says none, and not for a later command", {
    runtime: { exitCode: Effect.sync(() => code) }
  }, function*() {
    yield* Usage.trackEffect("setting")(Effect.sync(() => void (code = 3)))
    yield* run("failing")
    yield* run("remote push x")
    assert.deepStrictEqual(yield* told("event", "exit_code", "error_class", "user_cancelled"), [
      ["CLI execution failed", 3, undefined, false],
      ["CLI execution failed", 1, "Broken", false],
      ["CLI execution succeeded", 0, undefined, undefined]
    ])
  })

  testWith("A code that stood before the first command of the process counts: the process ends with it", {
    runtime: { exitCode: Effect.succeed(1) }
  }, function*() {
    yield* Usage.trackEffect("setting")(Effect.void)
    assert.deepStrictEqual(yield* told("event", "exit_code"), [["CLI execution failed", 1]])
  })

  test("A command with an unreadable error is recorded, and its exit code stays", function*() {
    const { proxy: error, revoke } = Proxy.revocable({}, {})
    revoke()
    for (const effect of [Effect.fail(error), Effect.die(error)]) {
      const exit = yield* Effect.exit(Usage.trackEffect("strange")(effect))
      assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.length === 1)
    }
    assert.deepStrictEqual(yield* told("event", "exit_code"), [["CLI execution failed", 1], [
      "CLI execution failed",
      1
    ]])
  })

  for (const line of ["remote push x", "failing", "dying", "quitting", "remote", "--version", "remote push --help"]) {
    test(`The host's exit and output are as they were without telemetry: "${line}"`, function*() {
      const plain = String(yield* runLine(untracked, line))
      const before = [...(yield* TestConsole.logLines), ...(yield* TestConsole.errorLines)]
      assert.strictEqual(String(yield* run(line)), plain)
      assert.deepStrictEqual(
        [...(yield* TestConsole.logLines), ...(yield* TestConsole.errorLines)].toSorted(),
        [...before, ...before].toSorted()
      )
    })
  }
})

describe("attribution", () => {
  const login = Effect.flatMap(IdentityStitch, (stitch) => stitch.login("account_1"))

  test("A logout's success is recorded under the account, then the device gets a new id", function*() {
    const { get } = yield* IdentityStore
    yield* login
    const before = yield* get
    yield* run("leaving")
    assert.deepStrictEqual(yield* told("event", "distinct_id"), [["CLI execution succeeded", "account_1"]])
    assert.notStrictEqual((yield* get).anonId, before.anonId)
  })

  test("Every command that runs at a logout is recorded under the account, also after one inside it", function*() {
    yield* login
    const inner = Usage.track(Command.make("inner", {}, () => Effect.void))
    const menu = Usage.track(Command.make("menu", {}, () => Effect.andThen(runLine(inner, ""), run("leaving"))))
    yield* runLine(menu, "")
    assert.deepStrictEqual(yield* told("command_name", "distinct_id"), [
      ["inner", "account_1"],
      ["menu", "account_1"],
      ["leaving", "account_1"]
    ])
  })

  test("A logout records no success of a command that failed before it in the same process", function*() {
    const { login, logout } = yield* IdentityStitch
    yield* login("account_1")
    yield* run("failing")
    yield* logout
    assert.deepStrictEqual(yield* told("command_name", "exit_code"), [["failing", 1]])
  })

  test("A response that comes after a logout brings no account back, and a login does", function*() {
    const { login, logout, observe } = yield* IdentityStitch
    yield* login("account_1")
    yield* Usage.trackEffect("leaving")(Effect.andThen(logout, observe("account_1")))
    yield* run("remote push")
    yield* login("account_2")
    yield* run("remote push")
    const owners = (yield* told("distinct_id", "$process_person_profile")).map(([id, person]) => person ?? id)
    assert.deepStrictEqual(owners, ["account_1", false, "account_2"])
  })

  test("What else runs in the process at a logout is recorded at its own end", function*() {
    yield* login
    const failing = Effect.andThen(Effect.sleep("1 second"), Effect.fail("broken"))
    const beside = yield* Effect.forkChild(Effect.exit(Usage.trackEffect("beside")(failing)))
    yield* TestClock.adjust("500 millis")
    yield* Usage.trackEffect("leaving")(Effect.flatMap(IdentityStitch, (stitch) => stitch.logout))
    yield* TestClock.adjust("500 millis")
    yield* Fiber.join(beside)
    assert.deepStrictEqual(yield* told("command_name", "event"), [
      ["leaving", "CLI execution succeeded"],
      ["beside", "CLI execution failed"]
    ])
  })

  const hidden = Command.annotate(Usage.Untracked, true)
  const all = Effect.map(messages, (messages) => messages.map(({ event }) => event))

  test("An untracked command leaves no trace, also where the host's API names the account", function*() {
    yield* runLine(Usage.track(asking.pipe(hidden)), "")
    assert.deepStrictEqual(yield* all, [])
    yield* runLine(Usage.track(asking), "")
    assert.deepStrictEqual(yield* all, ["$create_alias", "CLI execution succeeded"])
  })

  test("An untracked command hides nothing of a command that it runs", function*() {
    yield* runLine(Usage.track(Command.make("menu", {}, () => runLine(Usage.track(asking), "")).pipe(hidden)), "")
    assert.deepStrictEqual(yield* all, ["$create_alias", "CLI execution succeeded"])
  })
})

describe("nested commands", () => {
  const Rebuilt = UsageEvent.make("Rebuilt", { description: "The watcher built again", properties: Schema.Struct({}) })
  const outer = "11111111-1111-4111-8111-111111111111"

  for (
    const [title, value, parent] of [
      ["of none", undefined, undefined],
      ["of the command that runs it", outer, outer],
      ["of none where the variable holds anything else, which is not sent", "a canary", undefined]
    ] as const
  ) {
    const variables = new Map<string, string | undefined>()
    test(`A command is the child ${title}, and names itself to its own children while it runs`, function*() {
      const run = Effect.gen(function*() {
        yield* Effect.flatMap(UsageCapture, (usage) => usage.capture(Rebuilt, {}))
        const [[id, parentId] = []] = yield* told("invocation_id", "parent_invocation_id")
        assert.deepStrictEqual([variables.get("TEST_USAGE_INVOCATION"), parentId], [id, parent])
      })
      const env = value === undefined ? {} : { TEST_USAGE_INVOCATION: value }
      yield* run.pipe(
        Effect.provide(services({
          runtime: {
            setVariable: (name, id) =>
              Effect.as(
                Effect.acquireRelease(
                  Effect.sync(() => variables.set(name, id)),
                  () => Effect.sync(() => variables.set(name, value))
                ),
                0
              )
          }
        })),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      )
      assert.strictEqual(variables.get("TEST_USAGE_INVOCATION"), value)
    })
  }
})
