/**
 * What the worker makes of each answer. Worker.test.ts has what a worker then does with the messages.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Zlib from "node:zlib"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { PostHogClient } from "../../src/worker/PostHogClient.ts"
import { post } from "../../src/worker/Transport.ts"
import { event, events } from "../fixtures/Messages.ts"
import { replace } from "../fixtures/Replace.ts"
import { listen } from "../fixtures/Servers.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually, makeSink } from "../fixtures/Wait.ts"

const { Drip, Hang, NotJson, Ok, Reset, Status } = PostHogSink.Answer

const send = (sink: PostHogSink.PostHogSink) =>
  Effect.promise(() => new PostHogClient({ host: sink.url, key: "phc_test" }).send(events(3)))

/** What the client makes of an answer to its one request. */
const read = Effect.fnUntraced(function*(answer: PostHogSink.Answer) {
  const sink = yield* makeSink()
  yield* sink.answer(answer)
  const read = yield* send(sink)
  assert.lengthOf(yield* sink.requests, 1)
  return read
})

/** Waits until the connection to a server is kept for the next request. */
const isKept = (url: URL) =>
  eventually(
    Effect.sync(() => Object.keys(Http.globalAgent.freeSockets).join(" ")),
    (names) => names.includes(`:${url.port}:`)
  )

describe("response decoding", () => {
  const kept: ReadonlyArray<readonly [name: string, answer: PostHogSink.Answer]> = [
    ...[401, 403, 404, 408, 429, 500, 501, 502, 503, 504].map((status) =>
      [`status ${status}`, Status({ status, body: "{\"status\":1}" })] as const
    ),
    ["a captive portal's page", NotJson()],
    ["200 without a body", Status({ status: 200, body: "" })],
    ["200 with half a JSON", Status({ status: 200, body: "{\"status\":" })],
    ["200 with more than 64 KiB", Status({ status: 200, body: `{"status":1}${" ".repeat(64 * 1024)}` })],
    ["204", Status({ status: 204, body: "" })],
    ["a reset before an answer", Reset({ before: true })],
    ["a reset in the middle of an answer", Reset({})]
  ]
  for (const [name, answer] of kept) {
    it.effect(`An answer takes no message: ${name}`, () =>
      Effect.map(read(answer), ({ _tag }) => assert.strictEqual(_tag, "Kept")))
  }

  test.each([301, 302, 303, 307, 308])("A redirect takes no message and is not followed: %s", function*(status) {
    const elsewhere = yield* makeSink()
    const headers = { location: `${elsewhere.url}/batch/` }
    const { _tag } = yield* read(Status({ status, body: "{\"status\":1}", headers }))
    assert.strictEqual(_tag, "Kept")
    assert.deepStrictEqual(yield* elsewhere.requests, [])
  })

  for (const body of ["1", "\"Ok\"", "null", "[]", "{}"]) {
    it.effect(`An answer takes the messages: the JSON ${body}`, () =>
      Effect.map(
        read(Status({ status: 200, body })),
        (answer) => assert.deepStrictEqual(answer, { _tag: "Taken", quotaLimited: false })
      ))
  }

  test("An answer says that the project is over its quota, that a body is too large, and that it is malformed", function*() {
    assert.deepStrictEqual(yield* read(Ok({ quota_limited: ["events"] })), { _tag: "Taken", quotaLimited: true })
    for (const body of ["", "The page of a proxy. ".repeat(10_000)]) {
      assert.deepStrictEqual(yield* read(Status({ status: 413, body })), { _tag: "TooLarge" })
      assert.deepStrictEqual(yield* read(Status({ status: 400, body })), { _tag: "Malformed" })
    }
  })
})

// Valid JSON, which another program may have put into the outbox, or a host with a larger stack.
test.each([3_000, 20_000])("A message that is nested too deep to be encoded is malformed: %s", function*(depth) {
  const sink = yield* makeSink()
  const client = new PostHogClient({ host: sink.url, key: "phc_test" })
  const deep = event(1, { properties: { deep: JSON.parse("[".repeat(depth) + "]".repeat(depth)) } })
  assert.deepStrictEqual(yield* Effect.promise(() => client.send([event(0), deep])), { _tag: "Malformed" })
  assert.isEmpty(yield* sink.requests)
  assert.strictEqual((yield* Effect.promise(() => client.send([event(0)])))._tag, "Taken")
  assert.deepStrictEqual((yield* sink.messages).map(({ uuid }) => uuid), [event(0).uuid])
})

test("Messages are kept if their request cannot be made: they are not malformed", function*() {
  const sink = yield* makeSink()
  const long = event(1, { properties: { text: "x".repeat(2_000) } })
  replace(process.getBuiltinModule("node:zlib"), {
    gzipSync: () => {
      throw new Error("no memory")
    }
  })
  for (const [host, message] of [["http://127.0.0.1:99999", event(0)], [sink.url, long]] as const) {
    const client = new PostHogClient({ host, key: "phc_test" })
    const answer = yield* Effect.promise(() => client.send([message]))
    assert.deepStrictEqual(answer, { _tag: "Kept", reason: "nothing was sent" })
  }
})

test("A server that compresses what it may compress accepts the messages with a plain answer", function*() {
  const sink = yield* makeSink()
  const gzip = (text: string) => Zlib.gzipSync(text).toString("latin1")
  yield* sink.answer(({ headers }) =>
    headers["accept-encoding"] === "identity"
      ? Status({ status: 200, body: "{}" })
      : Status({ status: 200, body: gzip("{}"), headers: { "content-encoding": "gzip" } })
  )
  assert.strictEqual((yield* send(sink))._tag, "Taken")
})

describe("keep-alive connections", () => {
  /** A PostHog that answers the first request of a connection and resets the connection at the next; or at each. */
  const posthog = Effect.fnUntraced(function*(resets: "the second" | "each") {
    const seen = new Set<unknown>()
    let requests = 0
    const { url } = yield* listen(Http.createServer((request, response) => {
      requests += 1
      const isReset = seen.has(request.socket) || (resets === "each" && requests > 1)
      seen.add(request.socket)
      if (isReset) return void request.socket.destroy()
      request.resume().on("end", () => response.end("{}"))
    }))
    return { requests: () => requests, url }
  })

  for (
    const [resets, tag, what] of [
      ["the second", "Taken", "is sent once more over a new one"],
      ["each", "Kept", "is given up where a new one is reset too"]
    ] as const
  ) {
    test(`A request on a kept connection that closes ${what}`, function*() {
      const { requests, url } = yield* posthog(resets)
      const client = new PostHogClient({ host: url, key: "phc_test" })
      const [first, second] = [
        yield* Effect.promise(() => client.send(events(1))),
        yield* Effect.promise(() => client.send(events(1)))
      ]
      assert.deepStrictEqual([first._tag, second._tag, requests()], ["Taken", tag, 3])
    })
  }
})

describe("an answer that is not HTTP to its end", () => {
  /** A server that writes one text for each request of a connection, and closes the connection after the last text. */
  const server = Effect.fnUntraced(function*(...texts: ReadonlyArray<string>) {
    let requests = 0
    const { url } = yield* listen(Net.createServer((socket) => {
      let count = 0
      socket.on("data", (data) => {
        if (!data.toString().includes("POST ")) return
        requests += 1
        const text = texts[count++] ?? ""
        if (count < texts.length) socket.write(text)
        else socket.end(text)
      })
    }))
    return { requests: () => requests, url: new URL(url) }
  })
  const send = (url: URL) => Effect.promise(() => post(url, {}, "{}", 60_000))

  for (
    const [what, text] of [
      ["its content-length", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}"],
      ["its last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"]
    ] as const
  ) {
    test(`An answer takes no message if its connection closes before ${what}, also if what arrived is JSON`, function*() {
      const { requests, url } = yield* server(text)
      assert.deepStrictEqual(yield* send(url), { _tag: "Kept", reason: "the answer broke off" })
      assert.strictEqual(requests(), 1)
    })
  }

  test("A request on a kept connection is not sent again if its answer is not HTTP", function*() {
    const { requests, url } = yield* server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "not HTTP\r\n\r\n")
    const first = yield* send(url)
    yield* isKept(url)
    const second = yield* send(url)
    assert.deepStrictEqual([first, second, requests()], [
      { _tag: "Taken", quotaLimited: false },
      { _tag: "Kept", reason: "no connection (HPE_INVALID_CONSTANT)" },
      2
    ])
  })
})

test.live("A request on a kept connection that gets no answer in time is given up, and not sent again", function*() {
  let requests = 0
  let closed = 0
  const server = Http.createServer((request, response) => {
    request.resume()
    if (request.method === "GET") return void response.end()
    requests += 1
    if (requests === 1) response.end("{}")
  })
  server.on("connection", (socket) => socket.on("close", () => closed += 1))
  const url = new URL((yield* listen(server)).url)
  const send = (limit: number) => Effect.promise(() => post(url, {}, "{}", limit))
  const first = yield* send(60_000)
  yield* isKept(url)
  const second = yield* send(100)
  yield* eventually(Effect.sync(() => closed), (count) => count === 1)
  assert.deepStrictEqual([first, second], [
    { _tag: "Taken", quotaLimited: false },
    { _tag: "Kept", reason: "no answer in time" }
  ])
  // What was sent before this request has arrived when it is answered.
  yield* Effect.promise(() => fetch(url))
  assert.strictEqual(requests, 2)
})

describe("request timeout", () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  for (const [name, answer] of [["not answered at all", Hang()], ["not answered to its end", Drip()]] as const) {
    test(`A request that is ${name} is given up after five seconds`, function*() {
      const sink = yield* makeSink()
      const asked = Promise.withResolvers<void>()
      yield* sink.answer(() => {
        asked.resolve()
        return answer
      })
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
      let read: unknown
      const sending = new PostHogClient({ host: sink.url, key: "phc_test" }).send(events(3))
      void sending.then((answer) => read = answer)
      yield* Effect.promise(() => asked.promise)
      yield* Effect.promise(() => vi.advanceTimersByTimeAsync(4_999))
      assert.isUndefined(read)
      yield* Effect.promise(() => vi.advanceTimersByTimeAsync(1))
      yield* Effect.promise(() => sending)
      assert.deepStrictEqual(read, { _tag: "Kept", reason: "no answer in time" })
    })
  }
})
