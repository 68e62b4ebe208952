import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import { marker } from "../../src/layers/WorkerMarks.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { tls } from "./Certificate.ts"
import {
  type Device,
  type Ended,
  event,
  eventOf,
  events,
  eventually,
  RealWorker,
  silently,
  type StartOptions,
  temporaryFolder
} from "./RealWorker.ts"

const { Hang, NotJson, Ok, RejectPoison, Reset, Status, Validate } = PostHogSink.Answer

const device = Effect.flatMap(RealWorker, (workers) => workers.device())

const anon = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
const alice = "account_alice"

const uuids = (messages: ReadonlyArray<{ readonly uuid: string }>) => messages.map(({ uuid }) => uuid)

const without = ({ code, signal, stderr, stdout }: Ended) => ({ stdout, stderr, code, signal })

/** Runs a worker to its end, and sees that it ended by itself and said nothing. */
const run = Effect.fnUntraced(function*(worker: Device, options?: StartOptions) {
  const ended = yield* worker.run(options)
  assert.deepStrictEqual(without(ended), silently)
  return ended
})

/** A worker was here in vain: nothing is lost, and nobody comes again before a second is over. */
const assertKept = Effect.fnUntraced(function*(
  worker: Device,
  expected: { readonly waiting: ReadonlyArray<string>; readonly settled?: ReadonlyArray<string> },
  what: string,
  attempts = 1
) {
  const { backOff, leases, setAside, settled, waiting } = yield* worker.disk
  assert.deepStrictEqual(waiting, expected.waiting, what)
  assert.deepStrictEqual([setAside, settled, leases], [[], expected.settled ?? [], []], what)
  assert.strictEqual(backOff?.attempts, attempts, what)
  // The wait began when the worker gave up: after these tests began, and before now.
  const began = (backOff?.until ?? 0) - 1_000 * 2 ** (attempts - 1)
  assert.isAtLeast(began, performance.timeOrigin, what)
  assert.isAtMost(began, Date.now(), what)
})

const assertDelivered = Effect.fnUntraced(function*(
  worker: Device,
  expected: ReadonlyArray<string>,
  what?: string
) {
  assert.deepStrictEqual(uuids(yield* worker.sink.messages), expected, what)
  assert.deepStrictEqual(yield* worker.altered, [], what)
  const { backOff, lastDelivery, leases, setAside, waiting } = yield* worker.disk
  assert.deepStrictEqual([waiting, setAside, backOff, leases], [[], [], undefined, []], what)
  assert.isAtMost(Date.now() - (lastDelivery ?? 0), 60_000, what)
})

/** A page that answers 200 to whatever is asked. */
const page = Effect.gen(function*() {
  const asked: Array<string> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        asked.push(`${request.method} ${request.url}`)
        response.writeHead(200, { "content-type": "application/json" })
        response.end("{\"status\":1}")
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const address = server.address()
  return { asked, url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/` }
})

layer(RealWorker.layer, { excludeTestServices: true, timeout: "60 seconds" })("the worker", (it) => {
  describe.concurrent("a message that PostHog does not take", () => {
    it.effect("waits, unchanged, for the next worker, whatever the answer was", () =>
      Effect.gen(function*() {
        const elsewhere = yield* page
        const answers: ReadonlyArray<readonly [name: string, answer: PostHogSink.Answer]> = [
          ...[401, 403, 404, 408, 429, 500, 501, 502, 503, 504].map((status) =>
            [`status ${status}`, Status({ status, body: "{\"status\":1}" })] as const
          ),
          ["a captive portal's page", NotJson()],
          ["200 without a body", Status({ status: 200, body: "" })],
          ["200 with half a JSON", Status({ status: 200, body: "{\"status\":" })],
          ["204", Status({ status: 204, body: "" })],
          ...[301, 302, 303, 307, 308].map((status) =>
            [
              `a redirect (${status})`,
              Status({ status, body: "{\"status\":1}", headers: { location: elsewhere.url } })
            ] as const
          ),
          ["a reset before an answer", Reset({ before: true })],
          ["a reset in the middle of an answer", Reset({})]
        ]
        yield* Effect.forEach(answers, ([name, answer]) =>
          Effect.gen(function*() {
            const worker = yield* device
            yield* worker.claim(0, anon, alice)
            yield* worker.record(event(1), eventOf(2, alice), event(3))
            yield* worker.sink.answer(answer)
            yield* run(worker)
            assert.lengthOf(yield* worker.sink.requests, 1, name)
            yield* assertKept(worker, { waiting: uuids([1, 2, 3].map((n) => event(n))) }, name)

            yield* worker.sink.answer(Validate())
            yield* run(worker)
            yield* assertDelivered(worker, uuids([0, 1, 2, 3].map((n) => event(n))), name)
            assert.lengthOf(yield* worker.sink.attempts, 8, name)
            assert.deepStrictEqual((yield* worker.disk).settled, [`${anon}.delivered`], name)
          }), { concurrency: 3, discard: true })
        assert.deepStrictEqual(elsewhere.asked, [])
      }))

    it.effect("is taken by any answer in JSON", () =>
      Effect.forEach(["1", "\"Ok\"", "null", "[]", "{}"], (body) =>
        Effect.gen(function*() {
          const worker = yield* device
          yield* worker.record(event(1))
          yield* worker.sink.answer(Status({ status: 200, body }))
          yield* run(worker)
          const { backOff, waiting } = yield* worker.disk
          assert.deepStrictEqual([waiting, backOff], [[], undefined], body)
        }), { concurrency: 3, discard: true }))

    it.effect("waits when nobody listens, and each worker that came in vain doubles the time to the next", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const down = yield* Scope.provide(PostHogSink.make(), scope)
        yield* Scope.close(scope, Exit.void)
        const worker = yield* Effect.flatMap(RealWorker, (workers) => workers.device(down))
        yield* worker.record(...events(3))
        for (const attempts of [1, 2, 3]) {
          yield* run(worker)
          yield* assertKept(worker, { waiting: uuids(events(3)) }, "refused", attempts)
        }
        const up = yield* PostHogSink.make({ port: Number(new URL(down.url).port) })
        yield* run(worker)
        assert.deepStrictEqual(uuids(yield* up.messages), uuids(events(3)))
        assert.isUndefined((yield* worker.disk).backOff)
      }))

    it.effect("waits when the certificate is not trusted, and goes where NODE_EXTRA_CA_CERTS says that it is", () =>
      Effect.gen(function*() {
        const worker = yield* Effect.flatMap(
          RealWorker,
          (workers) => Effect.flatMap(PostHogSink.make({ tls }), (sink) => workers.device(sink))
        )
        yield* worker.record(...events(3))
        yield* run(worker)
        assert.deepStrictEqual(yield* worker.sink.requests, [])
        yield* assertKept(worker, { waiting: uuids(events(3)) }, "not trusted")

        const ca = Path.join(yield* temporaryFolder("worker-ca-"), "ca.pem")
        Fs.writeFileSync(ca, tls.cert)
        yield* run(worker, { env: { NODE_EXTRA_CA_CERTS: ca } })
        yield* assertDelivered(worker, uuids(events(3)))
      }))

    it.effect("waits when no answer comes within five seconds, or none that ends", () =>
      Effect.gen(function*() {
        yield* Effect.forEach([["a black hole", Hang()], ["a slow drip", PostHogSink.Answer.Drip()]] as const, ([
          name,
          answer
        ]) =>
          Effect.gen(function*() {
            const worker = yield* device
            yield* worker.record(...events(3))
            yield* worker.sink.answer(answer)
            const { ms } = yield* run(worker)
            assert.isAtLeast(ms, 4_500, name)
            assert.isBelow(ms, 10_000, name)
            assert.lengthOf(yield* worker.sink.requests, 1, name)
            yield* assertKept(worker, { waiting: uuids(events(3)) }, name)
          }), { concurrency: 2, discard: true })
      }))

    it.effect("waits when the answer is more than 64 KiB", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(3))
        yield* worker.sink.answer(Status({ status: 200, body: `{"status":1}${" ".repeat(64 * 1024)}` }))
        yield* run(worker)
        yield* assertKept(worker, { waiting: uuids(events(3)) }, "a long answer")
      }))

    it.effect("goes with the next, when the host was told an alias is over quota: only the alias waits", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.claim(0, anon, alice)
        yield* worker.record(eventOf(1, alice))
        yield* worker.sink.answer(Ok({ quota_limited: ["events"] }))
        yield* run(worker)
        yield* assertKept(worker, { waiting: [] }, "over quota")
        // Nothing but the alias is left, and it is no less in vain for being alone.
        yield* run(worker)
        yield* assertKept(worker, { waiting: [] }, "over quota still", 2)
        // Nor is an event that PostHog drops with it a success, which would end the back-off.
        yield* worker.record(eventOf(2, alice))
        yield* run(worker)
        yield* assertKept(worker, { waiting: [] }, "over quota, with an event", 3)

        yield* worker.sink.answer(Validate())
        yield* run(worker)
        yield* assertDelivered(worker, [event(0).uuid])
        assert.deepStrictEqual((yield* worker.disk).settled, [`${anon}.delivered`])
      }))
  })

  describe.concurrent("a message that is refused", () => {
    const poison = [17, 18, 111, 199]
    const isPoison = ({ uuid }: PostHogSink.ReceivedMessage) => poison.some((n) => event(n).uuid === uuid)

    it.effect("as malformed costs only itself, among 200 and in one drain", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(200))
        yield* worker.sink.answer(RejectPoison({ isBad: isPoison }))
        yield* run(worker)
        const good = uuids(events(200)).filter((uuid) => !poison.some((n) => event(n).uuid === uuid))
        assert.deepStrictEqual(uuids(yield* worker.sink.messages), good)
        assert.deepStrictEqual(yield* worker.altered, [])
        const { backOff, setAside, waiting } = yield* worker.disk
        assert.deepStrictEqual([waiting, setAside, backOff], [[], uuids(poison.map((n) => event(n))), undefined])
        const requests = yield* worker.sink.requests
        assert.isBelow(requests.length, 2 * poison.length * Math.ceil(Math.log2(200)))
        // The left half first: so what goes is in the order in which it was recorded.
        const [, second] = requests
        assert.deepStrictEqual(uuids(second?.batch ?? []), uuids(events(100)))
      }))

    it.effect("as malformed is kept where the host refuses everything: 400 is then the host's own fault", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.claim(7, anon, alice)
        yield* worker.record(...events(7))
        yield* worker.sink.answer(Status({ status: 400 }))
        yield* run(worker)
        yield* assertKept(worker, { waiting: uuids(events(7)) }, "all refused")
        yield* run(worker)
        yield* assertKept(worker, { waiting: uuids(events(7)) }, "all refused again", 2)

        yield* worker.sink.answer(Validate())
        yield* run(worker)
        yield* assertDelivered(worker, uuids([event(7), ...events(7)]))
      }))

    it.effect("as malformed, where it is an alias, is set aside with its claim, and not sent again", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.claim(0, anon, alice)
        yield* worker.record(event(1))
        yield* worker.sink.answer(RejectPoison({ isBad: ({ event }) => event === "$create_alias" }))
        yield* run(worker)
        assert.deepStrictEqual((yield* worker.disk).settled, [`${anon}.set-aside`])
        const before = yield* worker.sink.requests
        yield* run(worker)
        assert.lengthOf(yield* worker.sink.requests, before.length)
      }))

    it.effect("as too large is sent in halves, in order, until it fits", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(20))
        yield* worker.sink.answer(({ batch }) => batch.length > 5 ? Status({ status: 413 }) : Validate())
        yield* run(worker)
        yield* assertDelivered(worker, uuids(events(20)))
        const requests = yield* worker.sink.requests
        assert.deepStrictEqual(requests.map(({ batch }) => batch.length), [20, 10, 5, 5, 10, 5, 5])
      }))

    it.effect("as too large, alone, is set aside; the others go", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(5))
        const large = event(2).uuid
        yield* worker.sink.answer(({ batch }) =>
          batch.some(({ uuid }) => uuid === large) ? Status({ status: 413 }) : Validate()
        )
        yield* run(worker)
        assert.deepStrictEqual(uuids(yield* worker.sink.messages), uuids([0, 1, 3, 4].map((n) => event(n))))
        const { backOff, setAside, waiting } = yield* worker.disk
        assert.deepStrictEqual([waiting, setAside, backOff], [[], [large], undefined])
      }))

    it.effect("in one half says nothing about the other, which is kept when the host fails in between", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(4))
        yield* worker.sink.answer((_, index) =>
          index === 0 ? Status({ status: 413 }) : index === 1 ? Validate() : Status({ status: 503 })
        )
        yield* run(worker)
        assert.deepStrictEqual(uuids(yield* worker.sink.messages), uuids(events(2)))
        yield* assertKept(worker, { waiting: uuids([event(2), event(3)]) }, "the right half")
      }))
  })

  describe.concurrent("what goes over the wire", () => {
    it.effect("is what is on disk, byte for byte: to the batch endpoint, with the starter's key", () =>
      Effect.gen(function*() {
        const worker = yield* device
        const named = ["$exception", "$pageview", "$feature_flag_called", "$identify", " "].map((name, n) =>
          event(n + 1, { event: name })
        )
        yield* worker.record(event(0), ...named)
        yield* run(worker)
        yield* assertDelivered(worker, uuids([event(0), ...named]))
        const [request] = yield* worker.sink.requests
        assert.deepStrictEqual([request?.method, request?.path, request?.api_key], ["POST", "/batch/", "phc_test"])
      }))

    it.effect("is the same wherever POSTHOG_CAPTURE_MODE would send it", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(3))
        yield* run(worker, { env: { POSTHOG_CAPTURE_MODE: "v1" } })
        yield* assertDelivered(worker, uuids(events(3)))
        assert.deepStrictEqual((yield* worker.sink.requests).map(({ path }) => path), ["/batch/"])
      }))

    it.effect("is an alias before the events of its principal, and these in the order of their recording", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(event(1), eventOf(3, alice), event(2), eventOf(4, alice))
        yield* worker.claim(9, anon, alice)
        yield* run(worker)
        yield* assertDelivered(worker, uuids([9, 1, 2, 3, 4].map((n) => event(n))))
      }))

    it.effect("is compressed where it is more than one packet holds, and names posthog-node", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(event(0))
        yield* run(worker)
        yield* worker.record(...events(41).slice(1))
        yield* run(worker)
        const headers = (yield* worker.sink.requests).map(({ headers }) => headers)
        assert.deepStrictEqual(headers.map((one) => one["content-encoding"]), [undefined, "gzip"])
        for (const one of headers) assert.match(one["user-agent"] ?? "", /^posthog-node\/5\./)
        assert.deepStrictEqual(yield* worker.altered, [])
      }))

    it.effect("is more than one request holds, in order, over one connection", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.claim(999, anon, alice)
        yield* worker.record(...events(600))
        yield* run(worker)
        yield* assertDelivered(worker, uuids([event(999), ...events(600)]))
        assert.lengthOf(yield* worker.sink.attempts, 601)
        assert.deepStrictEqual((yield* worker.sink.requests).map(({ batch }) => batch?.length), [250, 250, 101])
      }))
  })

  describe.concurrent("a file of the outbox that cannot be sent", () => {
    it.effect("is set aside, and the others go", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(event(0), event(1))
        const whole = Fs.readdirSync(worker.folder.events)
          .map((name) => Fs.readFileSync(Path.join(worker.folder.events, name), "utf8"))[0] ?? ""
        const at = (name: string) => Path.join(worker.folder.events, name)
        const files = {
          "000-empty.json": "",
          "000-truncated.json": whole.slice(0, whole.length / 2),
          "000-nothing.json": "null",
          "000-no-uuid.json": whole.replace(event(0).uuid, "uuid"),
          "000-binary.json": "\u0000\uffff",
          "000-huge.json": JSON.stringify({ version: 1, message: { ...event(9), event: "x".repeat(2 * 1024 * 1024) } })
        }
        for (const [name, text] of Object.entries(files)) Fs.writeFileSync(at(name), text, { mode: 0o600 })
        Fs.mkdirSync(at("000-directory.json"))
        Fs.writeFileSync(at("000-directory.json/inside"), whole)
        Fs.symlinkSync(worker.home, at("000-link.json"))
        ChildProcess.execFileSync("mkfifo", [at("000-fifo.json")])
        // A newer host on the same home brings a newer worker.
        Fs.writeFileSync(at("000-newer.json"), whole.replace("\"version\":1", "\"version\":2"), { mode: 0o600 })

        yield* run(worker)
        yield* Effect.map(worker.sink.messages, (messages) => assert.deepStrictEqual(uuids(messages), uuids(events(2))))
        const { backOff } = yield* worker.disk
        assert.isUndefined(backOff)
        assert.deepStrictEqual(Fs.readdirSync(worker.folder.events), ["000-newer.json"])
        assert.deepStrictEqual(
          Fs.readdirSync(worker.folder.setAside).toSorted(),
          [...Object.keys(files), "000-directory.json", "000-link.json", "000-fifo.json"].toSorted()
        )
      }))

    it.effect("or be taken away is sent once by a worker that then ends, and starts nobody after it", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(event(0))
        const before = yield* worker.files
        // A file stands where the folder would be, so what cannot be read cannot be set aside.
        Fs.writeFileSync(worker.folder.setAside, "")
        Fs.writeFileSync(Path.join(worker.folder.events, "000-empty.json"), "")
        const { ms } = yield* run(worker, { job: { lingers: true } })
        assert.isBelow(ms, 4_000)
        assert.lengthOf(before, 1)
        assert.lengthOf(yield* worker.sink.attempts, 1)
        // Whoever was started would take the lease.
        const deadline = performance.now() + 500
        yield* eventually(worker.disk, ({ leases }) => {
          assert.deepStrictEqual(leases, [])
          return performance.now() > deadline
        })
      }))
  })

  describe.concurrent("an opt-out", () => {
    it.effect("in the middle of a drain lets no request follow the one in flight, and leaves nothing behind", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(40))
        // The first is refused alone, so that there is something to set aside when the opt-out comes.
        const optOut = () => {
          Fs.writeFileSync(Path.join(worker.home, "usage/opt-out"), "")
          for (const name of Fs.readdirSync(Path.join(worker.home, "usage"))) {
            if (name !== "opt-out") Fs.rmSync(Path.join(worker.home, "usage", name), { recursive: true })
          }
        }
        let requests = 0
        yield* worker.sink.answer(({ batch }) => {
          requests++
          if (batch.some(({ uuid }) => uuid === event(0).uuid)) return Status({ status: 400 })
          optOut()
          return Validate()
        })
        yield* run(worker, { job: { lingers: true } })
        assert.strictEqual(requests, [40, 20, 10, 5, 3, 2, 1, "in flight"].length)
        assert.deepStrictEqual(yield* worker.files, ["usage/opt-out"])
      }))

    it.effect("and its withdrawal in the middle of a drain let go nothing that was read before", () =>
      Effect.gen(function*() {
        for (const answer of [Status({ status: 413 }), Status({ status: 503 })]) {
          const worker = yield* device
          yield* worker.record(...events(4))
          let requests = 0
          yield* worker.sink.answer(() => {
            requests++
            Fs.rmSync(Path.join(worker.home, "usage"), { recursive: true })
            return answer
          })
          yield* run(worker)
          assert.strictEqual(requests, 1)
          assert.deepStrictEqual(yield* worker.files, [])
        }
      }))

    it.effect("before the worker began lets none go", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(...events(2))
        Fs.writeFileSync(Path.join(worker.home, "usage/opt-out"), "")
        const before = yield* worker.files
        yield* run(worker)
        assert.deepStrictEqual(yield* worker.sink.requests, [])
        assert.deepStrictEqual(yield* worker.files, before)
      }))

    it.effect("before or while it ran takes along the code that was compiled for it", () =>
      Effect.gen(function*() {
        const worker = yield* device
        const usage = Path.join(worker.home, "usage")
        const env = { NODE_COMPILE_CACHE: Path.join(usage, "compile-cache") }
        const isCode = (file: string) => file.startsWith("usage/compile-cache/")
        yield* worker.record(event(0))
        yield* worker.sink.answer(() => {
          for (const name of Fs.readdirSync(usage)) Fs.rmSync(Path.join(usage, name), { recursive: true })
          Fs.writeFileSync(Path.join(usage, "opt-out"), "")
          return Validate()
        })
        yield* run(worker, { env, job: { lingers: true } })
        assert.deepStrictEqual(yield* worker.files, ["usage/opt-out"])
        yield* run(worker, { env })
        assert.deepStrictEqual(yield* worker.files, ["usage/opt-out"])
        Fs.rmSync(Path.join(usage, "opt-out"))
        yield* run(worker, { env })
        assert.isAbove((yield* worker.files).filter(isCode).length, 0)
      }))
  })

  describe.concurrent("the code that V8 compiled for a worker", () => {
    /** A device whose workers keep their compiled code, and what they keep. */
    const keeping = Effect.gen(function*() {
      const worker = yield* device
      const folder = Path.join(worker.home, "usage/compile-cache")
      const env = { NODE_COMPILE_CACHE: folder }
      let n = 0
      return {
        ...worker,
        deliver: (file?: string) =>
          Effect.gen(function*() {
            yield* worker.record(event(n++))
            yield* run(worker, file === undefined ? { env } : { env, arguments: [file, marker] })
            assert.lengthOf(yield* worker.sink.messages, n)
          }),
        find: run(worker, { env }),
        kept: Effect.sync(() =>
          Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
            .filter((name) => Path.basename(name).startsWith("worker-"))
            .map((name) => Path.join(folder, name))
        )
      }
    })
    const only = (files: ReadonlyArray<string>): string => {
      assert.lengthOf(files, 1)
      return files[0] ?? ""
    }

    it.effect("is kept by the first that delivers, and read by those after it", () =>
      Effect.gen(function*() {
        const worker = yield* keeping
        yield* worker.find
        assert.deepStrictEqual(yield* worker.kept, [])
        yield* worker.deliver()
        const file = only(yield* worker.kept)
        const { ino, mode } = Fs.statSync(file)
        assert.strictEqual(mode & 0o777, 0o600)
        yield* worker.deliver()
        assert.strictEqual(only(yield* worker.kept), file)
        assert.strictEqual(Fs.statSync(file).ino, ino)
      }))

    it.effect("is compiled again where a byte of it is wrong, or some are missing", () =>
      Effect.gen(function*() {
        const worker = yield* keeping
        yield* worker.deliver()
        const file = only(yield* worker.kept)
        const whole = Fs.readFileSync(file)
        const damaged = Buffer.from(whole)
        damaged[whole.length >> 1] = ~(damaged[whole.length >> 1] ?? 0)
        for (const bytes of [damaged, whole.subarray(0, whole.length >> 1), Buffer.alloc(3), Buffer.alloc(0)]) {
          Fs.writeFileSync(file, bytes)
          yield* worker.deliver()
          assert.strictEqual(only(yield* worker.kept), file)
          assert.isAbove(Fs.statSync(file).size, whole.length >> 1)
          assert.notDeepEqual(Fs.readFileSync(file), damaged)
        }
      }))

    it.effect("is not waited for where it is no file", () =>
      Effect.gen(function*() {
        const worker = yield* keeping
        yield* worker.deliver()
        const file = only(yield* worker.kept)
        Fs.rmSync(file)
        ChildProcess.execFileSync("mkfifo", [file])
        yield* worker.deliver()
        assert.isTrue(Fs.statSync(file).isFile())
        // Nor is anything left where it cannot be put in its place.
        Fs.rmSync(file)
        Fs.mkdirSync(file)
        yield* worker.deliver()
        assert.strictEqual(only(yield* worker.kept), file)
      }))

    it.effect("is not that of another worker's file, even of the same length", () =>
      Effect.gen(function*() {
        const worker = yield* keeping
        const { file } = yield* RealWorker
        yield* worker.deliver()
        const agent = (yield* worker.sink.requests)[0]?.headers["user-agent"] ?? ""
        const version = agent.replace("posthog-node/", "")
        const other = version.replaceAll(/\d/g, "7")
        const updated = Path.join(yield* temporaryFolder("worker-updated-"), "main.cjs")
        Fs.writeFileSync(updated, Fs.readFileSync(file, "utf8").replaceAll(version, other))
        yield* worker.deliver(updated)
        const agents = (yield* worker.sink.requests).map(({ headers }) => headers["user-agent"])
        assert.deepStrictEqual(agents, [agent, `posthog-node/${other}`])
        assert.lengthOf(yield* worker.kept, 2)
      }))
  })

  describe.concurrent("its process", () => {
    it.effect("does nothing without a job, with one that is not valid, or with one of its two marks only", () =>
      Effect.gen(function*() {
        const worker = yield* device
        const { file } = yield* RealWorker
        yield* worker.record(...events(2))
        const before = yield* worker.files
        const wrong: ReadonlyArray<StartOptions> = [
          { jobText: null },
          { jobText: "" },
          { jobText: "{" },
          { jobText: "{}" },
          { jobText: "1" },
          { arguments: [file] },
          { jobText: null, arguments: [file] },
          { job: { destination: { host: "", key: "phc_test" } } },
          { job: { destination: { host: "not a URL", key: "phc_test" } } },
          // Plain http goes to this machine only.
          { job: { destination: { host: "http://192.0.2.1", key: "phc_test" } } },
          { job: { destination: { host: worker.sink.url, key: "" } } },
          { job: { home: "relative" } }
        ]
        yield* Effect.forEach(wrong, (options) => run(worker, options), { concurrency: 3, discard: true })
        assert.deepStrictEqual(yield* worker.sink.requests, [])
        assert.deepStrictEqual(yield* worker.files, before)
      }))

    it.effect("waits about a second for more, and delivers what comes meanwhile", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(event(0))
        const { ended } = yield* worker.start({ job: { lingers: true } })
        yield* worker.sink.waitFor(({ length }) => length === 1)
        yield* worker.record(event(1))
        yield* worker.sink.waitFor(({ length }) => length === 2)
        const second = performance.now()
        assert.deepStrictEqual(without(yield* ended), silently)
        assert.isAtLeast(performance.now() - second, 900)
        assert.isBelow(performance.now() - second, 4_000)
        yield* assertDelivered(worker, uuids(events(2)))
      }))

    it.effect("ends as soon as nothing waits, when its starter waits for it", () =>
      Effect.gen(function*() {
        const worker = yield* device
        yield* worker.record(event(0))
        const { ended } = yield* worker.start()
        yield* worker.sink.waitFor(({ length }) => length === 1)
        const startedAt = performance.now()
        yield* ended
        assert.isBelow(performance.now() - startedAt, 900)
      }))

    // A name look-up that never answers holds a thread that `process.exit` would wait for; so does the read of a FIFO.
    const preload = Effect.fnUntraced(function*(lines: ReadonlyArray<string>) {
      const folder = yield* temporaryFolder("worker-preload-")
      ChildProcess.execFileSync("mkfifo", [Path.join(folder, "fifo")])
      const file = Path.join(folder, "preload.cjs")
      Fs.writeFileSync(
        file,
        [
          `const hang = () => require("node:fs").readFile(${JSON.stringify(Path.join(folder, "fifo"))}, () => {})`,
          ...lines
        ].join("\n")
      )
      return file
    })

    it.effect("does not outlive its work when a name look-up never answers", () =>
      Effect.gen(function*() {
        const worker = yield* device
        const { file } = yield* RealWorker
        yield* worker.record(...events(2))
        const required = yield* preload([`require("node:dns").lookup = hang`])
        const ended = yield* worker.run({
          job: { destination: { host: worker.sink.url.replace("127.0.0.1", "localhost"), key: "phc_test" } },
          arguments: ["--require", required, file, marker]
        })
        assert.deepStrictEqual([ended.signal, ended.stdout, ended.stderr], ["SIGKILL", "", ""])
        assert.isAtLeast(ended.ms, 4_500)
        assert.isBelow(ended.ms, 8_000)
        yield* assertKept(worker, { waiting: uuids(events(2)) }, "no name")
      }))

    it.effect("is gone ten seconds after it began, even when a request never ends", () =>
      Effect.gen(function*() {
        const worker = yield* device
        const { file } = yield* RealWorker
        yield* worker.record(...events(2))
        yield* worker.sink.answer(Hang())
        // No time limit but the last one is left.
        const required = yield* preload([
          `const { setTimeout } = globalThis`,
          `globalThis.setTimeout = (f, ms, ...rest) => setTimeout(f, ms === 10000 ? ms : 2 ** 30, ...rest)`
        ])
        const ended = yield* worker.run({ arguments: ["--require", required, file, marker] })
        assert.deepStrictEqual([ended.signal, ended.stdout, ended.stderr], ["SIGKILL", "", ""])
        assert.isAtLeast(ended.ms, 9_500)
        assert.isBelow(ended.ms, 12_000)
        assert.deepStrictEqual((yield* worker.disk).waiting, uuids(events(2)))
      }))
  })

  it.effect("killed at 20 moments of a drain of 500, delivers all, each in the same bytes whenever it was sent", () =>
    Effect.gen(function*() {
      const worker = yield* device
      const seed = Date.now()
      yield* worker.claim(999, anon, alice)
      yield* worker.record(...events(500))
      // Many small requests, so that there are many moments.
      yield* worker.sink.answer(({ batch }) => batch.length > 2 ? Status({ status: 413 }) : Validate())
      yield* Effect.gen(function*() {
        for (let kills = 0; kills < 20; kills++) {
          const requests = yield* Random.nextIntBetween(0, 12)
          const delay = yield* Random.nextIntBetween(0, requests === 0 ? 80 : 4)
          const before = (yield* worker.sink.requests).length
          const running = yield* worker.start()
          yield* eventually(worker.sink.requests, (seen) => seen.length >= before + requests)
          yield* Effect.sleep(delay)
          yield* running.kill
          const { signal } = yield* running.ended
          assert.strictEqual(signal, "SIGKILL", `seed ${seed}: it had ended before kill ${kills}`)
          yield* worker.endLeases
        }
      }).pipe(Effect.scoped, Random.withSeed(seed))
      assert.isAbove((yield* worker.disk).waiting.length, 0, `seed ${seed}: it was over before the last kill`)
      yield* run(worker)
      yield* eventually(worker.disk, ({ waiting }) => waiting.length === 0)
      const messages = yield* worker.sink.messages
      assert.deepStrictEqual(
        [...new Set(uuids(messages))].toSorted(),
        uuids([...events(500), event(999)]).toSorted(),
        `seed ${seed}`
      )
      assert.deepStrictEqual(yield* worker.altered, [], `seed ${seed}`)
      const { setAside, settled, waiting } = yield* worker.disk
      assert.deepStrictEqual([waiting, setAside, settled], [[], [], [`${anon}.delivered`]], `seed ${seed}`)
    }))
})
