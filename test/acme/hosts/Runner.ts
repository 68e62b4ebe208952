/**
 * A host whose command runs a script of the user in its own process, as the main script.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Usage } from "effect-cli-usage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { pathToFileURL } from "node:url"

const services = Layer.unwrap(Effect.gen(function*() {
  return Usage.layer({
    name: "runner",
    version: "1.0.0",
    home: yield* Config.String("ACME_HOME"),
    posthog: { host: yield* Config.String("ACME_POSTHOG_HOST"), key: "phc_runner" }
  })
})).pipe(Layer.provideMerge(NodeServices.layer))

const run = Command.make(
  "run",
  { script: Argument.Path("script", { pathType: "file" }) },
  ({ script }) =>
    Effect.promise(() => {
      process.argv = [process.execPath, script]
      return import(pathToFileURL(script).href)
    })
)

Command.make("runner").pipe(
  Command.withSubcommands([run]),
  Usage.track,
  Command.run({ version: "1.0.0" }),
  Effect.provide(services),
  NodeRuntime.runMain
)
