/**
 * Faults from the field: a disk that refuses for a moment, and another tool that writes while a command runs.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import * as Faults from "../fixtures/Faults.ts"
import { run } from "../fixtures/Process.ts"
import { noLease } from "../fixtures/Wait.ts"
import { aliasesOf, bundleHost, commandsOf, type Device, eventFiles, eventually, Harness, suite } from "./Harness.ts"
import { begunDevice, device, flush, login as loginAs, nodeWords } from "./Steps.ts"

const { Status, Validate } = PostHogSink.Answer

const login = loginAs("key-of-b")

/** Runs acme under a fault. */
const faulty = Effect.fnUntraced(function*(acme: Device, line: string, fault: Faults.Fault) {
  return yield* run(Faults.under(fault, Path.dirname(acme.home), yield* nodeWords(line)), { env: acme.env })
})

/** Runs commands while PostHog is down, so that what they record waits. */
const waiting = Effect.fnUntraced(function*(acme: Device, ...lines: ReadonlyArray<string>) {
  yield* acme.sink.answer(Status({ status: 503 }))
  for (const line of lines) yield* acme.run(line)
  yield* noLease(acme.home)
  yield* acme.sink.answer(Validate())
})

const succeeded = "CLI execution succeeded"

suite("disk faults", (test) => {
  describe.concurrent("temporary failures", () => {
    test("A message that cannot be read for a moment is kept for the next flush", function*() {
      const acme = yield* begunDevice
      yield* waiting(acme, "deploy a", "deploy b", "deploy c")
      const [first = ""] = eventFiles(acme.home)
      const fault = { call: "openat", path: first, error: "EIO", isOnce: true } as const
      const { code, stdout } = yield* faulty(acme, "telemetry flush --json", fault)
      assert.deepStrictEqual([JSON.parse(stdout), code], [{ delivered: 2, kept: 1 }, 1])
      assert.deepStrictEqual(eventFiles(acme.home), [first])
      const status = yield* acme.run("telemetry status --json", { runtime: "pipe" })
      assert.include(status.stdout, `"last_failure":"1 of the waiting messages cannot be read"`)
      assert.deepStrictEqual(yield* flush(acme), [{ delivered: 1, kept: 0 }, 0])
      assert.lengthOf(yield* acme.sink.messages, 4)
    })

    test("A device keeps its anon id while the successors cannot be read", function*() {
      const acme = yield* begunDevice
      const before = yield* acme.identity
      const successors = Path.join(acme.home, "usage/successors")
      const fault = { call: "statx", path: successors, error: "EIO", isOnce: true } as const
      const { code, stdout } = yield* faulty(acme, "deploy a", fault)
      assert.deepStrictEqual([stdout, code], ["Deployed a to eu\n", 0])
      assert.deepStrictEqual(yield* acme.identity, before)
      yield* acme.run("deploy b")
      yield* acme.delivered(3)
      assert.deepStrictEqual(yield* acme.identity, before)
    })
  })

  describe.concurrent("file system features", () => {
    test("A disk without hard links gives the device one anon id, and messages are delivered", function*() {
      const acme = yield* device
      const fault = { call: "linkat", error: "EACCES" } as const
      for (const name of ["a", "b"]) yield* faulty(acme, `deploy ${name}`, fault)
      const { anon_id } = yield* acme.identity
      const messages = yield* acme.delivered(2)
      assert.deepStrictEqual(messages.map(({ distinct_id }) => distinct_id), [anon_id, anon_id])
    })

    const under = Effect.fnUntraced(function*(umask: string, acme: Device, line: string) {
      const words = ["sh", "-c", `umask ${umask}; exec "$0" "$@"`, ...(yield* nodeWords(line))]
      const { code } = yield* run(words, { env: acme.env })
      assert.strictEqual(code, 0)
    })
    const modesIn = (folder: string) => {
      const entries = Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
        // Node.js creates its own files in this folder.
        .filter(({ name, parentPath }) => !`${parentPath}/${name}`.includes("compile-cache"))
      const modes = entries.map((entry) => {
        const { mode } = Fs.lstatSync(Path.join(entry.parentPath, entry.name))
        return `${entry.isDirectory() ? "folder" : "file"} ${(mode & 0o777).toString(8)}`
      })
      return [...new Set(modes)].toSorted()
    }

    for (const umask of ["377", "477", "577", "777"]) {
      test(`A home that is made under umask ${umask} can be used by its owner`, function*() {
        const acme = yield* device
        yield* under(umask, acme, "deploy a")
        yield* acme.delivered(1)
        yield* noLease(acme.home)
        assert.strictEqual(Fs.statSync(acme.home).mode & 0o777, 0o700)
        assert.deepStrictEqual(modesIn(acme.home), ["file 600", "folder 700"])
        assert.strictEqual((yield* acme.run(login)).code, 0)
        assert.deepInclude(yield* acme.status(), { enabled: true, principal_id: "account_b" })
      })
    }

    test("A message that was written under a umask without rights for its owner is delivered", function*() {
      const acme = yield* begunDevice
      yield* acme.sink.answer(Status({ status: 503 }))
      yield* under("777", acme, "deploy a")
      yield* noLease(acme.home)
      yield* acme.sink.answer(Validate())
      const [first = ""] = eventFiles(acme.home)
      Fs.chmodSync(first, 0)
      // Root, as whom this test may run, is refused nothing.
      const fault = { call: "openat", path: first, error: "EACCES", isOnce: true } as const
      const { stdout } = yield* faulty(acme, "telemetry flush --json", fault)
      assert.deepStrictEqual(JSON.parse(stdout), { delivered: 1, kept: 0 })
    })

    test("The status names an identity file that cannot be read", function*() {
      const acme = yield* begunDevice
      const path = Path.join(acme.home, "usage.json")
      const { stdout } = yield* faulty(acme, "telemetry status --json", { call: "openat", path, error: "EACCES" })
      const why = `${path} cannot be read (EACCES)`
      assert.deepInclude(JSON.parse(stdout), { anon_id: null, obstacles: [{ what: "identity_unreadable", why }] })
      const human = yield* faulty(acme, "telemetry status", { call: "openat", path, error: "EACCES" })
      assert.include(human.stdout, `Commands wait up to a second for delivery: ${why}\n`)
    })
  })
})

suite("hosts without a resolver", (test) => {
  /** A device on which an account logged in, and how to run a command of its host. */
  const loggedIn = Effect.fnUntraced(function*(name: string) {
    const acme = yield* (yield* Harness).device(name)
    const folder = Path.dirname(acme.home)
    const host = Path.join(folder, "host.mjs")
    yield* bundleHost(fileURLToPath(new URL("./hosts/NoResolver.ts", import.meta.url)), host)
    const words = (line: string) => [process.execPath, host, ...line.split(" ")]
    const start = (line: string, env = {}) => run(words(line), { env: { ...acme.env, ...env } })
    // A first run without a terminal claims nothing.
    for (const before of ["deploy", "login account_a", "deploy"]) yield* start(before)
    const { anon_id, linked_principal_id } = yield* acme.identity
    assert.strictEqual(linked_principal_id, "account_a")
    return { acme, anon_id, folder, start, words }
  })

  const faults = [["for a moment", true], ["in the whole command", false]] as const
  for (const [line, account] of [["logout", null], ["login account_b", "account_b"]] as const) {
    for (const [extent, isOnce] of faults) {
      test(`A ${line} ends the use of the former account if the opt-out cannot be read ${extent}`, function*() {
        const { acme, anon_id, folder, start, words } = yield* loggedIn("unresolved")
        const fault = { call: "statx", path: Path.join(acme.home, "usage/opt-out"), error: "EIO", isOnce } as const
        const { code } = yield* run(Faults.under(fault, folder, words(line)), { env: acme.env })
        assert.strictEqual(code, 0)
        yield* start("deploy")
        const after = yield* acme.identity
        assert.notStrictEqual(after.anon_id, anon_id)
        // A claim needs consent.
        const expected = isOnce ? account : null
        assert.strictEqual(after.linked_principal_id, expected)
        const messages = commandsOf(yield* acme.delivered(isOnce ? 5 : 4))
        assert.strictEqual(messages.at(-1)?.distinct_id, expected ?? after.anon_id)
      })
    }

    test(`A ${line} ends the use of the former account if a variable denies telemetry, and is not recorded`, function*() {
      const { acme, anon_id, start } = yield* loggedIn("unresolved-denied")
      assert.deepInclude(yield* start(line, { DO_NOT_TRACK: "1" }), { code: 0, stderr: "", stdout: "" })
      yield* start("deploy")
      const after = yield* acme.identity
      assert.notStrictEqual(after.anon_id, anon_id)
      assert.isNull(after.linked_principal_id)
      const messages = commandsOf(yield* acme.delivered(4))
      assert.deepInclude(messages.at(-1), { distinct_id: after.anon_id })
      assert.lengthOf(messages, 4)
    })
  }
})

suite("other tools", (test) => {
  /** Runs a login that has recorded its first event when another tool writes the identity file. */
  const during = Effect.fnUntraced(function*(acme: Device, line: string, pointer: Record<string, string | null>) {
    yield* acme.api.mode({ _tag: "Hold" })
    const command = yield* Effect.forkChild(acme.run(line))
    yield* eventually(Effect.sync(() => acme.api.requests), ({ length }) => length === 1)
    assert.lengthOf(eventFiles(acme.home), 1)
    Fs.writeFileSync(Path.join(acme.home, "usage.json"), JSON.stringify(pointer))
    yield* acme.api.release
    yield* Fiber.join(command)
    return yield* acme.delivered(2)
  })

  describe.concurrent("concurrent writes of the identity file", () => {
    test("An anon id that another tool links during a login is not aliased to the account of the login", function*() {
      const acme = yield* begunDevice
      const { anon_id } = yield* acme.identity
      const messages = yield* during(acme, login, { anon_id, linked_principal_id: "account_a" })
      const claim = JSON.parse(Fs.readFileSync(Path.join(acme.home, `usage/claims/${anon_id}.json`), "utf8"))
      assert.deepInclude(claim, { principal_id: "account_a", learned_by: "adopted", alias: null })
      const after = yield* acme.identity
      assert.notStrictEqual(after.anon_id, anon_id)
      assert.strictEqual(after.linked_principal_id, "account_b")
      assert.lengthOf(aliasesOf(messages), 0)
      assert.deepStrictEqual(messages.slice(1).map(({ distinct_id, event }) => [event, distinct_id]), [
        ["CLI Auth Started", anon_id],
        ["CLI Auth Completed", "account_b"],
        [succeeded, "account_b"]
      ])
    })

    test("A device keeps its anon id if a command runs while another tool writes the identity file in place", function*() {
      const acme = yield* begunDevice
      const { anon_id } = yield* acme.identity
      const file = Path.join(acme.home, "usage.json")
      const text = Fs.readFileSync(file, "utf8")
      const tool = Fs.openSync(file, "r+")
      Fs.ftruncateSync(tool, 0)
      // A process may take longer to start than the file counts as new.
      const later = Date.now() / 1000 + 2.5
      Fs.futimesSync(tool, later, later)
      assert.strictEqual((yield* acme.run("deploy during")).code, 0)
      Fs.writeSync(tool, text, 0)
      Fs.closeSync(tool)
      yield* acme.run("deploy after")
      assert.deepStrictEqual(yield* acme.identity, { anon_id, linked_principal_id: null })
      const [first, during, after] = yield* acme.delivered(3)
      assert.deepStrictEqual([first?.distinct_id, after?.distinct_id], [anon_id, anon_id])
      assert.isFalse(during?.properties["$process_person_profile"])
      assert.notStrictEqual(during?.distinct_id, anon_id)
    })

    const other = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"
    for (
      const [what, line, owner, events] of [
        ["and the account that logs in follows", login, "account_b", [
          "$create_alias",
          "CLI Auth Completed",
          succeeded
        ]],
        [
          "and the events of a login that fails follow",
          "login --api-key unknown --no-browser",
          other,
          ["CLI Auth Failed", "CLI execution failed"]
        ]
      ] as const
    ) {
      test(`An anon id that another tool writes during a command replaces the anon id of the device, ${what}`, function*() {
        const acme = yield* begunDevice
        const { anon_id } = yield* acme.identity
        const messages = yield* during(acme, line, { anon_id: other, linked_principal_id: null })
        assert.strictEqual((yield* acme.identity).anon_id, other)
        assert.sameDeepMembers(messages.slice(1).map(({ distinct_id, event }) => [event, distinct_id]), [
          ["CLI Auth Started", anon_id],
          ...events.map((event) => [event, owner])
        ])
      })
    }
  })
})
