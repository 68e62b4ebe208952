/**
 * A host without a resolver, as the first one of the README: it only reports its logins and logouts.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { IdentityStitch, Usage } from "effect-cli-usage"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const services = Layer.unwrap(Effect.gen(function*() {
  return Usage.layer({
    name: "acme",
    version: "1.0.0",
    home: yield* Config.String("ACME_HOME"),
    posthog: { host: yield* Config.String("ACME_POSTHOG_HOST"), key: "phc_test" }
  })
})).pipe(Layer.provideMerge(NodeServices.layer))

Command.make("acme").pipe(
  Command.withSubcommands([
    Command.make("deploy", {}, () => Effect.void),
    Command.make(
      "login",
      { account: Argument.String("account") },
      ({ account }) => Effect.flatMap(IdentityStitch, ({ login }) => login(account))
    ),
    Command.make("logout", {}, () => Effect.flatMap(IdentityStitch, ({ logout }) => logout))
  ]),
  Usage.track,
  Command.run({ version: "1.0.0" }),
  Effect.provide(services),
  NodeRuntime.runMain
)
