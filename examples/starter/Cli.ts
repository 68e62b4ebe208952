import * as NodeServices from "@effect/platform-node/NodeServices"
import { Usage, UsageCapture, UsageEvent } from "effect-cli-usage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const templates = ["blank", "blog"] as const
const Created = UsageEvent.make("Project created", {
  description: "A project was created from a template",
  properties: Schema.Struct({ template: Schema.Literals(templates) })
})

const flags = { name: Argument.String("name"), template: Flag.Literals("template", templates) }
const create = Command.make("create", flags, ({ name, template }) =>
  Effect.gen(function*() {
    yield* Console.log(`Created ${name}`)
    yield* (yield* UsageCapture).capture(Created, { template })
  }))

const starter = Command.make("starter").pipe(Command.withSubcommands([create, Usage.telemetryCommand]))
export const cli = Usage.track(starter, { catalog: [Created] })

const { STARTER_POSTHOG_HOST: host, STARTER_POSTHOG_KEY: key } = process.env
const usage = Usage.layer({ name: "starter", version: "1.0.0", posthog: { key, host } })
const services = Layer.provideMerge(usage, NodeServices.layer)
export const program = Effect.provide(Command.run(cli, { version: "1.0.0" }), services)
