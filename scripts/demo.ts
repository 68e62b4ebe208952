/**
 * `npm run demo [-- --open]`: acme through a story, message by message, and the persons that PostHog makes of it. With
 * `--open` the page of the local PostHog stays until Ctrl-C.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Persons, PostHogSink } from "effect-cli-usage/testing"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Esbuild from "esbuild"
import { fileURLToPath } from "node:url"
import { styleText } from "node:util"
import * as AcmeApi from "../examples/acme/Server.ts"
import { printable } from "../src/testing/Printable.ts"

class DemoError extends Schema.TaggedError<DemoError>()("DemoError", { message: Schema.String }) {}

const check = (message: string, holds: boolean) => holds ? Effect.void : Effect.fail(new DemoError({ message }))

// In colour in a terminal, unless NO_COLOR is set.
const write = (text: string, style: Parameters<typeof styleText>[0] = []) =>
  Effect.sync(() => void process.stdout.write(styleText(style, text, { stream: process.stdout })))

const row = (command: string, took: string, message = "", whose = ""): string =>
  `${command.padEnd(30)}${took.padEnd(9)}${message.padEnd(25)}${whose}`

// A container's commands wait for delivery: the demo shows a device wherever it runs.
const onDevice: Esbuild.Plugin = {
  name: "on-device",
  setup: (build) => {
    build.onLoad({ filter: /\/is-inside-container\/index\.js$/ }, () => ({ contents: "export default () => false" }))
  }
}

const bundle = (outdir: string) =>
  Effect.promise(() =>
    Esbuild.build({
      entryPoints: { acme: fileURLToPath(new URL("../examples/acme/entry.ts", import.meta.url)) },
      outdir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      splitting: true,
      minify: true,
      platform: "node",
      format: "esm",
      logLevel: "error",
      plugins: [onDevice]
    })
  )

type Variables = Readonly<Record<string, string>>

// Every word here is the demo's own: none needs quoting.
const inTerminal = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  process.platform === "darwin"
    ? ["script", "-q", "/dev/null", ...words]
    : ["script", "-qec", words.join(" "), "/dev/null"]

const run = Effect.fnUntraced(function*(acme: string, line: string, env: Variables) {
  const words = [process.execPath, acme, ...line.split(" ")]
  const [file = "", ...args] = "CI" in env ? words : inTerminal(words)
  const startedAt = performance.now()
  // No CI, NODE_ENV or opt-out of the user who runs the demo.
  const handle = yield* ChildProcess.make(file, args, {
    env: { PATH: process.env["PATH"] ?? "", TERM: "dumb", ...env },
    stdin: "ignore"
  })
  const output = yield* Stream.mkString(Stream.decodeText(handle.all))
  const code = yield* handle.exitCode
  return { code, ms: Math.round(performance.now() - startedAt), output: output.replaceAll("\r", "").trim() }
}, Effect.scoped)

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "acme-demo-" })
  const sink = yield* PostHogSink.make()
  yield* write(`acme, the example CLI, sends to a PostHog on this machine: ${sink.url}\n`)
  yield* bundle(folder)
  const acme = `${folder}/acme.mjs`
  const api = yield* AcmeApi.make(new Map([["key-1", "account_1"], ["key-2", "account_2"]]))
  const env = { HOME: folder, ACME_API_URL: api, ACME_POSTHOG_HOST: sink.url, ACME_POSTHOG_KEY: "phc_demo" }
  const device: Variables = { ...env, ACME_HOME: `${folder}/device` }
  const pipeline: Variables = { ...env, ACME_HOME: `${folder}/pipeline`, CI: "true", ACME_API_KEY: "key-2" }

  const devices: Array<string> = []
  const nameOf = (id: string): string => {
    if (id.startsWith("account_")) return id
    if (!devices.includes(id)) devices.push(id)
    return `device ${devices.indexOf(id) + 1}`
  }
  const whose = ({ distinct_id, event, properties }: PostHogSink.ReceivedMessage): string => {
    if (event === "$create_alias") return `${nameOf(String(properties["alias"]))} joins ${nameOf(distinct_id)}`
    return `${nameOf(distinct_id)}${properties["$process_person_profile"] === false ? ", anonymous" : ""}`
  }

  let shown = 0
  let commands = 0
  // The event of a command is its last message. What is late is sent by a flush, which says why it cannot be.
  const arrive = Effect.fnUntraced(function*(line: string, expected: ReadonlyArray<string>) {
    commands += 1
    const isThere = (all: ReadonlyArray<PostHogSink.ReceivedMessage>) =>
      all.filter(({ event }) => event.startsWith("CLI execution")).length >= commands
    yield* Effect.catchTag(sink.waitFor(isThere, 5_000), "SinkTimeout", () =>
      Effect.gen(function*() {
        const { output } = yield* run(acme, "telemetry flush", device)
        yield* check(`nothing of "acme ${line}" was delivered. ${output}`, isThere(yield* sink.messages))
      }))
    const messages = (yield* sink.messages).slice(shown).toSorted((a, b) => a.timestamp.localeCompare(b.timestamp))
    shown += messages.length
    for (const [index, message] of messages.entries()) {
      const text = row("", "", printable(message.event), printable(whose(message)))
      yield* write(`${index === 0 ? text.trimStart() : text}\n`, "green")
    }
    const [found, wanted] = [messages.map(whose), expected].map((names) => names.toSorted().join("; "))
    yield* check(`the messages of "acme ${line}" must be of ${wanted}; they are of ${found}`, found === wanted)
  })

  /** Runs a command, and waits for its messages: whose they must be, or what is said if none is sent now. */
  const tell = Effect.fnUntraced(function*(
    line: string,
    expected: ReadonlyArray<string> | string,
    { code = 0, variables = device }: { readonly code?: number; readonly variables?: Variables } = {}
  ) {
    yield* write(`acme ${line}`.padEnd(30), "cyan")
    const ran = yield* run(acme, line, variables)
    yield* check(`"acme ${line}" ended with ${ran.code}: ${ran.output}`, ran.code === code)
    yield* write(`${ran.ms} ms`.padEnd(9), "dim")
    yield* typeof expected === "string" ? write(`${expected}\n`, "yellow") : arrive(line, expected)
    return ran.output
  })
  const show = (text: string) => write(text.split("\n").map((line) => `    ${printable(line)}\n`).join(""))
  const title = (text: string) => Effect.andThen(write("\n"), write(`${text}\n`, "bold"))

  yield* write("\n")
  yield* write(`${row("command", "took", "message", "whose")}\n`, "dim")
  yield* title("A new device. Its messages make no person, and its user is told once:")
  yield* show(yield* tell("deploy site", ["device 1, anonymous"]))
  yield* tell("deploy shop --region us", ["device 1, anonymous"])
  yield* title("A login. What the device has sent becomes the account's:")
  yield* tell("login --api-key key-1", ["device 1, anonymous", "device 1 joins account_1", "account_1", "account_1"])
  yield* tell("deploy site", ["account_1"])
  yield* title("A failure. The class of the error is sent, its text is not:")
  yield* tell("fail --message secret", ["account_1"], { code: 1 })
  yield* title("A logout. The device starts again:")
  yield* tell("logout", ["account_1"])
  yield* tell("deploy site", ["device 2, anonymous"])
  yield* title("CI, with a key in the environment. Messages are the account's, and nothing is kept:")
  yield* tell("deploy site", ["account_2"], { variables: pipeline })
  yield* title("PostHog is down. The message waits, the command does not:")
  yield* sink.answer(PostHogSink.Answer.Status({ status: 503 }))
  yield* tell("deploy site", "waits")
  yield* sink.answer(PostHogSink.Answer.Validate())
  yield* tell("telemetry flush", ["device 2, anonymous"])
  yield* title("What the user sees, and decides:")
  yield* show(yield* tell("telemetry status", ""))
  yield* show(yield* tell("telemetry disable", ""))
  yield* tell("deploy site", "nothing is recorded")

  const received = yield* sink.messages
  const { dropped, personless, persons, warnings } = Persons.fold(received)
  yield* title("The persons that PostHog makes of it:")
  const folded = [
    ...persons.map(({ distinctIds, events }) => ({ ids: distinctIds, events })),
    { ids: personless.map(({ distinct_id }) => distinct_id), events: personless }
  ].map(({ ids, events }, index) => {
    const names = [...new Set(ids.map(nameOf))].toSorted().join(" and ")
    return `${index < persons.length ? names : `nobody (${names})`}: ${events.length}`
  })
  yield* show(folded.join("\n"))
  const wanted = "account_1 and device 1: 9, account_2: 1, nobody (device 2): 2"
  yield* check(`the persons must be ${wanted}`, folded.join(", ") === wanted && warnings.length + dropped.length === 0)
  yield* check("a message was sent twice", new Set(received.map(({ uuid }) => uuid)).size === received.length)
  yield* check("an error's text was sent", !received.some(({ raw }) => raw.includes("secret")))
  const left = yield* Effect.forEach(["device/usage", "pipeline"], (name) => fs.readDirectory(`${folder}/${name}`))
  yield* check(`files are left: ${left.join(" ")}`, left.join(" ") === "opt-out usage")

  if (!process.argv.includes("--open")) {
    return yield* write("\nNext: `npm run demo -- --open` shows this on a page; README.md puts it into your CLI.\n")
  }
  yield* write(`\nThe page of these messages: ${sink.url}/ (Ctrl-C ends it)\n`)
  return yield* Effect.never
})

program.pipe(
  Effect.scoped,
  Effect.catch((error) =>
    Effect.andThen(Console.error(`\nThe demo failed: ${error.message}`), Effect.sync(() => process.exit(1)))
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
