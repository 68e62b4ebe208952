/**
 * Where a worker cannot be left behind, cannot run, or must not hold what its host was given: real processes, real faults.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import * as Faults from "../fixtures/Faults.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { run, unshare } from "../fixtures/Process.ts"
import { type Device, eventFiles, noWorker, suite } from "./Harness.ts"
import { begunDevice, device, nodeWords as words } from "./Steps.ts"

const { Status, Validate } = PostHogSink.Answer

const isRoot = process.getuid?.() === 0

const quoted = (words: ReadonlyArray<string>): string => words.map((word) => `'${word}'`).join(" ")

const usage = (acme: Device, ...names: ReadonlyArray<string>): string => Path.join(acme.home, "usage", ...names)

const decodeObstacles = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({
  obstacles: Schema.Array(Schema.Struct({
    what: Schema.String,
    why: Schema.String,
    until: Schema.optionalKey(Schema.String)
  }))
})))

const obstacles = Effect.fnUntraced(function*(acme: Device) {
  const { stdout } = yield* acme.run("telemetry status --json", { runtime: "pipe" })
  return (yield* decodeObstacles(stdout)).obstacles
})

suite("execution environments", (test) => {
  describe.concurrent("workers that end with their command", () => {
    test("A command of a PID namespace without a container's marks delivers from the second one on", function*() {
      const acme = yield* begunDevice
      for (const turn of [1, 2, 3]) {
        const command = `${quoted(yield* words(`deploy site-${turn}`))}; :`
        const namespace = unshare("-pf", "--mount-proc", "--kill-child", "sh", "-c", command)
        const { code } = yield* run(namespace, { env: acme.env })
        assert.strictEqual(code, 0)
        // A worker that is killed after its request has sent messages, which the next worker sends again as they are.
        const sent = new Set((yield* acme.sink.messages).map((message) => JSON.stringify(message)))
        if (turn > 1) assert.strictEqual(sent.size, 1 + turn)
      }
    })

    test("A command after a worker that was killed waits for delivery, until a worker outlives its command", function*() {
      const acme = yield* begunDevice
      yield* acme.stopWorkers()
      yield* acme.run("deploy a")
      yield* acme.sink.waitFor((_, requests) => requests.length > 1)
      for (const { pid } of yield* acme.workers) process.kill(pid, "SIGKILL")
      yield* noWorker(acme)
      const why = "the last worker was killed"
      assert.deepStrictEqual(yield* obstacles(acme), [{ what: "worker_ended", why }])
      const { stdout } = yield* acme.run("telemetry status")
      assert.include(stdout, `\nCommands wait up to a second for delivery: ${why}\n`)
      const { stderr } = yield* acme.run("deploy nothing", { env: { ACME_USAGE_DEBUG: "1" } })
      assert.include(stderr, `usage: delivery is blocked: ${why}\n`)
      yield* acme.sink.answer(Validate())
      // They are there when the command ends.
      yield* acme.run("deploy b")
      assert.lengthOf(yield* acme.sink.messages, 3)
      yield* noWorker(acme)
      assert.deepStrictEqual(yield* obstacles(acme), [])
      // A command that waited would not end.
      yield* acme.stopWorkers()
      yield* acme.run("deploy c")
      assert.lengthOf(eventFiles(acme.home), 1)
    })

    test("A command that was killed before it started its worker does not block the next command", function*() {
      const acme = yield* begunDevice
      const preload = Path.join(yield* temporaryFolder("acme-killed-"), "preload.cjs")
      Fs.writeFileSync(preload, `require("node:child_process").spawn = () => process.kill(process.pid, "SIGKILL")`)
      const [node = "", ...line] = yield* words("deploy killed")
      const { signal } = yield* run([node, "--require", preload, ...line], { env: acme.env })
      assert.strictEqual(signal, "SIGKILL")
      assert.lengthOf(eventFiles(acme.home), 1)
      yield* acme.run("deploy next")
      yield* acme.delivered(3)
    })

    test("A flush waits for a worker that is slow to start", function*() {
      const acme = yield* begunDevice
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* acme.run("deploy a")
      yield* noWorker(acme)
      yield* acme.sink.answer(Validate())
      // Longer than a starter holds the lease for its worker.
      const slow = { call: "execve", delayMillis: 4_000 } as const
      const flush = Faults.under(slow, Path.dirname(acme.home), yield* words("telemetry flush --json"))
      const { code, stdout } = yield* run(flush, { env: acme.env })
      assert.deepStrictEqual([JSON.parse(stdout), code], [{ delivered: 1, kept: 0 }, 0])
    })
  })

  describe.concurrent("inherited locks", () => {
    test.each(
      [
        ["", ""],
        [", though another descriptor is above the limit", "exec 255>/dev/null; ulimit -n 254;"]
      ] as const
    )("A worker does not keep the lock of a script that ran its command%s", function*([, before]) {
      const acme = yield* begunDevice
      yield* acme.stopWorkers()
      const lock = Path.join(Path.dirname(acme.home), "lock")
      const script = `${before} ( flock -n 200; ${
        quoted(yield* words("deploy x"))
      } ) 200>'${lock}'; flock -n '${lock}' true`
      const { code, stdout } = yield* run(["bash", "-c", script], { env: acme.env })
      assert.deepStrictEqual([stdout, code], ["Deployed x to eu\n", 0])
      yield* acme.sink.waitFor((_, requests) => requests.length > 1)
      assert.lengthOf(yield* acme.workers, 1)
    })
  })

  describe.concurrent("homes without write access", () => {
    test("The status says that a home without the permission to write keeps nothing", function*() {
      const acme = yield* begunDevice
      Fs.chmodSync(acme.home, 0o500)
      // Root may write all the same, but not from a namespace of other users.
      const prefix = isRoot ? ["unshare", "-U"] : []
      const status = (line: string) =>
        Effect.flatMap(words(line), (words) => run([...prefix, ...words], { env: acme.env }))
      const { obstacles } = yield* decodeObstacles((yield* status("telemetry status --json")).stdout)
      const { stdout } = yield* status("telemetry status")
      Fs.chmodSync(acme.home, 0o700)
      const why = `${acme.home} cannot be written to (EACCES)`
      assert.deepStrictEqual(obstacles, [{ what: "home_not_writable", why }])
      assert.include(stdout, `Telemetry is on (default)\nNothing new is kept: ${why}\n`)
    })
  })

  describe.concurrent("compile cache", () => {
    test("Compiled code is in folders of the user alone, and not run from any other", function*() {
      const acme = yield* device
      // The umask of a careless shell.
      const command = `umask 0; exec ${quoted(yield* words("deploy first"))}`
      yield* run(["script", "-qec", command, "/dev/null"], { env: acme.env })
      yield* acme.delivered(1)
      yield* noWorker(acme)
      const cache = usage(acme, "compile-cache")
      const names = Fs.readdirSync(cache)
      assert.lengthOf(names, 1)
      const own = Path.join(cache, ...names)
      assert.deepStrictEqual([cache, own].map((folder) => Fs.statSync(folder).mode & 0o777), [0o700, 0o700])

      /** The folder that the next worker takes its code from. */
      let delivered = 1
      const folder = Effect.gen(function*() {
        yield* acme.stopWorkers(Validate())
        yield* acme.run(`deploy ${delivered}`)
        yield* acme.sink.waitFor((_, requests) => requests.length > delivered)
        const env = (yield* acme.workers)[0]?.env
        yield* acme.continueWorkers
        delivered += 1
        yield* noWorker(acme)
        return env?.["NODE_COMPILE_CACHE"]
      }).pipe(Effect.scoped)

      assert.strictEqual(yield* folder, cache)
      for (const path of [cache, own]) {
        Fs.chmodSync(path, 0o777)
        assert.isUndefined(yield* folder, path)
        Fs.chmodSync(path, 0o700)
        if (!isRoot) continue
        Fs.chownSync(path, 65_534, 65_534)
        assert.isUndefined(yield* folder, path)
        Fs.chownSync(path, 0, 0)
      }
      assert.strictEqual(yield* folder, cache)
    })
  })
})
