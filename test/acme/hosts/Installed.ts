/**
 * A host that has the published package.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Usage } from "effect-cli-usage"
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const services = Layer.unwrap(Effect.gen(function*() {
  return Usage.layer({
    name: "installed",
    version: "1.0.0",
    home: yield* Config.String("INSTALLED_HOME"),
    posthog: { host: yield* Config.String("INSTALLED_POSTHOG_HOST"), key: "phc_installed" }
  })
})).pipe(Layer.provideMerge(NodeServices.layer))

Command.make("installed", {}, () => Console.log("Ran")).pipe(
  Command.withSubcommands([Usage.telemetryCommand]),
  Usage.track,
  Command.run({ version: "1.0.0" }),
  Effect.provide(services),
  NodeRuntime.runMain
)
