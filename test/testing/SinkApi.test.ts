/**
 * The sink's own API: what it has, what PostHog would make of it, and faults on demand.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Http from "node:http"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { eventually } from "../fixtures/Wait.ts"
import { body, event, names, post, test, uuid } from "./Requests.ts"

const { Answer } = PostHogSink

const ask = (sink: PostHogSink.PostHogSink, route: string, payload = "") => {
  const [method = "", path = ""] = route.split(" ")
  return Effect.map(post(sink, payload, { method, path }), ({ status, text }) => ({ status, value: JSON.parse(text) }))
}

const read = (sink: PostHogSink.PostHogSink, path: string) => Effect.map(ask(sink, `GET ${path}`), ({ value }) => value)

const alias = (n: number, into: string, other: string) => ({
  ...event(n),
  event: "$create_alias",
  distinct_id: into,
  properties: { distinct_id: into, alias: other, $set: { plan: "pro" } }
})

const personless = (n: number, distinct_id: string) => ({
  ...event(n),
  distinct_id,
  properties: { $process_person_profile: false }
})

/** A stream that is not read yet, until the scope closes. */
const streamOf = (sink: PostHogSink.PostHogSink) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ request: Http.ClientRequest; response: Http.IncomingMessage }>((resume) => {
        const request = Http.get(`${sink.url}/api/events`, { agent: false }, (response) => {
          response.on("error", () => {})
          resume(Effect.succeed({ request, response }))
        })
        request.on("error", () => {})
      }),
      ({ request }) => Effect.sync(() => request.destroy())
    ),
    ({ response }) => response
  )

/** Everything that a stream has sent so far. */
const listen = (sink: PostHogSink.PostHogSink) =>
  Effect.map(streamOf(sink), (response) => {
    assert.strictEqual(response.headers["content-type"], "text/event-stream")
    let text = ""
    response.setEncoding("utf8").on("data", (part: string) => text += part)
    const events = Effect.sync(() => text.split("\n\n").slice(0, -1))
    return (count: number) =>
      Effect.map(eventually(events, ({ length }) => length >= count), (events) =>
        events.map((one) => {
          const [, name, data = ""] = /^event: (\w+)\ndata: ([^\n]*)$/.exec(one) ?? []
          return [name, JSON.parse(data).event]
        }))
  })

/** A stream that is not read until `read` is called, with the number of events that it has received. */
const openStream = (sink: PostHogSink.PostHogSink) =>
  Effect.map(streamOf(sink), (response) => {
    let lines = 0
    let isClosed = false
    response.on("close", () => isClosed = true)
    return {
      read: () => void response.setEncoding("utf8").on("data", (part: string) => lines += part.split("\n").length - 1),
      // An event has three lines.
      state: () => ({ events: Math.floor(lines / 3), isClosed })
    }
  })

describe("state of the sink", () => {
  test("The sink shows the persons, with their ids and properties, and none of a personless event", function*(sink) {
    yield* post(sink, body(personless(1, "anon"), alias(2, "account_1", "anon"), personless(3, "nobody")))
    assert.deepStrictEqual(yield* read(sink, "/api/persons"), [
      { distinct_ids: ["account_1", "anon"], is_identified: true, properties: { plan: "pro" } }
    ])
    assert.deepStrictEqual(yield* read(sink, "/api/warnings"), [])
  })

  test("The sink shows PostHog's warnings, each with the uuid of its message", function*(sink) {
    yield* post(sink, body(alias(1, "account_1", "anon"), event(2), alias(3, "user", "anon"), alias(4, "user", "null")))
    yield* post(sink, body({ ...personless(5, "user"), event: "$identify" }))
    assert.deepStrictEqual(yield* read(sink, "/api/warnings"), [
      { type: "cannot_merge_already_identified", uuid: uuid(3), event: "$create_alias", distinct_id: "user" },
      { type: "cannot_merge_with_illegal_distinct_id", uuid: uuid(4), event: "$create_alias", distinct_id: "user" },
      {
        type: "invalid_event_when_process_person_profile_is_false",
        uuid: uuid(5),
        event: "$identify",
        distinct_id: "user"
      }
    ])
  })

  test("The sink forgets what it has, and what is accepted after that begins anew", function*(sink) {
    yield* sink.answer((_, index) => index === 0 ? Answer.Delay({ millis: 1_000 }) : Answer.Validate())
    const late = yield* Effect.forkChild(post(sink, body(alias(1, "account_1", "anon"))))
    yield* eventually(sink.requests, ({ length }) => length === 1)
    yield* post(sink, body(event(2)))
    yield* ask(sink, "DELETE /api/messages")
    assert.deepStrictEqual((yield* Fiber.join(late)).status, 200)
    for (const path of ["/api/messages", "/api/persons", "/api/warnings"]) {
      assert.deepStrictEqual(yield* read(sink, path), [], path)
    }
    yield* post(sink, body(event(3)))
    assert.deepStrictEqual(names(yield* sink.messages), ["event 3"])
    assert.deepStrictEqual((yield* sink.requests).map(({ index }) => index), [0])
  })

  test(
    "The sink streams the messages that are there, then each that is accepted, and that they are forgotten",
    function*(sink) {
      yield* post(sink, body(event(1)))
      const first = yield* listen(sink)
      assert.deepStrictEqual(yield* first(1), [["message", "event 1"]])
      yield* post(sink, body(event(2), event(3)))
      yield* post(sink, body({}))
      yield* ask(sink, "DELETE /api/messages")
      yield* post(sink, body({ ...event(4), event: "a\n\ndata: {}\u2028" }))
      const all = [["message", "event 1"], ["message", "event 2"], ["message", "event 3"], ["clear", undefined]]
      const last = ["message", "a\n\ndata: {}\u2028"]
      assert.deepStrictEqual(yield* first(5), [...all, last])
      assert.deepStrictEqual(yield* (yield* listen(sink))(1), [last])
    }
  )

  test("The sink keeps ten thousand messages of a batch, and as many persons", function*(sink) {
    const batch = Array.from({ length: 10_000 }, (_, n) => ({ ...event(n), distinct_id: `user_${n}` }))
    assert.strictEqual((yield* post(sink, body(...batch, alias(10_000, "user_1", "user_2")))).status, 200)
    const persons: ReadonlyArray<{ readonly distinct_ids: ReadonlyArray<string> }> = yield* read(sink, "/api/persons")
    assert.lengthOf(persons, 9_999)
    assert.deepStrictEqual(persons[1]?.distinct_ids, ["user_1", "user_2"])
  })

  test("The sink answers JSON, in which an event named <script> is a text", function*(sink) {
    const script = "<script>alert(1)</script>"
    yield* post(sink, body(event(1), { ...alias(2, script, "null"), event: script }, alias(3, script, "null")))
    for (const path of ["/api/messages", "/api/persons", "/api/warnings"]) {
      const { headers, text } = yield* post(sink, "", { method: "GET", path })
      assert.strictEqual(headers["content-type"], "application/json", path)
      assert.include(text, JSON.stringify(script), path)
    }
    const stream = yield* listen(sink)
    assert.deepStrictEqual((yield* stream(3))[1], ["message", script])
  })

  test(
    "The sink closes a stream whose reader does not read more than 20 MiB, and no stream whose reader reads",
    function*(sink) {
      const properties = { padding: "x".repeat(5 * 1024 * 1024) }
      const [reader, stalled] = [yield* openStream(sink), yield* openStream(sink)]
      const read = (stream: typeof reader, count: number) =>
        eventually(Effect.sync(stream.state), ({ events, isClosed }) => isClosed || events === count)
      const send = (n: number) => post(sink, body({ ...event(n), properties }))
      for (const n of [1, 2, 3]) yield* send(n)
      reader.read()
      assert.deepStrictEqual(yield* read(reader, 3), { events: 3, isClosed: false })
      // The operating system holds some of the messages in its buffers.
      for (let n = 4; n <= 10; n += 1) {
        yield* send(n)
        yield* read(reader, n)
      }
      assert.deepStrictEqual(reader.state(), { events: 10, isClosed: false })
      stalled.read()
      const { events, isClosed } = yield* read(stalled, 10)
      assert.deepStrictEqual([isClosed, events < 10], [true, true])
    }
  )

  test("The sink's API is not among the requests", function*(sink) {
    for (const route of ["GET /api/persons", "GET /api/warnings", "DELETE /api/messages", "DELETE /api/faults"]) {
      assert.strictEqual((yield* ask(sink, route)).status, 200)
    }
    assert.deepStrictEqual(yield* sink.requests, [])
  })
})

describe("requested faults", () => {
  const send = (sink: PostHogSink.PostHogSink) =>
    Effect.match(post(sink, body(event(1))), { onFailure: (code) => code, onSuccess: ({ status }) => status })

  const fail = (sink: PostHogSink.PostHogSink, fault: object) => ask(sink, "POST /api/faults", JSON.stringify(fault))

  test("A fault of the next requests ends after them, and the rule counts none of them", function*(sink) {
    yield* sink.answer((_, index) => index === 0 ? Answer.Status({ status: 201 }) : Answer.Validate())
    assert.strictEqual((yield* fail(sink, { fault: "status", status: 503, requests: 2 })).status, 200)
    const seen = [yield* send(sink), yield* send(sink), yield* send(sink), yield* send(sink)]
    assert.deepStrictEqual(seen, [503, 503, 201, 200])
    assert.lengthOf(yield* sink.messages, 2)
  })

  test("A fault of all requests lasts until it is taken away", function*(sink) {
    yield* fail(sink, { fault: "reset" })
    assert.deepStrictEqual([yield* send(sink), yield* send(sink)], ["ECONNRESET", "ECONNRESET"])
    yield* fail(sink, { fault: "html" })
    const reply = yield* post(sink, body(event(1)))
    assert.deepStrictEqual([reply.status, reply.headers["content-type"]], [200, "text/html; charset=utf-8"])
    yield* ask(sink, "DELETE /api/faults")
    assert.strictEqual(yield* send(sink), 200)
    assert.lengthOf(yield* sink.messages, 1)
  })

  test("A black hole never answers, and a delay accepts later, also what a client did not wait for", function*(sink) {
    yield* fail(sink, { fault: "hang", requests: 1 })
    const hanging = yield* Effect.forkChild(send(sink))
    yield* sink.waitFor((_, requests) => requests[0]?.answered === "hang")
    yield* fail(sink, { fault: "delay", millis: 100 })
    const waiting = yield* Effect.forkChild(send(sink))
    yield* sink.waitFor((_, requests) => requests[1]?.answered === "pending" || requests[1]?.answered === 200)
    yield* Fiber.interrupt(waiting)
    yield* sink.waitFor((messages) => messages.length === 1)
    assert.strictEqual(yield* send(sink), 200)
    assert.isUndefined(hanging.pollUnsafe())
  })

  test("An invalid fault is refused with a list of the valid faults, and changes nothing", function*(sink) {
    const none = [
      { fault: "other" },
      { fault: "status" },
      { fault: "status", status: 200 },
      { fault: "status", status: 600 },
      { fault: "status", status: "503" },
      { fault: "delay" },
      { fault: "delay", millis: -1 },
      { fault: "delay", millis: 1e9 },
      { fault: "hang", requests: 0 },
      { fault: "hang", requests: 1.5 },
      [],
      null
    ]
    for (const fault of none) {
      const { status, value } = yield* ask(sink, "POST /api/faults", JSON.stringify(fault))
      assert.strictEqual(status, 400, JSON.stringify(fault))
      assert.include(value.error, "a fault is {\"fault\":\"status\"")
    }
    assert.strictEqual((yield* ask(sink, "POST /api/faults", "{")).status, 400)
    assert.strictEqual(yield* send(sink), 200)
  })
})
