import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Zlib from "node:zlib"
import { PostHog } from "posthog-node"
import * as Persons from "../../src/testing/Persons.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"
import { eventually, makeSink } from "../fixtures/Wait.ts"
import { body, event, names, post, test, uuid } from "./Requests.ts"

const { Answer } = PostHogSink

describe("requests and responses", () => {
  test("The sink accepts a batch and shows its messages, in order of arrival", function*(sink) {
    assert.match(sink.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    const reply = yield* post(sink, body(event(1), event(2)))
    assert.deepStrictEqual([reply.status, JSON.parse(reply.text)], [200, { status: 1 }])
    yield* post(sink, body(event(3)))
    const messages = yield* sink.messages
    assert.deepStrictEqual(names(messages), ["event 1", "event 2", "event 3"])
    assert.deepStrictEqual(messages.map((message) => message.request), [0, 0, 1])
    const { received_at = "", ...first } = { ...messages[0] }
    assert.deepStrictEqual(first, { ...event(1), request: 0, raw: JSON.stringify(event(1)) })
    assert.strictEqual(new Date(received_at).toISOString(), received_at)
  })

  test("The sink shows each request", function*(sink) {
    yield* post(sink, body(event(1), event(2)), { headers: { "user-agent": "test" } })
    yield* post(sink, "", { method: "GET", path: "/decide" })
    const [first, second] = yield* sink.requests
    const { batch, headers, received_at: _, ...rest } = first ?? assert.fail("no request")
    assert.deepStrictEqual(rest, {
      index: 0,
      method: "POST",
      path: "/batch/",
      api_key: "phc_test",
      body: body(event(1), event(2)),
      answered: 200
    })
    assert.deepStrictEqual([headers["user-agent"], batch.length], ["test", 2])
    assert.deepStrictEqual([second?.path, second?.answered], ["/decide", 404])
  })

  test("The sink reads gzip, and what posthog-node sends", function*(sink) {
    const gzip = { headers: { "content-encoding": "gzip" } }
    assert.strictEqual((yield* post(sink, Zlib.gzipSync(body(event(1))), gzip)).status, 200)
    const client = new PostHog("phc_test", { host: sink.url, flushAt: 100 })
    const properties = { distinct_id: "user", alias: "anon" }
    const { timestamp } = event(2)
    client.capture({
      event: "$create_alias",
      distinctId: "user",
      properties,
      timestamp: new Date(timestamp),
      uuid: uuid(2)
    })
    yield* Effect.promise(() => client.shutdown())
    const [first, second] = yield* sink.messages
    assert.strictEqual(first?.event, "event 1")
    assert.deepInclude(second, { event: "$create_alias", timestamp, uuid: uuid(2) })
    assert.strictEqual(second?.properties["alias"], "anon")
    const requests = yield* sink.requests
    assert.strictEqual(requests[0]?.body, body(event(1)))
    assert.strictEqual(requests[1]?.headers["content-encoding"], "gzip")
  })

  test("The sink keeps the raw text of a message, and makes up for an absent uuid", function*(sink) {
    const raw = "{\"distinct_id\":\"user\",\"event\":\"ran\"}"
    assert.strictEqual((yield* post(sink, `{"api_key":"k","batch":[${raw}]}`)).status, 200)
    assert.strictEqual((yield* sink.messages)[0]?.raw, raw)
  })

  test(
    "The persons of the sink's messages have the properties that are beside a message's properties",
    function*(sink) {
      yield* post(sink, body({ ...event(1), $set: { plan: "pro" }, $set_once: { city: "Bonn" } }))
      const [person] = Persons.fold(yield* sink.messages).persons
      assert.deepStrictEqual(person?.properties, { plan: "pro", city: "Bonn" })
    }
  )

  const bad: Readonly<Record<string, unknown>> = {
    "no name": { ...event(2), event: undefined },
    "an empty name": { ...event(2), event: "" },
    "no distinct id": { ...event(2), distinct_id: undefined },
    "an empty distinct id": { ...event(2), distinct_id: "" },
    "a uuid that is none": { ...event(2), uuid: "17" },
    "a uuid that is no text": { ...event(2), uuid: 17 },
    "nothing of an event": null
  }
  for (const [name, message] of Object.entries(bad)) {
    test(`The sink answers 400 to a whole batch because of an event with ${name}`, function*(sink) {
      const reply = yield* post(sink, body(event(1), message, event(3)))
      assert.strictEqual(reply.status, 400)
      assert.property(JSON.parse(reply.text), "error")
      assert.deepStrictEqual(yield* sink.messages, [])
      assert.lengthOf(yield* sink.attempts, 3)
    })
  }

  test("The sink says what is wrong with a body that is no batch, and shows the body", function*(sink) {
    const batch = [event(1)]
    const bodies: ReadonlyArray<readonly [string, Record<string, string>, status: number, error: string]> = [
      ["hello", {}, 400, "no JSON"],
      // Not each version of Node.js fails to decode it: the reason is then another one.
      [body().replace("[]", `[${"[".repeat(200_000)}${"]".repeat(200_000)}]`), {}, 400, ""],
      ["{}", {}, 400, "it has no batch"],
      [body(), {}, 400, "no event"],
      [body(event(1)), { "content-encoding": "gzip" }, 400, "no gzip, though its content-encoding says so"],
      [JSON.stringify({ batch }), {}, 401, "without an api_key"],
      [JSON.stringify({ api_key: "", batch }), {}, 401, "without an api_key"]
    ]
    for (const [payload, headers, status, error] of bodies) {
      const reply = yield* post(sink, payload, { headers })
      assert.strictEqual(reply.status, status)
      assert.include(JSON.parse(reply.text).error, error)
      assert.strictEqual((yield* sink.requests).at(-1)?.body, payload)
    }
    assert.deepStrictEqual(yield* sink.messages, [])
  })

  test("The sink shows what it accepted at GET /api/messages, which is no request", function*(sink) {
    yield* post(sink, body(event(1)))
    yield* post(sink, body({}))
    const reply = yield* post(sink, "", { method: "GET", path: "/api/messages" })
    const [{ received_at, ...message }, ...others] = JSON.parse(reply.text)
    assert.deepStrictEqual([message, others], [event(1), []])
    assert.isString(received_at)
    assert.lengthOf(yield* sink.requests, 2)
  })

  test(
    "The sink takes no more than 20 MB of a body, nor of what a compressed one inflates to, whatever its rule is",
    function*(sink) {
      const payload = body({ ...event(1), properties: { padding: "x".repeat(20 * 1024 * 1024) } })
      const gzip = { headers: { "content-encoding": "gzip" } }
      for (const rule of [Answer.Validate(), Answer.Ok({})]) {
        yield* sink.answer(rule)
        for (const reply of [post(sink, payload), post(sink, Zlib.gzipSync(payload, { level: 1 }), gzip)]) {
          const { status, text } = yield* reply
          assert.deepStrictEqual([status, JSON.parse(text)], [413, { error: "request body too large" }])
          assert.isBelow((yield* sink.requests).at(-1)?.body.length ?? Infinity, 5 * 1024 * 1024)
        }
      }
      assert.deepStrictEqual(yield* sink.messages, [])
    }
  )

  test(
    "The sink refuses a request by a foreign host name or from a foreign page, and takes none of its messages",
    function*(sink) {
      const port = new URL(sink.url).port
      const foreign: ReadonlyArray<Record<string, string>> = [
        { origin: "https://evil.test" },
        { origin: "null" },
        { origin: `http://127.0.0.1:${Number(port) + 1}` },
        { origin: `https://127.0.0.1:${port}` },
        { host: `evil.test:${port}` },
        { host: `127.0.0.1.evil.test:${port}` },
        { host: `localhost.evil.test` },
        { host: `evil.test:${port}`, origin: `http://evil.test:${port}` }
      ]
      for (const headers of foreign) {
        for (const options of [{}, { method: "GET", path: "/api/messages" }]) {
          const reply = yield* post(sink, body(event(1)), { ...options, headers })
          assert.deepStrictEqual([reply.status, Object.keys(JSON.parse(reply.text))], [403, ["error"]])
        }
      }
      assert.deepStrictEqual([yield* sink.attempts, yield* sink.requests], [[], []])
    }
  )

  test("The sink takes requests by every name of this machine, and from a page of its own", function*(sink) {
    const port = new URL(sink.url).port
    const own = ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"].map((name) => `${name}:${port}`)
    for (const host of [...own, "localhost"]) {
      assert.strictEqual((yield* post(sink, body(event(1)), { headers: { host } })).status, 200)
      assert.strictEqual(
        (yield* post(sink, body(event(1)), { headers: { host, origin: `http://${host}` } })).status,
        200
      )
    }
  })

  test("The sink answers 404 with JSON elsewhere, whatever its rule is", function*(sink) {
    yield* sink.answer(Answer.Ok({}))
    for (const options of [{ path: "/i/v1/e/" }, { method: "GET" }, { path: "/api/messages" }]) {
      const reply = yield* post(sink, body(event(1)), options)
      assert.strictEqual(reply.status, 404)
      assert.isObject(JSON.parse(reply.text))
    }
    assert.deepStrictEqual(yield* sink.attempts, [])
  })
})

describe("arbitrary requests", () => {
  const encodings = ["", "gzip", "identity", "br", "gzip, gzip"] as const

  it.live.prop(
    "A body of any bytes, or a batch with any mutation, is accepted whole or refused, and the sink goes on",
    { bytes: Fuzz.bytes, mutation: Fuzz.mutations, encoding: Schema.Literals(encodings), inflates: Schema.Boolean },
    ({ bytes, encoding, inflates, mutation }) =>
      Effect.gen(function*() {
        const sink = yield* makeSink()
        const batch = body(event(1), { ...event(2), $set: { plan: "pro" } })
        for (
          const text of [
            bytes,
            Buffer.from(Fuzz.mutate(batch, mutation)),
            Fuzz.mutate(Zlib.gzipSync(batch).toString("latin1"), mutation)
          ]
        ) {
          const payload = typeof text === "string" ? Buffer.from(text, "latin1") : inflates ? Zlib.gzipSync(text) : text
          const { status } = yield* post(sink, payload, {
            headers: encoding === "" ? {} : { "content-encoding": encoding }
          })
          assert.include([200, 400, 401], status)
        }
        const messages = yield* sink.messages
        for (const { distinct_id, event, properties } of messages) {
          assert.isTrue(event !== "" && distinct_id !== "")
          Fuzz.assertSafe(properties)
        }
        Fuzz.assertSafe(Persons.fold(messages))
        const shown = yield* post(sink, "", { method: "GET", path: "/api/messages" })
        assert.lengthOf(JSON.parse(shown.text), messages.length)
      }),
    { arbitrary: { runs: 100 } }
  )
})

describe("response rules", () => {
  const { NotJson, Ok, Redirect, Reset, Status } = Answer

  interface Row {
    readonly rule: PostHogSink.Answer
    readonly answered: PostHogSink.Answered
    readonly accepted: number
    /** The text of the reply, or the code of the failure. */
    readonly text?: RegExp
    readonly headers?: Readonly<Record<string, string>>
  }
  const table: Readonly<Record<string, Row>> = {
    "Ok with quota_limited says so and drops the messages": {
      rule: Ok({ quota_limited: ["events"] }),
      answered: 200,
      accepted: 0,
      text: /^\{"status":1,"quota_limited":\["events"\]\}$/
    },
    "Status has its status, body and headers": {
      rule: Status({ status: 503, body: "later", headers: { "retry-after": "7" } }),
      answered: 503,
      accepted: 0,
      text: /^later$/,
      headers: { "retry-after": "7" }
    },
    "Status accepts as a 2xx": { rule: Status({ status: 202 }), answered: 202, accepted: 1 },
    "Status accepts nothing without JSON": { rule: Status({ status: 202, body: "fine" }), answered: 202, accepted: 0 },
    "Status accepts nothing without a body": { rule: Status({ status: 204, body: "" }), answered: 204, accepted: 0 },
    "Status accepts nothing outside of 2xx": { rule: Status({ status: 401 }), answered: 401, accepted: 0 },
    "NotJson is a 200 with a page": { rule: NotJson(), answered: 200, accepted: 0, text: /^<!doctype html>/ },
    "Redirect names a location": {
      rule: Redirect({ status: 302, location: "/login" }),
      answered: 302,
      accepted: 0,
      headers: { location: "/login" }
    },
    "Reset before the answer resets the connection": {
      rule: Reset({ before: true }),
      answered: "reset",
      accepted: 0,
      text: /^ECONNRESET$/
    }
  }
  for (const [title, row] of Object.entries(table)) {
    test(`An answer is as its rule says: ${title}`, function*(sink) {
      yield* sink.answer(row.rule)
      const reply = yield* Effect.match(post(sink, body(event(1))), {
        onFailure: (code) => ({ status: "reset", headers: {}, text: code }),
        onSuccess: (reply) => reply
      })
      assert.deepStrictEqual([reply.status, (yield* sink.requests)[0]?.answered], [row.answered, row.answered])
      assert.lengthOf(yield* sink.messages, row.accepted)
      assert.lengthOf(yield* sink.attempts, 1)
      if (row.text !== undefined) assert.match(reply.text, row.text)
      assert.deepInclude(reply.headers, row.headers ?? {})
    })
  }

  test("The rule Ok accepts any message", function*(sink) {
    yield* sink.answer(Ok({}))
    assert.strictEqual((yield* post(sink, body({ event: "bare" }))).status, 200)
    const [message] = yield* sink.messages
    assert.deepStrictEqual([message?.event, message?.distinct_id, message?.uuid], ["bare", "", ""])
  })

  test("The rule Hang takes the request and never answers, while later requests are answered", function*(sink) {
    yield* sink.answer(Answer.Hang())
    const client = yield* Effect.forkChild(post(sink, body(event(1))))
    yield* sink.waitFor((_, requests) => requests.length === 1)
    assert.strictEqual((yield* sink.requests)[0]?.answered, "hang")
    yield* sink.answer(Status({ status: 503 }))
    assert.strictEqual((yield* post(sink, body(event(2)))).status, 503)
    assert.isUndefined(client.pollUnsafe())
    assert.deepStrictEqual(yield* sink.messages, [])
  })

  test("The rule Reset cuts the connection after half of a 200", function*(sink) {
    yield* sink.answer(Reset({}))
    // The half that does arrive is what makes a careless client believe in a success.
    const response = yield* Effect.promise(() => fetch(`${sink.url}/batch/`, { method: "POST", body: body(event(1)) }))
    assert.strictEqual(response.status, 200)
    assert.strictEqual((yield* Effect.exit(Effect.tryPromise(() => response.text())))._tag, "Failure")
    assert.strictEqual((yield* sink.requests)[0]?.answered, "reset")
    assert.deepStrictEqual(yield* sink.messages, [])
  })

  test("The rule RejectPoison refuses each batch that holds a bad message", function*(sink) {
    yield* sink.answer(Answer.RejectPoison({ isBad: (message) => message.properties["n"] === 2 }))
    assert.strictEqual((yield* post(sink, body(event(1), event(2)))).status, 400)
    assert.strictEqual((yield* post(sink, body(event(1)))).status, 200)
    assert.deepStrictEqual(names(yield* sink.messages), ["event 1"])
  })

  test("A rule that is a function sees the request, and how many came before it under this rule", function*(sink) {
    yield* sink.answer(() => Ok({}))
    yield* post(sink, body(event(1)))
    yield* sink.answer((request, index) =>
      index === 0 ? Status({ status: 429 }) : request.batch.length > 1 ? Status({ status: 413 }) : Answer.Validate()
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
  })

  describe("Drip", () => {
    afterEach(() => {
      vi.useRealTimers()
    })

    /** A request that is answered byte by byte, under a clock that stands still. */
    const dripping = Effect.gen(function*() {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] })
      const sink = yield* makeSink()
      yield* sink.answer(Answer.Drip())
      const client = yield* Effect.forkChild(post(sink, body(event(1))))
      yield* eventually(Effect.sync(() => vi.getTimerCount()), (timers) => timers === 1)
      return { sink, client }
    })

    it.live("The rule Drip accepts with the last byte, after more than five seconds", () =>
      Effect.gen(function*() {
        const { client, sink } = yield* dripping
        vi.advanceTimersByTime(5_000)
        assert.deepStrictEqual(yield* sink.messages, [])
        assert.strictEqual((yield* sink.requests)[0]?.answered, "drip")
        vi.advanceTimersByTime(5_000)
        const reply = yield* Fiber.join(client)
        assert.deepStrictEqual(JSON.parse(reply.text), { status: 1 })
        assert.strictEqual((yield* sink.requests)[0]?.answered, 200)
        assert.lengthOf(yield* sink.messages, 1)
      }))

    it.live("The rule Drip does not accept what the client did not wait for", () =>
      Effect.gen(function*() {
        const { client, sink } = yield* dripping
        yield* Fiber.interrupt(client)
        yield* eventually(Effect.sync(() => vi.getTimerCount()), (timers) => timers === 0)
        assert.strictEqual((yield* sink.requests)[0]?.answered, "drip")
        assert.deepStrictEqual(yield* sink.messages, [])
      }))
  })
})
