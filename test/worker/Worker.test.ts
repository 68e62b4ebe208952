/**
 * What the real worker does with the messages of an outbox.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Message from "../../src/domain/Message.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { tls } from "../fixtures/Certificate.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { event, eventOf, events } from "../fixtures/Messages.ts"
import { makeSink, stoppedSink } from "../fixtures/Wait.ts"
import { type Device, eventually, RealWorker, silently } from "./RealWorker.ts"
import { alice, anon, assertDelivered, assertKept, device, first, of, run, suite, uuids, withTimers } from "./Runs.ts"

const { Drip, Hang, NotJson, Ok, RejectPoison, Reset, Status, Validate } = PostHogSink.Answer

/** Workers delivered these messages and set these files aside, and only files of a newer version wait. */
const assertSetAside = Effect.fnUntraced(function*(
  worker: Device,
  delivered: ReadonlyArray<string>,
  refused: ReadonlyArray<string>,
  newer: ReadonlyArray<string> = []
) {
  assert.deepStrictEqual(uuids(yield* worker.sink.messages), delivered)
  const { backOff, leases, setAside, waiting } = yield* worker.disk
  assert.deepStrictEqual([waiting, setAside, backOff, leases], [newer, refused, undefined, []])
})

suite("the worker", (test) => {
  describe.concurrent("retries", () => {
    test("A message waits, unchanged, for the next worker when the answer takes nothing", function*() {
      const elsewhere = yield* makeSink()
      const headers = { location: `${elsewhere.url}/batch/` }
      const answers: Readonly<Record<string, PostHogSink.Answer>> = {
        "status 503": Status({ status: 503, body: "{\"status\":1}" }),
        "a captive portal's page": NotJson(),
        "a redirect": Status({ status: 302, body: "{\"status\":1}", headers }),
        "a reset before an answer": Reset({ before: true }),
        "a reset in the middle of an answer": Reset({})
      }
      yield* Effect.forEach(Object.entries(answers), ([name, answer]) =>
        Effect.gen(function*() {
          const worker = yield* device
          yield* worker.claim(0, anon, alice)
          yield* worker.record(event(1), eventOf(2, alice), event(3))
          yield* worker.sink.answer(answer)
          yield* run(worker)
          assert.lengthOf(yield* worker.sink.requests, 1, name)
          yield* assertKept(worker, of(1, 2, 3), name)

          yield* worker.sink.answer(Validate())
          yield* run(worker)
          yield* assertDelivered(worker, of(0, 1, 2, 3), name)
          assert.lengthOf(yield* worker.sink.attempts, 8, name)
          assert.deepStrictEqual((yield* worker.disk).settled, [`${anon}.delivered`], name)
        }), { concurrency: 3, discard: true })
      assert.deepStrictEqual(yield* elsewhere.requests, [])
    })

    test("Messages wait when no server listens, and each worker in vain doubles the time to the next", function*() {
      const down = yield* stoppedSink
      const worker = yield* Effect.flatMap(RealWorker, (workers) => workers.device(down))
      yield* worker.record(...events(3))
      for (const attempts of [1, 2, 3]) {
        yield* run(worker)
        yield* assertKept(worker, first(3), "refused", attempts)
      }
      const up = yield* makeSink({ port: Number(new URL(down.url).port) })
      yield* run(worker)
      assert.deepStrictEqual(uuids(yield* up.messages), first(3))
      assert.isUndefined((yield* worker.disk).backOff)
    })

    test("Messages wait when a certificate is not trusted, and go where NODE_EXTRA_CA_CERTS says that it is", function*() {
      const sink = yield* makeSink({ tls })
      const worker = yield* Effect.flatMap(RealWorker, (workers) => workers.device(sink))
      yield* worker.record(...events(3))
      yield* run(worker)
      assert.deepStrictEqual(yield* worker.sink.requests, [])
      yield* assertKept(worker, first(3), "not trusted")

      const ca = Path.join(yield* temporaryFolder("worker-ca-"), "ca.pem")
      Fs.writeFileSync(ca, tls.cert)
      yield* run(worker, { env: { NODE_EXTRA_CA_CERTS: ca } })
      yield* assertDelivered(worker, first(3))
    })

    for (const [name, answer] of [["no answer comes", Hang()], ["no answer ends", Drip()]] as const) {
      // PostHogClient.test.ts holds that the limit is 5 s.
      test(`Messages wait when ${name} before the limit of a request`, function*(worker) {
        yield* worker.record(...events(3))
        yield* worker.sink.answer(answer)
        const { ended, kill } = yield* worker.start({
          arguments: yield* withTimers({ 5000: "byHand", 10000: "never" })
        })
        yield* worker.sink.waitFor((_, requests) => requests[0]?.answered === answer._tag.toLowerCase())
        yield* kill("SIGUSR2")
        assert.deepStrictEqual(yield* ended, silently)
        assert.lengthOf(yield* worker.sink.requests, 1)
        yield* assertKept(worker, first(3), name)
      })
    }

    test("An alias alone waits where the project is over its quota, and no event ends the back-off", function*(worker) {
      yield* worker.claim(0, anon, alice)
      yield* worker.sink.answer(Ok({ quota_limited: ["events"] }))
      for (const [attempts, messages] of [[1, [eventOf(1, alice)]], [2, []], [3, [eventOf(2, alice)]]] as const) {
        yield* worker.record(...messages)
        yield* run(worker)
        yield* assertKept(worker, [], "over quota", attempts)
      }
      yield* worker.sink.answer(Validate())
      yield* run(worker)
      yield* assertDelivered(worker, of(0))
      assert.deepStrictEqual((yield* worker.disk).settled, [`${anon}.delivered`])
    })
  })

  describe.concurrent("refusals", () => {
    test("A malformed message among 200 is set aside, and one drain sends the others", function*(worker) {
      const poison = of(17, 18, 111, 199)
      yield* worker.record(...events(200))
      yield* worker.sink.answer(RejectPoison({ isBad: ({ uuid }) => poison.includes(uuid) }))
      yield* run(worker)
      yield* assertSetAside(worker, first(200).filter((uuid) => !poison.includes(uuid)), poison)
      assert.deepStrictEqual(yield* worker.altered, [])
      const requests = yield* worker.sink.requests
      assert.isBelow(requests.length, 2 * poison.length * Math.ceil(Math.log2(200)))
      // The left half first: so what goes is in the order in which it was recorded.
      assert.deepStrictEqual(uuids(requests[1]?.batch ?? []), first(100))
    })

    test("A message that is nested too deep to be sent is set aside, and the others are sent", function*(worker) {
      yield* worker.record(...events(2))
      const names = [3_000, 20_000].map((depth) => {
        const text = `"n":${"[".repeat(depth)}${"]".repeat(depth)}`
        const name = `000000000000000-${depth}.json`
        const deep = event(depth, { properties: { n: 2 } })
        Fs.writeFileSync(`${worker.folder.events}/${name}`, Message.encode(deep).replace("\"n\":2", text))
        return name
      })
      yield* run(worker)
      yield* assertSetAside(worker, first(2), names.toSorted())
    })

    test("Messages are kept if PostHog refuses all of them as malformed", function*(worker) {
      yield* worker.claim(7, anon, alice)
      yield* worker.record(...events(7))
      yield* worker.sink.answer(Status({ status: 400 }))
      for (const attempts of [1, 2]) {
        yield* run(worker)
        yield* assertKept(worker, first(7), "all refused", attempts)
      }
      yield* worker.sink.answer(Validate())
      yield* run(worker)
      yield* assertDelivered(worker, [...of(7), ...first(7)])
    })

    test(
      "A worker without the time to find a malformed message backs off, and the next one finds it",
      function*(worker) {
        yield* worker.record(...events(42))
        yield* worker.sink.answer(RejectPoison({ isBad: ({ uuid }) => uuid === event(0).uuid }))
        const words = yield* withTimers({}, [
          `const http = require("node:http")`,
          `const { request } = http`,
          `const { bigint } = process.hrtime`,
          `let spent = 0n`,
          `http.request = (...options) => (spent += 950_000_000n, request(...options))`,
          `process.hrtime.bigint = () => bigint() + spent`
        ])
        yield* run(worker, { arguments: words })
        yield* assertKept(worker, first(42), "no time")
        const sizes = Effect.map(worker.sink.requests, (all) => all.map(({ batch }) => batch.length))
        assert.deepStrictEqual(yield* sizes, [42, 21, 11, 6, 3])
        yield* run(worker, { arguments: words })
        // The successor has the clock of the machine.
        yield* eventually(worker.disk, ({ leases, waiting }) => waiting.length === 0 && leases.length === 0)
        assert.deepStrictEqual((yield* sizes).slice(5), [2, 1, 1, 2, 4, 8, 16, 10])
        yield* assertSetAside(worker, first(42).slice(1), of(0))
      }
    )

    test("A malformed alias is set aside with its claim, and not sent again", function*(worker) {
      yield* worker.claim(0, anon, alice)
      yield* worker.record(event(1))
      yield* worker.sink.answer(RejectPoison({ isBad: ({ event }) => event === "$create_alias" }))
      yield* run(worker)
      assert.deepStrictEqual((yield* worker.disk).settled, [`${anon}.set-aside`])
      const before = yield* worker.sink.requests
      yield* run(worker)
      assert.lengthOf(yield* worker.sink.requests, before.length)
    })

    test("A batch that is too large is sent in halves, in order, until it fits", function*(worker) {
      yield* worker.record(...events(20))
      yield* worker.sink.answer(({ batch }) => batch.length > 5 ? Status({ status: 413 }) : Validate())
      yield* run(worker)
      yield* assertDelivered(worker, first(20))
      const requests = yield* worker.sink.requests
      assert.deepStrictEqual(requests.map(({ batch }) => batch.length), [20, 10, 5, 5, 10, 5, 5])
    })

    test("A message that alone is too large is set aside, and the others are sent", function*(worker) {
      yield* worker.record(...events(5))
      const large = event(2).uuid
      yield* worker.sink.answer(({ batch }) => uuids(batch).includes(large) ? Status({ status: 413 }) : Validate())
      yield* run(worker)
      yield* assertSetAside(worker, of(0, 1, 3, 4), [large])
    })

    test("Half of a batch is kept when the host fails after the other half", function*(worker) {
      yield* worker.record(...events(4))
      const answers = [Status({ status: 413 }), Validate()]
      yield* worker.sink.answer((_, index) => answers[index] ?? Status({ status: 503 }))
      yield* run(worker)
      assert.deepStrictEqual(uuids(yield* worker.sink.messages), first(2))
      yield* assertKept(worker, of(2, 3), "the right half")
    })
  })

  describe.concurrent("request format", () => {
    test(
      "A message goes as it is on disk, byte for byte, to the batch endpoint, with the starter's key",
      function*(worker) {
        const named = ["$exception", "$pageview", "$feature_flag_called", "$identify", " "].map((name, n) =>
          event(n + 1, { event: name })
        )
        yield* worker.record(event(0), ...named)
        // This variable would send posthog-node to another endpoint.
        yield* run(worker, { env: { POSTHOG_CAPTURE_MODE: "v1" } })
        yield* assertDelivered(worker, first(6))
        const requests = yield* worker.sink.requests
        assert.deepStrictEqual(requests.map(({ api_key, method, path }) => [method, path, api_key]), [
          ["POST", "/batch/", "phc_test"]
        ])
      }
    )

    test(
      "An alias goes before the events of its principal, and these in the order of their recording",
      function*(worker) {
        yield* worker.record(event(1), eventOf(3, alice), event(2), eventOf(4, alice))
        yield* worker.claim(9, anon, alice)
        yield* run(worker)
        yield* assertDelivered(worker, of(9, 1, 2, 3, 4))
      }
    )

    test("A body is compressed where it is more than one packet holds, and names posthog-node", function*(worker) {
      yield* worker.record(event(0))
      yield* run(worker)
      yield* worker.record(...events(41).slice(1))
      yield* run(worker)
      const headers = (yield* worker.sink.requests).map(({ headers }) => headers)
      assert.deepStrictEqual(headers.map((one) => one["content-encoding"]), [undefined, "gzip"])
      for (const one of headers) assert.match(one["user-agent"] ?? "", /^posthog-node\/5\./)
      assert.deepStrictEqual(yield* worker.altered, [])
    })

    test("Messages beyond the size of one request are sent in order, in requests of 250", function*(worker) {
      yield* worker.claim(999, anon, alice)
      yield* worker.record(...events(600))
      yield* run(worker)
      yield* assertDelivered(worker, [...of(999), ...first(600)])
      assert.lengthOf(yield* worker.sink.attempts, 601)
      assert.deepStrictEqual((yield* worker.sink.requests).map(({ batch }) => batch.length), [250, 250, 101])
    })
  })

  describe.concurrent("invalid outbox entries", () => {
    const text = (n: number, version = 1) => JSON.stringify({ version, message: event(n) })

    test(
      "A file that is no message is set aside, the others are sent, and one of a newer version stays",
      function*(worker) {
        yield* worker.record(event(0), event(1))
        const files = {
          "000-binary.json": "\u0000\uffff",
          "000-empty.json": "",
          "000-no-uuid.json": text(9).replace(event(9).uuid, "uuid"),
          "000-nothing.json": "null",
          "000-truncated.json": text(9).slice(0, -1)
        }
        for (const [name, content] of Object.entries({ ...files, "000-newer.json": text(9, 2) })) {
          Fs.writeFileSync(Path.join(worker.folder.events, name), content, { mode: 0o600 })
        }
        yield* run(worker)
        // A newer host on the same home brings a newer worker.
        yield* assertSetAside(worker, first(2), Object.keys(files), ["000-newer.json"])
      }
    )

    test("An entry of the outbox that is no file is set aside, and the others are sent", function*(worker) {
      yield* worker.record(event(0), event(1))
      const at = (name: string) => Path.join(worker.folder.events, name)
      Fs.mkdirSync(at("000-directory.json"))
      Fs.writeFileSync(at("000-directory.json/inside"), text(9))
      ChildProcess.execFileSync("mkfifo", [at("000-fifo.json")])
      Fs.writeFileSync(at("000-huge.json"), text(9).padEnd(2 * 1024 * 1024), { mode: 0o600 })
      Fs.symlinkSync(worker.home, at("000-link.json"))
      const names = Fs.readdirSync(worker.folder.events).filter((name) => name.startsWith("000-")).toSorted()
      yield* run(worker)
      yield* assertSetAside(worker, first(2), names)
    })

    test("A file that cannot be set aside stays, and the other messages are sent once", function*(worker) {
      yield* worker.record(event(0))
      // There is a file in the place of the folder.
      Fs.writeFileSync(worker.folder.setAside, "")
      Fs.writeFileSync(Path.join(worker.folder.events, "000-empty.json"), "")
      yield* run(worker, { job: { lingers: true } })
      assert.lengthOf(yield* worker.sink.attempts, 1)
      // A worker takes the lease for its successor before it starts the successor.
      const { leases, waiting } = yield* worker.disk
      assert.deepStrictEqual([leases, waiting], [[], ["000-empty.json"]])
    })
  })
})
