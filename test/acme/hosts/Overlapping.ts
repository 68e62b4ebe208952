/**
 * A process that runs commands side by side, each with telemetry of its own, and prints the variable of the invocation
 * after each of them and in a child process of the last one.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Usage } from "effect-cli-usage"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"

const variable = "OVERLAPPING_USAGE_INVOCATION"

const services = Usage.layer({
  name: "overlapping",
  version: "1.0.0",
  home: process.env["ACME_HOME"],
  posthog: { host: "http://127.0.0.1:9", key: "phc_overlapping" }
}).pipe(Layer.provideMerge(NodeServices.layer))

const run = (name: string, handler: Effect.Effect<void>): Effect.Effect<void> => {
  const command = Command.make(name, {}, () => handler)
  const cli = Command.make("overlapping").pipe(Command.withSubcommands([command]), Usage.track)
  return Command.runWith(cli, { version: "1.0.0" })([name]).pipe(
    Effect.provide(services, { local: true }),
    Effect.orDie
  )
}

interface Gate {
  readonly open: () => void
  readonly opened: Effect.Effect<void>
}

const makeGate = (): Gate => {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { open: resolve, opened: Effect.promise(() => promise) }
}

/** Starts a command, and returns when its handler runs. */
const start = async (name: string) => {
  const [begun, end] = [makeGate(), makeGate()]
  const ended = Effect.runPromise(run(name, Effect.andThen(Effect.sync(begun.open), end.opened)))
  await Effect.runPromise(begun.opened)
  return () => {
    end.open()
    return ended
  }
}

const left: Array<string | undefined> = []
for (const order of [[0, 1], [1, 0]]) {
  const ends = [await start("first"), await start("second")]
  for (const index of order) await ends[index]?.()
  left.push(process.env[variable])
}
const print = `process.stdout.write(process.env[${JSON.stringify(variable)}] ?? "")`
let child = ""
await Effect.runPromise(run(
  "outer",
  Effect.andThen(
    Effect.sync(() => {
      child = execFileSync(process.execPath, ["--eval", print], { encoding: "utf8" })
    }),
    run("inner", Effect.void)
  )
))
left.push(process.env[variable])
process.stdout.write(JSON.stringify({ child, left: left.map((value) => value ?? null) }))
