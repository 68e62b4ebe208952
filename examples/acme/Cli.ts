/**
 * The commands of acme.
 */
import { IdentityStitch, Usage } from "effect-cli-usage"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Api } from "./Api.ts"
import { Credentials } from "./Credentials.ts"
import { Auth } from "./Events.ts"

/** What fails says why on stderr, and exits with 1. */
const told = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.mapError(effect, (cause) => new CliError.UserError({ cause, userMessage: cause.message }))

const login = Command.make(
  "login",
  {
    apiKey: Flag.String("api-key").pipe(Flag.withDescription("The key to log in with")),
    noBrowser: Flag.Boolean("no-browser").pipe(
      Flag.withDescription("Do not wait for a browser"),
      Flag.withDefault(false)
    )
  },
  ({ apiKey, noBrowser }) =>
    Effect.gen(function*() {
      const api = yield* Api
      const credentials = yield* Credentials
      const stitch = yield* IdentityStitch
      // Simulated: nothing is opened.
      if (!noBrowser) yield* Auth.step("browser_wait")
      yield* Auth.step("code_exchange")
      const principal = yield* told(api.principal("validate", apiKey))
      yield* told(credentials.save(apiKey))
      yield* stitch.login(principal)
      yield* Console.log(`Logged in as ${principal}`)
    }).pipe(Auth.run({ flow: "login", no_browser: noBrowser }))
).pipe(Command.withDescription("Log in with an API key"))

const logout = Command.make(
  "logout",
  {},
  Effect.fnUntraced(function*() {
    const credentials = yield* Credentials
    const stitch = yield* IdentityStitch
    const removed = yield* told(credentials.remove)
    if (!removed) return yield* Console.log("Not logged in")
    yield* stitch.logout
    yield* Console.log("Logged out")
  })
).pipe(Command.withDescription("Forget the API key"))

class NotLoggedIn extends Schema.TaggedError<NotLoggedIn>()("NotLoggedIn", {}) {
  override get message(): string {
    return "Not logged in"
  }
}

const whoami = Command.make(
  "whoami",
  {},
  Effect.fnUntraced(function*() {
    const api = yield* Api
    const credentials = yield* Credentials
    const key = yield* credentials.key
    if (Option.isNone(key)) return yield* told(Effect.fail(new NotLoggedIn()))
    yield* Console.log(yield* told(api.principal("whoami", key.value)))
  })
).pipe(Command.withDescription("Print who is logged in"))

const message = Flag.String("message").pipe(Flag.withDescription("A text"), Flag.withDefault(""))

const deploy = Command.make(
  "deploy",
  {
    name: Argument.String("name"),
    region: Flag.Literals("region", ["eu", "us"]).pipe(Flag.withDescription("Where to"), Flag.withDefault("eu")),
    message
  },
  ({ name, region }) => Console.log(`Deployed ${name} to ${region}`)
).pipe(Command.withDescription("Deploy a project"))

class DeployError extends Schema.TaggedError<DeployError>()("DeployError", { message: Schema.String }) {}

const fail = Command.make(
  "fail",
  { defect: Flag.Boolean("defect").pipe(Flag.withDefault(false)), message },
  ({ defect, message }) => {
    const error = new DeployError({ message: message === "" ? "The deployment failed" : message })
    return defect ? Effect.die(error) : told(Effect.fail(error))
  }
).pipe(Command.withDescription("Fail"))

const wait = Command.make(
  "wait",
  { milliseconds: Argument.Int("milliseconds") },
  ({ milliseconds }) => Effect.andThen(Effect.sleep(milliseconds), Console.log("Done"))
).pipe(Command.withDescription("Sleep"))

export const acme = Command.make("acme").pipe(
  Command.withDescription("Acme's command line"),
  Command.withSubcommands([login, logout, whoami, deploy, fail, wait, Usage.telemetryCommand])
)
