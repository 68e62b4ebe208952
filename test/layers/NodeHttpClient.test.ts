import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as UrlParams from "effect/http/UrlParams"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import * as Process from "node:child_process"
import * as Dgram from "node:dgram"
import NodeDns from "node:dns/promises"
import NodeFs, * as NFS from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { fileURLToPath } from "node:url"
import * as NodeHttpClient from "../../src/layers/NodeHttpClient.ts"

const projectRoot = fileURLToPath(new URL("../..", import.meta.url))

interface Server {
  readonly port: number
  readonly url: string
  readonly requests: ReadonlyArray<Http.IncomingMessage>
}

/** A server on loopback, which stops with the scope. */
const serve = (
  answer: (request: Http.IncomingMessage, response: Http.ServerResponse) => void,
  tls?: { readonly key: string; readonly cert: string }
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ server: Http.Server; requests: Array<Http.IncomingMessage>; port: number }>((resume) => {
        const requests: Array<Http.IncomingMessage> = []
        const server = tls === undefined ? Http.createServer() : Https.createServer(tls)
        server.on("request", (request: Http.IncomingMessage, response: Http.ServerResponse) => {
          requests.push(request)
          answer(request, response)
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({ server, requests, port }))
        })
      }),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    ({ port, requests }): Server => ({
      port,
      requests,
      url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`
    })
  )

const hang = serve(() => {})

// Made for the project's tests, of no use elsewhere; valid for 127.0.0.1 until 2120.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfnhMXHywbqrdUPEp
2JRomjGu51453hgz+4DLU3N5gLKhRANCAASO7BZxh9aW4DEMfFtfevl/CYiFAp5q
emtwaglh70YAX57PcyjtEQPf1HqLssoxt8taCF26UsfPcBrhsdtfd+4E
-----END PRIVATE KEY-----`
const cert = `-----BEGIN CERTIFICATE-----
MIIBXDCCAQKgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAkxMjcuMC4w
LjEwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CTEyNy4wLjAuMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABI7sFnGH1pbgMQx8
W196+X8JiIUCnmp6a3BqCWHvRgBfns9zKO0RA9/UeouyyjG3y1oIXbpSx89wGuGx
21937gSjQzBBMA8GA1UdEQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNV
HQ4EFgQUhC0QMIfrexN2+O6PovVKBVgCCbMwCgYIKoZIzj0EAwIDSAAwRQIgV9kl
eQRbSv66mbhuzv6eiVm7azuxCeDOIAJsdedqO2QCIQDraeTQDQr2LN597t0uOBqn
wX9xl2Nv2H41Z6/NXetNKw==
-----END CERTIFICATE-----`

const failure = <A>(effect: Effect.Effect<A, HttpClientError.HttpClientError>) =>
  Effect.map(Effect.flip(effect), ({ cause, message, reason }) => ({
    tag: reason._tag,
    message,
    code: Predicate.hasProperty(cause, "code") ? cause.code : undefined
  }))

/** Waits until something is so, a second at most. */
const eventually = (what: string, isSo: () => boolean) =>
  Effect.gen(function*() {
    for (let waited = 0; !isSo(); waited += 10) {
      if (waited > 1_000) assert.fail(`not seen: ${what}`)
      yield* Effect.sleep(10)
    }
  })

/** A name server that knows one name, at 127.0.0.1 and `v6`, and otherwise says that there is none, or nothing. */
const nameServer = (known: string, v6?: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly queries: Array<string>; readonly socket: Dgram.Socket; readonly port: number }>(
      (resume) => {
        const queries: Array<string> = []
        const socket = Dgram.createSocket("udp4")
        socket.on("message", (query, from) => {
          const end = query.indexOf(0, 12)
          const labels: Array<string> = []
          for (let at = 12; at < end; at += 1 + (query[at] ?? 0)) {
            labels.push(query.toString("latin1", at + 1, at + 1 + (query[at] ?? 0)))
          }
          const name = labels.join(".")
          const isV6 = query.readUInt16BE(end + 1) === 28
          queries.push(`${isV6 ? "AAAA" : "A"} ${name}`)
          if (isV6 && v6 === "silent") return
          const address = name !== known ? undefined : isV6
            ? v6 === undefined ? undefined : [...Array.from({ length: 15 }, () => 0), 1]
            : [127, 0, 0, 1]
          const header = Buffer.from(query.subarray(0, 12))
          header.writeUInt16BE(name === known ? 0x8180 : 0x8183, 2)
          header.writeUInt16BE(address === undefined ? 0 : 1, 6)
          header.writeUInt32BE(0, 8)
          const record = address === undefined
            ? []
            : [0xc0, 12, 0, isV6 ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, address.length, ...address]
          socket.send(
            Buffer.concat([header, query.subarray(12, end + 5), Buffer.from(record)]),
            from.port,
            from.address
          )
        })
        socket.bind(0, "127.0.0.1", () => resume(Effect.succeed({ queries, socket, port: socket.address().port })))
      }
    ),
    ({ socket }) => Effect.sync(() => void socket.close())
  ).pipe(
    Effect.tap(({ port }) => {
      const { Resolver } = NodeDns
      return Effect.acquireRelease(
        Effect.sync(() => {
          NodeDns.Resolver = class extends Resolver {
            constructor() {
              super()
              this.setServers([`127.0.0.1:${port}`])
            }
          }
        }),
        () => Effect.sync(() => void (NodeDns.Resolver = Resolver))
      )
    })
  )

const hostsFile = (text: string) => {
  const { readFileSync } = NodeFs
  const set = (read: typeof NodeFs.readFileSync) =>
    Effect.sync(() => {
      NodeFs.readFileSync = read
      syncBuiltinESMExports()
    })
  const isHosts = (path: unknown) => typeof path === "string" && path.endsWith("hosts")
  return Effect.acquireRelease(
    set(
      new Proxy(readFileSync, {
        apply: (target, self, args) => isHosts(args[0]) ? text : Reflect.apply(target, self, args)
      })
    ),
    () => set(readFileSync)
  )
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** From the child's first output to its end. */
  readonly milliseconds: number
}

/** Runs a program in a process of its own, with the client as `client`. */
const run = (program: string) =>
  Effect.callback<Ended>((resume) => {
    const child = Process.spawn(process.execPath, [
      "--input-type=module",
      "--eval",
      `import * as Effect from "effect/Effect"
       import * as Fiber from "effect/Fiber"
       import { make as client } from "./src/layers/NodeHttpClient.ts"
       ${program}`
    ], { cwd: projectRoot, stdio: ["ignore", "pipe", "pipe"] })
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

const assertEndsAtOnce = (ended: Ended) => {
  assert.deepStrictEqual([ended.stderr, ended.code, ended.signal], ["", 0, null])
  assert.isBelow(ended.milliseconds, 1_000)
}

describe("NodeHttpClient", () => {
  describe("a request", () => {
    it.live("brings its method, path and headers, and gets status, headers and body", () =>
      Effect.gen(function*() {
        const server = yield* serve((_, response) => {
          response.writeHead(201, { "X-Principal-Id": "p1", "set-cookie": ["a=1", "b=2"] })
          response.end("{\"grüße\":[1]}")
        })
        const response = yield* NodeHttpClient.make.get(`${server.url}/v1/x?y=1#z`, { headers: { "x-mine": "m" } })
        assert.strictEqual(response.status, 201)
        assert.strictEqual(response.url, `${server.url}/v1/x?y=1`)
        assert.strictEqual(response.headers["x-principal-id"], "p1")
        assert.deepStrictEqual(Object.keys(Cookies.toRecord(response.cookies)), ["a", "b"])
        assert.strictEqual(response.remoteAddress.pipe((o) => o._tag === "Some" ? o.value : ""), "127.0.0.1")
        assert.deepStrictEqual(yield* response.json, { "grüße": [1] })
        assert.strictEqual(yield* response.text, "{\"grüße\":[1]}")
        assert.deepStrictEqual(
          [...new Uint8Array(yield* response.arrayBuffer)],
          [...new TextEncoder().encode("{\"grüße\":[1]}")]
        )
        assert.strictEqual(yield* Stream.mkString(Stream.decodeText(response.stream)), "{\"grüße\":[1]}")
        const [request] = server.requests
        assert.deepStrictEqual([request?.method, request?.url], ["GET", "/v1/x?y=1"])
        assert.deepStrictEqual([request?.headers["x-mine"], request?.headers.connection], ["m", "close"])
      }))

    it.live("is served by the layer", () =>
      Effect.gen(function*() {
        const server = yield* serve((_, response) => response.end("hello"))
        const response = yield* HttpClient.get(server.url)
        assert.strictEqual(yield* response.text, "hello")
      }).pipe(Effect.provide(NodeHttpClient.layer)))

    it.live("sends a body that is in memory, and refuses any other", () =>
      Effect.gen(function*() {
        const server = yield* serve((request, response) => request.pipe(response))
        const post = HttpClientRequest.post(server.url)
        const response = yield* NodeHttpClient.make.execute(HttpClientRequest.bodyText(post, "?a=1&b=2"))
        assert.deepStrictEqual(UrlParams.getFirst(yield* response.urlParamsBody, "a")._tag, "Some")
        const stream = HttpClientRequest.bodyStream(post, Stream.succeed(new Uint8Array(1)))
        assert.strictEqual((yield* failure(NodeHttpClient.make.execute(stream))).tag, "TransportError")
        assert.lengthOf(server.requests, 1)
      }))

    it.live("does not follow a redirect", () =>
      Effect.gen(function*() {
        const server = yield* serve((_, response) => response.writeHead(302, { location: "/elsewhere" }).end())
        assert.strictEqual((yield* NodeHttpClient.make.get(server.url)).status, 302)
        assert.lengthOf(server.requests, 1)
      }))

    it.live("takes a body of 64 KiB and no byte more", () =>
      Effect.gen(function*() {
        const server = yield* serve((request, response) => response.end("x".repeat(Number(request.url?.slice(1)))))
        const response = yield* NodeHttpClient.make.get(`${server.url}/65536`)
        assert.lengthOf(yield* response.text, 65_536)
        const { message, tag } = yield* failure(NodeHttpClient.make.get(`${server.url}/65537`))
        assert.strictEqual(tag, "TransportError")
        assert.include(message, "larger than 65536 bytes")
      }))

    it.live("stops at an endless body", () =>
      Effect.gen(function*() {
        let isClosed = false
        const server = yield* serve((_, response) => {
          const timer = setInterval(() => response.write("x".repeat(10_000)), 1)
          response.once("close", () => {
            isClosed = true
            clearInterval(timer)
          })
        })
        assert.strictEqual((yield* failure(NodeHttpClient.make.get(server.url))).tag, "TransportError")
        yield* eventually("the connection's end", () => isClosed)
      }))

    it.live("fails where nothing listens, at a reset in the body, at an upgrade, and at what Node refuses", () =>
      Effect.gen(function*() {
        const { port } = yield* Effect.scoped(hang)
        const refused = yield* failure(NodeHttpClient.make.get(`http://127.0.0.1:${port}`))
        assert.deepStrictEqual([refused.tag, refused.code], ["TransportError", "ECONNREFUSED"])
        const resetting = yield* serve((_, response) => {
          response.writeHead(200, { "content-length": 100 })
          response.write("half", () => response.destroy())
        })
        const reset = yield* failure(NodeHttpClient.make.get(resetting.url))
        assert.deepStrictEqual([reset.tag, reset.code], ["TransportError", "ECONNRESET"])
        const switching = yield* serve((_, response) =>
          response.writeHead(101, { upgrade: "websocket", connection: "upgrade" }).end()
        )
        const upgrade = NodeHttpClient.make.get(switching.url, {
          headers: { upgrade: "websocket", connection: "upgrade" }
        })
        assert.include((yield* failure(upgrade)).message, "upgrade")
        const header = yield* failure(NodeHttpClient.make.get(resetting.url, { headers: { "x-y": "a\nb" } }))
        assert.deepStrictEqual([header.tag, header.code], ["TransportError", "ERR_INVALID_CHAR"])
        const protocol = yield* failure(NodeHttpClient.make.get("ftp://127.0.0.1/"))
        assert.deepStrictEqual([protocol.tag, protocol.code], ["TransportError", "ERR_INVALID_PROTOCOL"])
      }))

    it.live("goes over TLS, to a server whose certificate is trusted", () =>
      Effect.gen(function*() {
        const server = yield* serve((_, response) => response.end("secret"), { key, cert })
        const untrusted = yield* failure(NodeHttpClient.make.get(server.url))
        assert.deepStrictEqual([untrusted.tag, untrusted.code], ["TransportError", "DEPTH_ZERO_SELF_SIGNED_CERT"])
        const trusted = Tls.getCACertificates()
        yield* Effect.acquireRelease(
          Effect.sync(() => Tls.setDefaultCACertificates([...trusted, cert])),
          () => Effect.sync(() => Tls.setDefaultCACertificates(trusted))
        )
        assert.strictEqual(yield* (yield* NodeHttpClient.make.get(server.url)).text, "secret")
      }))

    it.live("says what its response cannot do", () =>
      Effect.gen(function*() {
        const server = yield* serve((_, response) => response.end("not JSON"))
        const response = yield* NodeHttpClient.make.get(server.url)
        assert.strictEqual((yield* failure(response.json)).tag, "DecodeError")
        assert.strictEqual((yield* failure(response.formData)).tag, "DecodeError")
        assert.strictEqual((yield* failure(response.upgrade)).tag, "StatusCodeError")
      }))

    it.live("is cut off at once when it is interrupted, before the answer and within it", () =>
      Effect.gen(function*() {
        for (const answer of [() => {}, (response: Http.ServerResponse) => void response.write("half")]) {
          let isClosed = false
          const server = yield* serve((_, response) => {
            response.once("close", () => void (isClosed = true))
            answer(response)
          })
          const answered = yield* Effect.timeoutOption(NodeHttpClient.make.get(server.url), 100)
          assert.strictEqual(answered._tag, "None")
          yield* eventually("the connection's end", () => isClosed)
        }
      }))
  })

  describe("a name", () => {
    it.live("is looked up by the name server, for both kinds of address", () =>
      Effect.gen(function*() {
        const names = yield* nameServer("api.acme.test", "::1")
        const server = yield* serve((_, response) => response.end("found"))
        const response = yield* NodeHttpClient.make.get(`http://api.acme.test:${server.port}/`)
        assert.strictEqual(yield* response.text, "found")
        assert.deepStrictEqual(names.queries.toSorted(), ["A api.acme.test", "AAAA api.acme.test"])
        assert.strictEqual(server.requests[0]?.headers.host, `api.acme.test:${server.port}`)
      }))

    it.live("needs only one kind of address", () =>
      Effect.gen(function*() {
        yield* nameServer("api.acme.test")
        const server = yield* serve((_, response) => response.end("found"))
        const response = yield* NodeHttpClient.make.get(`http://api.acme.test:${server.port}/`)
        assert.strictEqual(yield* response.text, "found")
      }))

    it.live("does not wait for the other kind of address, where the name server says nothing of it", () =>
      Effect.gen(function*() {
        yield* nameServer("api.acme.test", "silent")
        const server = yield* serve((_, response) => response.end("found"))
        const response = yield* NodeHttpClient.make.get(`http://api.acme.test:${server.port}/`).pipe(
          Effect.timeout("1 second")
        )
        assert.strictEqual(yield* response.text, "found")
      }))

    it.live("is looked up where Node wants a single address", () =>
      Effect.gen(function*() {
        yield* nameServer("api.acme.test", "::1")
        yield* Effect.acquireRelease(
          Effect.sync(() => Net.setDefaultAutoSelectFamily(false)),
          () => Effect.sync(() => Net.setDefaultAutoSelectFamily(true))
        )
        const server = yield* serve((_, response) => response.end("found"))
        const response = yield* NodeHttpClient.make.get(`http://api.acme.test:${server.port}/`)
        assert.strictEqual(yield* response.text, "found")
        assert.strictEqual((yield* failure(NodeHttpClient.make.get("http://no.acme.test/"))).code, "ENOTFOUND")
      }))

    it.live("that nobody has is a failure", () =>
      Effect.gen(function*() {
        yield* nameServer("api.acme.test")
        const { code, tag } = yield* failure(NodeHttpClient.make.get("http://no.acme.test/"))
        assert.deepStrictEqual([tag, code], ["TransportError", "ENOTFOUND"])
      }))

    it.live("localhost, an address, and a name in the hosts file ask no name server, and another does", () =>
      Effect.gen(function*() {
        const names = yield* nameServer("api.acme.test")
        yield* hostsFile([
          "# 10.0.0.1 hosted.acme.test",
          "10.0.0.2 other # api.acme.test",
          "nonsense api.acme.test",
          "10.0.0.3 myapi.acme.test api.acme.test.local",
          "127.0.0.1\tother  Hosted.acme.test\r",
          "::1 other6"
        ].join("\n"))
        const server = yield* serve((_, response) => response.end("found"))
        for (const host of ["localhost", "127.0.0.1", "hosted.acme.test"]) {
          const response = yield* NodeHttpClient.make.get(`http://${host}:${server.port}/`)
          assert.strictEqual(yield* response.text, "found")
        }
        assert.deepStrictEqual(names.queries, [])
        assert.strictEqual((yield* NodeHttpClient.make.get(`http://api.acme.test:${server.port}/`)).status, 200)
        assert.lengthOf(names.queries, 2)
      }))

    it.live("is looked up where there is no hosts file", () =>
      Effect.gen(function*() {
        yield* nameServer("api.acme.test")
        const { readFileSync } = NodeFs
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            NodeFs.readFileSync = () => {
              throw new Error("none")
            }
            syncBuiltinESMExports()
          }),
          () =>
            Effect.sync(() => {
              NodeFs.readFileSync = readFileSync
              syncBuiltinESMExports()
            })
        )
        assert.throws(() => NFS.readFileSync("x"))
        const server = yield* serve((_, response) => response.end("found"))
        assert.strictEqual((yield* NodeHttpClient.make.get(`http://api.acme.test:${server.port}/`)).status, 200)
      }))
  })

  describe("the process", () => {
    it.live("loads neither node:http before the first request, nor undici ever", () =>
      Effect.gen(function*() {
        const server = yield* serve((_, response) => response.end("{\"a\":1}"))
        const ended = yield* run(`
          const loaded = () => process.moduleLoadList.filter((id) => /NativeModule (http|undici)|undici/.test(id))
          const before = loaded()
          const keepAlive = setInterval(() => {}, 1000)
          const response = await Effect.runPromise(client.get(${JSON.stringify(server.url)}))
          await Effect.runPromise(response.json)
          clearInterval(keepAlive)
          console.log(JSON.stringify({ before, after: loaded() }))
        `)
        assert.strictEqual(ended.stderr, "")
        assert.deepStrictEqual(JSON.parse(ended.stdout), { before: [], after: ["NativeModule http"] })
      }))

    it.live("ends at once while a request is pending, though nobody interrupts it", () =>
      Effect.gen(function*() {
        const server = yield* hang
        const silent = yield* Effect.acquireRelease(
          Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
            const sockets = new Set<Net.Socket>()
            const server = Net.createServer((socket) => {
              sockets.add(socket)
              socket.on("error", () => {})
            })
            const close = () => {
              server.close()
              for (const socket of sockets) socket.destroy()
            }
            server.listen(0, "127.0.0.1", () => {
              const address = server.address()
              resume(
                Effect.succeed({ close, port: typeof address === "object" && address !== null ? address.port : 0 })
              )
            })
          }),
          ({ close }) => Effect.sync(close)
        )
        for (
          const url of [
            `http://127.0.0.1:${server.port}/`,
            `http://localhost:${server.port}/`,
            `https://localhost:${silent.port}/`,
            `http://second.acme.test:${server.port}/`
          ]
        ) {
          // Nothing listens at the first address of the last name.
          const ended = yield* run(`
            process.getBuiltinModule("node:dns/promises").Resolver = class {
              resolve4 = async () => ["127.0.0.2", "127.0.0.1"]
              resolve6 = async () => []
              cancel() {}
            }
            Effect.runFork(client.get("${url}"))
            setTimeout(() => console.log("done"), 500)
          `)
          assertEndsAtOnce(ended)
        }
        assert.lengthOf(server.requests, 3)
      }))

    it.live("ends at once when a request is interrupted whose name is being looked up", () =>
      Effect.gen(function*() {
        const silent = yield* Effect.acquireRelease(
          Effect.callback<{ readonly socket: Dgram.Socket; readonly queries: Array<unknown> }>((resume) => {
            const queries: Array<unknown> = []
            const socket = Dgram.createSocket("udp4", (query) => void queries.push(query))
            socket.bind(0, "127.0.0.1", () => resume(Effect.succeed({ socket, queries })))
          }),
          ({ socket }) => Effect.sync(() => void socket.close())
        )
        const ended = yield* run(`
          const dns = process.getBuiltinModule("node:dns/promises")
          dns.Resolver = class extends dns.Resolver {
            constructor() {
              super()
              this.setServers(["127.0.0.1:${silent.socket.address().port}"])
            }
          }
          const fiber = Effect.runFork(client.get("http://api.acme.test/"))
          setTimeout(() => {
            console.log("interrupting")
            Effect.runFork(Fiber.interrupt(fiber))
          }, 200)
        `)
        assertEndsAtOnce(ended)
        assert.isNotEmpty(silent.queries)
      }))
  })
})
