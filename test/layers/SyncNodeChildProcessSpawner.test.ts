import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PlatformError from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as NodeChildProcess from "node:child_process"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import * as SyncNodeChildProcessSpawner from "../../src/layers/SyncNodeChildProcessSpawner.ts"

const isLinux = process.platform === "linux"
const projectRoot = fileURLToPath(new URL("../..", import.meta.url))

const detached = { detached: true, stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const

/** A directory of the test's own. */
const temporary = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => NFS.realpathSync(NFS.mkdtempSync(Path.join(OS.tmpdir(), "sync-spawn-")))),
    (directory) => Effect.sync(() => NFS.rmSync(directory, { recursive: true, force: true }))
  ),
  (directory) => (...names: ReadonlyArray<string>) => Path.join(directory, ...names)
)

/**
 * What a child does: it says that it lives, waits to be told to go on (or for its own end), then leaves a report.
 */
const childScript = `
  const fs = require("node:fs")
  const [started, go, report] = process.argv.slice(1)
  fs.writeFileSync(started + ".tmp", "")
  fs.renameSync(started + ".tmp", started)
  const deadline = Date.now() + 20_000
  const timer = setInterval(() => {
    if (Date.now() > deadline) process.exit(1)
    if (!fs.existsSync(go)) return
    clearInterval(timer)
    fs.writeFileSync(report + ".tmp", JSON.stringify({ env: process.env, cwd: process.cwd(), pid: process.pid }))
    fs.renameSync(report + ".tmp", report)
  }, 10)
`

const childArguments = (at: (name: string) => string): ReadonlyArray<string> => [
  "--eval",
  childScript,
  at("started"),
  at("go"),
  at("report")
]

/** Ends a child of the test with the test. */
const owned = (pid: number) =>
  Effect.acquireRelease(Effect.succeed(pid), () =>
    Effect.sync(() => {
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // It ended by itself.
      }
    }))

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const eventually = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    const deadline = Date.now() + 10_000
    while (!condition()) {
      if (Date.now() > deadline) {
        return assert.fail(`not within 10 s: ${what}`)
      }
      yield* Effect.sleep("10 millis")
    }
  })

const readReport = (at: (name: string) => string) =>
  Effect.gen(function*() {
    NFS.writeFileSync(at("go"), "")
    yield* eventually("the child's report", () => NFS.existsSync(at("report")))
    return JSON.parse(NFS.readFileSync(at("report"), "utf8")) as {
      readonly env: Record<string, string>
      readonly cwd: string
      readonly pid: number
    }
  })

const spawn = (command: ChildProcess.Command) =>
  Effect.flatMap(ChildProcessSpawner.ChildProcessSpawner, (spawner) => spawner.spawn(command)).pipe(
    Effect.provide(SyncNodeChildProcessSpawner.layer)
  )

/** Runs a module in a Node of its own until its output is closed, not only until it has ended. */
const runParent = (script: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const words = [...prefix, process.execPath, "--input-type=module", "--eval", script, ...args]
    const parent = NodeChildProcess.spawn(words[0] ?? "", words.slice(1), {
      cwd: projectRoot,
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    parent.stdout.on("data", (data) => output += data)
    parent.stderr.on("data", (data) => output += data)
    parent.on("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => parent.kill("SIGKILL"))
  }).pipe(Effect.timeoutOrElse({
    duration: "15 seconds",
    orElse: () => Effect.sync(() => assert.fail("the output of the parent was not closed within 15 s"))
  }))

const parentImports = `
  import * as Effect from "effect/Effect"
  import * as ChildProcess from "effect/process/ChildProcess"
  import { make } from "./src/layers/SyncNodeChildProcessSpawner.ts"
  const options = { detached: true, stdin: "ignore", stdout: "ignore", stderr: "ignore" }
`

describe("SyncNodeChildProcessSpawner", () => {
  it.live("starts a child that outlives the scope it was started in", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      const scope = yield* Scope.make()
      const handle = yield* spawn(ChildProcess.make(process.execPath, childArguments(at), detached)).pipe(
        Scope.provide(scope)
      )
      yield* owned(handle.pid)
      yield* eventually("the child lives", () => NFS.existsSync(at("started")))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* readReport(at)).pid, handle.pid)
    }))

  it.live("starts a child that outlives its parent, holds none of its pipes and does not keep it alive", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      const parent = yield* runParent(
        `
          ${parentImports}
          const command = ChildProcess.make(process.execPath, process.argv.slice(1), options)
          console.log(Effect.runSync(Effect.scoped(make.spawn(command))).pid)
        `,
        ["--", ...childArguments(at)]
      )
      assert.strictEqual(parent.code, 0, parent.output)
      const pid = yield* owned(Number(parent.output))
      yield* eventually("the child lives", () => NFS.existsSync(at("started")))
      assert.isTrue(isAlive(pid))
      assert.isFalse(NFS.existsSync(at("report")))
      assert.strictEqual((yield* readReport(at)).pid, pid)
    }))

  it.live.skipIf(!isLinux)(
    "makes the child the leader of a session of its own, with nothing at its descriptors",
    () =>
      Effect.gen(function*() {
        const at = yield* temporary
        const handle = yield* spawn(ChildProcess.make(process.execPath, childArguments(at), detached))
        yield* owned(handle.pid)
        yield* eventually("the child lives", () => NFS.existsSync(at("started")))
        const stat = NFS.readFileSync(`/proc/${handle.pid}/stat`, "utf8")
        // After the name, which may hold spaces: state, parent, process group, session.
        const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
        assert.strictEqual(Number(session), handle.pid)
        assert.strictEqual(Number(group), handle.pid)
        for (const descriptor of [0, 1, 2]) {
          assert.strictEqual(NFS.readlinkSync(`/proc/${handle.pid}/fd/${descriptor}`), "/dev/null")
        }
      })
  )

  it.live("gives the child the environment and the directory it was given, and no more", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      // Without it a process on Windows may not start at all.
      const system: Record<string, string> = process.platform === "win32"
        ? { SystemRoot: process.env["SystemRoot"] ?? "" }
        : {}
      const handle = yield* spawn(ChildProcess.make(process.execPath, childArguments(at), {
        ...detached,
        cwd: at(),
        env: { ...system, PLAIN: "a b=c", SECRET: Redacted.make("hunter2"), ABSENT: undefined },
        windowsHide: true
      }))
      yield* owned(handle.pid)
      const report = yield* readReport(at)
      // macOS adds this one to every process.
      const { __CF_USER_TEXT_ENCODING: _, ...env } = report.env
      assert.deepStrictEqual(env, { ...system, PLAIN: "a b=c", SECRET: "hunter2" })
      assert.strictEqual(report.cwd, at())
    }))

  it.live("lets a caller take the child back and let it go again", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      const script = (then: string) => `
        ${parentImports}
        const command = ChildProcess.make(process.execPath, process.argv.slice(1), options)
        const handle = Effect.runSync(Effect.scoped(make.spawn(command)))
        const reref = Effect.runSync(handle.unref)
        ${then}
        console.log(handle.pid)
      `
      const short = [
        "--",
        "--eval",
        "setTimeout(() => require('fs').writeFileSync(process.argv[1], ''), 300)",
        at("end")
      ]
      const waited = yield* runParent(script("Effect.runSync(reref)"), short)
      yield* owned(Number(waited.output))
      assert.isTrue(NFS.existsSync(at("end")))
      const left = yield* runParent(script("Effect.runSync(Effect.andThen(reref, handle.unref))"), [
        "--",
        ...childArguments(at)
      ])
      assert.isTrue(isAlive(yield* owned(Number(left.output))), left.output)
    }))

  it.live("fails where the program does not exist", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        spawn(ChildProcess.make("/no/such program", ["plain", Redacted.make("hunter2")], detached))
      )
      assert.isTrue(PlatformError.isPlatformError(error))
      assert.strictEqual(error.message, "NotFound: ChildProcess.spawn ('/no/such program' plain <redacted>)")
      assert.propertyVal(error.reason, "syscall", "spawn /no/such program")
      assert.propertyVal(error.cause, "code", "ENOENT")
      assert.deepStrictEqual(Object(error.cause).spawnargs, ["plain", "<redacted>"])
      assert.notInclude(inspect(error, { depth: 10, showHidden: true }), "hunter2")
    }))

  it.live("fails where the directory does not exist", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        spawn(ChildProcess.make(process.execPath, ["--version"], { ...detached, cwd: "/no/such/directory" }))
      )
      assert.strictEqual(error.reason._tag, "NotFound")
    }))

  it.live.skipIf(!isLinux)("fails where the system refuses the spawn at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        spawn(ChildProcess.make(process.execPath, ["--eval", "0", "x".repeat(1 << 20)], detached))
      )
      assert.strictEqual(error.reason._tag, "Unknown")
      assert.propertyVal(error.cause, "code", "E2BIG")
    }))

  it.live.skipIf(!isLinux)(
    "is no uncaught exception of the host where no descriptor is left, nobody waiting for it",
    () =>
      Effect.gen(function*() {
        const parent = yield* runParent(
          `
          ${parentImports}
          import * as fs from "node:fs"
          const command = ChildProcess.make(process.execPath, ["--version"], options)
          try { for (;;) fs.openSync("/dev/null") } catch (error) { console.log(error.code) }
          const fiber = Effect.runFork(Effect.scoped(Effect.flip(make.spawn(command))))
          fiber.addObserver((exit) => console.log(exit.value.reason._tag, exit.value.cause.code))
          Effect.runFork(Effect.scoped(make.spawn(command))).interruptUnsafe()
          setTimeout(() => console.log("still here"), 50)
        `,
          [],
          ["/bin/sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"]
        )
        assert.deepStrictEqual(parent.output.trim().split("\n"), ["EMFILE", "Unknown EMFILE", "still here"])
        assert.strictEqual(parent.code, 0)
      })
  )

  it.live("refuses a value that no process could get, without showing it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        spawn(ChildProcess.make(process.execPath, ["--version"], {
          ...detached,
          env: { SECRET: Redacted.make("hunter2\0") }
        }))
      )
      assert.strictEqual(error.reason._tag, "BadArgument")
      assert.notInclude(inspect(error, { depth: 10, showHidden: true }), "hunter2")
    }))

  it.live.each<readonly [string, ChildProcess.Command]>([
    ["default stdio", ChildProcess.make("x", [], { detached: true })],
    ["a piped stdin", ChildProcess.make("x", [], { ...detached, stdin: "pipe" })],
    ["an inherited stdout", ChildProcess.make("x", [], { ...detached, stdout: "inherit" })],
    ["a stderr read by nobody", ChildProcess.make("x", [], { ...detached, stderr: { stream: "pipe" } })],
    ["a stream for stdin", ChildProcess.make("x", [], { ...detached, stdin: Stream.empty })],
    [
      "an additional descriptor",
      ChildProcess.make("x", [], { ...detached, additionalFds: { fd3: { type: "output" } } })
    ],
    ["the platform's default of detached", ChildProcess.make("x", [], { ...detached, detached: undefined })],
    ["a child that is not detached", ChildProcess.make("x", [], { ...detached, detached: false })],
    ["an extended environment", ChildProcess.make("x", [], { ...detached, extendEnv: true })],
    ["a shell", ChildProcess.make("x", [], { ...detached, shell: true })],
    ["a pipeline", ChildProcess.make("x", [], detached).pipe(ChildProcess.pipeTo(ChildProcess.make("y", [], detached)))]
  ])(
    "refuses %s",
    ([, command]) =>
      Effect.map(Effect.flip(spawn(command)), (error) => assert.strictEqual(error.reason._tag, "BadArgument"))
  )

  it.live("says that it does not observe the child", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      const command = ChildProcess.make(process.execPath, childArguments(at), detached)
      const handle = yield* spawn(command)
      yield* owned(handle.pid)
      for (const effect of [handle.exitCode, handle.isRunning, handle.kill()]) {
        const error = yield* Effect.flip(effect as Effect.Effect<unknown, PlatformError.PlatformError>)
        assert.strictEqual(error.reason._tag, "BadArgument")
      }
      assert.isTrue(isAlive(handle.pid))
      assert.strictEqual(yield* Stream.mkString(Stream.decodeText(handle.all)), "")
    }))
})
