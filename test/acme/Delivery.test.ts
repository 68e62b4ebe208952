/**
 * What becomes of a command's messages and of the process that delivers them, seen from outside.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Message from "../../src/domain/Message.ts"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { run, start, type StartOptions } from "../fixtures/Process.ts"
import { makeSink } from "../fixtures/Wait.ts"
import { tls } from "../worker/Certificate.ts"
import { temporaryFolder } from "../worker/RealWorker.ts"
import {
  bundleHost,
  commandsOf,
  type Device,
  eventFiles,
  eventually,
  Harness,
  runtimeName,
  runtimeWords
} from "./Harness.ts"

const { Status, Validate } = PostHogSink.Answer

// `DELIVERY_COMMANDS=200 npx vitest run test/acme/Delivery.test.ts` takes about a minute.
const manyCommands = Number(process.env["DELIVERY_COMMANDS"] ?? 10)

/** What the tests share, made once. */
class Prepared extends Context.Service<Prepared, {
  /** A host whose commands end in unusual ways, bundled into one file. */
  readonly ends: string
  /** The home of a device that was used before. */
  readonly used: string
}>()("test/acme/Prepared") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const ends = Path.join(yield* temporaryFolder("acme-ends-"), "ends.mjs")
      yield* bundleHost(fileURLToPath(new URL("./hosts/Ends.ts", import.meta.url)), ends)
      const acme = yield* (yield* Harness).device("used")
      yield* acme.run("deploy first")
      yield* acme.delivered(1)
      yield* eventually(acme.workers, ({ length }) => length === 0)
      return { ends, used: acme.home }
    })
  )
}

/** Runs a process to its end, and sends it a signal when PostHog is asked. */
const runUntilAsked = Effect.fnUntraced(
  function*(acme: Device, words: ReadonlyArray<string>, signal: NodeJS.Signals, options: StartOptions) {
    const { child, ended } = yield* start(words, options)
    yield* acme.sink.waitFor((_, requests) => requests.length > 0)
    child.kill(signal)
    return yield* ended
  },
  Effect.scoped
)

const words = Effect.fnUntraced(function*(line: string) {
  return [...runtimeWords, (yield* Harness).acme, ...line.split(" ")]
})

/** A device of the host whose commands end in unusual ways. */
const endsDevice = Effect.gen(function*() {
  const { ends, used } = yield* Prepared
  const acme = yield* (yield* Harness).device("ended")
  const home = Path.join(Path.dirname(acme.home), "ends")
  Fs.cpSync(used, home, { recursive: true })
  const env = { ...acme.env, ENDS_HOME: home, ENDS_POSTHOG_HOST: acme.sink.url }
  return { ...acme, home, env, words: (...args: ReadonlyArray<string>) => [...runtimeWords, ends, ...args] }
})

/** A device that was used before, so that a run without a terminal is not its first. */
const device = Effect.gen(function*() {
  const { used } = yield* Prepared
  const acme = yield* (yield* Harness).device("delivery")
  Fs.cpSync(used, acme.home, { recursive: true })
  return acme
})

/** The events that wait, oldest first. */
const waiting = (home: string): ReadonlyArray<Message.Message> =>
  eventFiles(home).flatMap((file) => Option.toArray(Message.decode(Fs.readFileSync(file, "utf8"))))

const backedOffUntil = (home: string): number => {
  const outboxes = Path.join(home, "usage/outbox")
  const files = Fs.readdirSync(outboxes).map((name) => Path.join(outboxes, name, "back-off.json"))
  const file = files.find((file) => Fs.existsSync(file))
  return file === undefined ? 0 : Schema.decodeUnknownSync(BackOff)(Fs.readFileSync(file, "utf8")).until
}
const BackOff = Schema.fromJsonString(Schema.Struct({ until: Schema.Finite }))

/** What a runtime needs besides. Deno hands over by a descriptor what it knows of the packages. */
const variablesOf = {
  node: {},
  bun: {},
  deno: { DENO_NO_UPDATE_CHECK: "1" }
}

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

const services = Prepared.layer.pipe(Layer.provideMerge(Harness.layer))

layer(services, { excludeTestServices: true, timeout: "2 minutes" })("delivery", (it) => {
  describe.concurrent("when PostHog does not answer", () => {
    it.effect(`${manyCommands} commands in a row have one worker`, () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(PostHogSink.Answer.Hang())
        const pids = new Set<number>()
        const command = yield* words("deploy site")
        const startedAt = Date.now()
        for (let n = 0; n < manyCommands; n++) {
          yield* run(command, { env: acme.env })
          for (const { pid } of yield* acme.workers) pids.add(pid)
        }
        const { length: requests } = yield* acme.sink.requests
        const seconds = (Date.now() - startedAt) / 1000
        assert.lengthOf(waiting(acme.home), manyCommands)
        // The starter of a worker holds the lease for at most 3 s, and a worker for 10 s. Only on a machine on which the
        // commands take that long is another worker started.
        assert.isAtLeast(pids.size, 1)
        assert.isAtMost(pids.size, 1 + Math.floor(seconds / 3))
        assert.isAtMost(requests, 1 + Math.floor(seconds / 10))
      }))

    it.effect("a command in a pipe ends while its worker lives on", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.stopWorkers()
        const { code, stdout } = yield* run(["sh", "-c", `"$@" | cat`, "sh", ...(yield* words("deploy x"))], {
          env: acme.env
        })
        assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
        yield* acme.sink.waitFor((_, requests) => requests.length > 0)
        assert.lengthOf(yield* acme.workers, 1)
      }))

    it.effect("a command in a terminal ends while its worker lives on", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.stopWorkers()
        const { code, stdout } = yield* acme.run("deploy x")
        assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
        yield* acme.sink.waitFor((_, requests) => requests.length > 0)
        assert.lengthOf(yield* acme.workers, 1)
        assert.strictEqual((yield* acme.status()).pending, 1)
      }))

    // Handover.test.ts holds that the limit is 1 s.
    for (const [where, runtime] of [["CI", "ci"], ["a container", "container"]] as const) {
      it.effect(`a command in ${where} ends by its own limit, and its message is kept`, () =>
        Effect.gen(function*() {
          const acme = yield* device
          yield* acme.stopWorkers()
          const { code, stdout } = yield* acme.run("deploy x", { runtime, limits: "own" })
          assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
          assert.lengthOf(waiting(acme.home), 1)
        }))
    }

    it.effect("a command in CI that waits for delivery ends by Ctrl-C", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.stopWorkers()
        // No limit ends the wait: the limits are far, and the worker is stopped.
        const { stdout } = yield* runUntilAsked(acme, yield* words("deploy site"), "SIGINT", {
          env: { ...acme.env, CI: "true" }
        })
        assert.strictEqual(stdout, "Deployed site to eu\n")
        assert.lengthOf(waiting(acme.home), 1)
      }))
  })

  describe.concurrent("a worker's process", () => {
    it.effect("has nothing of its starter's but what sending needs", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.stopWorkers()
        const folder = yield* temporaryFolder("acme-planted-")
        // What would keep the host itself from starting is planted once it runs.
        const preload = Path.join(folder, "preload.cjs")
        Fs.writeFileSync(
          preload,
          `process.env.NODE_OPTIONS = "--inspect-brk=0 --require ${Path.join(folder, "missing.cjs")}"`
        )
        Fs.writeFileSync(Path.join(folder, "ca.pem"), tls.cert)
        // Deno starts no process where there is no such folder.
        Fs.mkdirSync(Path.join(folder, "tmp"))
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
        const acmeWords = yield* words("deploy my-project --message hello")
        const [executable = "", ...more] = acmeWords
        const { code, stdout } = yield* run([
          "bash",
          "--norc",
          "-c",
          // Beyond those that Node keeps from its children by itself.
          `exec 40>'${folder}/inherited'; exec "$0" "$@"`,
          ...(runtimeName === "deno" ? acmeWords : [executable, "--require", preload, ...more])
        ], {
          cwd: folder,
          // Deno leaves its child what it was given, and cannot close that: this run would not end before the worker.
          pipes: runtimeName === "deno" ? 0 : 4,
          env: {
            ...acme.env,
            ...planted,
            // Far limits leave the worker's priority as it is.
            TEST_FAR_LIMITS: "0",
            PATH: `relative:${process.env["PATH"] ?? ""}`,
            TMPDIR: "tmp",
            NODE_EXTRA_CA_CERTS: "ca.pem",
            https_proxy: "http://127.0.0.1:9",
            NO_PROXY: "127.0.0.1"
          }
        })
        assert.deepStrictEqual([stdout, code], ["Deployed my-project to eu\n", 0])
        yield* acme.sink.waitFor((_, requests) => requests.length > 0)
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
          NODE_COMPILE_CACHE: Path.join(acme.home, "usage/compile-cache"),
          ...variablesOf[runtimeName]
        })
        assert.deepStrictEqual([argv[0], ...argv.slice(-2)], [executable, (yield* Harness).acme, marker])
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
        // The runtime's own: no file, nor the pipes that its starter was given (they would have kept this run from its end).
        const own = /^(anon_inode:|socket:|pipe:|\/dev\/|.*\/(compile-cache|\.cache\/deno)\/)/
        const given = runtimeName === "deno" ? [[40, Path.join(folder, "inherited")]] : []
        assert.deepStrictEqual<unknown>(descriptors.filter(([, target]) => !own.test(target)), given)
        // The host wrote its own coverage; nobody else did.
        if (runtimeName === "node") assert.lengthOf(Fs.readdirSync(planted.NODE_V8_COVERAGE), 1)
      }))

    it.effect("goes through HTTPS_PROXY, but not where NO_PROXY names PostHog", () =>
      Effect.gen(function*() {
        const acme = yield* (yield* Harness).device("proxy")
        const ca = Path.join(yield* temporaryFolder("acme-proxy-"), "ca.pem")
        Fs.writeFileSync(ca, tls.cert)
        const tunnel = yield* proxy
        for (const exempt of [false, true]) {
          const sink = yield* makeSink({ tls })
          tunnel.asked.length = 0
          yield* acme.run("deploy site", {
            runtime: "ci",
            env: {
              ACME_POSTHOG_HOST: sink.url,
              NODE_EXTRA_CA_CERTS: ca,
              HTTPS_PROXY: tunnel.url,
              ...(exempt ? { NO_PROXY: "127.0.0.1" } : {})
            }
          })
          assert.lengthOf(yield* sink.messages, 1)
          assert.deepStrictEqual(tunnel.asked, exempt ? [] : [new URL(sink.url).host])
        }
      }))

    it.effect("sends in clear text to this machine only, whatever HTTP_PROXY says", () =>
      Effect.gen(function*() {
        const acme = yield* (yield* Harness).device("proxy")
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
        yield* acme.run("deploy site", {
          runtime: "ci",
          env: { HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url }
        })
        assert.lengthOf(yield* acme.sink.messages, 1)
        assert.deepStrictEqual(asked, [])
      }))

    it.effect("is not kept from its work by a proxy that makes no sense", () =>
      Effect.gen(function*() {
        const acme = yield* (yield* Harness).device("proxy")
        const proxies = [
          "nonsense",
          "127.0.0.1:9",
          "socks5://127.0.0.1:9",
          "http://",
          "http://bob:50%off@127.0.0.1:9"
        ]
        for (const [n, HTTPS_PROXY] of proxies.entries()) {
          yield* acme.run("deploy site", { runtime: "ci", env: { HTTPS_PROXY, NO_PROXY: "127.0.0.1" } })
          assert.lengthOf(yield* acme.sink.messages, n + 1)
        }
      }))
  })

  describe.concurrent("a host that dies with its processes", () => {
    it.effect("has delivered when its PID namespace ends, 5 of 5", () =>
      Effect.gen(function*() {
        const delivered = yield* Effect.forEach(
          Array.from({ length: 5 }),
          () =>
            Effect.gen(function*() {
              const acme = yield* (yield* Harness).device("namespace")
              // The reason is not the container: the process is the first of its PID namespace.
              yield* acme.run("deploy site", { runtime: "container", env: { TEST_IN_CONTAINER: "0" } })
              return (yield* acme.sink.messages).length
            }),
          { concurrency: 2 }
        )
        assert.deepStrictEqual(delivered, Array.from({ length: 5 }, () => 1))
      }))

    it.effect("has delivered each time, in one after the other on the same home, and leaves no lease", () =>
      Effect.gen(function*() {
        const acme = yield* device
        for (const turn of [1, 2, 3, 4, 5]) {
          yield* acme.run("deploy site", { runtime: "container" })
          assert.lengthOf(yield* acme.sink.messages, turn)
          assert.deepStrictEqual((yield* acme.files).filter((file) => file.includes("lease-")), [])
        }
      }))
  })

  describe.concurrent("a command that is ended from outside", () => {
    it.effect("2 ms after its output, by Ctrl-C, is recorded, 5 of 5", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(Status({ status: 503 }))
        const command = yield* words("wait 5")
        for (let n = 0; n < 5; n++) {
          const { stdout } = yield* run(command, {
            env: acme.env,
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
          const { env, sink, words } = yield* endsDevice
          const { code } = yield* run(words("wait"), { env, onStdout: (child) => child.kill(signal) })
          assert.strictEqual(code, 130)
          const [event] = yield* sink.waitFor(({ length }) => length === 1)
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
      // Bun tells nobody of the error.
      [
        "unhandled",
        "by an unhandled rejection",
        "CLI execution failed",
        1,
        runtimeName === "bun" ? undefined : "Broken"
      ],
      ["defect", "by a defect", "CLI execution failed", 1, "Broken"]
    ]
    for (const [line, how, name, code, errorClass] of ends) {
      it.effect(`${how} is recorded once, with its exit code, and delivered`, () =>
        Effect.gen(function*() {
          const { env, home, sink, words } = yield* endsDevice
          const ended = yield* run(words(...line.split(" ")), { env })
          assert.strictEqual(ended.code, code)
          const [event] = yield* sink.waitFor(({ length }) => length === 1)
          yield* eventually(Effect.sync(() => waiting(home)), ({ length }) => length === 0)
          assert.lengthOf(yield* sink.attempts, 1)
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
          const { env, sink, words } = yield* endsDevice
          const { code } = yield* run(words("say"), { env: { ...env, ENDS_MODE: mode } })
          assert.strictEqual(code, 0)
          const messages = yield* sink.waitFor(({ length }) => length === 1)
          assert.deepStrictEqual(messages.map(({ properties }) => properties["command_name"]), ["say"])
        }))
    }

    it.effect("that listens to a signal once handles the signal also while delivery is waited for", () =>
      Effect.gen(function*() {
        const acme = yield* endsDevice
        yield* acme.stopWorkers()
        const { code, stdout } = yield* runUntilAsked(acme, acme.words("say"), "SIGTERM", {
          env: { ...acme.env, CI: "true", ENDS_MODE: "gracefully" }
        })
        assert.deepStrictEqual([code, stdout], [0, "Said\nShut down\n"])
      }))

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it.effect(`that listens to no signal ends by ${signal} also while delivery is waited for`, () =>
        Effect.gen(function*() {
          const acme = yield* endsDevice
          yield* acme.stopWorkers()
          const ended = yield* runUntilAsked(acme, acme.words("say"), signal, {
            env: { ...acme.env, CI: "true", ENDS_MODE: "goes on" }
          })
          assert.deepStrictEqual([ended.signal, ended.stdout], [signal, "Said\n"])
          assert.lengthOf(waiting(acme.home), 1)
        }))
    }
  })

  it.effect("a command that ends its process itself says in debug mode why it is not recorded", () =>
    Effect.gen(function*() {
      const { env, words } = yield* endsDevice
      const { stderr } = yield* run(words("exit", "7"), { env: { ...env, ENDS_USAGE_DEBUG: "1", DO_NOT_TRACK: "1" } })
      assert.strictEqual(stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
    }))

  it.effect("five commands with PostHog down, and a sixth after the back-off: all in order, each once", () =>
    Effect.gen(function*() {
      const acme = yield* device
      const scope = yield* Scope.make()
      const down = yield* Scope.provide(makeSink(), scope)
      yield* Scope.close(scope, Exit.void)
      const env = { ...acme.env, ACME_POSTHOG_HOST: down.url }
      const home = acme.home
      for (const n of [1, 2, 3, 4, 5]) {
        yield* run(yield* words(`deploy site-${n}`), { env })
        assert.lengthOf(waiting(home), n)
      }
      yield* eventually(Effect.sync(() => backedOffUntil(home)), (until) => until > 0)
      const recorded = waiting(home)
      const up = yield* makeSink({ port: Number(new URL(down.url).port) })
      yield* up.answer(Validate())
      yield* eventually(
        Effect.andThen(
          eventually(acme.workers, ({ length }) => length === 0),
          Effect.sync(() => Date.now() - backedOffUntil(home))
        ),
        (since) => since > 0
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
