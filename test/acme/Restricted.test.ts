/**
 * A host in a runtime that grants it little, or whose files are gone: it runs as ever, and says nothing to its user; what
 * was recorded is kept, and its author reads why.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { esbuild } from "../../scripts/Bundlers.ts"
import * as Matrix from "../../scripts/Matrix.ts"
import { run } from "../fixtures/Process.ts"
import * as Project from "../fixtures/Project.ts"
import { deno } from "../fixtures/Runtimes.ts"
import { test } from "../fixtures/Tests.ts"
import { makeSink, noLease } from "../fixtures/Wait.ts"

let project = ""
const inProject = (...names: ReadonlyArray<string>): string => Path.join(project, ...names)
const source = (): string => inProject("Installed.ts")
beforeAll(() => {
  project = Project.make()
})
afterAll(() => Project.remove(project))

type Words = ReadonlyArray<string>

/** Writes the host's source with something else in it, and returns the file. */
const edited = (name: string, edit: (source: string) => string): string => {
  const before = Fs.readFileSync(source(), "utf8")
  const after = edit(before)
  assert.notStrictEqual(after, before)
  Fs.writeFileSync(inProject(name), after)
  return inProject(name)
}

let homes = 0
/** A device on which a host can be run by several words. */
const makeDevice = (posthog = "http://127.0.0.1:9") => {
  const home = inProject(`home-${++homes}`)
  const env = { PATH: process.env["PATH"], HOME: project, INSTALLED_HOME: home, INSTALLED_POSTHOG_HOST: posthog }
  return {
    env,
    home,
    run: (words: Words, ...args: Words) => run([...words, ...args], { env }),
    /** How many events wait. */
    events: () =>
      Fs.existsSync(home)
        ? Fs.readdirSync(home, { recursive: true, encoding: "utf8" }).filter((name) => /events.+json$/.test(name))
          .length
        : 0
  }
}
type Device = ReturnType<typeof makeDevice>

/** Runs a command, which has to run as if there were no telemetry. */
const quiet = (device: Device, words: Words) =>
  Effect.map(
    device.run(words),
    (ended) => assert.deepStrictEqual(ended, { stdout: "Ran\n", stderr: "", code: 0, signal: null })
  )

/** The obstacles to delivery that `telemetry status` names. */
const obstacles = (device: Device, words: Words) =>
  Effect.map(device.run(words, "telemetry", "status", "--json"), ({ stdout }) => JSON.parse(stdout).obstacles)

/** Runs two commands, whose events have to be kept, and returns the obstacles to their delivery. */
const keeps = Effect.fnUntraced(function*(words: Words) {
  const device = makeDevice()
  for (const count of [1, 2]) {
    yield* quiet(device, words)
    assert.strictEqual(device.events(), count)
  }
  return yield* obstacles(device, words)
})

// == Node.js

describe("Node.js permissions", () => {
  const node = (...options: Words): Words => [process.execPath, ...options, source()]

  test.live("A host on a Node.js without node:child_process keeps its events, and its status says why", function*() {
    const preload = inProject("without.mjs")
    Fs.writeFileSync(
      preload,
      `const get = process.getBuiltinModule
         process.getBuiltinModule = (name) => name === "node:child_process" ? undefined : get(name)`
    )
    const why = `node ${process.versions.node} has no node:child_process, which starts the worker`
    assert.deepStrictEqual(yield* keeps(node("--import", preload)), [{ what: "no_process", why }])
  })

  test.live("A host on Node.js without the permission to start processes keeps its events, and its status says why", function*() {
    const words = node("--permission", "--allow-fs-read=*", "--allow-fs-write=*")
    const why = "node was started without --allow-child-process, so it may start no worker"
    assert.deepStrictEqual(yield* keeps(words), [{ what: "no_process", why }])
  })

  test.live("A host on Node.js with the permission to start processes delivers, also with descriptors that it cannot replace", function*() {
    const sink = yield* makeSink()
    const { env, home } = makeDevice(sink.url)
    const net = process.allowedNodeEnvironmentFlags.has("--allow-net") ? ["--allow-net"] : []
    const writes = [`--allow-fs-write=${home}`, `--allow-fs-write=${home}/*`]
    const words = node("--permission", "--allow-child-process", ...net, "--allow-fs-read=*", ...writes)
    const noNull = inProject("no-null.mjs")
    Fs.writeFileSync(
      noNull,
      `const fs = process.getBuiltinModule("node:fs")
         const { openSync } = fs
         fs.openSync = (...args) => {
           if (args[0] === "/dev/null") throw Object.assign(new Error(), { code: "ERR_ACCESS_DENIED" })
           return openSync(...args)
         }`
    )
    const all: ReadonlyArray<Words> = [words, node("--import", noNull)]
    for (const [index, words] of all.entries()) {
      const ended = yield* run(words, { env: { ...env, NODE_NO_WARNINGS: "1" }, pipes: 20 })
      assert.deepStrictEqual(ended, { stdout: "Ran\n", stderr: "", code: 0, signal: null })
      yield* sink.waitFor(({ length }) => length === index + 1)
      yield* noLease(home)
    }
  })

  test.live("A host on Node.js without the permission to write keeps nothing, and its status says so", function*() {
    const device = makeDevice()
    const words = node("--permission", "--allow-fs-read=*")
    yield* quiet(device, words)
    assert.isFalse(Fs.existsSync(device.home))
    const [first, ...more] = (yield* obstacles(device, words)).toReversed()
    const why = `${device.home} cannot be written to (ERR_ACCESS_DENIED)`
    assert.deepStrictEqual(first, { what: "home_not_writable", why })
    assert.deepStrictEqual(more.map(({ what }: { what: string }) => what), ["no_process"])
  })
})

// == files that are gone

describe("missing files", () => {
  test.live("A host without the file of its worker in its bundle keeps its events, and its status says so", function*() {
    const file = esbuild(project, "split")
    const folder = Path.dirname(file)
    const chunk = Fs.readdirSync(folder).find((name) => name.startsWith("main-")) ?? assert.fail("no worker")
    Fs.rmSync(Path.join(folder, chunk))
    const [{ what, why }] = yield* keeps([process.execPath, file])
    assert.strictEqual(what, "worker_never_began")
    assert.include(why, "its file is missing")
  })

  test.live("A host without the file of the worker in the package keeps its events, and its status says so", function*() {
    const worker = inProject("node_modules/effect-cli-usage/worker/main.cjs")
    yield* Effect.acquireRelease(
      Effect.sync(() => Fs.renameSync(worker, `${worker}.gone`)),
      () => Effect.sync(() => Fs.renameSync(`${worker}.gone`, worker))
    )
    const [{ what, why }] = yield* keeps([process.execPath, source()])
    assert.strictEqual(what, "no_worker")
    assert.include(why, "lacks its worker file")
  })

  const replacements = { removed: undefined, "replaced by a program that is no worker": "#!/bin/sh\nexit 1\n" }
  for (const [what, program] of Object.entries(replacements)) {
    test.live(`A host that has its executable ${what} during a run delivers with its next command`, function*() {
      const sink = yield* makeSink()
      const device = makeDevice(sink.url)
      const executable = inProject(`node-${homes}`)
      Fs.copyFileSync(process.execPath, executable, Fs.constants.COPYFILE_FICLONE)
      const replacing = edited("Replacing.ts", (source) =>
        `import * as Fs from "node:fs"\n${
          source.replace(
            "() => Console.log(\"Ran\")",
            `() => Effect.andThen(
                 Effect.sync(() => {
                   Fs.rmSync(process.execPath)
                   const program = ${JSON.stringify(program)}
                   if (program !== undefined) Fs.writeFileSync(process.execPath, program, { mode: 0o700 })
                 }),
                 Console.log("Ran")
               )`
          )
        }`)
      yield* quiet(device, [executable, replacing])
      assert.strictEqual(device.events(), 1)
      yield* quiet(device, [process.execPath, source()])
      yield* sink.waitFor(({ length }) => length === 2)
    })
  }

  test.live("The status of a host without its executable says so", function*() {
    const device = makeDevice()
    const executable = inProject("node-gone")
    Fs.copyFileSync(process.execPath, executable, Fs.constants.COPYFILE_FICLONE)
    const removing = edited(
      "Removing.ts",
      (source) => `import * as Fs from "node:fs"\nFs.rmSync(process.execPath)\n${source}`
    )
    const why = `${executable} is missing, so no worker can run`
    assert.deepStrictEqual(yield* obstacles(device, [executable, removing]), [{ what: "no_process", why }])
  })
})

// == another Effect

describe("incompatible Effect version", () => {
  /** A project whose Effect does not have a module that this package imports. */
  const withoutModule = (name: string): string => {
    const folder = Fs.mkdtempSync(inProject("moved-"))
    const effect = Path.join(folder, "node_modules/effect")
    Fs.mkdirSync(effect, { recursive: true })
    for (const one of Fs.readdirSync(inProject("node_modules"))) {
      if (one !== "effect") Fs.cpSync(inProject("node_modules", one), Path.join(folder, "node_modules", one), copy)
    }
    const real = Fs.realpathSync(inProject("node_modules/effect"))
    for (const one of Fs.readdirSync(real).filter((one) => one !== "package.json")) {
      Fs.symlinkSync(Path.join(real, one), Path.join(effect, one))
    }
    const manifest = JSON.parse(Fs.readFileSync(Path.join(real, "package.json"), "utf8"))
    const exports = { ...manifest.exports, [`./${name}`]: null }
    Fs.writeFileSync(Path.join(effect, "package.json"), JSON.stringify({ ...manifest, exports }))
    Matrix.writeHost(folder)
    return folder
  }
  const copy = { recursive: true, verbatimSymlinks: true }

  it("A host on an Effect that has moved a module cannot be bundled, and the bundler names the module and its importer", () => {
    const folder = withoutModule("encoding/Yaml")
    const bundle = () => esbuild(folder, "one file")
    assert.throws(bundle, /effect-cli-usage\/\S+\.js:\d+:\d+: ERROR: .*"effect\/encoding\/Yaml"/)
  })

  test.live("A host on an Effect that has moved a module prints nothing to its user, and its status exits with the reason", function*() {
    const device = makeDevice()
    yield* quiet(device, [process.execPath, source()])
    const kept = device.events()
    const hooks = inProject("hooks.mjs")
    Fs.writeFileSync(
      hooks,
      `import { registerHooks } from "node:module"
         registerHooks({
           resolve: (name, context, next) => {
             if (name.endsWith("/Steady.js")) throw new Error("effect has no such module")
             return next(name, context)
           }
         })`
    )
    const words = [process.execPath, "--import", hooks, source()]
    yield* quiet(device, words)
    assert.deepStrictEqual([kept, device.events()], [1, 1])
    const status = yield* device.run(words, "telemetry", "status")
    assert.strictEqual(status.code, 1)
    assert.include(status.stdout + status.stderr, "effect has no such module")
  })
})

// == Deno

/** What README lists, for a home. */
const permissions = (home: string): Words => [
  "--allow-env",
  "--allow-sys=osRelease,uid",
  `--allow-read=${home},/etc/installed,${inProject("node_modules/effect-cli-usage")}`,
  `--allow-write=${home}`,
  `--allow-run=${Fs.realpathSync(deno)}`
]

describe("Deno permissions", () => {
  const granted = (options: Words, file = source()): Words => [deno, "run", "--no-prompt", ...options, file]
  const without = (name: string): Words => permissions(project).filter((word) => !word.startsWith(`--allow-${name}`))

  test.live("A host on Deno with the permissions of the README delivers", function*() {
    const { messages } = yield* Matrix.deliver(granted(permissions(project)), project)
    assert.lengthOf(messages, 2)
  })

  test.live("A host on Deno without the permission to run processes keeps its events, and its status says why", function*() {
    const why = `deno was started without --allow-run=${Fs.realpathSync(deno)}, so it may start no worker`
    assert.deepStrictEqual(yield* keeps(granted(without("run"))), [{ what: "no_process", why }])
  })

  test.live("A host on Deno without the permission to write keeps nothing, and its status says so", function*() {
    const device = makeDevice()
    const words = granted(without("write"))
    yield* quiet(device, words)
    const why = `${device.home} cannot be written to (ERR_ACCESS_DENIED)`
    assert.deepStrictEqual(yield* obstacles(device, words), [{ what: "home_not_writable", why }])
  })

  test.live("A host on Deno without the permission to read records nothing", function*() {
    const device = makeDevice()
    yield* quiet(device, granted(without("read")))
    assert.isFalse(Fs.existsSync(device.home))
  })

  for (const name of ["sys", "env"]) {
    test.live(`A host on Deno without the permission ${name} records nothing, and its status exits with the reason`, function*() {
      const device = makeDevice()
      const file = edited("Fixed.ts", (source) =>
        source
          .replace("yield* Config.String(\"INSTALLED_HOME\")", JSON.stringify(device.home))
          .replace("yield* Config.String(\"INSTALLED_POSTHOG_HOST\")", "\"http://127.0.0.1:9\""))
      const words = granted(without(name), file)
      yield* quiet(device, words)
      assert.isFalse(Fs.existsSync(device.home))
      const status = yield* device.run(words, "telemetry", "status")
      assert.strictEqual(status.code, 1)
      assert.match(status.stdout + status.stderr, new RegExp(`Requires ${name} access`))
    })
  }
})
