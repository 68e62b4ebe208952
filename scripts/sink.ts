/**
 * `npm run sink -- --port N`: a local PostHog that prints each message it accepts.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as PostHogSink from "../src/testing/PostHogSink.ts"
import { printable } from "../src/testing/Printable.ts"

const sink = Command.make(
  "sink",
  {
    port: Flag.Int("port").pipe(
      Flag.withDescription("Port to listen on, on 127.0.0.1"),
      Flag.withDefault(4000)
    )
  },
  Effect.fnUntraced(function*({ port }) {
    const server = yield* PostHogSink.make({ port }).pipe(
      Effect.mapError((cause) => new CliError.UserError({ cause, userMessage: cause.message }))
    )
    yield* server.onMessage(({ distinct_id, event, received_at, uuid }) =>
      console.log(printable(`${received_at}  ${event}  ${distinct_id}  ${uuid}`))
    )
    yield* Console.log(`listening on ${server.url}`)
    return yield* Effect.never
  }, Effect.scoped)
).pipe(Command.withDescription("Run a local PostHog that prints each message it accepts"))

sink.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
