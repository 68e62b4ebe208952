import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as Process from "node:child_process"
import NodeDns from "node:dns/promises"
import * as NFS from "node:fs"
import * as Path from "node:path"
import * as Credential from "../../src/domain/Credential.ts"
import * as HttpPrincipalResolver from "../../src/layers/HttpPrincipalResolver.ts"
import type { Disk } from "../../src/services/Disk.ts"
import { HostRuntime } from "../../src/services/HostRuntime.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import { PrincipalResolverContract } from "../../src/testing/index.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { replace } from "../fixtures/Replace.ts"
import { type Answer, serve } from "../fixtures/Servers.ts"
import { test } from "../fixtures/Tests.ts"

const secret = "sk-do-not-tell"
const answerText = "do-not-quote-the-answer"

const directory = temporaryFolder("resolver-")

const json = (body: unknown, status = 200): Answer => (_, response) => {
  response.writeHead(status).end(JSON.stringify(body))
}

const named = { data: { principal_id: "p1" } }

/** An API on loopback. */
const api = (answer: Answer = json(named)) => serve(answer)

interface Host {
  readonly api: string
  /** The credentials file; none where it is undefined. */
  readonly file?: string | ((path: string) => void) | undefined
  readonly env?: Record<string, string>
  readonly disk?: Disk
}

const apiKey = (key: string) => `cloud:\n  api:\n    key: ${key}\n`
const token = `auth:\n    access_token: ${secret}\n`
const oauth = (coordinator: string) => `cloud:\n  coordinator_url: ${coordinator}\n  ${token}`

const machine = (env: Record<string, string> = {}, disk: Disk = Device.persistent.disk) =>
  Layer.merge(
    Layer.succeed(HostRuntime, { ...Device.persistent, disk }),
    ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
  )

/** The result of an effect with the lines that it logs. */
const logged = <A extends object, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    return Effect.map(effect, (result) => ({ ...result, lines })).pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])),
      Effect.provideService(References.MinimumLogLevel, "Debug")
    )
  })

/** Asks as a command does: for the credential, then for its principal. */
const ask = (host: Host) =>
  Effect.gen(function*() {
    const file = Path.join(yield* directory, "credentials.yaml")
    if (typeof host.file === "string") NFS.writeFileSync(file, host.file)
    else host.file?.(file)
    const asked = Effect.gen(function*() {
      const resolver = yield* PrincipalResolver
      const credential = yield* resolver.credential
      const principal: string | undefined = credential === undefined ? undefined : yield* resolver.resolve(credential)
      const key = credential === undefined ? undefined : Credential.key(credential)
      return { source: credential?.source, key, principal }
    })
    const resolver = HttpPrincipalResolver.layerArcade({ file, api: host.api, environment: "ACME_API_KEY" })
    return yield* logged(Effect.provide(asked, Layer.provide(resolver, machine(host.env, host.disk))))
  })

type Asked = Effect.Success<ReturnType<typeof ask>>

/** No principal was found, one line has the reason, and it holds no secret. */
const assertNone = ({ lines, principal }: Asked, reason: string) => {
  assert.isUndefined(principal)
  assert.lengthOf(lines, 1)
  assert.include(lines[0], `usage: no principal is known for the credential: ${reason}`)
  for (const text of [secret, answerText]) assert.notInclude(lines[0], text)
}

PrincipalResolverContract.suite(
  "HttpPrincipalResolver",
  Effect.gen(function*() {
    const folder = yield* directory
    const [known, down] = [yield* api(), yield* api(json({}, 503))]
    const layer = (api: string, file: string) =>
      Layer.provide(
        HttpPrincipalResolver.layerArcade({ file: Path.join(folder, file), api, environment: "ACME_API_KEY" }),
        machine()
      )
    NFS.writeFileSync(Path.join(folder, "credentials.yaml"), apiKey(secret))
    return {
      principal: "p1",
      loggedIn: layer(known.url, "credentials.yaml"),
      loggedOut: layer(known.url, "none.yaml"),
      unanswered: layer(down.url, "credentials.yaml")
    }
  }),
  { describe, it }
)

describe("PrincipalResolver.credential", () => {
  const none: Readonly<Record<string, string | undefined>> = {
    "without a credentials file": undefined,
    "without a key": "cloud:\n  api: {}\n",
    "with a blank key": apiKey("\"  \""),
    "with a list in the place of the key's group": "cloud: []\n",
    "with null in the place of the key's group": "cloud:\n"
  }
  test.each(Object.entries(none))("The credential is absent, and the API is not asked, %s", function*([, file]) {
    const server = yield* api()
    const asked = yield* ask({ api: server.url, file })
    assert.deepStrictEqual(asked, { source: undefined, key: undefined, principal: undefined, lines: [] })
    assert.lengthOf(server.requests, 0)
  })

  // Without a credential the user would seem to have signed out.
  const unknown: Readonly<Record<string, Host["file"]>> = {
    "an empty file": "",
    "a key of digits without quotes": apiKey("12345678"),
    "a list in the place of the key": apiKey("[a]"),
    "a file that is a text": "nothing of ours\n",
    "a file that is no YAML": `${apiKey(secret)}: : [}\n`,
    "a folder in the place of the file": (path) => NFS.mkdirSync(path),
    "a file over 1 MiB": apiKey(secret) + "#".repeat(1024 * 1024),
    "a link to nowhere": (path) => NFS.symlinkSync("/nowhere", path),
    ...(process.platform === "win32" ? {} : { "a FIFO": (path: string) => void Process.execFileSync("mkfifo", [path]) })
  }
  for (const [what, file] of Object.entries(unknown)) {
    test(`The credential has no principal, and the API is not asked, with ${what}`, function*() {
      const server = yield* api()
      const asked = yield* ask({ api: server.url, file })
      assert.deepInclude(asked, { source: "stored", key: "", principal: undefined })
      assert.lengthOf(server.requests, 0)
    })
  }

  test("The credential has no principal if its file cannot be read", function*() {
    const server = yield* api()
    for (const operation of ["look", "read"] as const) {
      const asked = yield* ask({ api: server.url, file: apiKey(secret), disk: FaultyDisk.refusing(operation) })
      assert.deepInclude(asked, { source: "stored", key: "", principal: undefined })
    }
    assert.lengthOf(server.requests, 0)
  })

  test("The credential of a YAML or JSON file, also behind a link, is sent once to its API", function*() {
    const server = yield* api()
    const files: ReadonlyArray<Host["file"]> = [
      apiKey(secret),
      JSON.stringify({ cloud: { api: { key: secret } } }),
      (path) => {
        NFS.writeFileSync(`${path}.real`, apiKey(secret))
        NFS.symlinkSync(`${path}.real`, path)
      }
    ]
    const key = `${server.url}/api/v1/auth/validate data.principal_id\n${secret}`
    for (const file of files) {
      const asked = yield* ask({ api: `${server.url}/`, file })
      assert.deepStrictEqual(asked, { source: "stored", key, principal: "p1", lines: [] })
    }
    const asked = ["GET", "/api/v1/auth/validate", `Bearer ${secret}`]
    assert.deepStrictEqual(
      server.requests.map(({ headers, method, url }) => [method, url, headers.authorization]),
      files.map(() => asked)
    )
  })

  test("The credential of the environment precedes that of a file, unless the variable is blank", function*() {
    const server = yield* api()
    for (const file of [apiKey("other"), oauth("http://127.0.0.1:1"), undefined]) {
      const asked = yield* ask({ api: server.url, file, env: { ACME_API_KEY: secret } })
      assert.deepInclude(asked, { source: "environment", principal: "p1" })
      assert.strictEqual(asked.key, `${server.url}/api/v1/auth/validate data.principal_id\n${secret}`)
    }
    for (const blank of ["", " "]) {
      const asked = yield* ask({ api: server.url, file: apiKey(secret), env: { ACME_API_KEY: blank } })
      assert.strictEqual(asked.source, "stored")
    }
  })

  test("The credential is an access token if there is no API key", function*() {
    const [server, coordinator] = [yield* api(), yield* api()]
    const asked = yield* ask({ api: server.url, file: oauth(coordinator.url) })
    const audience = `${coordinator.url}/api/v1/auth/whoami data.account_id data.principal_id`
    assert.deepInclude(asked, { source: "stored", key: `${audience}\n${secret}` })
    assert.lengthOf(server.requests, 0)
    assert.deepStrictEqual(
      coordinator.requests.map(({ headers, url }) => [url, headers.authorization]),
      [["/api/v1/auth/whoami", `Bearer ${secret}`]]
    )
    const both = yield* ask({ api: server.url, file: `${oauth(coordinator.url)}  api:\n    key: k1\n` })
    assert.strictEqual(both.key, `${server.url}/api/v1/auth/validate data.principal_id\nk1`)
    const unknown = yield* ask({ api: server.url, file: `cloud:\n  ${token}` })
    assert.deepInclude(unknown, { source: "stored", key: secret })
    assertNone(unknown, "its API is not known")
  })

  /** Makes a resolver. Returns it with the debug lines about its options. */
  const made = (options: HttpPrincipalResolver.Options, env: Record<string, string> = {}) =>
    logged(Effect.provide(PrincipalResolver, Layer.provide(HttpPrincipalResolver.layer(options), machine(env))))

  const form = { base: "https://api.test", path: "/me", principal: ["id"] }

  test("A form without a place for its secret has a debug line", function*() {
    const places = { environment: "ACME_API_KEY", key: "key" }
    const [, environment, key, keyInFile] = [
      yield* made({ forms: [form] }),
      yield* made({ forms: [form, { ...form, environment: places.environment }] }),
      yield* made({ forms: [{ ...form, key: places.key, path: "/key" }] }),
      yield* made({ file: "/credentials.json", forms: [{ ...form, key: places.key }] })
    ]
    assert.lengthOf(environment.lines, 1)
    assert.match(environment.lines.join(), /"\/me" has no `environment`, and no `key` with `file`$/)
    assert.match(key.lines.join(), /"\/key" has no `environment`/)
    assert.isEmpty(keyInFile.lines)
  })

  test("The credential cannot be read if its file is a relative path, and that of the environment can", function*() {
    const options = { file: "credentials.yaml", forms: [{ ...form, environment: "ACME_API_KEY" }] }
    for (const env of [{}, { ACME_API_KEY: secret }]) {
      const { credential, lines } = yield* made(options, env)
      const found = yield* credential
      if ("ACME_API_KEY" in env) assert.strictEqual(found?.source, "environment")
      else assert.strictEqual(found, Credential.unreadable)
      assert.match(lines.join(), /: file "credentials.yaml" of HttpPrincipalResolver is no absolute path$/)
    }
  })

  test("The credential has an input of its file, its variables and its forms, each base URL included", function*() {
    const inputOf = (base: string, env: Record<string, string>) =>
      Effect.map(PrincipalResolver, ({ input }) => input).pipe(Effect.provide(
        HttpPrincipalResolver.layer({
          forms: [{ environment: "ACME_TOKEN", base, path: "/", principal: ["id"] }]
        }).pipe(Layer.provide(machine(env)))
      ))
    const input = yield* inputOf("https://a.test", { ACME_TOKEN: secret, OTHER: "x" })
    assert.deepInclude(input, { files: [], variables: { ACME_TOKEN: secret } })
    assert.notStrictEqual(input?.configuration, (yield* inputOf("https://b.test", {}))?.configuration)
    const found = yield* input?.parse({ files: [], variables: input.variables, configuration: "" }) ?? Effect.undefined
    assert.strictEqual(found?.source, "environment")
    assert.isUndefined(yield* input?.parse({ files: [], variables: {}, configuration: "" }) ?? Effect.succeed(found))
  })
})

describe("requests", () => {
  test("The request of the resolver is not in the traces of the host, and has no trace ids", function*() {
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
  })

  test("The credential of another resolver is not sent to the API", function*() {
    const server = yield* api()
    const credential = { source: "stored" as const, secret: Redacted.make(`${server.url}\n${secret}`) }
    const principal = Effect.flatMap(PrincipalResolver, ({ resolve }) => resolve(credential)).pipe(
      Effect.provide(HttpPrincipalResolver.layer({ file: "/nowhere", forms: [] }).pipe(Layer.provide(machine())))
    )
    assert.isUndefined(yield* principal)
    assert.lengthOf(server.requests, 0)
  })
})

describe("response decoding", () => {
  test("The principal is read at the first path that the answer has", function*() {
    const answers = [
      [{ account_id: "a1", principal_id: "p1" }, "a1"],
      [{ principal_id: "p1" }, "p1"],
      [{ account_id: null, principal_id: "p1" }, "p1"]
    ] as const
    for (const [data, expected] of answers) {
      const server = yield* api(json({ data }))
      assert.strictEqual((yield* ask({ api: "http://127.0.0.1:1", file: oauth(server.url) })).principal, expected)
    }
    const server = yield* api(json({ data: { account_id: "undefined", principal_id: "p1" } }))
    assertNone(yield* ask({ api: server.url, file: oauth(server.url) }), "data.account_id of its answer")
  })

  const missing = "its answer has nothing at data.principal_id"
  const illegal = (id: unknown) => json({ data: { principal_id: id }, note: answerText })
  const refused = "data.principal_id of its answer: "
  const answers: Readonly<Record<string, readonly [answer: Answer, reason: string]>> = {
    "a status that is no success": [json({ ...named, message: answerText }, 401), "status 401"],
    "no JSON": [(_, response) => void response.end(`<!doctype html><p>${answerText}</p>`), "no JSON"],
    "a connection that breaks off": [(_, response) => void response.destroy(), "ECONNRESET"],
    "an empty body": [(_, response) => void response.end(), missing],
    "JSON of another shape": [json({ principal_id: "p1", note: answerText }), missing],
    "JSON that is no object": [json([answerText]), missing],
    "JSON with null on the path": [json({ data: null }), missing],
    "a number": [illegal(1), `${refused}not a string`],
    "the id undefined": [illegal("undefined"), refused],
    "an empty id": [illegal(""), refused],
    "the id 0": [illegal("0"), refused],
    "an id of 201 characters": [illegal("x".repeat(201)), refused],
    "an id with a lone surrogate": [illegal("a\ud800b"), refused]
  }
  for (const [what, [answer, reason]] of Object.entries(answers)) {
    test(`The answer has no principal with ${what}`, function*() {
      const server = yield* api(answer)
      assertNone(yield* ask({ api: server.url, file: apiKey(secret) }), reason)
      assert.lengthOf(server.requests, 1)
    })
  }

  test("There is no answer if no server listens, the API is no URL, or the key cannot be in a header", function*() {
    const { url } = yield* Effect.scoped(api())
    assertNone(yield* ask({ api: url, file: apiKey(secret) }), "ECONNREFUSED")
    assertNone(yield* ask({ api: `${secret} no URL`, file: apiKey(secret) }), "`base` and \"/api/v1/auth/validate\"")
    assertNone(yield* ask({ api: url, env: { ACME_API_KEY: `${secret}\n${secret}` } }), "ERR_INVALID_CHAR")
  })
})

describe("time limit", () => {
  const late = "no answer in 2 seconds"

  /** Waits until the API was asked, and then for the time limit. */
  const limited = Effect.fnUntraced(function*(host: Host, asked: Promise<void>) {
    const fiber = yield* Effect.forkChild(ask(host))
    yield* Effect.promise(() => asked)
    yield* TestClock.adjust("1999 millis")
    assert.isUndefined(fiber.pollUnsafe())
    yield* TestClock.adjust("1 millis")
    assertNone(yield* Fiber.join(fiber), late)
  })

  const answers: Readonly<Record<string, Answer>> = {
    "an API that does not answer": () => {},
    "a body that does not end": (_, response) => void response.write("{\"data\":")
  }
  for (const [what, answer] of Object.entries(answers)) {
    test(`After 2 seconds there is no answer, and the connection is closed: ${what}`, function*() {
      const server = yield* api(answer)
      yield* limited({ api: server.url, file: apiKey(secret) }, server.asked)
      yield* Effect.promise(() => server.closed)
      assert.lengthOf(server.requests, 1)
    })
  }

  test("After 2 seconds there is no answer, and the look-up is cancelled: a name server that does not answer", function*() {
    const [asked, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const silent = () => new Promise<never>(() => asked.resolve())
    replace(NodeDns, {
      Resolver: class {
        readonly resolve4 = silent
        readonly resolve6 = silent
        readonly cancel = () => cancelled.resolve()
      }
    })
    yield* limited({ api: "https://api.acme.test", file: apiKey(secret) }, asked.promise)
    yield* Effect.promise(() => cancelled.promise)
  })
})
