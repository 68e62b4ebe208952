/**
 * acme as its users run it: a real process on a device of its own, a PostHog and an Acme API on loopback.
 *
 * The environment of a process is built from nothing, so that it is never a test run by accident, and never in the CI,
 * the container or the terminal that the tests happen to run in: each run says its runtime.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Esbuild from "esbuild"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { filesIn } from "../fixtures/Folders.ts"
import * as Process from "../fixtures/Process.ts"
import { runs, type RuntimeName } from "../fixtures/Runtimes.ts"
import { listen } from "../fixtures/Servers.ts"
import { suiteOf } from "../fixtures/Tests.ts"
import { eventually, makeSink, type NotInTime } from "../fixtures/Wait.ts"

export { eventually }

const root = fileURLToPath(new URL("../..", import.meta.url))
const source = Path.join(root, "examples/acme/main.ts")
const farLimits = Path.join(root, "test/acme/hosts/FarLimits.ts")

const named = process.env["TEST_RUNTIME"]

/** What acme runs on: this Node.js, or what `npm run test:runtime` says. */
export const runtimeName: RuntimeName = named === "bun" || named === "deno" ? named : "node"
export const runtimeWords = runs[runtimeName]

/** Who the keys of Acme's API are of. */
const principals: ReadonlyMap<string, string> = new Map([
  ["key-of-a", "account_a"],
  ["second-key-of-a", "account_a"],
  ["key-of-b", "account_b"]
])

// == processes

/**
 * Where a process runs: in a terminal, in one that shows stderr too, without one, in CI, or as the first process of a
 * container.
 */
export type Runtime = "terminal" | "screen" | "pipe" | "ci" | "container"

export interface RunOptions {
  readonly runtime?: Runtime
  readonly env?: Readonly<Record<string, string>>
  /** Is called when the process writes to stdout. */
  readonly onStdout?: () => void
  /**
   * `far`, the default: a slow machine reaches no time limit of the host. `own`: the limits are the host's (1 s for
   * delivery, 2 s for the resolver). The worker's limits are far in both cases.
   */
  readonly limits?: "far" | "own"
}

export interface Run {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

const quoted = (words: ReadonlyArray<string>): string =>
  words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ")

// `script` gives its child a terminal, of which stderr would be a part: it goes to a file.
const inTerminal = (words: ReadonlyArray<string>, stderr?: string): ReadonlyArray<string> => {
  const command = stderr === undefined ? quoted(words) : `${quoted(words)} 2>${quoted([stderr])}`
  return process.platform === "darwin"
    ? ["script", "-q", "/dev/null", "/bin/sh", "-c", command]
    : ["script", "-qec", command, "/dev/null"]
}

// Tests that run in a container need no other one.
const inContainer = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  Fs.readlinkSync("/proc/self/ns/pid") === "pid:[4026531836]" ? Process.unshare("-p", "-f", ...words) : words

const spawn = (
  words: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  cwd: string,
  { onStdout }: RunOptions = {}
): Effect.Effect<Run> =>
  // A worker that kept a pipe open would make a user's `acme | less` wait, and shows here.
  Effect.flatMap(Process.run(words, { env, cwd, onStdout: () => onStdout?.() }), ({ code, signal, stderr, stdout }) =>
    code === null
      ? Effect.die(new Error(`${words.join(" ")} was ended by ${signal}: ${stderr}`))
      : Effect.succeed({ stdout, stderr, code }))

// == Acme's API

/**
 * How Acme's API answers: as it should, only when it is released, or badly.
 */
export type ApiMode =
  | { readonly _tag: "Normal" }
  | { readonly _tag: "Hold" }
  | { readonly _tag: "Answer"; readonly status: number; readonly body: string }
  | { readonly _tag: "Principal"; readonly id: string }

export interface Api {
  readonly url: string
  readonly mode: (mode: ApiMode) => Effect.Effect<void>
  /** Answers the requests that are held, and from now on every request, as it should. */
  readonly release: Effect.Effect<void>
  /** The paths that were asked for. */
  readonly requests: ReadonlyArray<string>
}

const makeApi: Effect.Effect<Api, never, Scope.Scope> = Effect.gen(function*() {
  const requests: Array<string> = []
  let mode: ApiMode = { _tag: "Normal" }
  const held: Array<() => void> = []

  const named = (response: Http.ServerResponse, principal: string) => {
    response.writeHead(200, { "content-type": "application/json", "x-principal-id": principal })
    response.end(JSON.stringify({ data: { principal_id: principal } }))
  }
  const respond = (request: Http.IncomingMessage, response: Http.ServerResponse, mode: ApiMode): void => {
    switch (mode._tag) {
      case "Hold":
        return void held.push(() => respond(request, response, { _tag: "Normal" }))
      case "Answer":
        response.writeHead(mode.status, { "content-type": "application/json" })
        return void response.end(mode.body)
      case "Principal":
        return named(response, mode.id)
      case "Normal": {
        const principal = principals.get(request.headers.authorization?.replace(/^Bearer /, "") ?? "")
        const isKnown = /^\/api\/v1\/auth\/(validate|whoami)$/.test(request.url ?? "")
        if (isKnown && principal !== undefined) return named(response, principal)
        response.writeHead(isKnown ? 401 : 404, { "content-type": "application/json" })
        return void response.end("{}")
      }
    }
  }
  const { url } = yield* listen(Http.createServer((request, response) => {
    requests.push(request.url ?? "")
    response.on("error", () => {})
    respond(request, response, mode)
  }))
  return {
    url,
    mode: (next) =>
      Effect.sync(() => {
        mode = next
      }),
    release: Effect.sync(() => {
      mode = { _tag: "Normal" }
      for (const answer of held.splice(0)) answer()
    }),
    requests
  }
})

// == devices

/** What `telemetry status --json` says. */
export const Status = Schema.Struct({
  enabled: Schema.Boolean,
  decided_by: Schema.String,
  anon_id: Schema.NullOr(Schema.String),
  principal_id: Schema.NullOr(Schema.String),
  pending: Schema.Int,
  set_aside: Schema.Int,
  last_delivery: Schema.NullOr(Schema.String)
})
export interface Status extends Schema.Schema.Type<typeof Status> {}
const decodeStatus = Schema.decodeEffect(Schema.fromJsonString(Status))

/** What `usage.json` says. */
export const Identity = Schema.Struct({ anon_id: Schema.String, linked_principal_id: Schema.NullOr(Schema.String) })
export interface Identity extends Schema.Schema.Type<typeof Identity> {}
const decodeIdentity = Schema.decodeEffect(Schema.fromJsonString(Identity))

export interface Worker {
  readonly pid: number
  readonly argv: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

const zeroTerminated = (file: string): ReadonlyArray<string> => {
  try {
    return Fs.readFileSync(file, "utf8").split("\0").filter((text) => text !== "")
  } catch {
    // It has ended meanwhile, or is somebody else's.
    return []
  }
}

const workersOf = (folder: string): ReadonlyArray<Worker> =>
  (Fs.existsSync("/proc") ? Fs.readdirSync("/proc") : []).filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const argv = zeroTerminated(`/proc/${name}/cmdline`)
    if (!argv.includes(marker)) return []
    const env = zeroTerminated(`/proc/${name}/environ`)
    return env.some((line) => line.startsWith(`${variable}=`) && line.includes(`"home":"${folder}`))
      ? [{
        pid: Number(name),
        argv,
        env: Object.fromEntries(
          env.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
        )
      }]
      : []
  })

const signalWorkers = (folder: string, signal: NodeJS.Signals): void => {
  for (const { pid } of workersOf(folder)) {
    try {
      process.kill(pid, signal)
    } catch {
      // The worker has ended meanwhile.
    }
  }
}

/**
 * A device: a home, with its own PostHog and API.
 */
export interface Device {
  /** `ACME_HOME`. It is not made before acme makes it. */
  readonly home: string
  /** The environment of acme on this device, without a runtime and with far limits. */
  readonly env: Readonly<Record<string, string>>
  readonly sink: PostHogSink.PostHogSink
  readonly api: Api
  readonly run: (line: string | ReadonlyArray<string>, options?: RunOptions) => Effect.Effect<Run>
  readonly status: (options?: RunOptions) => Effect.Effect<Status, Schema.SchemaError>
  /** `usage.json`. */
  readonly identity: Effect.Effect<Identity, Schema.SchemaError>
  /** Every file and every empty folder of the home, by its path in it. */
  readonly files: Effect.Effect<ReadonlyArray<string>>
  /** Waits until the events of so many commands were accepted and nothing waits; gives every message accepted. */
  readonly delivered: (
    commands: number
  ) => Effect.Effect<ReadonlyArray<PostHogSink.ReceivedMessage>, PostHogSink.SinkTimeout | NotInTime>
  /** The workers that live, as Linux sees them. */
  readonly workers: Effect.Effect<ReadonlyArray<Worker>>
  /**
   * From now on a worker is stopped when its request arrives at PostHog, and does not read the answer: the worker neither
   * gives up nor ends before `continueWorkers`. A command that ends before did not wait for the worker.
   */
  readonly stopWorkers: (answer?: PostHogSink.Answer) => Effect.Effect<void, never, Scope.Scope>
  readonly continueWorkers: Effect.Effect<void>
  /** Stores a key as a login would, without acme's knowing. */
  readonly storeKey: (key: string) => Effect.Effect<void>
}

/** The events of commands, without aliases and steps of flows. */
export const commandsOf = <M extends { readonly event: string }>(messages: ReadonlyArray<M>): ReadonlyArray<M> =>
  messages.filter(({ event }) => event === "CLI execution succeeded" || event === "CLI execution failed")

export const aliasesOf = <M extends { readonly event: string }>(messages: ReadonlyArray<M>): ReadonlyArray<M> =>
  messages.filter(({ event }) => event === "$create_alias")

/** The events that wait on a device, as files. */
export const eventFiles = (home: string): ReadonlyArray<string> => {
  const outboxes = Path.join(home, "usage/outbox")
  return (Fs.existsSync(outboxes) ? Fs.readdirSync(outboxes) : []).flatMap((name) => {
    const folder = Path.join(outboxes, name, "events")
    return Fs.existsSync(folder) ? Fs.readdirSync(folder).toSorted().map((file) => Path.join(folder, file)) : []
  })
}

// The tests may themselves run in a container. Then acme would take each of its runtimes for one, so the bundle asks
// a variable in the place of the file system.
const containerByVariable: Esbuild.Plugin = {
  name: "container-by-variable",
  setup: (build) => {
    build.onLoad({ filter: /\/is-inside-container\/index\.js$/ }, () => ({
      contents: "export default () => process.env.TEST_IN_CONTAINER === \"1\"",
      loader: "js"
    }))
  }
}

/** Bundles a host into one file that is also its worker, as the documentation of a bundled host has it. */
export const bundleHost = (main: string, outfile: string): Effect.Effect<void, Cause.UnknownError> =>
  Effect.tryPromise(() =>
    Esbuild.build({
      stdin: {
        contents: [
          `import { moveLimits } from ${JSON.stringify(farLimits)}`,
          `import { isWorker } from "effect-cli-usage/worker"`,
          `moveLimits()`,
          `if (isWorker()) await import("effect-cli-usage/worker/main")`,
          `else await import(${JSON.stringify(main)})`
        ].join("\n"),
        resolveDir: root,
        loader: "ts"
      },
      outfile,
      bundle: true,
      platform: "node",
      target: "node22",
      format: "esm",
      logLevel: "silent",
      plugins: [containerByVariable]
    })
  )

/**
 * Makes devices; the last of them gone, nothing of any is left: no process, no file.
 */
export class Harness extends Context.Service<Harness, {
  /** A new device, in a folder of this name. */
  readonly device: (name: string) => Effect.Effect<Device, PostHogSink.SinkError, Scope.Scope>
  /** The file that acme is bundled into. */
  readonly acme: string
}>()("test/acme/Harness") {
  static readonly layer: Layer.Layer<Harness, Cause.UnknownError> = Layer.effect(
    this,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "acme-test-")))),
        (folder) =>
          Effect.gen(function*() {
            // A worker lives on for a second, and would make its folders anew.
            const living = Effect.sync(() => workersOf(folder))
            yield* Effect.ignore(eventually(living, (workers) => workers.length === 0))
            Fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
          })
      )
      const bundled = Path.join(folder, "acme.mjs")
      yield* bundleHost(source, bundled)
      let devices = 0
      let runs = 0

      const device = Effect.fnUntraced(function*(name: string) {
        const own = Path.join(folder, `${name}-${++devices}`)
        const home = Path.join(own, "state")
        Fs.mkdirSync(own, { mode: 0o700 })
        const sink = yield* makeSink()
        const api = yield* makeApi
        const env = {
          PATH: process.env["PATH"] ?? "",
          HOME: own,
          ACME_HOME: home,
          ACME_API_URL: api.url,
          ACME_POSTHOG_HOST: sink.url,
          ACME_POSTHOG_KEY: "phc_test",
          TEST_FAR_LIMITS: "1",
          // Deno's question for its newest version would go through the proxies of a test.
          ...(runtimeName === "deno" ? { DENO_NO_UPDATE_CHECK: "1" } : {})
        }

        const run: Device["run"] = (line, options = {}) =>
          Effect.suspend(() => {
            const { limits = "far", runtime = "terminal" } = options
            const args = typeof line === "string" ? line.split(" ") : line
            const words = [...runtimeWords, bundled, ...args]
            const base = { ...env, TEST_FAR_LIMITS: limits === "far" ? "1" : "0", ...options.env }
            switch (runtime) {
              case "terminal": {
                const file = Path.join(own, `stderr-${++runs}`)
                return Effect.map(spawn(inTerminal(words, file), base, own, options), (run) => ({
                  ...run,
                  stdout: run.stdout.replaceAll("\r", ""),
                  stderr: Fs.readFileSync(file, "utf8")
                }))
              }
              case "screen":
                return spawn(inTerminal(words), base, own, options)
              case "pipe":
                return spawn(words, base, own, options)
              case "ci":
                return spawn(words, { CI: "true", ...base }, own, options)
              case "container":
                return spawn(inContainer(words), { TEST_IN_CONTAINER: "1", ...base }, own, options)
            }
          })

        const status: Device["status"] = (options) =>
          Effect.flatMap(
            run("telemetry status --json", { runtime: "pipe", ...options }),
            ({ stdout }) => decodeStatus(stdout)
          )

        return {
          home,
          env,
          sink,
          api,
          run,
          status,
          identity: Effect.suspend(() => decodeIdentity(Fs.readFileSync(Path.join(home, "usage.json"), "utf8"))),
          files: Effect.sync(() => filesIn(home)),
          delivered: (count) =>
            Effect.gen(function*() {
              yield* sink.waitFor((messages) => commandsOf(messages).length >= count)
              yield* eventually(Effect.sync(() => eventFiles(home)), (files) => files.length === 0)
              return yield* sink.messages
            }),
          workers: Effect.sync(() => workersOf(`${own}/`)),
          stopWorkers: (answer = PostHogSink.Answer.Hang()) =>
            Effect.acquireRelease(
              sink.answer(() => {
                signalWorkers(`${own}/`, "SIGSTOP")
                return answer
              }),
              () => Effect.sync(() => signalWorkers(`${own}/`, "SIGKILL"))
            ),
          continueWorkers: Effect.sync(() => signalWorkers(`${own}/`, "SIGCONT")),
          storeKey: (key) =>
            Effect.sync(() => {
              Fs.mkdirSync(home, { recursive: true, mode: 0o700 })
              const file = Path.join(home, "credentials.yaml")
              Fs.writeFileSync(file, `cloud:\n  api:\n    key: ${JSON.stringify(key)}\n`, { mode: 0o600 })
            })
        } satisfies Device
      })

      return Harness.of({ device, acme: bundled })
    })
  )
}

/** Waits until a device has no worker process (Linux). */
export const noWorker = ({ workers }: Pick<Device, "workers">) => eventually(workers, ({ length }) => length === 0)

/** Declares tests with a harness, which is made once for all of them. */
export const suite = suiteOf(Harness.layer)
