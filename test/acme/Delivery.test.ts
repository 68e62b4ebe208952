/**
 * What becomes of a command's messages and of the process that delivers them, seen from outside.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Esbuild from "esbuild"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Message from "../../src/domain/Message.ts"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { tls } from "../worker/Certificate.ts"
import { temporaryFolder } from "../worker/RealWorker.ts"
import { commandsOf, type Device, eventually, Harness } from "./Harness.ts"

const { Hang, Status, Validate } = PostHogSink.Answer

// `DELIVERY_COMMANDS=200 npx vitest run test/acme/Delivery.test.ts` is the whole of it; it takes a minute.
const manyCommands = Number(process.env["DELIVERY_COMMANDS"] ?? 20)

// == hosts

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The tests may themselves run in a container; each run says what it is.
const noContainer: Esbuild.Plugin = {
  name: "no-container",
  setup: (build) => {
    build.onLoad({ filter: /\/is-inside-container\/index\.js$/ }, () => ({ contents: "export default () => false" }))
  }
}

/** Two hosts as their authors would ship them: one file each, its own worker. */
class Hosts extends Context.Service<Hosts, { readonly acme: string; readonly ends: string }>()("test/acme/Hosts") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const folder = yield* temporaryFolder("acme-hosts-")
      const bundle = (name: string, main: string) => {
        const outfile = Path.join(folder, `${name}.mjs`)
        return Effect.as(
          Effect.tryPromise(() =>
            Esbuild.build({
              stdin: {
                contents: [
                  `import { isWorker } from "effect-cli-usage/worker"`,
                  `if (isWorker()) await import("effect-cli-usage/worker/main")`,
                  `else await import(${JSON.stringify(main)})`
                ].join("\n"),
                resolveDir: at("../.."),
                loader: "ts"
              },
              outfile,
              bundle: true,
              platform: "node",
              target: "node22",
              format: "esm",
              logLevel: "silent",
              plugins: [noContainer]
            })
          ),
          outfile
        )
      }
      return {
        acme: yield* bundle("acme", at("../../examples/acme/main.ts")),
        ends: yield* bundle("ends", at("./hosts/Ends.ts"))
      }
    })
  )
}

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly ms: number
}

/** Runs a process to the end of all its pipes. */
const run = (
  words: ReadonlyArray<string>,
  options: {
    readonly env: Readonly<Record<string, string>>
    readonly cwd?: string
    /** How many pipes it is given beside stdout and stderr. */
    readonly pipes?: number
    readonly onStdout?: (child: ChildProcess.ChildProcess) => void
  }
): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const [file = "", ...args] = words
    const startedAt = performance.now()
    const pipes = Array.from({ length: options.pipes ?? 0 }, () => "pipe" as const)
    const child = ChildProcess.spawn(file, args, {
      cwd: options.cwd ?? "/",
      env: { ...options.env },
      stdio: ["ignore", "pipe", "pipe", ...pipes]
    })
    let stdout = ""
    let stderr = ""
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      options.onStdout?.(child)
    })
    child.stderr?.setEncoding("utf8").on("data", (text: string) => stderr += text)
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code, signal) =>
      resume(Effect.succeed({ stdout, stderr, code, signal, ms: performance.now() - startedAt })))
    return Effect.sync(() =>
      child.kill("SIGKILL")
    )
  })

const environment = (acme: Device) => ({
  PATH: process.env["PATH"] ?? "",
  HOME: Path.dirname(acme.home),
  ACME_HOME: acme.home,
  ACME_API_URL: acme.api.url,
  ACME_POSTHOG_HOST: acme.sink.url,
  ACME_POSTHOG_KEY: "phc_test"
})

const words = Effect.fnUntraced(function*(line: string) {
  return [process.execPath, (yield* Hosts).acme, ...line.split(" ")]
})

/** A device that was used before, so that a run without a terminal is not its first. */
const device = Effect.gen(function*() {
  const acme = yield* (yield* Harness).device("delivery")
  yield* acme.run("deploy first")
  yield* acme.sink.waitFor(({ length }) => length === 1)
  yield* eventually(acme.workers, ({ length }) => length === 0)
  return acme
})

/** The events that wait, oldest first. */
const waiting = (home: string): ReadonlyArray<Message.Message> => {
  const outboxes = Path.join(home, "usage/outbox")
  const names = Fs.existsSync(outboxes) ? Fs.readdirSync(outboxes) : []
  return names.flatMap((name) => {
    const folder = Path.join(outboxes, name, "events")
    const files = Fs.existsSync(folder) ? Fs.readdirSync(folder).toSorted() : []
    return files.flatMap((file) =>
      Option.match(Message.decode(Fs.readFileSync(Path.join(folder, file), "utf8")), {
        onNone: () => [],
        onSome: ({ message }) => [message]
      })
    )
  })
}

const backedOffUntil = (home: string): number => {
  const outboxes = Path.join(home, "usage/outbox")
  const files = Fs.readdirSync(outboxes).map((name) => Path.join(outboxes, name, "back-off.json"))
  const file = files.find((file) => Fs.existsSync(file))
  return file === undefined ? 0 : Schema.decodeUnknownSync(BackOff)(Fs.readFileSync(file, "utf8")).until
}
const BackOff = Schema.fromJsonString(Schema.Struct({ until: Schema.Finite }))

/** A tunnel for TLS, as companies have them. */
const proxy = Effect.gen(function*() {
  const asked: Array<string> = []
  const sockets = new Set<Net.Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((_, response) => response.writeHead(502).end())
      server.on("connect", (request: Http.IncomingMessage, client: Net.Socket) => {
        asked.push(request.url ?? "")
        const { hostname, port } = new URL(`http://${request.url}`)
        const upstream = Net.connect(Number(port), hostname, () => {
          client.write("HTTP/1.1 200 Connection Established\r\n\r\n")
          upstream.pipe(client).pipe(upstream)
        })
        for (const socket of [client, upstream]) {
          sockets.add(socket)
          socket.on("error", () => {})
        }
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  const address = server.address()
  return { asked, url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}` }
})

const services = Layer.merge(Harness.layer, Hosts.layer)

layer(services, { excludeTestServices: true, timeout: "60 seconds" })("delivery", (it) => {
  describe.concurrent("when PostHog is a black hole", () => {
    it.effect(`${manyCommands} commands in a row have one worker`, () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(Hang())
        const pids = new Set<number>()
        const looks: Array<{ readonly at: number; readonly workers: string }> = []
        let most = 0
        let longestPause = 0
        const watch = yield* Effect.forkChild(Effect.forever(Effect.gen(function*() {
          const alive = (yield* acme.workers).map(({ pid }) => pid)
          const at = Math.round(performance.now())
          const workers = alive.join(" and ")
          longestPause = Math.max(longestPause, at - (looks.at(-1)?.at ?? at))
          most = Math.max(most, alive.length)
          alive.forEach((pid) => pids.add(pid))
          looks.push({ at, workers })
          yield* Effect.sleep(10)
        })))
        const command = yield* words("deploy site")
        const env = environment(acme)
        const startedAt = performance.now()
        for (let n = 0; n < manyCommands; n++) yield* run(command, { env })
        const seconds = (performance.now() - startedAt) / 1000
        yield* Fiber.interrupt(watch)
        // A lease is a matter of time: where the whole machine stood still, a worker that has lost its own while it did is
        // there for a moment beside its successor, and sends nothing any more.
        const changes = looks.filter(({ workers }, n) => workers !== looks[n - 1]?.workers)
        const seen = changes.map(({ at, workers }) => `${at} ms: ${workers || "none"}`).join("\n")
        assert.isAtLeast(most, 1)
        assert.isAtMost(most, longestPause < 500 ? 1 : 2, `looked every ${longestPause} ms at least:\n${seen}`)
        // Each is five seconds in vain, and another comes after a second at the soonest.
        assert.isAtMost(pids.size, 1 + Math.floor(seconds / 6))
        assert.lengthOf(waiting(acme.home), manyCommands)
      }), 120_000)

    it.effect("a command in a pipe ends when it ends, and its worker lives on", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(Hang())
        const [node = "", file = ""] = yield* words("")
        const { code, ms, stdout } = yield* run(["sh", "-c", `'${node}' '${file}' deploy x | cat`], {
          env: environment(acme)
        })
        assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
        // A worker is at PostHog's for five seconds.
        assert.isBelow(ms, 4_000)
        yield* acme.sink.waitFor((_, requests) => requests.length > 1)
        assert.lengthOf(yield* acme.workers, 1)
      }))
  })

  describe.concurrent("a worker's process", () => {
    it.effect("has nothing of its starter's but what sending needs", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(Hang())
        const folder = yield* temporaryFolder("acme-planted-")
        // What would keep the host itself from starting is planted once it runs.
        const preload = Path.join(folder, "preload.cjs")
        Fs.writeFileSync(
          preload,
          `process.env.NODE_OPTIONS = "--inspect-brk=0 --require ${Path.join(folder, "missing.cjs")}"`
        )
        Fs.writeFileSync(Path.join(folder, "ca.pem"), tls.cert)
        const planted = {
          NODE_V8_COVERAGE: Path.join(folder, "coverage"),
          NODE_TLS_REJECT_UNAUTHORIZED: "0",
          NODE_PATH: folder,
          NODE_DEBUG: "http",
          LD_PRELOAD: Path.join(folder, "missing.so"),
          LC_ALL: "tr_TR.UTF-8",
          POSTHOG_CAPTURE_MODE: "v1",
          AWS_SECRET_ACCESS_KEY: "a secret",
          GITHUB_TOKEN: "another",
          ACME_API_KEY: "key-of-a"
        }
        const [node = "", script = "", ...line] = yield* words("deploy my-project --message hello")
        const { code, stdout } = yield* run([
          "bash",
          "--norc",
          "-c",
          // Beyond those that Node keeps from its children by itself.
          `exec 40>'${folder}/inherited'; exec "$0" "$@"`,
          node,
          "--require",
          preload,
          script,
          ...line
        ], {
          cwd: folder,
          pipes: 4,
          env: {
            ...environment(acme),
            ...planted,
            PATH: `relative:${process.env["PATH"] ?? ""}`,
            TMPDIR: "tmp",
            NODE_EXTRA_CA_CERTS: "ca.pem",
            https_proxy: "http://127.0.0.1:9",
            NO_PROXY: "127.0.0.1"
          }
        })
        assert.deepStrictEqual([stdout, code], ["Deployed my-project to eu\n", 0])
        yield* acme.sink.waitFor((_, requests) => requests.length > 1)
        const [worker, ...others] = yield* acme.workers
        assert.isEmpty(others)
        if (worker === undefined) return assert.fail("no worker lives")
        const { argv, env, pid } = worker

        const { [variable]: job = "", ...rest } = env
        assert.deepStrictEqual(rest, {
          PATH: process.env["PATH"] ?? "",
          HOME: Path.dirname(acme.home),
          TMPDIR: Path.join(folder, "tmp"),
          NODE_EXTRA_CA_CERTS: Path.join(folder, "ca.pem"),
          https_proxy: "http://127.0.0.1:9",
          NO_PROXY: "127.0.0.1",
          NODE_USE_ENV_PROXY: "1",
          NODE_V8_COVERAGE: "",
          NODE_COMPILE_CACHE: Path.join(acme.home, "usage/compile-cache")
        })
        assert.deepStrictEqual(argv, [node, script, marker])
        const [message] = waiting(acme.home)
        for (
          const part of [message?.uuid, message?.distinct_id, message?.properties["invocation_id"], "deploy", "hello"]
        ) assert.notInclude(`${job} ${argv.join(" ")}`, String(part))

        const proc = (name: string) => `/proc/${pid}/${name}`
        assert.strictEqual(Fs.readlinkSync(proc("cwd")), "/")
        // After the name in parentheses: state, parent, group, session, …, and as the 17th of all its nice value.
        const stat = Fs.readFileSync(proc("stat"), "utf8").replace(/^.*\) /, "").split(" ")
        assert.deepStrictEqual([stat[2], stat[3], stat[16]], [String(pid), String(pid), "19"])
        const descriptors = Fs.readdirSync(proc("fd")).map((fd) =>
          [Number(fd), Fs.readlinkSync(proc(`fd/${fd}`))] as const
        )
        assert.deepStrictEqual(
          descriptors.filter(([fd]) => fd < 3).map(([, target]) => target),
          ["/dev/null", "/dev/null", "/dev/null"]
        )
        // Node's own: no file, nor the pipes that its starter was given (they would have kept this run from its end).
        const own = /^(anon_inode:|socket:|pipe:|\/dev\/)/
        assert.deepStrictEqual(descriptors.filter(([, target]) => !own.test(target)), [])
        // The host wrote its own coverage; nobody else did.
        assert.lengthOf(Fs.readdirSync(planted.NODE_V8_COVERAGE), 1)
      }))

    it.effect("goes through HTTPS_PROXY, but not where NO_PROXY names PostHog", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const folder = yield* temporaryFolder("acme-proxy-")
        const ca = Path.join(folder, "ca.pem")
        Fs.writeFileSync(ca, tls.cert)
        const tunnel = yield* proxy
        const command = yield* words("deploy site")
        for (const exempt of [false, true]) {
          const sink = yield* PostHogSink.make({ tls })
          tunnel.asked.length = 0
          yield* run(command, {
            env: {
              ...environment(acme),
              ACME_POSTHOG_HOST: sink.url,
              NODE_EXTRA_CA_CERTS: ca,
              HTTPS_PROXY: tunnel.url,
              ...(exempt ? { NO_PROXY: "127.0.0.1" } : {})
            }
          })
          yield* sink.waitFor(({ length }) => length === 1)
          assert.deepStrictEqual(tunnel.asked, exempt ? [] : [new URL(sink.url).host])
        }
      }))

    it.effect("sends in clear text to this machine only, whatever HTTP_PROXY says", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const asked: Array<string> = []
        const clear = yield* Effect.acquireRelease(
          Effect.callback<Http.Server>((resume) => {
            const server = Http.createServer((request, response) => {
              asked.push(request.url ?? "")
              response.end("{}")
            }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => void server.close())
        )
        const address = clear.address()
        const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : ""}`
        yield* run(yield* words("deploy site"), {
          env: { ...environment(acme), HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url }
        })
        yield* acme.sink.waitFor(({ length }) => length === 2)
        assert.deepStrictEqual(asked, [])
      }))

    it.effect("is not kept from its work by a proxy that makes no sense", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const command = yield* words("deploy site")
        for (
          const [n, HTTPS_PROXY] of [
            "nonsense",
            "127.0.0.1:9",
            "socks5://127.0.0.1:9",
            "http://",
            "http://bob:50%off@127.0.0.1:9"
          ].entries()
        ) {
          yield* run(command, { env: { ...environment(acme), HTTPS_PROXY, NO_PROXY: "127.0.0.1" } })
          yield* acme.sink.waitFor(({ length }) => length === n + 2)
          yield* eventually(acme.workers, ({ length }) => length === 0)
        }
      }))
  })

  describe.concurrent("a host that dies with its processes", () => {
    it.effect("has delivered when its PID namespace ends, 10 of 10", () =>
      Effect.gen(function*() {
        const delivered = yield* Effect.forEach(
          Array.from({ length: 10 }),
          () =>
            Effect.gen(function*() {
              const acme = yield* (yield* Harness).device("namespace")
              // Not for being in a container: its process is the first of its namespace.
              yield* acme.run("deploy site", { runtime: "container", env: { TEST_IN_CONTAINER: "0" } })
              return (yield* acme.sink.messages).length
            }),
          { concurrency: 2 }
        )
        assert.deepStrictEqual(delivered, Array.from({ length: 10 }, () => 1))
      }))

    it.effect("has delivered each time, in one after the other on the same home", () =>
      Effect.gen(function*() {
        const acme = yield* device
        for (let n = 0; n < 5; n++) {
          const { ms } = yield* acme.run("deploy site", { runtime: "container" })
          assert.lengthOf(yield* acme.sink.messages, n + 2)
          assert.isBelow(ms, 3_000)
        }
      }))

    it.effect("waits for a second at most when PostHog does not answer, and not at all after Ctrl-C", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(Hang())
        const { ms } = yield* acme.run("deploy site", { runtime: "ci" })
        assert.isAtLeast(ms, 1_000)
        assert.isBelow(ms, 3_000)

        const other = yield* device
        yield* other.sink.answer(Hang())
        const command = yield* words("deploy site")
        let interruptedAt = 0
        const { stdout } = yield* run(command, {
          env: { ...environment(other), CI: "true" },
          onStdout: (child) =>
            setTimeout(() => {
              interruptedAt = performance.now()
              child.kill("SIGINT")
            }, 300)
        })
        assert.strictEqual(stdout, "Deployed site to eu\n")
        assert.isBelow(performance.now() - interruptedAt, 500)
        assert.lengthOf(waiting(other.home), 1)
      }))
  })

  describe.concurrent("a command that is ended from outside", () => {
    it.effect("2 ms after its output, by Ctrl-C, is recorded, 10 of 10", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(Status({ status: 503 }))
        const command = yield* words("wait 5")
        for (let n = 0; n < 10; n++) {
          const { stdout } = yield* run(command, {
            env: environment(acme),
            onStdout: (child) => setTimeout(() => child.kill("SIGINT"), 2)
          })
          assert.strictEqual(stdout, "Done\n")
          assert.lengthOf(waiting(acme.home), n + 1)
        }
        assert.isTrue(waiting(acme.home).every(({ properties }) => properties["command_name"] === "wait"))
      }))

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it.effect(`in its middle, by ${signal}, is recorded as cancelled, and delivered`, () =>
        Effect.gen(function*() {
          const { ends } = yield* Hosts
          const acme = yield* (yield* Harness).device("ended")
          const home = Path.join(Path.dirname(acme.home), "ends")
          const { code } = yield* run([process.execPath, ends, "wait"], {
            env: { ...environment(acme), ENDS_HOME: home, ENDS_POSTHOG_HOST: acme.sink.url },
            onStdout: (child) => child.kill(signal)
          })
          assert.strictEqual(code, 130)
          const [event] = yield* acme.sink.waitFor(({ length }) => length === 1)
          const { command_name, exit_code, user_cancelled } = { ...event?.properties }
          assert.deepStrictEqual(
            [event?.event, command_name, exit_code, user_cancelled],
            ["CLI execution failed", "wait", 130, true]
          )
        }))
    }
  })

  describe.concurrent("a command that ends its process itself", () => {
    const ends: ReadonlyArray<
      readonly [line: string, how: string, event: string, code: number, errorClass: string | undefined]
    > = [
      ["exit 0", "by process.exit(0)", "CLI execution succeeded", 0, undefined],
      ["exit 7", "by process.exit(7)", "CLI execution failed", 7, undefined],
      ["set 3", "by process.exitCode = 3 and a return", "CLI execution failed", 3, undefined],
      ["uncaught", "by an uncaught exception", "CLI execution failed", 1, "Broken"],
      ["guarded", "by an exception that cannot be looked at", "CLI execution failed", 3, "Error"],
      ["unhandled", "by an unhandled rejection", "CLI execution failed", 1, "Broken"],
      ["defect", "by a defect", "CLI execution failed", 1, "Broken"]
    ]
    for (const [line, how, name, code, errorClass] of ends) {
      it.effect(`${how} is recorded once, with its exit code, and delivered`, () =>
        Effect.gen(function*() {
          const hosts = yield* Hosts
          const acme = yield* (yield* Harness).device("ended")
          const home = Path.join(Path.dirname(acme.home), "ends")
          const ended = yield* run([process.execPath, hosts.ends, ...line.split(" ")], {
            env: { ...environment(acme), ENDS_HOME: home, ENDS_POSTHOG_HOST: acme.sink.url }
          })
          assert.strictEqual(ended.code, code)
          const [event] = yield* acme.sink.waitFor(({ length }) => length === 1)
          yield* eventually(Effect.sync(() => waiting(home)), ({ length }) => length === 0)
          assert.lengthOf(yield* acme.sink.attempts, 1)
          assert.deepStrictEqual(
            [event?.event, event?.properties["exit_code"], event?.properties["error_class"]],
            [name, code, errorClass]
          )
        }))
    }
  })

  describe.concurrent("a host", () => {
    for (
      const [mode, what] of [["within", "ends its process within the layer"], [
        "open",
        "never closes the layer"
      ]] as const
    ) {
      it.effect(`that ${what} delivers`, () =>
        Effect.gen(function*() {
          const hosts = yield* Hosts
          const acme = yield* (yield* Harness).device("ended")
          const home = Path.join(Path.dirname(acme.home), "ends")
          const { code } = yield* run([process.execPath, hosts.ends, "say"], {
            env: { ...environment(acme), ENDS_HOME: home, ENDS_POSTHOG_HOST: acme.sink.url, ENDS_MODE: mode }
          })
          assert.strictEqual(code, 0)
          const messages = yield* acme.sink.waitFor(({ length }) => length === 1)
          assert.deepStrictEqual(messages.map(({ properties }) => properties["command_name"]), ["say"])
        }))
    }

    it.effect("that listens to a signal once is heard out, also while delivery is waited for", () =>
      Effect.gen(function*() {
        const hosts = yield* Hosts
        const acme = yield* (yield* Harness).device("ended")
        yield* acme.sink.answer(Hang())
        const home = Path.join(Path.dirname(acme.home), "ends")
        const said: Array<number> = []
        const { code, stdout } = yield* run([process.execPath, hosts.ends, "say"], {
          env: {
            ...environment(acme),
            CI: "true",
            ENDS_HOME: home,
            ENDS_POSTHOG_HOST: acme.sink.url,
            ENDS_MODE: "gracefully"
          },
          onStdout: (child) => said.push(0) === 1 && setTimeout(() => child.kill("SIGTERM"), 300)
        })
        assert.deepStrictEqual([code, stdout], [0, "Said\nShut down\n"])
      }))

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it.effect(`that listens to no signal ends by ${signal} also while delivery is waited for`, () =>
        Effect.gen(function*() {
          const hosts = yield* Hosts
          const acme = yield* (yield* Harness).device("ended")
          yield* acme.sink.answer(Hang())
          const home = Path.join(Path.dirname(acme.home), "ends")
          const ended = yield* run([process.execPath, hosts.ends, "say"], {
            env: {
              ...environment(acme),
              CI: "true",
              ENDS_HOME: home,
              ENDS_POSTHOG_HOST: acme.sink.url,
              ENDS_MODE: "goes on"
            },
            onStdout: (child) => setTimeout(() => child.kill(signal), 300)
          })
          assert.deepStrictEqual([ended.signal, ended.stdout], [signal, "Said\n"])
          assert.lengthOf(waiting(home), 1)
        }))
    }
  })

  it.effect("a command that ends its process itself says in debug mode why it is not recorded", () =>
    Effect.gen(function*() {
      const hosts = yield* Hosts
      const acme = yield* (yield* Harness).device("ended")
      const home = Path.join(Path.dirname(acme.home), "ends")
      const { stderr } = yield* run([process.execPath, hosts.ends, "exit", "7"], {
        env: {
          ...environment(acme),
          ENDS_HOME: home,
          ENDS_POSTHOG_HOST: acme.sink.url,
          ENDS_USAGE_DEBUG: "1",
          DO_NOT_TRACK: "1"
        }
      })
      assert.strictEqual(stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
    }))

  it.effect("five commands with PostHog down, and a sixth after the back-off: all in order, each once", () =>
    Effect.gen(function*() {
      const acme = yield* device
      const scope = yield* Scope.make()
      const down = yield* Scope.provide(PostHogSink.make(), scope)
      yield* Scope.close(scope, Exit.void)
      const env = { ...environment(acme), ACME_POSTHOG_HOST: down.url }
      const home = acme.home
      for (const n of [1, 2, 3, 4, 5]) {
        yield* run(yield* words(`deploy site-${n}`), { env })
        assert.lengthOf(waiting(home), n)
      }
      yield* eventually(Effect.sync(() => backedOffUntil(home)), (until) => until > 0)
      const recorded = waiting(home)
      const up = yield* PostHogSink.make({ port: Number(new URL(down.url).port) })
      yield* up.answer(Validate())
      yield* eventually(
        Effect.andThen(
          eventually(acme.workers, ({ length }) => length === 0),
          Effect.sync(() => Date.now() - backedOffUntil(home))
        ),
        (since) => since > 0,
        20_000
      )
      yield* run(yield* words("deploy site-6"), { env })
      const messages = yield* up.waitFor(({ length }) => length >= 6)
      yield* eventually(Effect.sync(() => waiting(home)), ({ length }) => length === 0)
      const attempts = yield* up.attempts
      assert.deepStrictEqual(attempts.map(({ uuid }) => uuid), messages.map(({ uuid }) => uuid))
      assert.deepStrictEqual(
        messages.slice(0, 5).map(({ raw }) => raw),
        recorded.map((message) => JSON.stringify(message))
      )
      assert.lengthOf(commandsOf(messages), 6)
      const times = messages.map(({ timestamp }) => timestamp)
      assert.deepStrictEqual(times, times.toSorted())
    }))
})
