/**
 * What acme records beyond its commands.
 */
import { Flow } from "effect-cli-usage"
import * as Schema from "effect/Schema"

/** A user logs in. */
export const Auth = Flow.make("CLI Auth", {
  description: "A user logs in",
  properties: Schema.Struct({ flow: Schema.Literal("login"), no_browser: Schema.Boolean }),
  steps: ["browser_wait", "code_exchange"]
})
