/**
 * A host whose commands end in every way but the usual one; and which itself, by `ENDS_MODE`, ends within its layer, never
 * closes it, or goes on after it.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Flow, Usage } from "effect-cli-usage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"

class Broken extends Error {
  override readonly name = "Broken"
}

const exit = Command.make("exit", { code: Argument.Int("code") }, ({ code }) => Effect.sync(() => process.exit(code)))

const Setup = Flow.make("Setup", { description: "Sets up", properties: Schema.Struct({}), steps: ["one"] })

const flow = Command.make(
  "flow",
  { code: Argument.Int("code") },
  ({ code }) => Effect.andThen(Setup.step("one"), Effect.sync(() => process.exit(code))).pipe(Setup.run({}))
)

const forked = Command.make(
  "forked",
  {},
  () =>
    Effect.andThen(
      Effect.forkChild(Effect.never.pipe(Setup.run({})), { startImmediately: true }),
      Effect.sync(() => process.exit(4))
    )
)
const flown = Command.make(
  "flown",
  {},
  () => Effect.andThen(Setup.run({})(Effect.void), Effect.sync(() => process.exit(0)))
)

const set = Command.make("set", { code: Argument.Int("code") }, ({ code }) =>
  Effect.sync(() => {
    process.exitCode = code
  }))

const uncaught = Command.make("uncaught", {}, () =>
  Effect.andThen(
    Effect.sync(() =>
      void setTimeout(() => {
        throw new Broken("outside Effect")
      }, 1)
    ),
    Effect.never
  ))

const guarded = Command.make("guarded", {}, () =>
  Effect.andThen(
    Effect.sync(() => {
      process.on("uncaughtException", () => process.exit(3))
      setTimeout(() => {
        throw Object.defineProperty(new Broken("of a kind of its own"), "_tag", {
          get: () => {
            throw new Broken("nobody may ask")
          }
        })
      }, 1)
    }),
    Effect.never
  ))

const unhandled = Command.make(
  "unhandled",
  {},
  () => Effect.andThen(Effect.sync(() => void Promise.reject(new Broken("outside Effect"))), Effect.never)
)

const wait = Command.make("wait", {}, () => Effect.andThen(Console.log("Waiting"), Effect.never))

const say = Command.make("say", {}, () => Console.log("Said"))

const defect = Command.make("defect", {}, () => Effect.die(new Broken("inside Effect")))

const services = Layer.unwrap(Effect.gen(function*() {
  return Usage.layer({
    name: "ends",
    version: "1.0.0",
    home: yield* Config.String("ENDS_HOME"),
    posthog: { host: yield* Config.String("ENDS_POSTHOG_HOST"), key: "phc_test" }
  })
})).pipe(Layer.provideMerge(NodeServices.layer))

const ends = Command.make("ends").pipe(
  Command.withSubcommands([exit, flow, flown, forked, set, uncaught, guarded, unhandled, wait, say, defect]),
  Usage.track,
  Command.run({ version: "1.0.0" })
)

switch (process.env["ENDS_MODE"]) {
  case "within":
    Effect.andThen(ends, Effect.sync(() => process.exit(0))).pipe(Effect.provide(services), NodeRuntime.runMain)
    break
  case "open":
    void ManagedRuntime.make(services).runPromise(ends)
    break
  case "gracefully":
    process.once("SIGTERM", () =>
      setTimeout(() => {
        process.stdout.write("Shut down\n")
        process.exit(0)
      }, 100))
    void Effect.runPromise(Effect.provide(ends, services))
    break
  case "goes on":
    void Effect.runPromise(Effect.provide(ends, services)).then(() => process.stdout.write("The host goes on\n"))
    break
  default:
    ends.pipe(Effect.provide(services), NodeRuntime.runMain)
}
