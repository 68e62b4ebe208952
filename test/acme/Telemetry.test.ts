/**
 * The `telemetry` command, and what else a user sees of the module, with real processes.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as DataDictionary from "../../src/cli/DataDictionary.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { run } from "../fixtures/Process.ts"
import { stoppedSink } from "../fixtures/Wait.ts"
import { commandsOf, type Device, eventFiles, noWorker, runtimeName, runtimeWords, suite } from "./Harness.ts"
import { device, flush } from "./Steps.ts"

const { Hang, Status, Validate } = PostHogSink.Answer

const runs = (acme: Device, lines: ReadonlyArray<string>) =>
  Effect.forEach(lines, (line) => acme.run(line), { discard: true })

suite("acme", (test) => {
  describe.concurrent("telemetry flush", () => {
    test("`telemetry flush` delivers the messages of five commands each once and in order, whatever the back-off", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* runs(acme, ["deploy a", "deploy b", "deploy c", "deploy d", "deploy e"])
      const kept = yield* acme.run("telemetry flush --json", { runtime: "pipe" })
      assert.deepStrictEqual(JSON.parse(kept.stdout), { delivered: 0, kept: 5 })
      assert.strictEqual(kept.code, 1)
      assert.include(kept.stderr, "5 messages are still waiting")

      yield* acme.sink.answer(Validate())
      assert.deepStrictEqual(yield* flush(acme), [{ delivered: 5, kept: 0 }, 0])
      const messages = yield* acme.sink.messages
      assert.lengthOf(commandsOf(messages), 5)
      assert.lengthOf(new Set(messages.map(({ uuid }) => uuid)), 5)
      const times = messages.map(({ timestamp }) => timestamp)
      assert.deepStrictEqual(times, times.toSorted())
      assert.strictEqual(eventFiles(acme.home).length, 0)
    })

    test("`telemetry flush` and the status say why nothing is delivered, until something is", function*() {
      const acme = yield* device
      const down = yield* stoppedSink
      yield* acme.sink.answer(Status({ status: 401 }))
      yield* acme.run("deploy a")
      const failures: ReadonlyArray<readonly [env: Record<string, string>, reason: string]> = [
        [{}, "the answer was status 401"],
        [{ ACME_POSTHOG_HOST: down.url }, "no connection (ECONNREFUSED)"]
      ]
      for (const [env, reason] of failures) {
        yield* acme.run("deploy b", { env })
        const { code, stderr } = yield* acme.run("telemetry flush", { runtime: "pipe", env })
        assert.strictEqual(code, 1)
        assert.include(stderr, `still waiting: ${reason}`)
        const { stdout } = yield* acme.run("telemetry status", { runtime: "pipe", env })
        assert.include(stdout, `Last failure:  ${reason}\n`)
        const json = yield* acme.run("telemetry status --json", { runtime: "pipe", env })
        const { destination, last_failure } = JSON.parse(json.stdout)
        assert.deepStrictEqual([destination, last_failure], [env["ACME_POSTHOG_HOST"] ?? acme.sink.url, reason])
        assert.include(stdout, `\nSent to:       ${destination}\n`)
      }
      yield* acme.sink.answer(Validate())
      yield* acme.run("telemetry flush", { runtime: "pipe" })
      const { stdout } = yield* acme.run("telemetry status", { runtime: "pipe" })
      assert.notInclude(stdout, "Last failure")
    })

    test("`telemetry flush` ignores the back-off, of which the status says the end and the reason", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* acme.run("deploy a", { runtime: "ci" })
      const outboxes = Path.join(acme.home, "usage/outbox")
      const file = Path.join(outboxes, ...Fs.readdirSync(outboxes), "back-off.json")
      // A slow machine would be past the first second.
      const until = Date.now() + 500_000
      Fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(Fs.readFileSync(file, "utf8")), until }))
      const why = "the answer was status 503"
      const iso = new Date(until).toISOString()
      const status = (line: string) =>
        Effect.map(acme.run(`telemetry status${line}`, { runtime: "pipe" }), ({ stdout }) => stdout)
      assert.deepStrictEqual(JSON.parse(yield* status(" --json")).obstacles, [{ what: "backed_off", why, until: iso }])
      assert.include(yield* status(""), `\nPostHog is not asked again before ${iso}: ${why}\n`)
      yield* acme.sink.answer(Validate())
      yield* acme.run("telemetry flush", { runtime: "pipe" })
      assert.notInclude(yield* status(""), "PostHog is not asked")
    })

    test("`telemetry flush` does not send a refused message again, and the status counts it", function*() {
      const acme = yield* device
      const setAside = Effect.map(
        acme.run("telemetry status", { runtime: "pipe" }),
        ({ stdout }) => /^Set aside: +(.*)$/m.exec(stdout)?.[1]
      )
      assert.strictEqual(yield* setAside, "0")
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* runs(acme, ["deploy a", "deploy b"])
      yield* noWorker(acme)
      const [refused] = eventFiles(acme.home).map((file) => JSON.parse(Fs.readFileSync(file, "utf8")).message.uuid)
      yield* acme.sink.answer(({ batch }) =>
        batch.some(({ uuid }) => uuid === refused) ? Status({ status: 413 }) : Validate()
      )
      assert.deepStrictEqual(yield* flush(acme), [{ delivered: 1, kept: 0 }, 0])
      assert.strictEqual(yield* setAside, "1 (refused by PostHog, or damaged: kept here, and not sent again)")
    })

    test("`telemetry flush` sends no message beyond the age of the outbox, and says what a denial keeps", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* runs(acme, ["deploy old", "deploy new"])
      yield* noWorker(acme)
      const [old = ""] = eventFiles(acme.home)
      const before = String(Date.now() - 8 * 24 * 60 * 60 * 1000).padStart(15, "0")
      Fs.renameSync(old, Path.join(Path.dirname(old), `${before}${Path.basename(old).slice(15)}`))
      const denied = yield* acme.run("telemetry flush", { runtime: "pipe", env: { DO_NOT_TRACK: "1" } })
      assert.include(denied.stderr, "2 messages are still waiting: telemetry is off: DO_NOT_TRACK")
      yield* acme.sink.answer(Validate())
      assert.deepStrictEqual(yield* flush(acme), [{ delivered: 1, kept: 0 }, 0])
    })

    test("`telemetry flush` counts no refused message as delivered", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* runs(acme, ["deploy a", "deploy b", "deploy c"])
      yield* noWorker(acme)
      const taken = JSON.parse(Fs.readFileSync(eventFiles(acme.home)[1] ?? "", "utf8")).message.uuid
      yield* acme.sink.answer(({ batch }) =>
        batch.every(({ uuid }) => uuid === taken) ? Validate() : Status({ status: 413 })
      )
      assert.deepStrictEqual(yield* flush(acme), [{ delivered: 1, kept: 0 }, 0])
    })

    test("`telemetry flush` counts no damaged message as delivered, also if there is no room to keep it", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* acme.run("deploy a")
      yield* noWorker(acme)
      const [file = ""] = eventFiles(acme.home)
      const { uuid } = JSON.parse(Fs.readFileSync(file, "utf8")).message
      Fs.rmSync(file)
      const text = "x".repeat(62_000)
      // Twice as much as is kept of them.
      for (const round of [1, 2]) {
        for (let n = 10; n < 25; n++) {
          const own = Path.basename(file).replace(uuid, `00000000-0000-4000-8000-0000000${round}00${n}`)
          const name = own.replace(/-\d+\.json$/, `-${text.length}.json`)
          Fs.writeFileSync(Path.join(Path.dirname(file), name), text, { mode: 0o600 })
        }
        assert.deepStrictEqual(yield* flush(acme), [{ delivered: 0, kept: 0 }, 0])
      }
    })

    test("`telemetry flush` does nothing on a new device and makes no file", function*() {
      const acme = yield* device
      assert.deepStrictEqual(yield* flush(acme), [{ delivered: 0, kept: 0 }, 0])
      assert.deepStrictEqual(yield* acme.files, [])
    })
  })

  describe.concurrent("telemetry log", () => {
    test("`telemetry log` prints byte for byte what will be sent, and sends nothing", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* runs(acme, ["deploy a", "login --no-browser --api-key key-of-a"])
      const requests = (yield* acme.sink.requests).length
      const { code, stdout } = yield* acme.run("telemetry log", { runtime: "pipe" })
      assert.strictEqual(code, 0)
      yield* acme.sink.answer(Validate())
      const before = (yield* acme.sink.requests).length
      assert.isAtMost(before - requests, 1)
      yield* acme.run("telemetry flush", { runtime: "pipe" })
      const sent = (yield* acme.sink.messages).map(({ raw }) => raw)
      assert.deepStrictEqual(stdout.trimEnd().split("\n"), sent)
      assert.isTrue(sent[0]?.includes("$create_alias"))
    })
  })

  describe.concurrent("telemetry log --sent", () => {
    const sentBy = (acme: Device, line = "telemetry log --sent --json") =>
      Effect.map(acme.run(line, { runtime: "pipe" }), ({ stdout }) => stdout.split("\n").slice(0, -1))

    test("`telemetry log --sent` lists byte for byte what PostHog took, until telemetry is disabled", function*() {
      const acme = yield* device
      const none = ["No sent messages are kept on this machine."]
      assert.deepStrictEqual(yield* sentBy(acme, "telemetry log --sent"), none)
      assert.deepStrictEqual(yield* acme.files, [])
      yield* runs(acme, ["deploy a", "login --no-browser --api-key key-of-a", "deploy b"])
      yield* acme.delivered(3)
      yield* acme.run("telemetry flush", { runtime: "pipe" })
      const sent = (yield* acme.sink.messages).toSorted((a, b) => a.timestamp.localeCompare(b.timestamp))
      assert.deepStrictEqual(yield* sentBy(acme), sent.map(({ raw }) => raw))
      const { anon_id } = yield* acme.identity
      const text = yield* sentBy(acme, "telemetry log --sent")
      assert.lengthOf(text, sent.length)
      for (
        const line of [
          `CLI execution succeeded: deploy, as ${anon_id} (anonymous)`,
          `$create_alias: device ${anon_id} joins account account_a`,
          "CLI execution succeeded: deploy, as account_a"
        ]
      ) assert.isTrue(text.some((found) => found.endsWith(`Z  ${line}`)), line)

      const kept = (yield* acme.files).filter((file) => file.includes("/sent/"))
      assert.isAbove(kept.length, 0)
      for (const file of kept) assert.strictEqual(Fs.statSync(Path.join(acme.home, file)).mode & 0o777, 0o600)
      yield* acme.run("telemetry disable", { runtime: "pipe" })
      assert.deepStrictEqual(yield* sentBy(acme, "telemetry log --sent"), none)
      assert.include(yield* sentBy(acme, "telemetry status"), "Sent to:       nowhere")
    })

    test("`telemetry log --sent` is empty in CI and in a container without a terminal", function*() {
      for (const runtime of ["ci", "container"] as const) {
        const acme = yield* device
        yield* acme.run("deploy a", { runtime })
        yield* acme.delivered(1)
        yield* noWorker(acme)
        assert.deepStrictEqual(yield* sentBy(acme), [], runtime)
        assert.isEmpty((yield* acme.files).filter((file) => file.includes("/sent/")))
      }
    })
  })

  describe.concurrent("telemetry events", () => {
    test("`telemetry events` prints the committed data dictionary, also with telemetry off", function*() {
      const acme = yield* device
      const read = (text: string) => {
        const { common, events }: DataDictionary.DataDictionary = JSON.parse(text)
        return DataDictionary.toMarkdown({ common, events })
      }
      const committed = Fs.readFileSync(new URL("../../examples/acme/usage-events.json", import.meta.url), "utf8")
      const { stdout } = yield* acme.run("telemetry events --json", { runtime: "pipe" })
      assert.strictEqual(read(stdout), read(committed))
      const off = { runtime: "pipe", env: { DO_NOT_TRACK: "1" } } as const
      const text = yield* acme.run("telemetry events", off)
      assert.include(text.stdout, "\nCLI Auth Started\n  A user logs in: started\n")
      assert.deepStrictEqual([text.code, text.stderr], [0, ""])
      assert.deepStrictEqual(yield* acme.files, [])
    })
  })

  describe.concurrent("telemetry disable", () => {
    test("`telemetry disable` stops a worker in the middle of a drain after the request in flight", function*() {
      const acme = yield* device
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* runs(acme, ["deploy a", "deploy b", "deploy c"])
      // Half by half, so that a drain has many requests; the first is answered late.
      yield* acme.sink.answer(Hang())
      const flushing = yield* Effect.forkScoped(flush(acme))
      const waiting = (yield* acme.sink.requests).length
      yield* acme.sink.waitFor((_, requests) => requests.length > waiting)
      const { code, stdout } = yield* acme.run("telemetry disable", { runtime: "pipe" })
      assert.deepStrictEqual([code, stdout], [
        0,
        "Telemetry is off. Its files on this machine are deleted; what was sent is not.\n"
      ])
      const inFlight = (yield* acme.sink.requests).length
      yield* acme.sink.answer(Validate())
      // What was deleted was not delivered.
      assert.deepStrictEqual((yield* Fiber.join(flushing))[0], { delivered: 0, kept: 0 })
      assert.strictEqual((yield* acme.sink.requests).length, inFlight)
      assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])
    })

    test("`telemetry disable` deletes the compiled code of the workers, also while one is alive", function*() {
      const acme = yield* device
      const code = (files: ReadonlyArray<string>) => files.filter((file) => file.startsWith("usage/compile-cache/"))
      yield* acme.stopWorkers(Validate())
      yield* acme.run("deploy a")
      yield* acme.sink.waitFor((_, requests) => requests.length === 1)
      yield* acme.run("telemetry disable", { runtime: "pipe" })
      yield* acme.sink.answer(Validate())
      yield* acme.continueWorkers
      yield* noWorker(acme)
      assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])

      yield* acme.run("telemetry enable", { runtime: "pipe" })
      yield* acme.run("deploy b")
      yield* noWorker(acme)
      // Deno keeps code in a folder of its own.
      assert.strictEqual(code(yield* acme.files).length > 0, runtimeName !== "deno")
      yield* acme.run("telemetry disable", { runtime: "pipe" })
      assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])
    })

    test("`telemetry enable` withdraws the denial in the file of a former format, and says so", function*() {
      const acme = yield* device
      yield* acme.storeKey("key-of-a")
      const former = { enabled: false, device_id: "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", schema_version: 1 }
      Fs.writeFileSync(Path.join(acme.home, "telemetry.json"), JSON.stringify(former), { mode: 0o600 })
      assert.strictEqual((yield* acme.status()).decided_by, "opt-out file")
      assert.strictEqual((yield* acme.run("telemetry enable")).stdout, "Telemetry is on.\n")
      assert.isTrue((yield* acme.status()).enabled)
    })

    test("`telemetry disable` has no compiled code to delete on a device that keeps nothing", function*() {
      const acme = yield* device
      yield* acme.run("deploy a", { runtime: "ci" })
      yield* acme.delivered(1)
      yield* noWorker(acme)
      assert.isEmpty((yield* acme.files).filter((file) => file.includes("compile-cache")))
    })

    test("`telemetry disable` says that the opt-out cannot be written, and exits with 1", function*() {
      const acme = yield* device
      Fs.writeFileSync(acme.home, "a file in the home's place")
      const { code, stderr, stdout } = yield* acme.run("telemetry disable", { runtime: "pipe" })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.include(stderr, "could not be changed: ")
    })
  })

  describe.concurrent("nested commands", () => {
    test("A command that calls another of the same host is its parent, and each is recorded once", function*() {
      const acme = yield* device
      const outer = "6f0c2b1e-52a7-4c1e-9d6a-0c8f5e3a7b11"
      yield* acme.run("deploy inner", { env: { ACME_USAGE_INVOCATION: outer } })
      yield* acme.run("deploy alone", { env: { ACME_USAGE_INVOCATION: "a canary" } })
      const [inner, alone] = (yield* acme.delivered(2)).map(({ properties }) => properties)
      assert.strictEqual(inner?.["parent_invocation_id"], outer)
      assert.notStrictEqual(inner?.["invocation_id"], outer)
      assert.notProperty(alone, "parent_invocation_id")
    })

    test("Only a command in the handler of another is its child, and no command leaves its id in the environment", function*() {
      const { env } = yield* device
      const host = fileURLToPath(new URL("hosts/Overlapping.ts", import.meta.url))
      const ended = yield* run([...runtimeWords, host], { env: { ...env, OVERLAPPING_USAGE_DEBUG: "1" } })
      const properties = ended.stderr.split("\n").filter((line) => line.startsWith("{")).map((line) =>
        JSON.parse(line).properties
      )
      const parents = properties.map(({ command_name, parent_invocation_id }) => [command_name, parent_invocation_id])
      const outer = properties.find(({ command_name }) => command_name === "outer").invocation_id
      assert.deepStrictEqual(parents, [
        ...["first", "second", "second", "first"].map((name) => [name, undefined]),
        ["inner", outer],
        ["outer", undefined]
      ])
      assert.deepStrictEqual(JSON.parse(ended.stdout), { child: outer, left: [null, null, null] })
    })
  })

  describe.concurrent("first-run notice", () => {
    const notice = "acme records which commands are used"
    const isShown = (acme: Device, line: string, env: Record<string, string> = {}) =>
      Effect.map(acme.run(line, { runtime: "screen", env }), ({ stdout }) => stdout.includes(notice))

    test("The notice is shown once, on the first command that is recorded in a terminal", function*() {
      const acme = yield* device
      for (const line of ["--help", "deploy", "telemetry status"]) assert.isFalse(yield* isShown(acme, line), line)
      assert.isFalse(yield* isShown(acme, "deploy a", { DO_NOT_TRACK: "1" }))
      assert.deepStrictEqual(yield* acme.files, [])
      assert.isTrue(yield* isShown(acme, "deploy a"))
      assert.isFalse(yield* isShown(acme, "deploy a"))
    })

    test("The notice is not shown without a terminal", function*() {
      const acme = yield* device
      const { stderr } = yield* acme.run("deploy a", { runtime: "pipe" })
      assert.strictEqual(stderr, "")
      assert.isFalse(yield* isShown(acme, "deploy a", { CI: "true" }))
      assert.isFalse(Fs.existsSync(Path.join(acme.home, "usage/notice")))
    })
  })
})
