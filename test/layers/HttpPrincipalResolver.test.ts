import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import * as Process from "node:child_process"
import * as Dgram from "node:dgram"
import * as NFS from "node:fs"
import * as Http from "node:http"
import * as OS from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Credential from "../../src/domain/Credential.ts"
import * as HttpPrincipalResolver from "../../src/layers/HttpPrincipalResolver.ts"
import * as NodeHttpClient from "../../src/layers/NodeHttpClient.ts"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"

const projectRoot = fileURLToPath(new URL("../..", import.meta.url))
const secret = "sk-do-not-tell"
const answerText = "do-not-quote-the-answer"

const directory = Effect.acquireRelease(
  Effect.sync(() => NFS.mkdtempSync(Path.join(OS.tmpdir(), "resolver-"))),
  (path) => Effect.sync(() => NFS.rmSync(path, { recursive: true, force: true }))
)

type Answer = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

const json = (body: unknown, status = 200): Answer => (_, response) => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify(body))
}

/** An API on loopback, which stops with the scope. */
const api = (answer: Answer = json({ data: { principal_id: "p1" } })) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Http.Server; readonly requests: Array<Http.IncomingMessage>; port: number }>(
        (resume) => {
          const requests: Array<Http.IncomingMessage> = []
          const server = Http.createServer((request, response) => {
            requests.push(request)
            answer(request, response)
          })
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({ server, requests, port }))
          })
        }
      ),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    ({ port, requests }) => ({ url: `http://127.0.0.1:${port}`, requests })
  )

interface Host {
  readonly api: string
  /** The credentials file; none where it is undefined. */
  readonly file?: string | ((path: string) => void) | undefined
  readonly env?: Record<string, string>
  readonly client?: Layer.Layer<HttpClient.HttpClient>
  readonly fileSystem?: Layer.Layer<FileSystem.FileSystem>
}

const apiKey = (key: string) => `cloud:\n  api:\n    key: ${key}\n`
const oauth = (coordinator: string) =>
  `cloud:\n  coordinator_url: ${coordinator}\n  auth:\n    access_token: ${secret}\n`

/** Asks as a command does: for the credential, then whose it is. */
const ask = (host: Host) =>
  Effect.gen(function*() {
    const file = Path.join(yield* directory, "credentials.yaml")
    if (typeof host.file === "string") NFS.writeFileSync(file, host.file)
    else host.file?.(file)
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return yield* Effect.gen(function*() {
      const resolver = yield* PrincipalResolver
      const credential = yield* resolver.credential
      const principal = credential === undefined ? undefined : yield* resolver.resolve(credential)
      return {
        source: credential?.source,
        secret: credential === undefined ? undefined : Credential.key(credential),
        principal,
        lines
      }
    }).pipe(
      Effect.provide(
        HttpPrincipalResolver.layerArcade({ file, api: host.api, environment: "ACME_API_KEY" }).pipe(
          Layer.provide(host.client ?? NodeHttpClient.layer),
          Layer.provide(host.fileSystem ?? SyncNodeFileSystem.layer),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: host.env ?? {} })))
        )
      ),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Debug")
    )
  })

type Asked = Effect.Success<ReturnType<typeof ask>>

/** Nobody was found, one line says why, and nothing in it is a secret. */
const assertNobody = (asked: Asked, reason: string) => {
  assert.strictEqual(asked.principal, undefined)
  assert.lengthOf(asked.lines, 1)
  const [line = ""] = asked.lines
  assert.include(line, reason)
  assert.notInclude(line, secret)
  assert.notInclude(line, answerText)
}

describe("HttpPrincipalResolver", () => {
  describe("the credential", () => {
    const none = (name: string, file: Host["file"], fileSystem = SyncNodeFileSystem.layer) =>
      it.live(`is none, and nobody is asked, ${name}`, () =>
        Effect.gen(function*() {
          const server = yield* api()
          const asked = yield* ask({ api: server.url, file, fileSystem })
          assert.deepStrictEqual(asked, { source: undefined, secret: undefined, principal: undefined, lines: [] })
          assert.lengthOf(server.requests, 0)
        }))

    none("without a credentials file", undefined)
    none("without a key", "cloud:\n  api: {}\n")
    none("with a blank key", apiKey("\"  \""))
    none("with something else where the key's group should be", "cloud: []\n")
    none("with null where the key's group should be", "cloud:\n")

    // Were it none, the user would seem to have signed out.
    const unknown = (name: string, file: Host["file"], fileSystem = SyncNodeFileSystem.layer) =>
      it.live(`is one that nobody knows, and nobody is asked, ${name}`, () =>
        Effect.gen(function*() {
          const server = yield* api()
          const asked = yield* ask({ api: server.url, file, fileSystem })
          assert.strictEqual(asked.source, "stored")
          assert.strictEqual(asked.principal, undefined)
          assert.notInclude(asked.secret ?? "", secret)
          assert.lengthOf(server.requests, 0)
        }))

    unknown("with an empty file", "")
    unknown("with a key of digits that nobody quoted", apiKey("12345678"))
    unknown("with a list where the key should be", apiKey("[a]"))
    unknown("with a file that is a text", "nothing of ours\n")
    unknown("with a file that is not YAML", `${apiKey(secret)}: : [}\n`)
    unknown("with a folder in the file's place", (path) => NFS.mkdirSync(path))
    unknown("with a file over 1 MiB", apiKey(secret) + "#".repeat(1024 * 1024))
    if (process.platform !== "win32") {
      // Effect's own file system would wait for the FIFO's other end.
      const fifo = (path: string) => void Process.execFileSync("mkfifo", [path])
      unknown("with a FIFO in the file's place", fifo, NodeFileSystem.layer)
    }

    it.live("comes from the file, and is that of the API and the key together", () =>
      Effect.gen(function*() {
        const server = yield* api()
        const asked = yield* ask({ api: `${server.url}/`, file: apiKey(secret) })
        assert.strictEqual(asked.source, "stored")
        assert.strictEqual(asked.secret, `${server.url}/api/v1/auth/validate\n${secret}`)
        assert.strictEqual(asked.principal, "p1")
        assert.deepStrictEqual(asked.lines, [])
      }))

    it.live("comes from a file behind a link, as dotfiles are kept", () =>
      Effect.gen(function*() {
        const server = yield* api()
        const asked = yield* ask({
          api: server.url,
          file: (path) => {
            NFS.writeFileSync(`${path}.real`, apiKey(secret))
            NFS.symlinkSync(`${path}.real`, path)
          }
        })
        assert.strictEqual(asked.principal, "p1")
      }))

    it.live("comes from the environment before the file", () =>
      Effect.gen(function*() {
        const server = yield* api()
        const asked = yield* ask({ api: server.url, file: apiKey("other"), env: { ACME_API_KEY: secret } })
        assert.strictEqual(asked.source, "environment")
        assert.strictEqual(asked.secret, `${server.url}/api/v1/auth/validate\n${secret}`)
        assert.strictEqual(server.requests[0]?.headers.authorization, `Bearer ${secret}`)
      }))

    it.live("comes from the environment of a host that keeps none in a file", () =>
      Effect.gen(function*() {
        const forms = [{ environment: "ACME_TOKEN", base: "http://127.0.0.1:9", path: "/", principal: ["id"] }]
        const found = (env: Record<string, string>) =>
          Effect.flatMap(PrincipalResolver, ({ credential }) => credential).pipe(
            Effect.provide(
              HttpPrincipalResolver.layer({ forms }).pipe(
                Layer.provide([NodeHttpClient.layer, SyncNodeFileSystem.layer]),
                Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
              )
            )
          )
        assert.strictEqual((yield* found({ ACME_TOKEN: secret }))?.source, "environment")
        assert.isUndefined(yield* found({}))
      }))

    it.live("comes from the environment before an access token, and without a file", () =>
      Effect.gen(function*() {
        const server = yield* api()
        const env = { ACME_API_KEY: secret }
        for (const file of [oauth("http://127.0.0.1:1"), undefined]) {
          const asked = yield* ask({ api: server.url, file, env })
          assert.deepStrictEqual([asked.source, asked.principal], ["environment", "p1"])
        }
      }))

    it.live("comes from the file where the variable is blank", () =>
      Effect.gen(function*() {
        const server = yield* api()
        for (const blank of ["", " "]) {
          const asked = yield* ask({ api: server.url, file: apiKey(secret), env: { ACME_API_KEY: blank } })
          assert.strictEqual(asked.source, "stored")
        }
      }))

    it.live("is an access token where there is no API key", () =>
      Effect.gen(function*() {
        const [server, coordinator] = [yield* api(), yield* api()]
        const token = oauth(coordinator.url)
        const asked = yield* ask({ api: server.url, file: token })
        assert.strictEqual(asked.source, "stored")
        assert.strictEqual(asked.secret, `${coordinator.url}/api/v1/auth/whoami\n${secret}`)
        assert.lengthOf(server.requests, 0)
        assert.deepStrictEqual(
          coordinator.requests.map(({ headers, url }) => [url, headers.authorization]),
          [["/api/v1/auth/whoami", `Bearer ${secret}`]]
        )
        const both = yield* ask({ api: server.url, file: `${token}  api:\n    key: k1\n` })
        assert.strictEqual(both.secret, `${server.url}/api/v1/auth/validate\nk1`)
      }))

    it.live("is there, though nobody can be asked, where the file names no API for a token", () =>
      Effect.gen(function*() {
        const server = yield* api()
        const asked = yield* ask({ api: server.url, file: `cloud:\n  auth:\n    access_token: ${secret}\n` })
        assert.strictEqual(asked.source, "stored")
        assertNobody(asked, "its API is not known")
        assert.lengthOf(server.requests, 0)
      }))
  })

  describe("the question", () => {
    it.live("is one GET with the secret as bearer token", () =>
      Effect.gen(function*() {
        const server = yield* api()
        yield* ask({ api: server.url, file: apiKey(secret) })
        assert.deepStrictEqual(
          server.requests.map(({ headers, method, url }) => [method, url, headers.authorization]),
          [["GET", "/api/v1/auth/validate", `Bearer ${secret}`]]
        )
      }))

    it.live("does not appear in the host's traces, nor bring their ids along", () =>
      Effect.gen(function*() {
        const server = yield* api()
        const spans: Array<string> = []
        const native = Tracer.make({
          span: (options) => {
            spans.push(options.name)
            return new Tracer.NativeSpan(options)
          }
        })
        const asked = yield* Effect.withTracer(ask({ api: server.url, file: apiKey(secret) }), native)
        assert.strictEqual(asked.principal, "p1")
        assert.deepStrictEqual(spans, [])
        assert.notProperty(server.requests[0]?.headers, "traceparent")
      }))

    it.live("about another resolver's credential is not asked", () =>
      Effect.gen(function*() {
        const resolver = yield* PrincipalResolver
        assert.strictEqual(
          yield* resolver.resolve({ source: "stored", secret: Redacted.make(`http://127.0.0.1:1\n${secret}`) }),
          undefined
        )
      }).pipe(Effect.provide(
        HttpPrincipalResolver.layer({ file: "/nowhere", forms: [] }).pipe(
          Layer.provide(NodeHttpClient.layer),
          Layer.provide(SyncNodeFileSystem.layer)
        )
      )))
  })

  describe("the answer", () => {
    const principal = (name: string, body: unknown, expected: string) =>
      it.live(name, () =>
        Effect.gen(function*() {
          const server = yield* api(json(body))
          const asked = yield* ask({ api: "http://127.0.0.1:1", file: oauth(server.url) })
          assert.strictEqual(asked.principal, expected)
        }))

    principal("names an account before a principal", { data: { account_id: "a1", principal_id: "p1" } }, "a1")
    principal("names a principal without an account", { data: { principal_id: "p1" } }, "p1")
    principal("names a principal where the account is null", { data: { account_id: null, principal_id: "p1" } }, "p1")

    it.live("with an account whose id is illegal is no answer, though it names a principal", () =>
      Effect.gen(function*() {
        const server = yield* api(json({ data: { account_id: "undefined", principal_id: "p1" } }))
        assertNobody(yield* ask({ api: server.url, file: oauth(server.url) }), "placeholder")
      }))

    it.live("of any 2xx counts", () =>
      Effect.gen(function*() {
        const server = yield* api(json({ data: { principal_id: "p1" } }, 203))
        assert.strictEqual((yield* ask({ api: server.url, file: apiKey(secret) })).principal, "p1")
      }))

    const nobody = (name: string, answer: Answer, reason: string) =>
      it.live(`is none: ${name}`, () =>
        Effect.gen(function*() {
          const server = yield* api(answer)
          assertNobody(yield* ask({ api: server.url, file: apiKey(secret) }), reason)
          assert.lengthOf(server.requests, 1)
        }))

    const named = { data: { principal_id: "p1" } }
    nobody("401", json({ ...named, message: answerText }, 401), "status 401")
    nobody("500", json(named, 500), "status 500")
    nobody("302", (_, response) => response.writeHead(302, { location: "/elsewhere" }).end(), "status 302")
    nobody("HTML", (_, response) => response.end(`<!doctype html><p>${answerText}</p>`), "DecodeError")
    nobody("an empty body", (_, response) => response.end(), "nothing at data.principal_id")
    nobody("JSON of another shape", json({ principal_id: "p1", note: answerText }), "nothing at data.principal_id")
    nobody("JSON that is no object", json([answerText]), "nothing at data.principal_id")
    nobody("a number", json({ data: { principal_id: 1 } }), "data.principal_id of its answer: not a string")
    nobody("JSON with null on the way", json({ data: null }), "nothing at data.principal_id")
    nobody("a body over 64 KiB", json({ ...named, long: "x".repeat(65_536) }), "TransportError")
    nobody("a connection that is cut", (_, response) => void response.destroy(), "TransportError ECONNRESET")

    const illegal = (id: string, reason: string) =>
      nobody(`the illegal id ${JSON.stringify(id.slice(0, 20))}`, json({ data: { principal_id: id } }), reason)
    illegal("undefined", "placeholder")
    illegal("", "blank")
    illegal("0", "placeholder")
    illegal("x".repeat(201), "at most 200")
    illegal("a\ud800b", "lone surrogate")

    it.live("is none: nothing listens", () =>
      Effect.gen(function*() {
        const { url } = yield* Effect.scoped(api())
        assertNobody(yield* ask({ api: url, file: apiKey(secret) }), "TransportError ECONNREFUSED")
      }))

    it.live("is none: the key cannot stand in a header, or the API is no URL", () =>
      Effect.gen(function*() {
        assertNobody(
          yield* ask({ api: "http://127.0.0.1:1", env: { ACME_API_KEY: `${secret}\n${secret}` } }),
          "TransportError ERR_INVALID_CHAR"
        )
        assertNobody(
          yield* ask({ api: `${secret} no URL`, file: apiKey(secret) }),
          "`base` and \"/api/v1/auth/validate\""
        )
      }))

    it.live("is none: the host's client dies", () =>
      Effect.gen(function*() {
        const client = Layer.succeed(HttpClient.HttpClient, HttpClient.make(() => Effect.die(new Error(secret))))
        assertNobody(yield* ask({ api: "http://127.0.0.1:1", file: apiKey(secret), client }), "the HTTP client failed")
      }))
  })

  describe("the limit of 2 s", () => {
    const slow = (name: string, answer: Answer) =>
      it.live(name, () =>
        Effect.gen(function*() {
          const server = yield* api(answer)
          const since = performance.now()
          assertNobody(yield* ask({ api: server.url, file: apiKey(secret) }), "no answer in 2 seconds")
          const taken = performance.now() - since
          assert.isAbove(taken, 1_900)
          assert.isBelow(taken, 2_500)
          assert.lengthOf(server.requests, 1)
        }))

    slow("ends the wait for an API that never answers", () => {})
    slow("ends the wait for a 200 that comes late", (request, response) => {
      setTimeout(() => json({ data: { principal_id: "p1" } })(request, response), 2_400)
    })
    slow("ends the wait for a body that never ends", (_, response) => {
      response.writeHead(200)
      response.write("{\"data\":")
    })

    // The same child with `dns.lookup` in the client was held for 10.0 s, at `process.exit` as at its natural end: until
    // the system's resolver gave up (measured with glibc 2.36).
    it.live("ends the wait for a name server that never answers, and the process is not held", () =>
      Effect.gen(function*() {
        const names = yield* silentNameServer
        const folder = yield* directory
        const file = Path.join(folder, "credentials.yaml")
        NFS.writeFileSync(file, apiKey(secret))
        for (const end of ["", "process.exit(0)"]) {
          names.queries.length = 0
          const ended = yield* names.run(
            folder,
            `
            import * as Effect from "effect/Effect"
            import * as Layer from "effect/Layer"
            import * as HttpPrincipalResolver from "./src/layers/HttpPrincipalResolver.ts"
            import * as NodeHttpClient from "./src/layers/NodeHttpClient.ts"
            import * as SyncNodeFileSystem from "./src/layers/SyncNodeFileSystem.ts"
            import { PrincipalResolver } from "./src/services/PrincipalResolver.ts"
            console.log("started")
            const asked = await Effect.runPromise(
              Effect.gen(function*() {
                const resolver = yield* PrincipalResolver
                return yield* resolver.resolve(yield* resolver.credential)
              }).pipe(Effect.provide(
                HttpPrincipalResolver.layerArcade({ file: ${JSON.stringify(file)}, api: "http://api.acme.test" }).pipe(
                  Layer.provide(NodeHttpClient.layer),
                  Layer.provide(SyncNodeFileSystem.layer)
                )
              ))
            )
            console.log("answer: " + asked)
            ${end}
          `
          )
          assert.deepStrictEqual([ended.stderr, ended.code, ended.signal], ["", 0, null])
          assert.strictEqual(ended.stdout, "started\nanswer: undefined\n")
          assert.isNotEmpty(names.queries)
          assert.isAbove(ended.milliseconds, 1_900)
          assert.isBelow(ended.milliseconds, 2_500)
        }
      }))
  })
})

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** From the child's first output to its end. */
  readonly milliseconds: number
}

const spawn = (command: string, args: ReadonlyArray<string>) =>
  Effect.callback<Ended>((resume) => {
    const child = Process.spawn(command, args, { cwd: projectRoot, stdio: ["ignore", "pipe", "pipe"] })
    let started = 0
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      started ||= performance.now()
      stdout += chunk
    })
    child.stderr.on("data", (chunk) => void (stderr += chunk))
    child.on("close", (code, signal) =>
      resume(Effect.succeed({ code, signal, stdout, stderr, milliseconds: performance.now() - started })))
    return Effect.sync(() =>
      void child.kill("SIGKILL")
    )
  })

const bind = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly socket: Dgram.Socket; readonly queries: Array<Buffer> } | undefined>((resume) => {
      const queries: Array<Buffer> = []
      const socket = Dgram.createSocket("udp4", (query) => void queries.push(query))
      socket.once("error", () => {
        socket.close()
        resume(Effect.succeed(undefined))
      })
      socket.bind(port, "127.0.0.1", () => resume(Effect.succeed({ socket, queries })))
    }),
    (bound) => Effect.sync(() => void bound?.socket.close())
  )

const evaluate = (program: string) => ["--input-type=module", "--eval", program]

/**
 * A name server that takes queries and never answers, and a way to run a program that has no other.
 *
 * Where this user may (root on Linux, port 53 free), it is the system's one: a mount of its own over
 * `/etc/resolv.conf`. Elsewhere the program is told the address.
 */
const silentNameServer = Effect.gen(function*() {
  const mayMount = process.platform === "linux" && process.getuid?.() === 0 &&
    Process.spawnSync("unshare", ["-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]).status === 0
  const system = mayMount ? yield* bind(53) : undefined
  if (system !== undefined) {
    return {
      queries: system.queries,
      run: (folder: string, program: string) => {
        const file = Path.join(folder, "resolv.conf")
        NFS.writeFileSync(file, "nameserver 127.0.0.1\n")
        const mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""
        return spawn("unshare", ["-m", "sh", "-c", mount, file, process.execPath, ...evaluate(program)])
      }
    }
  }
  const own = yield* bind(0)
  if (own === undefined) return assert.fail("no UDP port is free")
  const told = `
    const dns = process.getBuiltinModule("node:dns/promises")
    dns.Resolver = class extends dns.Resolver {
      constructor() {
        super()
        this.setServers(["127.0.0.1:${own.socket.address().port}"])
      }
    }`
  return {
    queries: own.queries,
    run: (_folder: string, program: string) => spawn(process.execPath, evaluate(told + program))
  }
})
