/**
 * A host's tests in memory, in a line each.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Debug from "../../src/layers/Debug.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"

interface Options extends TestUsage.Options {
  /** Whether the host's author reads the debug lines. */
  readonly debug?: boolean
}

/** What `Usage.layer` provides, in memory, with the services of a host on Node.js. */
export const services = ({ debug = false, ...options }: Options = {}) =>
  Layer.merge(TestUsage.layer(options), NodeServices.layer).pipe(
    Layer.provideMerge(Layer.succeed(Debug.IsDebugMode, debug))
  )

export type Services = Layer.Success<ReturnType<typeof services>>

type Body<A, E> = () => Generator<Effect.Effect<unknown, E, Services | Scope.Scope>, A, never>

/** A test that runs in one process of a host, which differs by some options from the usual one. */
export const testWith = <A, E>(title: string, options: Options, body: Body<A, E>): void =>
  it.effect(title, () => Effect.provide(Effect.gen(body), services(options)))

/** A test that runs in one process of a host. */
export const test = <A, E>(title: string, body: Body<A, E>): void => testWith(title, {}, body)

const words = (line: string): ReadonlyArray<string> => line === "" ? [] : line.split(" ")

/** Runs a command line to its end, whatever that is. */
export const runLine = <const Name extends string, Input, ContextInput, E, R>(
  command: Command.Command<Name, Input, ContextInput, E, R>,
  line: string
): Effect.Effect<Exit.Exit<void, unknown>, never, R | Command.Environment> =>
  Effect.exit(Command.runWith(command, { version: "1.0.0" })(words(line)))

/** What would be sent, as it would be: aliases first, then events in their order. */
export const messages = Effect.flatMap(
  Outbox,
  (outbox) => Effect.map(outbox.entries, (entries) => entries.map(({ message }) => message))
)

/** The recorded events, with what they say of the command; without an alias. */
export const events = Effect.map(
  messages,
  (messages) =>
    messages.filter(({ event }) => event !== "$create_alias").map(({ distinct_id, event, properties }) => {
      const all: Readonly<Record<string, unknown>> = { ...properties, event, distinct_id }
      return all
    })
)

/** Some properties of each recorded event. */
export const told = (...names: ReadonlyArray<string>) =>
  Effect.map(events, (events) => events.map((event) => names.map((name) => event[name])))

const named = Schema.Struct({ name: Schema.String })

/** Schemas that do not name every property. */
export const unnamed = [
  Schema.Record(Schema.String, Schema.String),
  Schema.Union([named, Schema.Struct({ other: Schema.String })]),
  Schema.StructWithRest(named, [Schema.Record(Schema.String, Schema.String)])
] as const
