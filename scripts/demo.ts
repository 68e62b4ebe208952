/**
 * `npm run demo`: the real `acme` through a story, and what PostHog makes of it.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Persons, PostHogSink } from "effect-cli-usage/testing"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as AcmeApi from "../examples/acme/Server.ts"
import { printable } from "../src/testing/Printable.ts"

const key = "key-of-the-demo"
const account = "account_1"
const ciKey = "key-of-the-pipeline"
const ciAccount = "account_2"

const acme = fileURLToPath(new URL("../examples/acme/main.ts", import.meta.url))

class DemoError extends Schema.TaggedError<DemoError>()("DemoError", { message: Schema.String }) {}

interface Run {
  readonly command: string
  readonly code: number
  readonly startedAt: number
  readonly ms: number
  readonly output: string
}

const Status = Schema.fromJsonString(Schema.Struct({
  anon_id: Schema.NullOr(Schema.String),
  principal_id: Schema.NullOr(Schema.String),
  pending: Schema.Int,
  set_aside: Schema.Int
}))

// Every word here is the demo's own: none needs quoting.
const inTerminal = (words: ReadonlyArray<string>): readonly [string, ReadonlyArray<string>] =>
  process.platform === "darwin"
    ? ["script", ["-q", "/dev/null", ...words]]
    : ["script", ["-qec", words.join(" "), "/dev/null"]]

// A child gets nothing of this process but what it needs to run: no CI, no NODE_ENV, no one's opt-out.
const run = Effect.fnUntraced(function*(
  line: string,
  options: { readonly home: string; readonly env: Readonly<Record<string, string>>; readonly terminal: boolean }
) {
  const path = yield* Config.String("PATH")
  const words = [process.execPath, acme, ...line.split(" ")]
  const [file, args] = options.terminal ? inTerminal(words) : [process.execPath, [acme, ...line.split(" ")]]
  const startedAt = Date.now()
  const handle = yield* ChildProcess.make(file, args, {
    env: { PATH: path, HOME: options.home, ACME_HOME: `${options.home}/.acme`, TERM: "dumb", ...options.env },
    stdin: "ignore"
  })
  const output = yield* Stream.mkString(Stream.decodeText(handle.all))
  const code = yield* handle.exitCode
  return { command: `acme ${line}`, code, startedAt, ms: Date.now() - startedAt, output } satisfies Run
}, Effect.scoped)

const status = Effect.fnUntraced(function*(options: Parameters<typeof run>[1]) {
  const { output } = yield* run("telemetry status --json", { ...options, terminal: false })
  return yield* Schema.decodeEffect(Status)(output)
})

const check = (message: string, holds: boolean) => holds ? Effect.void : Effect.fail(new DemoError({ message }))

const cell = (text: string, width: number): string => printable(text).padEnd(width).slice(0, width)

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped({ prefix: "acme-demo-" })
  const ciHome = yield* fs.makeTempDirectoryScoped({ prefix: "acme-demo-ci-" })
  const api = yield* AcmeApi.make(new Map([[key, account], [ciKey, ciAccount]]))

  const ownKey = yield* Config.String("ACME_POSTHOG_KEY").pipe(Config.withDefault(""))
  const ownHost = yield* Config.String("ACME_POSTHOG_HOST").pipe(Config.withDefault(""))
  const isReal = ownKey !== "" && ownHost !== ""

  const received: Array<PostHogSink.ReceivedMessage> = []
  const startSink = Effect.fnUntraced(function*(port: number) {
    const scope = yield* Scope.make()
    const sink = yield* Scope.provide(PostHogSink.make({ port }), scope)
    yield* Scope.provide(sink.onMessage((message) => received.push(message)), scope)
    return { sink, close: Scope.close(scope, Exit.void) }
  })
  const first = isReal ? undefined : yield* startSink(0)
  const posthog = first === undefined ? { host: ownHost, key: ownKey } : { host: first.sink.url, key: "phc_demo" }
  yield* Console.log(
    isReal ? `Events go to ${ownHost}.` : `The sink listens on ${posthog.host}, Acme's API on ${api}.`
  )

  const env = { ACME_API_URL: api, ACME_POSTHOG_HOST: posthog.host, ACME_POSTHOG_KEY: posthog.key }
  const person = { home, env, terminal: true }
  const pipeline = { home: ciHome, env: { ...env, CI: "true", ACME_API_KEY: ciKey }, terminal: false }

  // A command, the code it must end with, and whose its event must be.
  const runs: Array<Run & { readonly owner: string }> = []
  const tell = Effect.fnUntraced(function*(
    line: string,
    owner: string,
    options: { readonly as: typeof person; readonly code?: number } = { as: person }
  ) {
    const ran = yield* run(line, options.as)
    runs.push({ ...ran, owner })
    yield* check(`"${ran.command}" ended with ${ran.code}: ${ran.output}`, ran.code === (options.code ?? 0))
    return ran
  })
  // A login brings its alias, and the start and the end of its flow.
  const expected = () => runs.length + 3 * runs.filter((run) => run.command.includes("login")).length

  // Delivery is nobody's business but the worker's, so the demo only watches.
  const settled = Effect.gen(function*() {
    const deadline = Date.now() + 15_000
    while (Date.now() < deadline) {
      const { pending } = yield* status(person)
      if (pending === 0 && (isReal || received.length >= expected())) return
      yield* Effect.sleep(200)
    }
    yield* Effect.fail(
      new DemoError({ message: `after 15 s ${received.length} of ${expected()} messages have arrived` })
    )
  })

  yield* Console.log("Two anonymous commands, a login, two more, one that fails, a logout, and one more …")
  yield* tell("deploy site", "device 1")
  yield* tell("deploy shop --region us", "device 1")
  const device1 = (yield* status(person)).anon_id
  yield* tell(`login --no-browser --api-key ${key}`, account)
  yield* tell("deploy site", account)
  yield* tell("whoami", account)
  yield* tell("fail --message canary", account, { as: person, code: 1 })
  yield* tell("logout", account)
  yield* tell("deploy site", "device 2")
  const device2 = (yield* status(person)).anon_id
  yield* Console.log("A pipeline with a key in its environment and an empty home …")
  yield* tell("deploy site", ciAccount, { as: pipeline })
  yield* settled

  if (first !== undefined) {
    const port = Number(new URL(first.sink.url).port)
    yield* Console.log("Two commands while PostHog is down, and one when it is up again …")
    yield* first.close
    yield* tell("deploy site", "device 2")
    yield* tell("deploy shop", "device 2")
    // Long enough for a worker to find nobody there.
    yield* Effect.sleep(1500)
    const again = yield* startSink(port)
    yield* Effect.addFinalizer(() => again.close)
    // The back-off after the first failure is one second.
    yield* Effect.sleep(2500)
    yield* tell("deploy site", "device 2")
    yield* settled
  }

  const last = yield* status(person)
  yield* check("a message was set aside", last.set_aside === 0)
  yield* check("the logout gave the device no new id", device1 !== null && device2 !== null && device1 !== device2)
  const hasIdentity = yield* fs.exists(`${ciHome}/.acme/usage.json`)
  yield* check("the pipeline made an identity", !hasIdentity)
  if (isReal) return yield* Console.log(`All ${runs.length} commands were sent, and nothing waits.`)

  const nameOf = (id: string): string => id === device1 ? "device 1" : id === device2 ? "device 2" : printable(id)
  const events = received.filter((message) => message.event.startsWith("CLI execution"))
  const aliases = received.filter((message) => message.event === "$create_alias")

  yield* Console.log("")
  yield* Console.log(
    `${cell("command", 46)} ${cell("exit", 4)} ${cell("returned", 9)} ${cell("event", 23)} ${cell("of", 10)} arrived`
  )
  // Commands ran one after the other, so their events are told apart by time.
  const ordered = events.toSorted((a, b) => a.timestamp.localeCompare(b.timestamp))
  for (const [index, ran] of runs.entries()) {
    const event = ordered[index]
    const arrived = event === undefined ? "never" : `+${Date.parse(event.received_at) - ran.startedAt} ms`
    yield* Console.log(
      `${cell(ran.command, 46)} ${cell(String(ran.code), 4)} ${cell(`${ran.ms} ms`, 9)} ${
        cell(event?.event ?? "", 23)
      } ${cell(nameOf(event?.distinct_id ?? ""), 10)} ${arrived}`
    )
    const name = ran.code === 0 ? "CLI execution succeeded" : "CLI execution failed"
    yield* check(
      `"${ran.command}" must be a "${name}" of ${ran.owner}`,
      event !== undefined && event.event === name && nameOf(event.distinct_id) === ran.owner
    )
  }

  const [alias] = aliases
  yield* check(
    "there must be exactly one alias, of device 1 into the account, with a person",
    alias !== undefined && aliases.length === 1 && alias.distinct_id === account &&
      alias.properties["alias"] === device1 && !("$process_person_profile" in alias.properties)
  )
  yield* check(
    "each message must arrive once",
    new Set(received.map((message) => message.uuid)).size === received.length
  )
  yield* check("an error's message was sent", !received.some((message) => message.raw.includes("canary")))

  const folded = Persons.fold(received)
  yield* Console.log("")
  yield* Console.log("persons:")
  for (const person of folded.persons) {
    yield* Console.log(`  ${person.distinctIds.map(nameOf).join(" + ")}: ${person.events.length} messages`)
  }
  yield* Console.log(
    `  (nobody): ${folded.personless.length} messages of ${
      [...new Set(folded.personless.map((message) => nameOf(message.distinct_id)))].join(", ")
    }`
  )
  const shape = folded.persons.map((person) => person.distinctIds.map(nameOf).toSorted().join("+")).toSorted()
  yield* check(
    `the persons must be account_1 with device 1, and account_2; they are ${shape.join(", ")}`,
    shape.join(", ") === "account_1+device 1, account_2" && folded.warnings.length === 0 && folded.dropped.length === 0
  )
  yield* Console.log("")
  yield* Console.log("All is as the design says.")
})

program.pipe(
  Effect.scoped,
  Effect.catchTag(
    "DemoError",
    (error) => Effect.andThen(Console.error(`The demo failed: ${error.message}`), Effect.sync(() => process.exit(1)))
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
