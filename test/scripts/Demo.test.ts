/**
 * `npm run demo` as a newcomer runs it, in a pipe.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "../fixtures/Folders.ts"
import * as Process from "../fixtures/Process.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually } from "../fixtures/Wait.ts"

const demo = fileURLToPath(new URL("../../scripts/demo.ts", import.meta.url))

const folder = temporaryFolder("demo-test-")

/** Starts the demo; what it leaves is in the folder. */
const start = (temporary: string, options: { readonly words?: ReadonlyArray<string>; readonly env?: object } = {}) =>
  Process.start([...options.words ?? [process.execPath, demo]], {
    env: { PATH: process.env["PATH"], TMPDIR: temporary, CI: "true", DO_NOT_TRACK: "1", ...options.env }
  })

/** Waits until a running demo has printed what the pattern matches. */
const printed = (running: Process.Running, pattern: RegExp) => {
  let text = ""
  running.child.stdout?.on("data", (part: string) => text += part)
  return Effect.map(
    eventually(Effect.sync(() => pattern.exec(text)), (found) => found !== null),
    (found) => found?.[1] ?? assert.fail()
  )
}

// A worker that lives on finds no folder.
const leavesNothing = (temporary: string) =>
  eventually(Effect.sync(() => Fs.readdirSync(temporary)), (names) => names.length === 0)

const isColoured = (text: string): boolean => text.includes("\u001b[")

test.live("The demo prints each message of the story with its person, what the user sees, and what to try next", function*() {
  const temporary = yield* folder
  const { code, stderr, stdout } = yield* Effect.flatMap(start(temporary), ({ ended }) => ended)
  assert.deepStrictEqual([code, stderr], [0, ""])
  const messages = stdout.split("\n").flatMap((line) =>
    /(CLI (?:Auth|execution) \w+|\$create_alias) {2,}(.*)$/.exec(line)?.slice(1).join(" of ") ?? []
  )
  assert.deepStrictEqual(messages, [
    "CLI execution succeeded of device 1, anonymous",
    "CLI execution succeeded of device 1, anonymous",
    "CLI Auth Started of device 1, anonymous",
    "$create_alias of device 1 joins account_1",
    "CLI Auth Completed of account_1",
    "CLI execution succeeded of account_1",
    "CLI execution succeeded of account_1",
    "CLI execution failed of account_1",
    "CLI execution succeeded of account_1",
    "CLI execution succeeded of device 2, anonymous",
    "CLI execution succeeded of account_2",
    "CLI execution succeeded of device 2, anonymous"
  ])
  for (
    const text of [
      "acme records which commands are used",
      "    Telemetry is on (default)\n",
      "    Telemetry is off. Its files on this machine are deleted; what was sent is not.\n",
      "    account_1 and device 1: 9\n    account_2: 1\n    nobody (device 2): 2\n"
    ]
  ) assert.include(stdout, text)
  assert.match(stdout, /\nacme deploy site +\d+ ms +waits\n/)
  assert.match(stdout, /\nacme deploy site +\d+ ms +nothing is recorded\n/)
  assert.match(stdout, /\n\nNext: `npm run demo -- --open` .*\n$/)
  assert.isFalse(isColoured(stdout))
  yield* leavesNothing(temporary)
})

test.live("The demo has colour in a terminal and none with NO_COLOR, and says what it needs to run acme in a terminal", function*() {
  const temporary = yield* folder
  const script = (process.env["PATH"] ?? "").split(Path.delimiter).map((path) => Path.join(path, "script")).find(
    (file) => Fs.existsSync(file)
  ) ?? assert.fail("the machine has no `script`")
  const words = process.platform === "darwin"
    ? [script, "-q", "/dev/null", process.execPath, demo]
    : [script, "-qec", `${process.execPath} ${demo}`, "/dev/null"]
  for (const [env, isWanted] of [[{}, true], [{ NO_COLOR: "1" }, false]] as const) {
    const running = yield* start(temporary, { words, env: { TERM: "xterm", CI: undefined, PATH: temporary, ...env } })
    const { code, stdout } = yield* running.ended
    assert.strictEqual(code, 1)
    assert.include(stdout, "A new device")
    assert.match(stdout, /The demo failed: .*script/)
    assert.strictEqual(isColoured(stdout), isWanted)
  }
  yield* leavesNothing(temporary)
})

test.live("The demo with --open serves the page at the address that it prints until it is ended", function*() {
  const temporary = yield* folder
  const running = yield* start(temporary, { words: [process.execPath, demo, "--open"] })
  const page = yield* printed(running, /The page of these messages: (http:\S+\/) \(Ctrl-C ends it\)\n/)
  const answer = yield* Effect.promise(() => fetch(page))
  assert.strictEqual(new URL(page).pathname, "/")
  assert.strictEqual(answer.status, 200)
  const messages = yield* Effect.promise(async () => (await fetch(new URL("api/messages", page))).json())
  assert.lengthOf(Array.isArray(messages) ? messages : assert.fail(), 12)
  process.kill(running.child.pid ?? assert.fail(), "SIGINT")
  const { signal, stdout } = yield* running.ended
  assert.isNull(signal)
  assert.notInclude(stdout, "Next: ")
  yield* leavesNothing(temporary)
})

test.live("The demo exits with 1 and the reason if nothing is delivered", function*() {
  const temporary = yield* folder
  const running = yield* start(temporary)
  const sink = yield* printed(running, /on this machine: (\S+)\n/)
  const body = JSON.stringify({ fault: "status", status: 401 })
  yield* Effect.promise(() => fetch(`${sink}/api/faults`, { method: "POST", body }))
  const { code, stderr } = yield* running.ended
  assert.strictEqual(code, 1)
  assert.match(stderr, /^\nThe demo failed: nothing of "acme .*" was delivered\. /)
  assert.include(stderr, "still waiting: the answer was status 401")
  yield* leavesNothing(temporary)
})
