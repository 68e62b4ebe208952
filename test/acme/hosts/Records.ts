/**
 * A host that records an event of its own at once, asks an API whose the credential of its environment is, and decides
 * by `RECORDS_MODE` how its process ends.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { HttpPrincipalResolver, Usage, UsageCapture, UsageEvent } from "effect-cli-usage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

const Recorded = UsageEvent.make("Recorded", { description: "The handler has begun", properties: Schema.Struct({}) })

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

class Coded extends Schema.TaggedError<Coded>()("Coded", {}) {
  override readonly [Runtime.errorExitCode] = 5
}

const record = (name: string, then: Effect.Effect<void>) =>
  Command.make(
    name,
    {},
    Effect.fnUntraced(function*() {
      const usage = yield* UsageCapture
      yield* usage.capture(Recorded, {})
      yield* Console.log("Recorded")
      yield* then
    })
  )

const leave = Command.make(
  "leave",
  {},
  () => Effect.andThen(Effect.sync(() => process.once("SIGUSR2", () => process.exit(0))), Effect.never)
)

const fail = Command.make(
  "fail",
  { error: Argument.Literals("error", ["broken", "coded"]) },
  ({ error }) => Effect.fail(error === "coded" ? new Coded() : new Broken())
)

const services = Layer.unwrap(Effect.gen(function*() {
  return Usage.layer({
    name: "records",
    version: "1.0.0",
    home: yield* Config.String("RECORDS_HOME"),
    posthog: { host: yield* Config.String("RECORDS_POSTHOG_HOST"), key: "phc_test" },
    principals: HttpPrincipalResolver.layer({
      forms: [{
        environment: "RECORDS_API_KEY",
        base: yield* Config.String("RECORDS_API_URL"),
        path: "/api/v1/auth/validate",
        principal: ["data.principal_id"]
      }]
    })
  })
})).pipe(Layer.provideMerge(NodeServices.layer))

const run = Command.make("records").pipe(
  Command.withSubcommands([
    record("exit", Effect.sync(() => process.exit(0))),
    record("stay", Effect.never),
    record("return", Effect.void),
    leave,
    fail
  ]),
  Usage.track,
  Command.run({ version: "1.0.0" })
)

switch (process.env["RECORDS_MODE"]) {
  case "listens to no signal":
    void Effect.runPromise(Effect.provide(run, services))
    break
  case "catches":
    run.pipe(
      Effect.catch(() =>
        Effect.sync(() => {
          process.exitCode = 5
        })
      ),
      Effect.provide(services),
      NodeRuntime.runMain
    )
    break
  default:
    run.pipe(Effect.provide(services), NodeRuntime.runMain)
}
