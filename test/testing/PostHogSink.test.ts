import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { fileURLToPath } from "node:url"
import * as Zlib from "node:zlib"
import { PostHog } from "posthog-node"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"

const { Answer } = PostHogSink

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

const event = (n: number) => ({
  event: `event ${n}`,
  distinct_id: "user",
  properties: { n },
  timestamp: "2026-01-01T00:00:00.000Z",
  uuid: uuid(n)
})

const body = (...batch: ReadonlyArray<unknown>) => JSON.stringify({ api_key: "phc_test", batch })

interface Reply {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

interface PostOptions {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly ca?: string
}

/** One request on a connection of its own; interruption closes it. Fails with Node's error code. */
const request = (url: string, payload: string | Buffer, options: PostOptions = {}): Effect.Effect<Reply, string> =>
  Effect.callback((resume) => {
    const fail = (error: NodeJS.ErrnoException) => resume(Effect.fail(error.code ?? error.message))
    const { ca, headers = {}, method = "POST", path = "/batch/" } = options
    const client = (url.startsWith("https:") ? Https : Http).request(
      new URL(path, url),
      { method, headers: { "content-length": Buffer.byteLength(payload), ...headers }, agent: false, ca },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", fail)
        response.on("end", () =>
          resume(Effect.succeed({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString("utf8")
          })))
      }
    )
    client.on("error", fail)
    client.end(payload)
    return Effect.sync(() => client.destroy())
  })

const post = (sink: PostHogSink.PostHogSink, payload: string | Buffer, options?: PostOptions) =>
  request(sink.url, payload, options)

const names = (messages: ReadonlyArray<PostHogSink.ReceivedMessage>) => messages.map(({ event }) => event)

describe("PostHogSink", () => {
  describe("as PostHog", () => {
    it.live("accepts a batch and shows its messages, in order of arrival", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        assert.match(sink.url, /^http:\/\/127\.0\.0\.1:\d+$/)
        const reply = yield* post(sink, body(event(1), event(2)))
        assert.strictEqual(reply.status, 200)
        assert.deepStrictEqual(JSON.parse(reply.text), { status: 1 })
        yield* post(sink, body(event(3)))

        const messages = yield* sink.messages
        assert.deepStrictEqual(names(messages), ["event 1", "event 2", "event 3"])
        const { received_at = "", ...first } = { ...messages[0] }
        assert.deepStrictEqual(first, { ...event(1), request: 0, raw: JSON.stringify(event(1)) })
        assert.strictEqual(new Date(received_at).toISOString(), received_at)
        assert.deepStrictEqual(messages.map((message) => message.request), [0, 0, 1])
      }))

    it.live("shows requests", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* post(sink, body(event(1), event(2)), { headers: { "user-agent": "test" } })
        yield* post(sink, "", { method: "GET", path: "/decide" })
        const [first, second] = yield* sink.requests
        assert.strictEqual(first?.index, 0)
        assert.strictEqual(first?.method, "POST")
        assert.strictEqual(first?.path, "/batch/")
        assert.strictEqual(first?.headers["user-agent"], "test")
        assert.strictEqual(first?.api_key, "phc_test")
        assert.strictEqual(first?.body, body(event(1), event(2)))
        assert.strictEqual(first?.batch.length, 2)
        assert.strictEqual(first?.answered, 200)
        assert.strictEqual(second?.path, "/decide")
        assert.strictEqual(second?.answered, 404)
      }))

    it.live("reads gzip", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const reply = yield* post(sink, Zlib.gzipSync(body(event(1))), { headers: { "content-encoding": "gzip" } })
        assert.strictEqual(reply.status, 200)
        assert.deepStrictEqual(names(yield* sink.messages), ["event 1"])
        assert.strictEqual((yield* sink.requests)[0]?.body, body(event(1)))
      }))

    it.live("takes what posthog-node sends", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const client = new PostHog("phc_test", { host: sink.url, flushAt: 100 })
        const sent = event(1)
        client.capture({
          event: "$create_alias",
          distinctId: "user",
          properties: { distinct_id: "user", alias: "anon" },
          timestamp: new Date(sent.timestamp),
          uuid: sent.uuid
        })
        yield* Effect.promise(() => client.shutdown())
        const [message] = yield* sink.messages
        assert.strictEqual(message?.event, "$create_alias")
        assert.strictEqual(message?.properties["alias"], "anon")
        assert.strictEqual(message?.timestamp, sent.timestamp)
        assert.strictEqual(message?.uuid, sent.uuid)
        assert.strictEqual((yield* sink.requests)[0]?.headers["content-encoding"], "gzip")
      }))

    it.live("keeps the keys of a raw message in the order in which they were sent", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const raw = "{\"uuid\":\"" + uuid(1) + "\",\"distinct_id\":\"user\",\"event\":\"ran\"}"
        yield* post(sink, `{"batch":[${raw}]}`)
        assert.strictEqual((yield* sink.messages)[0]?.raw, raw)
      }))

    const bad: ReadonlyArray<readonly [string, unknown]> = [
      ["no name", { ...event(2), event: undefined }],
      ["an empty name", { ...event(2), event: "" }],
      ["no distinct id", { ...event(2), distinct_id: undefined }],
      ["an empty distinct id", { ...event(2), distinct_id: "" }],
      ["a uuid that is none", { ...event(2), uuid: "17" }],
      ["a uuid that is no text", { ...event(2), uuid: 17 }],
      ["nothing of an event", null]
    ]
    for (const [name, message] of bad) {
      it.live(`answers 400 to a whole batch because of an event with ${name}`, () =>
        Effect.gen(function*() {
          const sink = yield* PostHogSink.make()
          const reply = yield* post(sink, body(event(1), message, event(3)))
          assert.strictEqual(reply.status, 400)
          assert.property(JSON.parse(reply.text), "error")
          assert.deepStrictEqual(yield* sink.messages, [])
          assert.lengthOf(yield* sink.attempts, 3)
        }))
    }

    it.live("makes up for an absent uuid", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const reply = yield* post(sink, body({ ...event(1), uuid: undefined }))
        assert.strictEqual(reply.status, 200)
      }))

    for (
      const [name, payload, headers] of [
        ["no JSON", "hello", {}],
        ["without a batch", "{}", {}],
        ["that says gzip and is not", body(event(1)), { "content-encoding": "gzip" }]
      ] as const
    ) {
      it.live(`answers 400 to a body ${name}`, () =>
        Effect.gen(function*() {
          const sink = yield* PostHogSink.make()
          assert.strictEqual((yield* post(sink, payload, { headers })).status, 400)
          assert.strictEqual((yield* sink.requests)[0]?.body, payload)
        }))
    }

    it.live("answers 413 above 20 MB, compressed or not", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const payload = body({ ...event(1), properties: { padding: "x".repeat(20 * 1024 * 1024) } })
        assert.strictEqual((yield* post(sink, payload)).status, 413)
        const gzip = Zlib.gzipSync(payload, { level: 1 })
        assert.strictEqual((yield* post(sink, gzip, { headers: { "content-encoding": "gzip" } })).status, 413)
        assert.deepStrictEqual(yield* sink.messages, [])
      }))

    it.live("shows what it accepted at GET /api/messages, which is not counted as a request", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* post(sink, body(event(1)))
        yield* post(sink, body({}))
        const reply = yield* post(sink, "", { method: "GET", path: "/api/messages" })
        const [{ received_at, ...message }, ...others] = JSON.parse(reply.text)
        assert.deepStrictEqual(message, event(1))
        assert.isString(received_at)
        assert.deepStrictEqual(others, [])
        assert.lengthOf(yield* sink.requests, 2)
      }))

    it.live("answers 404 with JSON elsewhere", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.Ok({}))
        for (const options of [{ path: "/i/v1/e/" }, { method: "GET" }, { path: "/api/messages" }]) {
          const reply = yield* post(sink, body(event(1)), options)
          assert.strictEqual(reply.status, 404)
          assert.isObject(JSON.parse(reply.text))
        }
        assert.deepStrictEqual(yield* sink.attempts, [])
      }))
  })

  describe("answering", () => {
    /** Sends one event under a rule; also says what the sink made of it. */
    const under = Effect.fnUntraced(function*(rule: PostHogSink.Rule) {
      const sink = yield* PostHogSink.make()
      yield* sink.answer(rule)
      const reply = yield* Effect.result(post(sink, body(event(1))))
      const [received] = yield* sink.requests
      assert.lengthOf(yield* sink.attempts, 1)
      return { reply, answered: received?.answered, accepted: (yield* sink.messages).length }
    })

    it.live("Ok accepts whatever came", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.Ok({}))
        assert.strictEqual((yield* post(sink, body({ event: "bare" }))).status, 200)
        const [message] = yield* sink.messages
        assert.deepStrictEqual([message?.event, message?.distinct_id, message?.uuid], ["bare", "", ""])
      }))

    it.live("Ok with quota_limited says so, and drops the messages", () =>
      Effect.gen(function*() {
        const { accepted, answered, reply } = yield* under(Answer.Ok({ quota_limited: ["events"] }))
        assert.isTrue(reply._tag === "Success" && reply.success.status === 200)
        assert.deepStrictEqual(reply._tag === "Success" && JSON.parse(reply.success.text), {
          status: 1,
          quota_limited: ["events"]
        })
        assert.strictEqual(answered, 200)
        assert.strictEqual(accepted, 0)
      }))

    it.live("Status gives the status, body and headers it is told", () =>
      Effect.gen(function*() {
        const { accepted, answered, reply } = yield* under(
          Answer.Status({ status: 503, body: "later", headers: { "retry-after": "7" } })
        )
        assert.isTrue(reply._tag === "Success" && reply.success.status === 503)
        assert.isTrue(reply._tag === "Success" && reply.success.text === "later")
        assert.isTrue(reply._tag === "Success" && reply.success.headers["retry-after"] === "7")
        assert.strictEqual(answered, 503)
        assert.strictEqual(accepted, 0)
      }))

    it.live("Status accepts only as a 2xx with JSON", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* under(Answer.Status({ status: 202 }))).accepted, 1)
        assert.strictEqual((yield* under(Answer.Status({ status: 202, body: "fine" }))).accepted, 0)
        assert.strictEqual((yield* under(Answer.Status({ status: 204, body: "" }))).accepted, 0)
        assert.strictEqual((yield* under(Answer.Status({ status: 401 }))).accepted, 0)
      }))

    it.live("NotJson is a 200 with a page", () =>
      Effect.gen(function*() {
        const { accepted, answered, reply } = yield* under(Answer.NotJson())
        assert.isTrue(reply._tag === "Success" && reply.success.text.startsWith("<!doctype html>"))
        assert.strictEqual(answered, 200)
        assert.strictEqual(accepted, 0)
      }))

    it.live("Redirect names a location", () =>
      Effect.gen(function*() {
        const { accepted, answered, reply } = yield* under(Answer.Redirect({ status: 302, location: "/login" }))
        assert.isTrue(reply._tag === "Success" && reply.success.headers.location === "/login")
        assert.strictEqual(answered, 302)
        assert.strictEqual(accepted, 0)
      }))

    it.live("Hang takes the request and never answers", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.Hang())
        const client = yield* Effect.forkChild(post(sink, body(event(1))))
        yield* sink.waitFor((_, requests) => requests.length === 1)
        assert.strictEqual((yield* sink.requests)[0]?.answered, "hang")
        yield* Effect.sleep("100 millis")
        assert.isUndefined(client.pollUnsafe())
        assert.deepStrictEqual(yield* sink.messages, [])
      }))

    it.live("Reset cuts the connection after half of a 200", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.Reset({}))
        // The half that does arrive is what makes a careless client believe in a success.
        const response = yield* Effect.promise(() =>
          fetch(`${sink.url}/batch/`, { method: "POST", body: body(event(1)) })
        )
        assert.strictEqual(response.status, 200)
        assert.strictEqual((yield* Effect.exit(Effect.tryPromise(() => response.text())))._tag, "Failure")
        assert.strictEqual((yield* sink.requests)[0]?.answered, "reset")
        assert.deepStrictEqual(yield* sink.messages, [])
      }))

    it.live("Reset before the answer resets the connection", () =>
      Effect.gen(function*() {
        const { accepted, answered, reply } = yield* under(Answer.Reset({ before: true }))
        assert.isTrue(reply._tag === "Failure" && reply.failure === "ECONNRESET")
        assert.strictEqual(answered, "reset")
        assert.strictEqual(accepted, 0)
      }))

    it.live("Drip accepts with the last byte", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.Drip())
        const started = Date.now()
        const client = yield* Effect.forkChild(post(sink, body(event(1))))
        yield* sink.waitFor((_, requests) => requests[0]?.answered === "drip")
        assert.deepStrictEqual(yield* sink.messages, [])
        const reply = yield* Fiber.join(client)
        assert.isAtLeast(Date.now() - started, 5_000)
        assert.deepStrictEqual(JSON.parse(reply.text), { status: 1 })
        assert.strictEqual((yield* sink.requests)[0]?.answered, 200)
        assert.lengthOf(yield* sink.messages, 1)
      }))

    it.live("Drip does not accept what the client did not wait for", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.Drip())
        assert.isTrue((yield* Effect.timeoutOption(post(sink, body(event(1))), "700 millis"))._tag === "None")
        assert.strictEqual((yield* sink.requests)[0]?.answered, "drip")
        assert.deepStrictEqual(yield* sink.messages, [])
      }))

    it.live("RejectPoison refuses each batch that holds a bad message", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(Answer.RejectPoison({ isBad: (message) => message.properties["n"] === 2 }))
        assert.strictEqual((yield* post(sink, body(event(1), event(2)))).status, 400)
        assert.strictEqual((yield* post(sink, body(event(1)))).status, 200)
        assert.deepStrictEqual(names(yield* sink.messages), ["event 1"])
      }))

    it.live("by a function that sees the request and how many came before it under this rule", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* sink.answer(() => Answer.Ok({}))
        yield* post(sink, body(event(1)))
        yield* sink.answer((request, index) =>
          index === 0
            ? Answer.Status({ status: 429 })
            : request.batch.length > 1
            ? Answer.Status({ status: 413 })
            : Answer.Validate()
        )
        const statuses = []
        for (const batch of [[event(2)], [event(2), event(3)], [event(2)], [{}]]) {
          statuses.push((yield* post(sink, body(...batch))).status)
        }
        assert.deepStrictEqual(statuses, [429, 413, 200, 400])
        assert.deepStrictEqual(names(yield* sink.messages), ["event 1", "event 2"])
        const resent = (yield* sink.attempts).filter(({ uuid: id }) => id === uuid(2))
        assert.lengthOf(resent, 3)
        assert.lengthOf([...new Set(resent.map(({ raw }) => raw))], 1)
      }))
  })

  describe("waiting", () => {
    it.live("waitFor returns at once what is there already", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* post(sink, body(event(1)))
        assert.deepStrictEqual(names(yield* sink.waitFor(({ length }) => length === 1, 0)), ["event 1"])
      }))

    it.live("waitFor returns as soon as the message is accepted", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const waiting = yield* Effect.forkChild(
          sink.waitFor((messages) => messages.some(({ uuid: id }) => id === uuid(2)))
        )
        yield* post(sink, body(event(1)))
        assert.isUndefined(waiting.pollUnsafe())
        yield* post(sink, body(event(2)))
        assert.deepStrictEqual(names(yield* Fiber.join(waiting)), ["event 1", "event 2"])
      }))

    it.effect("waitFor gives up in real time under a test clock, and lists what did arrive", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        yield* post(sink, body(event(1)))
        yield* post(sink, body(event(2), { event: "nobody's" }))
        const error = yield* Effect.flip(sink.waitFor(() => false, "50 millis"))
        assert.strictEqual(error._tag, "SinkTimeout")
        assert.deepStrictEqual(error.message.split("\n"), [
          "Not seen within 50ms.",
          "Accepted messages: 1",
          `  event 1 of user (${uuid(1)})`,
          "Requests: 2",
          "  POST /batch/ with event 1: answered 200",
          "  POST /batch/ with event 2, nobody's: answered 400"
        ])
      }))

    it.live("a predicate that throws fails the waiter, and the client is answered all the same", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const waiting = yield* Effect.forkChild(sink.waitFor((messages) => {
          assert.isEmpty(messages, "nothing may be accepted")
          return false
        }))
        yield* Effect.yieldNow
        assert.strictEqual((yield* post(sink, body(event(1)))).status, 200)
        assert.include(String(yield* Effect.flip(Effect.sandbox(Fiber.join(waiting)))), "nothing may be accepted")
      }))

    it.live("onMessage calls with each accepted message until its scope closes", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make()
        const seen: Array<string> = []
        yield* Effect.scoped(Effect.gen(function*() {
          yield* sink.onMessage((message) => seen.push(message.event))
          yield* post(sink, body(event(1), event(2)))
          yield* post(sink, body({}))
        }))
        yield* post(sink, body(event(3)))
        assert.deepStrictEqual(seen, ["event 1", "event 2"])
      }))
  })

  describe("starting and stopping", () => {
    it.live("says so when the port is in use", () =>
      Effect.gen(function*() {
        const port = Number(new URL((yield* PostHogSink.make()).url).port)
        const error = yield* Effect.flip(PostHogSink.make({ port }))
        assert.strictEqual(error._tag, "SinkError")
        assert.strictEqual(error.message, `The sink cannot listen on port ${port}: it is already in use`)
      }))

    it.live("says so when the port is none, or the key is", () =>
      Effect.gen(function*() {
        assert.include((yield* Effect.flip(PostHogSink.make({ port: 65_536 }))).message, "65536")
        assert.include(
          (yield* Effect.flip(PostHogSink.make({ tls: { key: "none", cert: "none" } }))).message,
          "TLS key"
        )
      }))

    it.live("the scope's end cuts a hanging connection and an idle one, and frees the port", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const sink = yield* Scope.provide(PostHogSink.make(), scope)
        const port = Number(new URL(sink.url).port)
        yield* sink.answer(Answer.Hang())
        const hanging = yield* Effect.forkChild(Effect.flip(post(sink, body(event(1)))))
        const idle = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
        })
        const idleEnds = yield* Effect.forkChild(
          Effect.callback<void>((resume) => {
            idle.on("error", () => {})
            idle.on("close", () => resume(Effect.void))
          }),
          { startImmediately: true }
        )
        yield* sink.waitFor((_, requests) => requests.length === 1)

        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* Fiber.join(hanging), "ECONNRESET")
        yield* Fiber.join(idleEnds)
        assert.strictEqual(yield* Effect.flip(post(sink, body(event(1)))), "ECONNREFUSED")
        yield* PostHogSink.make({ port })
      }))
  })

  describe("over TLS", () => {
    // Made for this test, of no use elsewhere; valid for 127.0.0.1 until 2120.
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

    it.live("accepts from a client that trusts its certificate", () =>
      Effect.gen(function*() {
        const sink = yield* PostHogSink.make({ tls: { key, cert } })
        assert.match(sink.url, /^https:\/\/127\.0\.0\.1:\d+$/)
        assert.strictEqual((yield* post(sink, body(event(1)), { ca: cert })).status, 200)
        assert.strictEqual(yield* Effect.flip(post(sink, body(event(2)))), "DEPTH_ZERO_SELF_SIGNED_CERT")
        assert.deepStrictEqual(names(yield* sink.messages), ["event 1"])
      }))

    it.live("resets, and closes with a connection open", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const sink = yield* Scope.provide(PostHogSink.make({ tls: { key, cert } }), scope)
        yield* sink.answer(Answer.Reset({ before: true }))
        assert.strictEqual(yield* Effect.flip(post(sink, body(event(1)), { ca: cert })), "ECONNRESET")
        const socket = yield* Effect.callback<Tls.TLSSocket>((resume) => {
          const { port } = new URL(sink.url)
          const socket = Tls.connect(
            { host: "127.0.0.1", port: Number(port), ca: cert },
            () => resume(Effect.succeed(socket))
          )
          socket.on("error", () => {})
        })
        yield* Scope.close(scope, Exit.void)
        if (!socket.closed) yield* Effect.callback<void>((resume) => void socket.on("close", () => resume(Effect.void)))
      }))
  })

  describe("npm run sink", () => {
    const script = fileURLToPath(new URL("../../scripts/sink.ts", import.meta.url))

    interface Run {
      readonly stdout: () => string
      /** Resolves when stdout holds the text. */
      readonly prints: (text: string) => Effect.Effect<void>
      readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
      readonly ended: Effect.Effect<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
    }

    const run = (...args: ReadonlyArray<string>): Effect.Effect<Run, never, Scope.Scope> =>
      Effect.gen(function*() {
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            ChildProcess.spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        let stdout = ""
        let stderr = ""
        child.stdout.on("data", (chunk: Buffer) => stdout += chunk.toString())
        child.stderr.on("data", (chunk: Buffer) => stderr += chunk.toString())
        const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
        return {
          stdout: () => stdout,
          prints: (text) =>
            Effect.callback<void>((resume) => {
              const check = () => {
                if (stdout.includes(text)) resume(Effect.void)
              }
              child.stdout.on("data", check)
              check()
              return Effect.sync(() => child.stdout.off("data", check))
            }),
          kill: (signal) => Effect.sync(() => void child.kill(signal)),
          ended: Effect.map(Effect.promise(() => ended), (code) => ({ code, stdout, stderr }))
        }
      })

    const freePort = Effect.map(Effect.scoped(PostHogSink.make()), ({ url }) => new URL(url).port)

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it.live(`prints a line for each message until ${signal}`, () =>
        Effect.gen(function*() {
          const port = yield* freePort
          const url = `http://127.0.0.1:${port}`
          const sink = yield* run("--port", port)
          yield* sink.prints(`listening on ${url}\n`)
          yield* request(url, body(event(1), event(2)))
          yield* sink.prints(uuid(2))
          const lines = sink.stdout().trim().split("\n")
          assert.lengthOf(lines, 3)
          assert.match(lines[1] ?? "", new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z  event 1  user  ${uuid(1)}$`))
          yield* sink.kill(signal)
          const { code, stderr } = yield* sink.ended
          assert.strictEqual(code, 130)
          assert.strictEqual(stderr, "")
          assert.strictEqual(yield* Effect.flip(request(url, body(event(1)))), "ECONNREFUSED")
        }))
    }

    it.live("says on stderr that the port is in use, and exits 1", () =>
      Effect.gen(function*() {
        const { port } = new URL((yield* PostHogSink.make()).url)
        const { code, stderr, stdout } = yield* (yield* run("--port", port)).ended
        assert.strictEqual(code, 1)
        assert.include(stderr, `cannot listen on port ${port}: it is already in use`)
        assert.strictEqual(stdout, "")
      }))
  })
})
