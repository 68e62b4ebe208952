/**
 * How the real worker begins and ends, and what it keeps.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Esbuild from "esbuild"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { marker } from "../../src/layers/WorkerMarks.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { event, events } from "../fixtures/Messages.ts"
import type { Device, Ended, StartOptions } from "./RealWorker.ts"
import { eventually, RealWorker, silently } from "./RealWorker.ts"
import { alice, anon, assertDelivered, assertKept, first, of, run, suite, withPreload, withTimers } from "./Runs.ts"

const { Hang, Status, Validate } = PostHogSink.Answer

const usageOf = ({ home }: Device): string => Path.join(home, "usage")

/** What `telemetry disable` leaves. */
const optOut = (worker: Device): void => {
  const usage = usageOf(worker)
  Fs.writeFileSync(Path.join(usage, "opt-out"), "")
  for (const name of Fs.readdirSync(usage)) {
    if (name !== "opt-out") Fs.rmSync(Path.join(usage, name), { recursive: true })
  }
}

/** What Yarn's loader does for the files of an archive, whose content is in a folder here: it also names itself to them. */
const loader = `
  const fs = require("node:fs")
  const Module = require("node:module")
  process.versions.pnp = "3"
  const unpacked = (file) => typeof file === "string" ? file.replace("/cache/package.zip/", "/unpacked/") : file
  const { existsSync, readFileSync } = fs
  fs.existsSync = (file) => existsSync(unpacked(file))
  fs.readFileSync = (file, ...rest) => readFileSync(unpacked(file), ...rest)
  const resolve = Module._resolveFilename
  Module._resolveFilename = (request, parent, ...rest) => {
    if (request === "pnpapi" && parent.filename.includes(".zip/")) return __filename
    return request.includes(".zip/") ? request : resolve(request, parent, ...rest)
  }
  Module._extensions[".cjs"] = Module._extensions[".js"] = (module, file) =>
    module._compile(fs.readFileSync(file, "utf8"), file)
`

const killed: Ended = { ...silently, code: null, signal: "SIGKILL" }

suite("the worker's life", (test) => {
  describe.concurrent("opt-outs", () => {
    test(
      "An opt-out in a drain lets no request follow the one in flight, and leaves nothing behind",
      function*(worker) {
        yield* worker.record(...events(40))
        // The first is refused alone, so that there is something to set aside when the opt-out comes.
        let requests = 0
        yield* worker.sink.answer(({ batch }) => {
          requests++
          if (batch.some(({ uuid }) => uuid === event(0).uuid)) return Status({ status: 400 })
          optOut(worker)
          return Validate()
        })
        yield* run(worker, { job: { lingers: true } })
        assert.strictEqual(requests, [40, 20, 10, 5, 3, 2, 1, "in flight"].length)
        assert.deepStrictEqual(yield* worker.files, ["usage/opt-out"])
      }
    )

    for (const status of [413, 503]) {
      test(
        `A worker sends nothing that it read before an opt-out, also if the opt-out is withdrawn: ${status}`,
        function*(worker) {
          yield* worker.record(...events(4))
          let requests = 0
          yield* worker.sink.answer(() => {
            requests++
            Fs.rmSync(usageOf(worker), { recursive: true })
            return Status({ status })
          })
          yield* run(worker)
          assert.strictEqual(requests, 1)
          assert.deepStrictEqual(yield* worker.files, [])
        }
      )
    }

    for (const when of ["before it begins", "during its request"]) {
      test(`A worker does not make a home again that was removed ${when}`, function*(worker) {
        yield* worker.record(...events(2))
        const remove = () => Fs.rmSync(worker.home, { recursive: true })
        if (when === "before it begins") remove()
        yield* worker.sink.answer(() => {
          remove()
          return Validate()
        })
        yield* run(worker)
        assert.isFalse(Fs.existsSync(worker.home))
      })
    }

    test("A worker that starts after an opt-out sends and changes nothing", function*(worker) {
      yield* worker.record(...events(2))
      Fs.writeFileSync(Path.join(usageOf(worker), "opt-out"), "")
      const before = yield* worker.files
      yield* run(worker)
      assert.deepStrictEqual([yield* worker.sink.requests, yield* worker.files], [[], before])
    })

    test("An opt-out deletes the compiled code of a worker, before and while the worker runs", function*(worker) {
      const folder = Path.join(usageOf(worker), "compile-cache")
      const env = { NODE_COMPILE_CACHE: folder }
      yield* worker.record(event(0))
      yield* worker.sink.answer(() => {
        optOut(worker)
        return Validate()
      })
      for (const lingers of [true, false]) {
        yield* run(worker, { env, job: { lingers } })
        assert.deepStrictEqual(yield* worker.files, ["usage/opt-out"])
      }
      Fs.rmSync(Path.join(usageOf(worker), "opt-out"))
      yield* run(worker, { env })
      assert.isAbove(Fs.readdirSync(folder, { recursive: true }).length, 0)
    })
  })

  describe.concurrent("compile cache", () => {
    /** A device whose workers keep their compiled code. */
    const keeping = (worker: Device) => {
      const folder = Path.join(usageOf(worker), "compile-cache")
      const env = { NODE_COMPILE_CACHE: folder }
      let n = 0
      const kept = Effect.sync(() =>
        Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
          .filter((name) => Path.basename(name).startsWith("worker-"))
          .map((name) => Path.join(folder, name))
      )
      return {
        deliver: (...words: ReadonlyArray<string>) =>
          Effect.gen(function*() {
            yield* worker.record(event(n++))
            yield* run(worker, words.length === 0 ? { env } : { env, arguments: words })
            assert.lengthOf(yield* worker.sink.messages, n)
          }),
        find: run(worker, { env }),
        kept,
        /** The one file. */
        only: Effect.map(kept, (files) => {
          assert.lengthOf(files, 1)
          return files[0] ?? ""
        })
      }
    }

    test("Compiled code is kept by the first worker that delivers, and read by those after it", function*(worker) {
      const { deliver, find, kept, only } = keeping(worker)
      yield* find
      assert.deepStrictEqual(yield* kept, [])
      yield* deliver()
      const file = yield* only
      const { ino, mode } = Fs.statSync(file)
      assert.strictEqual(mode & 0o777, 0o600)
      yield* deliver()
      assert.strictEqual(yield* only, file)
      assert.strictEqual(Fs.statSync(file).ino, ino)
    })

    test("Code is compiled again where a byte of what was kept is wrong, or some are missing", function*(worker) {
      const { deliver, only } = keeping(worker)
      yield* deliver()
      const file = yield* only
      const whole = Fs.readFileSync(file)
      const half = whole.length >> 1
      const damaged = Buffer.from(whole)
      damaged[half] = ~(damaged[half] ?? 0)
      for (const bytes of [damaged, whole.subarray(0, half), Buffer.alloc(3), Buffer.alloc(0)]) {
        Fs.writeFileSync(file, bytes)
        yield* deliver()
        assert.strictEqual(yield* only, file)
        assert.isAbove(Fs.statSync(file).size, half)
        assert.notDeepEqual(Fs.readFileSync(file), damaged)
      }
    })

    test("Compiled code is not kept in a folder that the host chose for its own", function*(worker) {
      const folder = yield* temporaryFolder("worker-host-cache-")
      const words = yield* withPreload(`require("node:module").enableCompileCache(${JSON.stringify(folder)})`)
      yield* worker.record(event(0))
      yield* run(worker, { arguments: words })
      yield* assertDelivered(worker, of(0))
      const names = Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
      assert.isNotEmpty(names)
      assert.deepStrictEqual(names.filter((name) => Path.basename(name).startsWith("worker-")), [])
    })

    test("Compiled code that others may have written is not run, but compiled again", function*(worker) {
      const { deliver, only } = keeping(worker)
      yield* deliver()
      const file = yield* only
      const changes = [() => Fs.chmodSync(file, 0o666), () => Fs.chownSync(file, 65_534, 65_534)]
      // Only root can give a file away.
      for (const change of process.getuid?.() === 0 ? changes : changes.slice(0, 1)) {
        const { ino, uid } = Fs.statSync(file)
        change()
        yield* deliver()
        const found = Fs.statSync(yield* only)
        assert.deepStrictEqual([found.ino === ino, found.mode & 0o777, found.uid], [false, 0o600, uid])
      }
    })

    test("Compiled code is kept and read where the platform has no users", function*(worker) {
      const words = yield* withPreload("process.geteuid = undefined")
      const { deliver, only } = keeping(worker)
      yield* deliver(...words)
      const { ino } = Fs.statSync(yield* only)
      yield* deliver(...words)
      assert.strictEqual(Fs.statSync(yield* only).ino, ino)
    })

    test(
      "A FIFO or a folder in the place of compiled code is not waited for, and nothing is left beside it",
      function*(worker) {
        const { deliver, only } = keeping(worker)
        yield* deliver()
        const file = yield* only
        Fs.rmSync(file)
        ChildProcess.execFileSync("mkfifo", [file])
        yield* deliver()
        assert.isTrue(Fs.statSync(file).isFile())
        Fs.rmSync(file)
        Fs.mkdirSync(file)
        yield* deliver()
        assert.strictEqual(yield* only, file)
      }
    )

    test("Compiled code is not that of another worker's file, even of the same length", function*(worker) {
      const { deliver, kept } = keeping(worker)
      const { file } = yield* RealWorker
      yield* deliver()
      const agent = (yield* worker.sink.requests)[0]?.headers["user-agent"] ?? ""
      const version = agent.replace("posthog-node/", "")
      const other = version.replaceAll(/\d/g, "7")
      const updated = Path.join(yield* temporaryFolder("worker-updated-"), "main.cjs")
      Fs.writeFileSync(updated, Fs.readFileSync(file, "utf8").replaceAll(version, other))
      yield* deliver(updated, marker)
      const agents = (yield* worker.sink.requests).map(({ headers }) => headers["user-agent"])
      assert.deepStrictEqual(agents, [agent, `posthog-node/${other}`])
      assert.lengthOf(yield* kept, 2)
    })
  })

  describe.concurrent("process lifetime", () => {
    test("A worker in an archive of Yarn is found and run by the loader of Yarn", function*(worker) {
      const { file } = yield* RealWorker
      const project = yield* temporaryFolder("worker-archive-")
      const at = (name: string) => Path.join(project, name)
      for (const name of ["cache", "unpacked/layers", "unpacked/worker"]) Fs.mkdirSync(at(name), { recursive: true })
      Fs.writeFileSync(at("cache/package.zip"), "")
      Fs.copyFileSync(file, at("unpacked/worker/main.cjs"))
      Esbuild.buildSync({
        entryPoints: [fileURLToPath(new URL("../../src/layers/NodeProcess.ts", import.meta.url))],
        outfile: at("unpacked/layers/NodeProcess.js"),
        bundle: true,
        platform: "node",
        format: "cjs"
      })
      Fs.writeFileSync(at(".pnp.cjs"), loader)
      const wordsOf = (module: string): ReadonlyArray<string> => {
        const host = `console.log(JSON.stringify(require("${at(module)}").current.worker))`
        const words = ["--require", at(".pnp.cjs"), "--eval", host]
        return JSON.parse(ChildProcess.execFileSync(process.execPath, words, { encoding: "utf8" }))
      }
      const words = wordsOf("cache/package.zip/layers/NodeProcess.js")
      assert.deepStrictEqual(words, ["--require", at(".pnp.cjs"), at("cache/package.zip/worker/main.cjs")])
      // Another host, in a script of the project.
      assert.deepStrictEqual(wordsOf("unpacked/layers/NodeProcess.js"), [at("unpacked/worker/main.cjs")])
      yield* worker.record(event(0))
      yield* run(worker, { arguments: [...words, marker] })
      yield* assertDelivered(worker, of(0))
    })

    test(
      "A worker without a job, with an invalid one, or with one of its two marks only, does nothing",
      function*(worker) {
        const { file } = yield* RealWorker
        yield* worker.record(...events(2))
        const before = yield* worker.files
        const to = (host: string, key = "phc_test"): StartOptions => ({ job: { destination: { host, key } } })
        const wrong: ReadonlyArray<StartOptions> = [
          ...[null, "", "{", "{}", "1"].map((jobText) => ({ jobText })),
          { arguments: [file] },
          { jobText: null, arguments: [file] },
          { job: { home: "relative" } },
          // Plain http goes to this machine only.
          ...["", "not a URL", "http://192.0.2.1"].map((host) => to(host)),
          to(worker.sink.url, "")
        ]
        yield* Effect.forEach(wrong, (options) => run(worker, options), { concurrency: 3, discard: true })
        assert.deepStrictEqual([yield* worker.sink.requests, yield* worker.files], [[], before])
      }
    )

    // Handover.test.ts holds that the wait is 1 s.
    test("A worker that lingers waits for more, and delivers what comes meanwhile", function*(worker) {
      yield* worker.record(event(0))
      const { ended } = yield* worker.start({ job: { lingers: true } })
      yield* worker.sink.waitFor(({ length }) => length === 1)
      yield* worker.record(event(1))
      yield* worker.sink.waitFor(({ length }) => length === 2)
      assert.deepStrictEqual(yield* ended, silently)
      yield* assertDelivered(worker, first(2))
    })

    test("A worker does not outlive its work when a name look-up never answers", function*(worker) {
      yield* worker.record(...events(2))
      // The look-up holds a thread that `process.exit` would wait for; so does the read of a FIFO.
      const fifo = Path.join(yield* temporaryFolder("worker-fifo-"), "fifo")
      ChildProcess.execFileSync("mkfifo", [fifo])
      const words = yield* withTimers({ 5000: "soon", 10000: "never" }, [
        `require("node:dns").lookup = () => require("node:fs").readFile(${JSON.stringify(fifo)}, () => {})`
      ])
      const host = worker.sink.url.replace("127.0.0.1", "localhost")
      const ended = yield* worker.run({ job: { destination: { host, key: "phc_test" } }, arguments: words })
      assert.deepStrictEqual(ended, killed)
      yield* assertKept(worker, first(2), "no name")
    })

    test("A worker is killed by its timer of ten seconds, even when a request never ends", function*(worker) {
      yield* worker.record(...events(2))
      yield* worker.sink.answer(Hang())
      const { ended, kill } = yield* worker.start({ arguments: yield* withTimers({ 10000: "byHand", other: "never" }) })
      yield* worker.sink.waitFor((_, requests) => requests.length === 1)
      yield* kill("SIGUSR2")
      assert.deepStrictEqual(yield* ended, killed)
      assert.deepStrictEqual((yield* worker.disk).waiting, first(2))
    })

    test(
      "Workers that are killed at 20 moments deliver all of 500 messages, each in the same bytes",
      function*(worker) {
        const seed = Date.now()
        const what = `seed ${seed}`
        yield* worker.claim(999, anon, alice)
        yield* worker.record(...events(500))
        // Many small requests, so that there are many moments; and few answers for each worker, so that a kill that comes
        // late finds it at work.
        let answers = 0
        yield* worker.sink.answer(({ batch }) =>
          answers++ > 16 ? Hang() : batch.length > 2 ? Status({ status: 413 }) : Validate()
        )
        const words = yield* withTimers({ 5000: "never", 10000: "never" })
        yield* Effect.gen(function*() {
          for (let kills = 0; kills < 20; kills++) {
            const requests = yield* Random.nextIntBetween(0, 12)
            const delay = yield* Random.nextIntBetween(0, requests === 0 ? 80 : 4)
            const before = (yield* worker.sink.requests).length
            answers = 0
            const running = yield* worker.start({ arguments: words })
            yield* eventually(worker.sink.requests, (seen) => seen.length >= before + requests)
            yield* Effect.sleep(delay)
            yield* running.kill()
            assert.strictEqual((yield* running.ended).signal, "SIGKILL", `${what}: it had ended before kill ${kills}`)
          }
        }).pipe(Effect.scoped, Random.withSeed(seed))
        assert.isAbove((yield* worker.disk).waiting.length, 0, `${what}: it was over before the last kill`)
        yield* worker.sink.answer(Validate())
        yield* run(worker)
        yield* eventually(worker.disk, ({ waiting }) => waiting.length === 0)
        const delivered = new Set((yield* worker.sink.messages).map(({ uuid }) => uuid))
        assert.deepStrictEqual([...delivered].toSorted(), [...first(500), ...of(999)].toSorted(), what)
        assert.deepStrictEqual(yield* worker.altered, [], what)
        const { setAside, settled, waiting } = yield* worker.disk
        assert.deepStrictEqual([waiting, setAside, settled], [[], [], [`${anon}.delivered`]], what)
      }
    )
  })
})
