import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { current, merge } from "../../src/layers/NodeProcess.ts"
import { evaluate, unshare } from "../fixtures/Process.ts"
import { replace } from "../fixtures/Replace.ts"
import { test } from "../fixtures/Tests.ts"

test("A process has one pair of exit listeners, however many commands run in it", function*() {
  const counts = () => ["exit", "uncaughtExceptionMonitor"].map((event) => process.listenerCount(event))
  const before = counts()
  yield* Effect.scoped(Effect.gen(function*() {
    for (let n = 0; n < 12; n++) yield* current.onExit(() => {})
    assert.deepStrictEqual(counts(), before.map((count) => count + 1))
  }))
  assert.deepStrictEqual(counts(), before)
})

it("A process has one pair of signal listeners, which are the first, however many commands wait", () => {
  const signals = ["SIGINT", "SIGTERM"] as const
  const counts = () => signals.map((signal) => process.listenerCount(signal))
  const before = counts()
  const own = () => {}
  const removals = Array.from({ length: 12 }, () => current.onSignal(own))
  assert.deepStrictEqual(counts(), before.map((count) => count + 1))
  const first = process.listeners("SIGINT")[0]
  // A listener of the host.
  process.prependListener("SIGINT", own)
  const last = current.onSignal(own)
  assert.deepStrictEqual(process.listeners("SIGINT").slice(0, 2), [first, own])
  process.removeListener("SIGINT", own)
  for (const remove of removals) remove()
  removals[0]?.()
  assert.deepStrictEqual(counts(), before.map((count) => count + 1))
  last()
  assert.deepStrictEqual(counts(), before)
})

const signalled = `
  import { current } from "./src/layers/NodeProcess.ts"
  const words = []
  for (let n = 0; n < 12; n++) current.onSignal(() => words.push(n))
  const remove = current.onSignal(() => words.push("removed"))
  remove()
  if (process.argv[1] === "host") process.once("SIGTERM", () => {
    console.log(words.join())
    process.exit(0)
  })
  process.on("exit", (code) => console.log("exit", code))
  setInterval(() => {}, 1000)
  process.kill(process.pid, "SIGTERM")
`

test.live("A signal runs every listener, the last one first, and ends the process if the host has no listener", function*() {
  const [alone, withHost] = [yield* evaluate(signalled), yield* evaluate(signalled, { args: ["host"] })]
  assert.deepStrictEqual(alone, { code: null, signal: "SIGTERM", stderr: "", stdout: "" })
  const stdout = "11,10,9,8,7,6,5,4,3,2,1,0\nexit 0\n"
  assert.deepStrictEqual(withHost, { code: 0, signal: null, stderr: "", stdout })
})

test("A variable stays unset in an environment that cannot be written, without a failure", function*() {
  const { env } = process
  replace(process, { env: Object.freeze({ ...env }) })
  yield* current.setVariable("ACME_USAGE_INVOCATION", "1")
  yield* Effect.scoped(current.setVariable("PATH", "1"))
  assert.isUndefined(process.env["ACME_USAGE_INVOCATION"])
  assert.strictEqual(process.env["PATH"], env["PATH"])
})

for (const before of [undefined, "before"]) {
  test(`A variable is again ${before ?? "unset"} after its scopes have closed, in each order`, function*() {
    const name = "TEST_USAGE_VARIABLE"
    if (before !== undefined) process.env[name] = before
    yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env[name]))
    const open = Effect.fnUntraced(function*(value: string) {
      const scope = yield* Scope.make()
      const others = yield* Scope.provide(current.setVariable(name, value), scope)
      assert.strictEqual(process.env[name], value)
      return { others, close: Scope.close(scope, Exit.void) }
    })
    for (const order of ["abc", "acb", "bac", "bca", "cab", "cba"]) {
      const [a, b, c] = [yield* open("a"), yield* open("b"), yield* open("c")]
      assert.deepStrictEqual([a.others, b.others, c.others], [0, 1, 2])
      const left = new Set("abc")
      for (const value of order) {
        yield* { a, b, c }[value]?.close ?? Effect.die(value)
        left.delete(value)
        assert.strictEqual(process.env[name], [...left].at(-1) ?? before, order)
      }
    }
  })
}

test("A variable that the host has set meanwhile is left as it is", function*() {
  const name = "TEST_USAGE_VARIABLE"
  yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env[name]))
  yield* Effect.scoped(Effect.andThen(
    current.setVariable(name, "a"),
    Effect.sync(() => {
      process.env[name] = "host"
    })
  ))
  assert.strictEqual(process.env[name], "host")
})

it("Merged facts are found out when they are read", () => {
  let looks = 0
  const merged = merge({
    get container() {
      return (looks += 1)
    }
  }, { pid: 1 })
  assert.deepStrictEqual([looks, merged.pid, merged.container, looks], [0, 1, 1, 1])
})

test.live("A process is distinguished from one that has ended, from a later one with its number, and from one of another place", function*() {
  const { isAlive, markOf } = current
  const child = ChildProcess.spawn(process.execPath, ["--eval", "setInterval(() => {}, 1000)"])
  const mark = markOf(child.pid ?? 0)
  assert.isTrue(isAlive(mark))
  for (const other of [`${mark} elsewhere`, "", "x"]) assert.isUndefined(isAlive(other))
  if (process.platform === "linux") assert.isFalse(isAlive(mark.replace(/ \d+ /, " 0 ")))
  // What is known where there is no /proc.
  assert.isTrue(isAlive(mark.replace(/ \d+ /, "  ")))
  child.kill("SIGKILL")
  if (process.platform === "linux") {
    // The event loop does not turn, so this process does not take notice of the end.
    while (!/\) Z/.test(Fs.readFileSync(`/proc/${child.pid}/stat`, "utf8"))) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
    assert.isFalse(isAlive(mark))
  }
  yield* Effect.callback((resume) => void child.once("exit", () => resume(Effect.void)))
  for (const any of [mark, mark.replace(/ \d+ /, "  ")]) assert.isFalse(isAlive(any))
})

test.live.skipIf(process.platform !== "linux")(
  "A process looks at none of the processes of another PID namespace's /proc",
  function*() {
    const module = `import { current } from "./src/layers/NodeProcess.ts"; console.log(current.markOf(process.pid))`
    const { stdout } = yield* evaluate(module, { within: unshare("-pf") })
    // No beginning: that of process 1 is the one of the whole machine.
    assert.match(stdout, /^1  .*pid:\[\d+\]\n$/)
  }
)
