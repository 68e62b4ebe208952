/**
 * A host as it is where a bundler runs whatever is imported dynamically: the worker's file and the host's, both in every
 * process.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Usage } from "effect-cli-usage"
import { isWorker } from "effect-cli-usage/worker"
import "effect-cli-usage/worker/main"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"

const home = `${process.env["HOME"]}/.installed`

const services = Usage.layer({
  name: "installed",
  version: "1.0.0",
  home,
  posthog: { host: process.env["INSTALLED_POSTHOG_HOST"] ?? "", key: "phc_installed" }
}).pipe(Layer.provideMerge(NodeServices.layer))

const program = Effect.sync(() => {
  Fs.appendFileSync(`${home}-ran`, "once\n")
  process.stdout.write("Ran\n")
})

program.pipe(Usage.trackEffect("installed"), Effect.provide(services), NodeRuntime.runMain)

isWorker()
