/** The `telemetry` command, which a host adds to its tree. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Untracked } from "./CommandTracking.ts"

// The handlers are loaded when one of the commands runs.
const handlers = Effect.promise(() => import("./TelemetryHandlers.ts"))

const makeSubcommands = () => {
  const json = Flag.Boolean("json").pipe(
    Flag.withDescription("Print one JSON object"),
    Flag.withDefault(false)
  )
  const sent = Flag.Boolean("sent").pipe(
    Flag.withDescription("List the last messages that were sent: 100 at most, of 7 days"),
    Flag.withDefault(false)
  )
  const eachAsJson = Flag.Boolean("json").pipe(
    Flag.withDescription("With --sent: print each message as it was sent, one JSON object a line"),
    Flag.withDefault(false)
  )
  return [
    Command.make("status", { json }, (input) => Effect.flatMap(handlers, ({ status }) => status(input))).pipe(
      Command.withDescription("Show whether telemetry is on, and how many messages wait to be sent")
    ),
    Command.make("enable", {}, () => Effect.flatMap(handlers, ({ enable }) => enable)).pipe(
      Command.withDescription("Turn telemetry on again")
    ),
    Command.make("disable", {}, () => Effect.flatMap(handlers, ({ disable }) => disable)).pipe(
      Command.withDescription("Turn telemetry off, and delete its files on this machine")
    ),
    Command.make("log", { sent, json: eachAsJson }, (input) => Effect.flatMap(handlers, ({ log }) => log(input))).pipe(
      Command.withDescription("Print the messages that wait to be sent, byte for byte, or list those that were sent")
    ),
    Command.make("events", { json }, (input) => Effect.flatMap(handlers, ({ events }) => events(input))).pipe(
      Command.withDescription("List the events that this program declares, with their properties")
    ),
    Command.make("flush", { json }, (input) => Effect.flatMap(handlers, ({ flush }) => flush(input))).pipe(
      Command.withDescription("Send the messages that wait, now")
    )
  ] as const
}

// Combinators copy the own properties of the proxy's target.
const leaf = Command.make("telemetry").pipe(Command.withDescription("Usage telemetry of this program"))

const makeFullCommand = () =>
  leaf.pipe(
    Command.annotate(Untracked, true),
    Command.withSubcommands(makeSubcommands())
  )

let made: ReturnType<typeof makeFullCommand> | undefined

const fullCommand = () => made ??= makeFullCommand()

// Creates only the properties that the host's tree reads of every command. The parser, help and completions create the
// rest. Creating all seven commands would take every command of the host 0.5 ms.
const lazyCommand = (eager: object, made: () => object) =>
  new Proxy(leaf, { get: (_, property) => Reflect.get(property in eager ? eager : made(), property) })

const leafProperties = (properties: ReadonlyArray<string>): object =>
  Object.fromEntries(properties.map((property) => [property, Reflect.get(leaf, property)]))

const ofEach = leafProperties(["alias", "globalFlags", "unlisted"])

const children = ["status", "enable", "disable", "log", "events", "flush"].map((name, index) =>
  lazyCommand(
    { ...ofEach, name, annotations: Context.empty(), subcommands: [] },
    () => fullCommand().subcommands[0]?.commands[index] ?? leaf
  )
)

/**
 * The `telemetry` command, with `status`, `enable`, `disable`, `log`, `events` and `flush`.
 *
 * **Details**
 *
 * `status`, `log` and `events` change nothing. `disable` deletes the identity and everything that waits for delivery.
 *
 * **Example** (Adding the command to a host)
 *
 * ```ts
 * const acme = Command.make("acme").pipe(Command.withSubcommands([deploy, Usage.telemetryCommand]), Usage.track)
 * ```
 *
 * @category commands
 * @since 0.1.0
 */
export const command: ReturnType<typeof makeFullCommand> = lazyCommand(
  {
    ...leafProperties(["name", "alias", "config", "contextConfig", "globalFlags", "unlisted"]),
    subcommands: [{ group: undefined, commands: children }]
  },
  fullCommand
)
