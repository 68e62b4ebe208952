/**
 * acme: the example host.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { HttpPrincipalResolver, Usage } from "effect-cli-usage"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Api } from "./Api.ts"
import { acme } from "./Cli.ts"
import { Acme } from "./Config.ts"
import { Credentials } from "./Credentials.ts"
import { Auth } from "./Events.ts"

const version = "1.2.3"

const UsageLive = Layer.unwrap(Effect.gen(function*() {
  const { apiUrl, credentials, home, posthog } = yield* Acme
  return Usage.layer({
    name: "acme",
    version,
    home,
    posthog,
    notice: "acme records which commands are used, to improve them. `acme telemetry disable` turns it off.",
    principals: HttpPrincipalResolver.layer({
      file: credentials,
      forms: [{
        environment: "ACME_API_KEY",
        key: "cloud.api.key",
        base: apiUrl,
        path: "/api/v1/auth/validate",
        principal: ["data.principal_id"]
      }]
    })
  })
}))

const services = Api.layer.pipe(
  Layer.provideMerge(UsageLive),
  Layer.merge(Credentials.layer),
  Layer.provide(Acme.layer),
  Layer.provideMerge(NodeServices.layer)
)

acme.pipe(
  Usage.track({ catalog: Auth.events }),
  Command.run({ version }),
  Effect.provide(services),
  NodeRuntime.runMain
)
