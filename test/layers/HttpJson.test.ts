import { assert, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Process from "node:child_process"
import * as Dgram from "node:dgram"
import NodeDns from "node:dns/promises"
import { once } from "node:events"
import NodeFs from "node:fs"
import NodeHttp, * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { getJson } from "../../src/layers/HttpJson.ts"
import { tls } from "../fixtures/Certificate.ts"
import { replace } from "../fixtures/Replace.ts"
import { type Answer, listen, serve } from "../fixtures/Servers.ts"
import { test } from "../fixtures/Tests.ts"

const token = "sk-do-not-tell"
const get = (url: string) => getJson(url, token)
const reason = (url: string) => Effect.flip(get(url))
const wait = <A>(promise: PromiseLike<A>) => Effect.promise(() => promise)

/** Changes something until the scope closes. */
const change = (apply: () => void, restore: () => void) =>
  Effect.acquireRelease(Effect.sync(apply), () => Effect.sync(restore))

const body = (text: string, status = 200): Answer => (_, response) => void response.writeHead(status).end(text)

const trust = Effect.suspend(() => {
  const trusted = Tls.getCACertificates()
  return change(() => Tls.setDefaultCACertificates([tls.cert]), () => Tls.setDefaultCACertificates(trusted))
})

/** An API with a trusted certificate, by default at api.acme.test. */
const api = Effect.gen(function*() {
  yield* trust
  const server = yield* serve(body("\"found\""), Https.createServer(tls))
  return { requests: server.requests, get: (name = "api") => get(`https://${name}.acme.test:${server.port}/`) }
})

type Query = () => Promise<ReadonlyArray<string>>

const v4: Query = () => Promise.resolve(["127.0.0.1"])
const v6: Query = () => Promise.resolve(["::1"])
const none: Query = () => Promise.reject(Object.assign(new Error("none"), { code: "ENOTFOUND" }))
/** What the resolver returns for a CNAME record without an address. */
const alias: Query = () => Promise.resolve([])
const silent: Query = () => new Promise(() => {})

/** Replaces the name server, and returns its queries. */
const nameServer = (A: Query, AAAA: Query, cancel = () => {}): ReadonlyArray<string> => {
  const queries: Array<string> = []
  const query = (type: string, run: Query) => (name: string) => {
    queries.push(`${type} ${name}`)
    return run()
  }
  class Resolver {
    readonly resolve4 = query("A", A)
    readonly resolve6 = query("AAAA", AAAA)
    readonly cancel = cancel
  }
  replace(NodeDns, { Resolver })
  return queries
}

/** Replaces the hosts file. */
const hostsFile = (read: () => string) => {
  const { readFileSync } = NodeFs
  return replace(NodeFs, {
    readFileSync: (...args: Parameters<typeof readFileSync>) =>
      String(args[0]).endsWith("hosts") ? read() : readFileSync(...args)
  })
}

/** Runs a program in a child process, and ends its standard input after the event. */
const run = (program: string, event: Promise<unknown> = Promise.resolve()) =>
  Effect.promise((signal) => {
    const cwd = fileURLToPath(new URL("../..", import.meta.url))
    const imports = `import * as Effect from "effect/Effect"; import { getJson } from "./src/layers/HttpJson.ts";`
    const args = ["--input-type=module", "--eval", imports + program]
    const running = promisify(Process.execFile)(process.execPath, args, { cwd, signal })
    void event.then(() => running.child.stdin?.end())
    return running
  })

test.live("A request is one GET with the token, and returns the JSON of any 2xx answer", function*() {
  const server = yield* serve(body("{\"grüße\":[1]}", 203))
  assert.deepStrictEqual(yield* getJson(new URL(`${server.url}/v1/x?y=1#z`), token), { "grüße": [1] })
  assert.deepStrictEqual(server.requests.map(({ method, url }) => [method, url]), [["GET", "/v1/x?y=1"]])
  assert.deepStrictEqual({ ...server.requests[0]?.headers }, {
    accept: "application/json",
    // A server may compress an answer to a request without this header.
    "accept-encoding": "identity",
    authorization: `Bearer ${token}`,
    connection: "close",
    host: `127.0.0.1:${server.port}`
  })
})

test.live("An empty body is null, and a body of 64 KiB is read", function*() {
  const empty = yield* serve(body("", 204))
  assert.isNull(yield* get(empty.url))
  const full = yield* serve(body(`"${"x".repeat(65_534)}"`))
  assert.strictEqual(yield* get(full.url), "x".repeat(65_534))
})

const endless = (status: number): Answer => (_, response) => {
  response.writeHead(status)
  const timer = setInterval(() => response.write("x".repeat(10_000)), 1)
  response.once("close", () => clearInterval(timer))
}

const unusable: ReadonlyArray<readonly [what: string, reason: string, answer: Answer]> = [
  ["A redirect", "status 302", (_, response) => response.writeHead(302, { location: "/" }).end()],
  ["A status of 4xx", "status 401", body("{}", 401)],
  ["A status of 5xx with an endless body", "status 500", endless(500)],
  ["An endless body", "the answer is larger than 64 KiB", endless(200)],
  ["A body of 64 KiB and one byte", "the answer is larger than 64 KiB", body("1".repeat(65_537))],
  ["A body that is not JSON", "no JSON", body("<!doctype html>")],
  ["A connection that breaks off", "ECONNRESET", (_, response) => response.destroy()],
  ["A body that breaks off", "ECONNRESET", (_, response) => response.write("{", () => response.destroy())],
  ["An upgrade", "status 101", (_, response) => response.writeHead(101, { upgrade: "x", connection: "upgrade" }).end()]
]

for (const [what, expected, answer] of unusable) {
  test.live(`${what} is a failure, after one request whose connection is closed`, function*() {
    const server = yield* serve(answer)
    assert.strictEqual(yield* reason(server.url), expected)
    yield* wait(server.closed)
    assert.lengthOf(server.requests, 1)
  })
}

test.live("A refused connection, or a token, protocol, or URL that Node refuses, is a failure and not a defect", function*() {
  const { url } = yield* Effect.scoped(serve(() => {}))
  assert.strictEqual(yield* reason(url), "ECONNREFUSED")
  assert.strictEqual(yield* Effect.flip(getJson(url, "a\nb")), "ERR_INVALID_CHAR")
  assert.strictEqual(yield* reason("ftp://127.0.0.1/"), "ERR_INVALID_PROTOCOL")
  assert.strictEqual(yield* reason("no URL"), "ERR_INVALID_URL")
})

test.live("Plain http to another machine is refused before the name look-up", function*() {
  const queries = nameServer(v4, v6)
  hostsFile(() => "10.0.0.1 localhost")
  const server = yield* serve(body("1"))
  const names = ["api.acme.test", "localhost@api.acme.test", "127.0.0.1.acme.test", "localhost.acme.test"]
  for (const host of [...names, "x.localhost", "0.0.0.0", "[::2]", "[::ffff:127.0.0.1]"]) {
    assert.strictEqual(yield* reason(`http://${host}:${server.port}`), "plain http is for this machine only", host)
  }
  assert.lengthOf(server.requests, 0)
  for (const host of ["localhost", "LOCALHOST", "127.0.0.1", "127.1"]) {
    assert.strictEqual(yield* get(`http://${host}:${server.port}`), 1, host)
  }
  // A machine may lack these addresses. A refusal would be synchronous.
  for (const host of ["[::1]", "127.9.9.9"]) {
    const fiber = yield* Effect.forkChild(get(`http://${host}:${server.port}`), { startImmediately: true })
    assert.isUndefined(fiber.pollUnsafe(), host)
    yield* Fiber.interrupt(fiber)
  }
  assert.deepStrictEqual(queries, [])
})

test.live("A certificate must be trusted", function*() {
  const { port } = yield* serve(body("1"), Https.createServer(tls))
  assert.strictEqual(yield* reason(`https://127.0.0.1:${port}`), "DEPTH_ZERO_SELF_SIGNED_CERT")
  yield* trust
  assert.strictEqual(yield* get(`https://127.0.0.1:${port}`), 1)
})

test.live("The global agent, which may use a proxy, is not used", function*() {
  const server = yield* serve(body("1"))
  const globalAgent = new Http.Agent({ proxyEnv: { HTTP_PROXY: "http://127.0.0.1:1" } })
  replace(NodeHttp, { globalAgent })
  assert.strictEqual(yield* get(server.url), 1)
})

test.live("Interruption closes the connection, before the answer and within it", function*() {
  for (const isWithin of [false, true]) {
    const reached = Promise.withResolvers<void>()
    const server = yield* serve((_, response) =>
      isWithin ? response.write("{", () => reached.resolve()) : reached.resolve()
    )
    const fiber = yield* Effect.forkChild(get(server.url))
    yield* wait(reached.promise)
    yield* Fiber.interrupt(fiber)
    yield* wait(server.closed)
  }
})

test.live("Interruption cancels the name look-up, before and after the queries are sent", function*() {
  const socket = Dgram.createSocket("udp4")
  yield* change(() => socket.bind(0, "127.0.0.1"), () => void socket.close())
  yield* wait(once(socket, "listening"))
  const resolver = new NodeDns.Resolver()
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  const codes: Array<Promise<unknown>> = []
  const observe = (query: Query): Query => () => {
    const answer = query()
    codes.push(answer.catch(({ code }) => code))
    return answer
  }
  const A = observe(() => resolver.resolve4("api.acme.test"))
  const AAAA = observe(() => resolver.resolve6("api.acme.test"))
  nameServer(A, AAAA, () => resolver.cancel())
  for (const isSent of [false, true]) {
    const fiber = yield* Effect.forkChild(get("https://api.acme.test/"), { startImmediately: true })
    if (isSent) yield* wait(once(socket, "message"))
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(yield* wait(Promise.all(codes.splice(0))), ["ECANCELLED", "ECANCELLED"])
  }
})

test.live("A name is looked up by the name server for both address families", function*() {
  const queries = nameServer(v4, v6)
  const server = yield* api
  assert.strictEqual(yield* server.get(), "found")
  assert.deepStrictEqual(queries, ["A api.acme.test", "AAAA api.acme.test"])
  assert.match(server.requests[0]?.headers.host ?? "", /^api\.acme\.test:/)
  // The host may have turned off the attempts at more than one address.
  yield* change(() => Net.setDefaultAutoSelectFamily(false), () => Net.setDefaultAutoSelectFamily(true))
  assert.strictEqual(yield* server.get(), "found")
})

test.live("One address family is enough if the other has no address, or if its query does not end", function*() {
  const server = yield* api
  for (const other of [none, alias, silent]) {
    nameServer(v4, other)
    assert.strictEqual(yield* server.get(), "found")
    nameServer(other, v4)
    assert.strictEqual(yield* server.get(), "found")
  }
})

test.live("The address that comes shortly after one of the other family is used, and ends the wait", function*() {
  nameServer(() => new Promise((resolve) => setImmediate(resolve, ["127.0.0.1"])), v6)
  yield* change(() => vi.useFakeTimers({ toFake: ["setTimeout"] }), () => vi.useRealTimers())
  assert.strictEqual(yield* (yield* api).get(), "found")
})

test.live("A name without an address is a failure", function*() {
  nameServer(none, alias)
  assert.strictEqual(yield* reason("https://api.acme.test/"), "ENOTFOUND")
  nameServer(alias, alias)
  assert.strictEqual(yield* reason("https://api.acme.test/"), "ENODATA")
})

test.live("A name of the hosts file is not looked up by the name server, and any other is", function*() {
  const queries = nameServer(v4, none)
  const server = yield* api
  hostsFile(() => `
    # 10.0.0.1 hosted.acme.test
    10.0.0.2 other # api.acme.test
    nonsense api.acme.test
    10.0.0.3 myapi.acme.test api.acme.test.local
    127.0.0.1\tother  Hosted.acme.test\r
    ::1 other6`)
  assert.strictEqual(yield* server.get("hosted"), "found")
  assert.lengthOf(queries, 0)
  assert.strictEqual(yield* server.get(), "found")
  hostsFile(() => assert.fail("no file"))
  assert.strictEqual(yield* server.get(), "found")
  assert.lengthOf(queries, 4)
})

test.live("On Windows the hosts file is that of the system", function*() {
  const queries = nameServer(v4, none)
  const server = yield* api
  const { readFileSync } = NodeFs
  replace(process, { platform: "win32" })
  replace(NodeFs, {
    readFileSync: (...args: Parameters<typeof readFileSync>) =>
      args[0] === "C:\\Windows\\System32\\drivers\\etc\\hosts" ? "127.0.0.1 hosted.acme.test" : readFileSync(...args)
  })
  assert.strictEqual(yield* server.get("hosted"), "found")
  assert.lengthOf(queries, 0)
})

test.live("The modules node:http and node:dns are loaded at the first request, and undici is not loaded", function*() {
  const server = yield* serve(body("1"))
  const { stdout } = yield* run(`
    const loaded = () => process.moduleLoadList.filter((id) => /NativeModule (http|dns\\/promises)$|undici/.test(id))
    const before = loaded()
    const timer = setInterval(() => {}, 1000)
    await Effect.runPromise(getJson("${server.url}", "t"))
    clearInterval(timer)
    console.log(JSON.stringify([before, loaded()]))
  `)
  assert.deepStrictEqual(JSON.parse(stdout), [[], ["NativeModule dns/promises", "NativeModule http"]])
})

test.live("A pending request does not keep the process alive", function*() {
  const server = Net.createServer()
  const { port } = yield* listen(server)
  // Nothing listens at the first address of second.acme.test. The server does not answer: a process kept alive does
  // not end.
  for (const origin of ["http://127.0.0.1", "http://localhost", "https://localhost", "https://second.acme.test"]) {
    const program = `
      process.getBuiltinModule("node:dns/promises").Resolver = class {
        resolve4 = async () => ["127.0.0.2", "127.0.0.1"]
        resolve6 = async () => []
        cancel() {}
      }
      process.stdin.resume()
      Effect.runFork(getJson("${origin}:${port}", "t"))`
    assert.deepStrictEqual(yield* run(program, once(server, "connection")), { stdout: "", stderr: "" }, origin)
  }
})
