import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
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
import { CurrentProcess, DataDictionary, IdentityStitch, Usage } from "../../src/index.ts"
import * as Debug from "../../src/layers/Debug.ts"
import { IdentityStore } from "../../src/services/IdentityStore.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { message: Schema.String }) {}
class Wrapper extends Error {}

const verbose = Flag.Boolean("verbose").pipe(Flag.withDefault(false))

const push = Command.make(
  "push",
  {
    name: Argument.String("name").pipe(Argument.optional),
    region: Flag.Literals("region", ["eu", "us"]).pipe(Flag.withAlias("r"), Flag.optional),
    secret: Flag.String("secret").pipe(Flag.optional)
  },
  ({ name }) => Console.log(`pushed ${Option.getOrElse(name, () => "all")}`)
).pipe(Usage.withFlagValues("region"), Command.withAlias("p"))

const failing = Command.make("failing", {}, () => Effect.fail(new Broken({ message: "a secret" })))
const wrapped = Command.make(
  "wrapped",
  {},
  () => Effect.fail(new CliError.UserError({ cause: new Broken({ message: "a secret" }), userMessage: "told" }))
)
const ring = Command.make("ring", {}, () => {
  const error = new Error("outer")
  error.cause = error
  return Effect.die(error)
})
const dying = Command.make(
  "dying",
  {},
  () => Effect.die(new Wrapper("a secret", { cause: new Broken({ message: "x" }) }))
)
const quitting = Command.make("quitting", {}, () => Effect.fail(new Terminal.QuitError({})))
const slow = Command.make("slow", {}, () => Effect.sleep("5 seconds"))
const confused = Command.make(
  "confused",
  {},
  () => Effect.fail(new CliError.ShowHelp({ commandPath: ["app", "confused"], errors: [] }))
)
// An authenticated response of the host's own API, as `ObservedHttpClient` sees it.
const asking = Command.make("asking", {}, () => Effect.flatMap(IdentityStitch, (stitch) => stitch.observe("acct_p")))
const leaving = Command.make("leaving", {}, () => Effect.flatMap(IdentityStitch, (stitch) => stitch.logout))

const remote = Command.make("remote").pipe(Command.withSharedFlags({ verbose }), Command.withSubcommands([push]))
const Level = GlobalFlag.Setting("level")({ flag: Flag.String("level").pipe(Flag.withDefault("low")) })

const untracked = Command.make("app").pipe(
  Command.withSubcommands([
    remote,
    failing,
    wrapped,
    ring,
    dying,
    quitting,
    slow,
    confused,
    leaving,
    Usage.telemetryCommand
  ]),
  Command.withGlobalFlags([Level])
)
const app = Usage.track(untracked)

const layer = Layer.fresh(TestUsage.layer)

const run = (line: string, command: typeof app = app) =>
  Effect.exit(Command.runWith(command, { version: "1.0.0" })(line === "" ? [] : line.split(" ")))

/** Runs a command line; gives how it ended and the events that were recorded, and whether there is an identity. */
const recorded = (line: string, command: typeof app = app) =>
  Effect.gen(function*() {
    const exit = yield* run(line, command)
    const messages = yield* TestUsage.messages
    return { exit, messages, last: messages.at(-1) }
  }).pipe(Effect.provide([layer, NodeServices.layer]))

describe("track", () => {
  it.effect("records a command's dotted path, through aliases and shared flags, and the flags that were given", () =>
    Effect.gen(function*() {
      const { exit, last, messages } = yield* recorded("--level high remote --verbose p thing -r us")
      assert.isTrue(Exit.isSuccess(exit))
      assert.lengthOf(messages, 1)
      assert.strictEqual(last?.event, "CLI execution succeeded")
      assert.strictEqual(last?.properties["command_name"], "remote.push")
      assert.deepStrictEqual(last?.properties["flags_used"], ["region", "verbose"])
      assert.strictEqual(last?.properties["exit_code"], 0)
    }))

  it.effect("sends the values of the flags that the author allowed, and no others", () =>
    Effect.gen(function*() {
      const { last } = yield* recorded("remote push thing --region eu --secret hush")
      assert.deepStrictEqual(last?.properties["flag_values"], { region: "eu" })
      assert.deepStrictEqual(last?.properties["flags_used"], ["region", "secret"])
      assert.notInclude(JSON.stringify(last), "hush")
      assert.notInclude(JSON.stringify(last), "thing")
    }))

  it.effect("sends the values that several combinators allow, and none of an earlier command", () =>
    Effect.gen(function*() {
      const both = Command.make("both", { a: Flag.String("a"), b: Flag.optional(Flag.Int("b")) }, () => Effect.void)
        .pipe(
          Usage.withFlagValues("a"),
          Usage.withFlagValues("b")
        )
      const app = Usage.track(Command.make("app").pipe(Command.withSubcommands([both, failing])))
      yield* Command.runWith(app, { version: "1.0.0" })(["both", "--a", "x", "--b", "2"])
      yield* Effect.exit(Command.runWith(app, { version: "1.0.0" })(["failing"]))
      const [first, second] = yield* TestUsage.messages
      assert.deepStrictEqual(first?.properties["flag_values"], { a: "x", b: 2 })
      assert.strictEqual(second?.properties["command_name"], "failing")
      assert.notProperty(second?.properties, "flag_values")
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it("takes only flags whose value has a place in a property", () => {
    const several = Command.make("several", { tags: Flag.String("tag").pipe(Flag.atLeast(1)) })
    // @ts-expect-error: several texts are not one
    assert.isDefined(several.pipe(Usage.withFlagValues("tags")))
  })

  it.effect("records a command once where it is tracked twice, and says so to an author who reads along", () =>
    Effect.gen(function*() {
      const leaf = Command.make("leaf", {}, () => Effect.void).pipe(Usage.track)
      const app = Command.make("app").pipe(Command.withSubcommands([leaf]), Usage.track, Usage.track)
      yield* Command.runWith(app, { version: "1.0.0" })(["leaf"])
      const messages = yield* TestUsage.messages
      assert.deepStrictEqual(messages.map(({ properties }) => properties["command_name"]), ["leaf"])
      assert.include(
        yield* TestConsole.errorLines,
        "usage: \"leaf\" is not recorded again: `Usage.track` stands once, on the root"
      )
    }).pipe(Effect.provideService(Debug.IsShown, true), Effect.provide([layer, NodeServices.layer])))

  it.effect("records a command that another runs, each with its own name and flags", () =>
    Effect.gen(function*() {
      const deploy = Command.make("deploy", { region: Flag.String("region") }, () => Effect.void).pipe(
        Usage.withFlagValues("region")
      )
      const init = Command.make("init", {}, () =>
        Effect.andThen(
          Command.runWith(other, { version: "1.0.0" })(["deploy", "--region", "eu"]),
          Usage.annotateCommand({ properties: { kind: "web" } })
        ))
      const other = Command.make("app").pipe(Command.withSubcommands([deploy]), Usage.track)
      const app = Command.make("app").pipe(Command.withSubcommands([init]), Usage.track)
      yield* Command.runWith(app, { version: "1.0.0" })(["init"])
      const messages = yield* TestUsage.messages
      assert.deepStrictEqual(
        messages.map(({ properties: { command_name, flag_values, flags_used, kind } }) => ({
          command_name,
          flag_values,
          flags_used,
          kind
        })),
        [
          { command_name: "deploy", flag_values: { region: "eu" }, flags_used: ["region"], kind: undefined },
          { command_name: "init", flag_values: undefined, flags_used: [], kind: "web" }
        ]
      )
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("records commands that run at once, each by its name", () =>
    Effect.gen(function*() {
      const steps = ["build", "lint"].map((name) => Effect.yieldNow.pipe(Usage.trackEffect(name)))
      yield* Effect.all(steps, { concurrency: 2 })
      const messages = yield* TestUsage.messages
      assert.sameMembers(messages.map(({ properties }) => properties["command_name"]), ["build", "lint"])
    }).pipe(Effect.provide(layer)))

  it.effect("says where nothing was tracked", () =>
    Effect.gen(function*() {
      const early = Command.make("app").pipe(Usage.track, Command.withSubcommands([failing]))
      yield* Effect.exit(Command.runWith(early, { version: "1.0.0" })(["failing"])).pipe(
        Effect.provide([layer, NodeServices.layer])
      )
      assert.match(String((yield* TestConsole.errorLines).at(-1)), /^usage: nothing was tracked: .*`Usage\.track`/)
    }).pipe(Effect.provideService(Debug.IsShown, true)))

  it.effect("sends what a command says of itself with its own event, and not with the next one's", () =>
    Effect.gen(function*() {
      const build = Command.make("build", {}, () =>
        Effect.gen(function*() {
          yield* Usage.annotateCommand({ properties: { kind: "web" }, groups: { project: "prj_1" } })
          yield* Usage.annotateCommand({ groups: { organization: "org_1" } })
        }))
      const app = Usage.track(Command.make("app").pipe(Command.withSubcommands([build, failing])))
      yield* Command.runWith(app, { version: "1.0.0" })(["build"])
      yield* Effect.exit(Command.runWith(app, { version: "1.0.0" })(["failing"]))
      const [first, second] = yield* TestUsage.messages
      assert.deepInclude(first?.properties, { kind: "web", $groups: { project: "prj_1", organization: "org_1" } })
      assert.notProperty(second?.properties, "kind")
      assert.notProperty(second?.properties, "$groups")
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  for (
    const [line, flags] of [
      ["remote push --region=us", ["region"]],
      ["remote push -- --region", []]
    ] as const
  ) {
    it.effect(`sees the flags of "${line}" as the parser did`, () =>
      Effect.gen(function*() {
        const { last } = yield* recorded(line)
        assert.deepStrictEqual(last?.properties["flags_used"], flags)
      }))
  }

  for (
    const line of [
      "--help",
      "remote push --help",
      "--version",
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
    it.effect(`records nothing of "${line}"`, () =>
      Effect.gen(function*() {
        const { messages } = yield* recorded(line)
        assert.deepStrictEqual(messages, [])
      }))
  }

  for (
    const [line, errorClass] of [
      ["failing", "Broken"],
      ["wrapped", "Broken"],
      ["dying", "Wrapper"],
      ["ring", "Error"]
    ] as const
  ) {
    it.effect(`tells the class of what "${line}" ended with, and not its message`, () =>
      Effect.gen(function*() {
        const { exit, last } = yield* recorded(line)
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(last?.event, "CLI execution failed")
        assert.strictEqual(last?.properties["error_class"], errorClass)
        assert.strictEqual(last?.properties["exit_code"], 1)
        assert.strictEqual(last?.properties["user_cancelled"], false)
        assert.notInclude(JSON.stringify(last), "secret")
      }))
  }

  it.effect("records under the author's names, which the dictionary lists", () =>
    Effect.gen(function*() {
      const events = { succeeded: "app ran", failed: "app broke" }
      const command = Usage.track(untracked, { events })
      assert.strictEqual((yield* recorded("remote push", command)).last?.event, "app ran")
      assert.strictEqual((yield* recorded("failing", command)).last?.event, "app broke")
      const dictionary = DataDictionary.make([], { events })
      assert.deepStrictEqual(dictionary.events.slice(0, 2).map(({ name }) => name), ["app ran", "app broke"])
    }))

  it.effect("tells a message through the author's own function only", () =>
    Effect.gen(function*() {
      const command = Usage.track(untracked, {
        errorMessage: (error) => error instanceof Broken ? "it broke" : undefined
      })
      const { last } = yield* recorded("failing", command)
      assert.strictEqual(last?.properties["error_message"], "it broke")
    }))

  it.effect("goes on where the author's function throws", () =>
    Effect.gen(function*() {
      const command = Usage.track(untracked, {
        errorMessage: () => {
          throw new Error("the author's")
        }
      })
      const { exit, messages } = yield* recorded("failing", command)
      assert.deepStrictEqual(
        exit,
        yield* Effect.provide(run("failing", untracked as typeof app), [layer, NodeServices.layer])
      )
      assert.strictEqual(messages[0]?.properties["error_class"], "Broken")
      assert.notProperty(messages[0]?.properties, "error_message")
    }))

  it.effect("counts a prompt that was left as cancelled, of which there is no message", () =>
    Effect.gen(function*() {
      const { last } = yield* recorded("quitting", Usage.track(untracked, { errorMessage: () => "it broke" }))
      assert.notProperty(last?.properties, "error_message")
      assert.strictEqual(last?.properties["user_cancelled"], true)
      assert.strictEqual(last?.properties["exit_code"], 130)
      assert.strictEqual(last?.properties["error_class"], "QuitError")
    }))

  it.effect("counts an interruption as cancelled, and measures until then", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(run("slow"))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(fiber)
      const [last] = yield* TestUsage.messages
      assert.strictEqual(last?.properties["user_cancelled"], true)
      assert.strictEqual(last?.properties["exit_code"], 130)
      assert.strictEqual(last?.properties["duration_ms"], 2000)
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("measures the command alone, not what telemetry then waits for", () =>
    Effect.gen(function*() {
      const patient = Layer.effect(
        IdentityStitch,
        Effect.map(IdentityStitch, (stitch) => ({ ...stitch, settle: Effect.sleep("2 seconds") }))
      )
      const fiber = yield* Effect.forkChild(Effect.provide(run("slow"), patient))
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.join(fiber)
      const [last] = yield* TestUsage.messages
      assert.strictEqual(last?.properties["duration_ms"], 5000)
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("does not wait for an account when the user has left a prompt", () =>
    Effect.gen(function*() {
      const waiting = Layer.effect(
        IdentityStitch,
        Effect.map(IdentityStitch, (stitch) => ({ ...stitch, settle: Effect.never }))
      )
      yield* Effect.provide(run("quitting"), waiting)
      const [last] = yield* TestUsage.messages
      assert.strictEqual(last?.properties["user_cancelled"], true)
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("counts a code that the host set on its process, where the command says none", () =>
    Effect.gen(function*() {
      let code = 0
      const process = { ...TestUsage.currentProcess, exitCode: Effect.sync(() => code) }
      const layers = Layer.provideMerge(Layer.succeed(CurrentProcess, process), layer)
      const setting = Usage.trackEffect("setting")(Effect.sync(() => void (code = 3)))
      yield* Effect.gen(function*() {
        yield* setting
        yield* run("failing")
        // It is not theirs that an earlier command of the process set it.
        yield* run("remote push x")
        const [set, failed, after] = yield* TestUsage.messages
        assert.strictEqual(after?.event, "CLI execution succeeded")
        assert.strictEqual(set?.event, "CLI execution failed")
        assert.strictEqual(set?.properties["exit_code"], 3)
        assert.strictEqual(set?.properties["user_cancelled"], false)
        assert.notProperty(set?.properties, "error_class")
        assert.strictEqual(failed?.properties["exit_code"], 1)
      }).pipe(Effect.provide([layers, NodeServices.layer]))
    }))

  it.effect("counts a code that stood before the first command of the process, which ends with it", () =>
    Effect.gen(function*() {
      const process = { ...TestUsage.currentProcess, exitCode: Effect.succeed(1) }
      const layers = Layer.provideMerge(Layer.succeed(CurrentProcess, process), layer)
      yield* Effect.gen(function*() {
        yield* Usage.trackEffect("setting")(Effect.void)
        const [set] = yield* TestUsage.messages
        assert.deepStrictEqual([set?.event, set?.properties["exit_code"]], ["CLI execution failed", 1])
      }).pipe(Effect.provide([layers, NodeServices.layer]))
    }))

  it.effect("measures by a clock that nobody sets", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      yield* Usage.trackEffect("sync")(Effect.andThen(TestClock.adjust("3 seconds"), TestClock.setTime(0)))
      const [last] = yield* TestUsage.messages
      assert.strictEqual(last?.properties["duration_ms"], 3000)
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("records a command whose error cannot be looked at, and its exit stays", () =>
    Effect.gen(function*() {
      const { proxy: error, revoke } = Proxy.revocable({}, {})
      revoke()
      for (const effect of [Effect.fail(error), Effect.die(error)]) {
        const exit = yield* Effect.exit(Usage.trackEffect("strange")(effect))
        assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.length === 1)
      }
      const outcomes = (yield* TestUsage.messages).map(({ event, properties }) => [event, properties["exit_code"]])
      assert.deepStrictEqual(outcomes, [["CLI execution failed", 1], ["CLI execution failed", 1]])
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("leaves the host's exit and output as they are", () =>
    Effect.gen(function*() {
      for (const line of ["remote push x", "failing", "dying", "quitting", "remote", "--version"]) {
        const lines = yield* TestConsole.logLines
        const before = lines.length
        const tracked = yield* Effect.provide(run(line), [layer, NodeServices.layer])
        const between = (yield* TestConsole.logLines).slice(before)
        const plain = yield* Effect.provide(run(line, untracked as typeof app), [layer, NodeServices.layer])
        const after = (yield* TestConsole.logLines).slice(before + between.length)
        assert.strictEqual(String(tracked), String(plain), line)
        assert.deepStrictEqual(between, after, line)
      }
    }))

  it.effect("records a logout's success under the account, then gives the device a new id", () =>
    Effect.gen(function*() {
      const stitch = yield* IdentityStitch
      const store = yield* IdentityStore
      yield* stitch.login("account_1")
      const before = yield* store.get
      yield* run("leaving")
      const after = yield* store.get
      const messages = yield* TestUsage.messages
      const events = messages.filter(({ event }) => event !== "$create_alias")
      assert.deepStrictEqual(events.map(({ distinct_id, event }) => [event, distinct_id]), [
        ["CLI execution succeeded", "account_1"]
      ])
      assert.notStrictEqual(after.anonId, before.anonId)
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("records every command that runs at a logout under the account, also after one inside it has ended", () =>
    Effect.gen(function*() {
      const stitch = yield* IdentityStitch
      yield* stitch.login("account_1")
      const inner = Usage.track(Command.make("inner", {}, () => Effect.void))
      const menu = Usage.track(
        Command.make("menu", {}, () => Effect.andThen(Command.runWith(inner, { version: "1.0.0" })([]), run("leaving")))
      )
      yield* Command.runWith(menu, { version: "1.0.0" })([])
      const events = (yield* TestUsage.messages).filter(({ event }) => event !== "$create_alias")
      assert.deepStrictEqual(events.map(({ distinct_id, properties }) => [properties["command_name"], distinct_id]), [
        ["inner", "account_1"],
        ["menu", "account_1"],
        ["leaving", "account_1"]
      ])
    }).pipe(Effect.provide([layer, NodeServices.layer])))

  it.effect("leaves what else runs in the process to its own end at a logout", () =>
    Effect.gen(function*() {
      const stitch = yield* IdentityStitch
      yield* stitch.login("account_1")
      const beside = yield* Effect.forkChild(Effect.exit(
        Usage.trackEffect("beside")(Effect.andThen(Effect.sleep("1 second"), Effect.fail("broken")))
      ))
      yield* TestClock.adjust("500 millis")
      yield* Usage.trackEffect("leaving")(stitch.logout)
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(beside)
      const events = (yield* TestUsage.messages).filter(({ event }) => event !== "$create_alias")
      assert.deepStrictEqual(events.map(({ event, properties }) => [properties["command_name"], event]), [
        ["leaving", "CLI execution succeeded"],
        ["beside", "CLI execution failed"]
      ])
    }).pipe(Effect.provide([layer, NodeServices.layer])))
})

describe("an untracked command", () => {
  const told = (root: typeof asking) =>
    Effect.gen(function*() {
      yield* Command.runWith(Usage.track(root), { version: "1.0.0" })([])
      return (yield* TestUsage.messages).map(({ event }) => event)
    }).pipe(Effect.provide([Layer.fresh(TestUsage.layer), NodeServices.layer]))

  it.effect("leaves no trace, also where the host's API says whose it is", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* told(asking), ["$create_alias", "CLI execution succeeded"])
      assert.deepStrictEqual(yield* told(asking.pipe(Command.annotate(Usage.Untracked, true))), [])
    }))

  it.effect("hides nothing of a command that it runs", () =>
    Effect.gen(function*() {
      const run = Command.runWith(Usage.track(asking), { version: "1.0.0" })([])
      const menu = Command.make("menu", {}, () => Effect.orDie(run)).pipe(Command.annotate(Usage.Untracked, true))
      const events = yield* Effect.gen(function*() {
        yield* Command.runWith(Usage.track(menu), { version: "1.0.0" })([])
        return (yield* TestUsage.messages).map(({ event }) => event)
      }).pipe(Effect.provide([Layer.fresh(TestUsage.layer), NodeServices.layer]))
      assert.deepStrictEqual(events, ["$create_alias", "CLI execution succeeded"])
    }))
})

describe("trackEffect", () => {
  it.effect("records a plain effect under its name", () =>
    Effect.gen(function*() {
      const result = yield* Effect.succeed(1).pipe(Usage.trackEffect("sync"))
      const [message] = yield* TestUsage.messages
      assert.strictEqual(result, 1)
      assert.strictEqual(message?.properties["command_name"], "sync")
    }).pipe(Effect.provide(layer)))
})

// A key that the command's input does not have is a type error.
// @ts-expect-error
const _wrong = Command.make("wrong", { region: Flag.String("region") }).pipe(Usage.withFlagValues("regoin"))
