/**
 * Waiting for the sink, its start and its end, TLS, and `npm run sink`.
 */
import { assert, describe } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { fileURLToPath } from "node:url"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { tls } from "../fixtures/Certificate.ts"
import * as Process from "../fixtures/Process.ts"
import * as Tests from "../fixtures/Tests.ts"
import { eventually, makeSink } from "../fixtures/Wait.ts"
import { body, event, names, post, request, test, uuid } from "./Requests.ts"

const { Answer } = PostHogSink

const portOf = ({ url }: PostHogSink.PostHogSink): number => Number(new URL(url).port)

/** A sink in a scope that the test closes. */
const closing = Effect.fnUntraced(function*(options?: Parameters<typeof makeSink>[0]) {
  const scope = yield* Scope.make()
  const sink = yield* Scope.provide(makeSink(options), scope)
  return { sink, close: Scope.close(scope, Exit.void) }
})

describe("waitFor and onMessage", () => {
  test("The waitFor of a sink returns at once what is there already", function*(sink) {
    yield* post(sink, body(event(1)))
    assert.deepStrictEqual(names(yield* sink.waitFor(({ length }) => length === 1, 0)), ["event 1"])
  })

  test("The waitFor of a sink returns as soon as the message is accepted", function*(sink) {
    const waiting = yield* Effect.forkChild(sink.waitFor((messages) => messages.some(({ uuid: id }) => id === uuid(2))))
    yield* post(sink, body(event(1)))
    assert.isUndefined(waiting.pollUnsafe())
    yield* post(sink, body(event(2)))
    assert.deepStrictEqual(names(yield* Fiber.join(waiting)), ["event 1", "event 2"])
  })

  Tests.test("The waitFor of a sink gives up in real time under a test clock, and lists what did arrive", function*() {
    const sink = yield* makeSink()
    yield* post(sink, body(event(1)))
    yield* post(sink, body(event(2), { event: "nobody's\u001b[2J" }))
    const error = yield* Effect.flip(sink.waitFor(() => false, "50 millis"))
    assert.strictEqual(error._tag, "SinkTimeout")
    assert.deepStrictEqual(error.message.split("\n"), [
      "Not seen within 50ms.",
      "Accepted messages: 1",
      `  event 1 of user (${uuid(1)})`,
      "Requests: 2",
      "  POST /batch/ with event 1: answered 200",
      "  POST /batch/ with event 2, nobody's\\u{1b}[2J: answered 400"
    ])
  })

  test("A predicate that throws fails the waiter, and the client is answered all the same", function*(sink) {
    const waiting = yield* Effect.forkChild(sink.waitFor((messages) => {
      assert.isEmpty(messages, "nothing may be accepted")
      return false
    }))
    yield* Effect.yieldNow
    assert.strictEqual((yield* post(sink, body(event(1)))).status, 200)
    assert.include(String(yield* Effect.flip(Effect.sandbox(Fiber.join(waiting)))), "nothing may be accepted")
  })

  test(
    "A rule that throws is the answer of its request, a listener that throws is none, and the sink goes on",
    function*(sink) {
      const broken = (what: string) => (): never => {
        throw new Error(what)
      }
      yield* sink.answer(broken("a rule"))
      assert.deepInclude(yield* post(sink, body(event(1))), { status: 500, text: `{"error":"Error: a rule"}` })
      yield* sink.onMessage(broken("a listener"))
      for (const [n, answer] of [Answer.Validate(), Answer.Delay({ millis: 1 })].entries()) {
        yield* sink.answer(answer)
        assert.strictEqual((yield* post(sink, body(event(n)))).status, 200)
      }
      assert.lengthOf(yield* sink.messages, 2)
    }
  )

  test("The waitFor of a sink with a time limit that no timer has waits all the same", function*(sink) {
    const waiting = yield* Effect.forkChild(sink.waitFor(({ length }) => length === 1, Duration.infinity))
    // Another timer ends after one that is too long would.
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
    yield* post(sink, body(event(1)))
    assert.deepStrictEqual(names(yield* Fiber.join(waiting)), ["event 1"])
  })

  test("A merge whose other id is no text does not end the sink", function*(sink) {
    const alias = { toString: null, valueOf: 1 }
    yield* post(sink, body(event(1), { ...Object(event(2)), event: "$create_alias", properties: { alias } }))
    const persons = yield* Effect.promise(() => fetch(`${sink.url}/api/persons`))
    assert.strictEqual(persons.status, 200)
  })

  test("The onMessage of a sink calls with each accepted message until its scope closes", function*(sink) {
    const seen: Array<string> = []
    yield* Effect.scoped(Effect.gen(function*() {
      yield* sink.onMessage((message) => seen.push(message.event))
      yield* post(sink, body(event(1), event(2)))
      yield* post(sink, body({}))
    }))
    yield* post(sink, body(event(3)))
    assert.deepStrictEqual(seen, ["event 1", "event 2"])
  })
})

describe("life cycle", () => {
  test("A sink that cannot listen says why", function*(sink) {
    const port = portOf(sink)
    const error = yield* Effect.flip(makeSink({ port }))
    assert.strictEqual(error._tag, "SinkError")
    assert.strictEqual(error.message, `The sink cannot listen on port ${port}: it is already in use`)
    assert.include((yield* Effect.flip(makeSink({ port: 65_536 }))).message, "65536")
    assert.include((yield* Effect.flip(makeSink({ tls: { key: "none", cert: "none" } }))).message, "TLS key")
  })

  Tests.test.live(
    "The end of a sink's scope cuts a hanging connection and an idle one, and frees the port",
    function*() {
      const { close, sink } = yield* closing()
      yield* sink.answer(Answer.Hang())
      const hanging = yield* Effect.forkChild(Effect.flip(post(sink, body(event(1)))))
      const idle = yield* Effect.callback<Net.Socket>((resume) => {
        const socket = Net.connect(portOf(sink), "127.0.0.1", () => resume(Effect.succeed(socket)))
        socket.on("error", () => {})
      })
      yield* sink.waitFor((_, requests) => requests.length === 1)
      yield* close
      assert.strictEqual(yield* Fiber.join(hanging), "ECONNRESET")
      yield* eventually(Effect.sync(() => idle.closed), (closed) => closed)
      assert.strictEqual(yield* Effect.flip(post(sink, body(event(1)))), "ECONNREFUSED")
      yield* makeSink({ port: portOf(sink) })
    }
  )

  Tests.test.live("A sink over TLS accepts from a client that trusts its certificate, and from no other", function*() {
    const sink = yield* makeSink({ tls })
    assert.match(sink.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    assert.strictEqual((yield* post(sink, body(event(1)), { ca: tls.cert })).status, 200)
    assert.strictEqual(yield* Effect.flip(post(sink, body(event(2)))), "DEPTH_ZERO_SELF_SIGNED_CERT")
    assert.deepStrictEqual(names(yield* sink.messages), ["event 1"])
  })

  Tests.test.live("A sink over TLS resets, and ends while a connection is open", function*() {
    const { close, sink } = yield* closing({ tls })
    yield* sink.answer(Answer.Reset({ before: true }))
    assert.strictEqual(yield* Effect.flip(post(sink, body(event(1)), { ca: tls.cert })), "ECONNRESET")
    const open = yield* Effect.callback<Tls.TLSSocket>((resume) => {
      const options = { host: "127.0.0.1", port: portOf(sink), ca: tls.cert }
      const socket = Tls.connect(options, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    })
    yield* close
    yield* eventually(Effect.sync(() => open.closed), (closed) => closed)
  })
})

describe("npm run sink", () => {
  const script = fileURLToPath(new URL("../../src/kit/main.ts", import.meta.url))

  const start = (port: number) => {
    let stdout = ""
    return Effect.map(
      Process.start([process.execPath, script, "sink", "--port", String(port)], { env: process.env }),
      ({ child, ended }) => {
        child.stdout?.on("data", (text: string) => stdout += text)
        const prints = (text: string) => eventually(Effect.sync(() => stdout), (stdout) => stdout.includes(text))
        return { child, ended, prints }
      }
    )
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Tests.test.live(`The command npm run sink prints a line for each message until ${signal}`, function*() {
      const port = yield* Effect.map(Effect.scoped(makeSink()), portOf)
      const url = `http://127.0.0.1:${port}`
      const { child, ended, prints } = yield* start(port)
      yield* prints(`listening on ${url}\n`)
      const unsafe = { ...event(1), event: "a\u001b[31m\r\nb\u202e", distinct_id: "\u0007" }
      yield* request(url, body(unsafe, event(2)))
      const lines = (yield* prints(uuid(2))).trim().split("\n")
      assert.lengthOf(lines, 3)
      const [time, ...fields] = lines[1]?.split("  ") ?? []
      assert.match(time ?? "", /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      assert.deepStrictEqual(fields, ["a\\u{1b}[31m\\u{d}\\u{a}b\\u{202e}", "\\u{7}", uuid(1)])
      child.kill(signal)
      const { code, stderr } = yield* ended
      assert.deepStrictEqual([code, stderr], [130, ""])
      assert.strictEqual(yield* Effect.flip(request(url, body(event(1)))), "ECONNREFUSED")
    })
  }

  test("The command npm run sink says on stderr that the port is in use, and exits 1", function*(sink) {
    const port = portOf(sink)
    const { code, stderr, stdout } = yield* (yield* start(port)).ended
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.include(stderr, `cannot listen on port ${port}: it is already in use`)
  })
})
