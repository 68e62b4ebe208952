/**
 * acme as one file, in each of the forms that a host is shipped in: each is its own worker, which is the published one.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Esbuild from "esbuild"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { nodeExecutable } from "../../scripts/Bundlers.ts"
import { bundleWorker } from "../../scripts/WorkerBundle.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { run } from "../fixtures/Process.ts"
import { test } from "../fixtures/Tests.ts"
import { makeSink, noLease } from "../fixtures/Wait.ts"

const entry = fileURLToPath(new URL("../../examples/acme/entry.ts", import.meta.url))
/** The host as it is without a worker of its own. */
const main = fileURLToPath(new URL("../../examples/acme/main.ts", import.meta.url))

const published = Fs.mkdtempSync(Path.join(Os.tmpdir(), "acme-published-"))
const worker = Path.join(published, "main.cjs")
const bundled = { esm: Path.join(published, "acme.mjs"), cjs: Path.join(published, "acme.cjs") }

beforeAll(async () => {
  await bundleWorker(worker, true)
  for (const format of ["esm", "cjs"] as const) bundle(bundled[format], format)
})
afterAll(() => Fs.rmSync(published, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))

const options = {
  bundle: true,
  platform: "node",
  target: "node22",
  minify: true,
  logLevel: "error",
  alias: { "effect-cli-usage/worker/main": worker }
} satisfies Esbuild.BuildOptions

const bundle = (
  outfile: string,
  format: "esm" | "cjs",
  from = entry,
  define: Readonly<Record<string, string>> = {}
): void => {
  Esbuild.buildSync({ ...options, entryPoints: [from], outfile, format, define })
}

/** Bundles the entries of a folder into several files. */
const split = (folder: string, entries: ReadonlyArray<string>, outdir: string): void => {
  const asking = fileURLToPath(new URL("../../src/worker/Entry.ts", import.meta.url))
  Esbuild.buildSync({
    ...options,
    entryPoints: entries.map((name) => Path.join(folder, name)),
    outdir,
    format: "esm",
    splitting: true,
    alias: { ...options.alias, "effect-cli-usage/worker": asking }
  })
}

const directory = temporaryFolder("acme-bundled-")

const isDelivered = (
  command: ReadonlyArray<string>,
  home: string,
  args = ["deploy", "x"],
  stdout = "Deployed x to eu\n"
) =>
  Effect.gen(function*() {
    const sink = yield* makeSink()
    const ended = yield* run([...command, ...args], {
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        ACME_HOME: Path.join(home, ".acme"),
        ACME_POSTHOG_HOST: sink.url,
        ACME_POSTHOG_KEY: "phc_bundled"
      }
    })
    assert.deepStrictEqual(ended, { stdout, stderr: "", code: 0, signal: null })
    const messages = yield* sink.waitFor((messages) => messages.length > 0)
    assert.deepStrictEqual(messages.map(({ event }) => event), ["CLI execution succeeded"])
    yield* noLease(Path.join(home, ".acme"))
  })

/** Runs a bundled host, and does not wait for what it sends. */
const runSync = (home: string, file: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  ChildProcess.spawnSync(process.execPath, [file, ...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: home, ...env }
  })

for (const format of ["esm", "cjs"] as const) {
  it.live(`A bundled host delivers as one ${format} file`, () =>
    Effect.flatMap(directory, (home) => isDelivered([process.execPath, bundled[format]], home)))
}

test.live("A bundled host delivers as a single executable", function*() {
  const home = yield* directory
  const executable = yield* Effect.promise(() => nodeExecutable(process.execPath, bundled.cjs, home))
  yield* isDelivered([executable], home)
})

test.live("A bundled host without a worker says in debug mode and in its status what to do", function*() {
  const home = yield* directory
  const file = Path.join(home, "acme.mjs")
  bundle(file, "esm", main)
  const run = (file: string, line: string, env: Readonly<Record<string, string>> = {}) =>
    runSync(home, file, line.split(" "), { ACME_POSTHOG_KEY: "phc_bundled", ...env })
  const why =
    "this host has no worker: the entry of a bundled host must first call isWorker() of effect-cli-usage/worker; any other host lacks its worker file"
  const debugs = { ACME_USAGE_DEBUG: "yes" }
  const without = run(file, "deploy x", debugs)
  assert.strictEqual(without.stdout, "Deployed x to eu\n")
  assert.include(without.stderr, `usage: nothing is delivered: ${why}\n`)
  assert.notInclude(run(bundled.esm, "deploy x", debugs).stderr, "has no worker")
  assert.include(run(file, "telemetry status").stdout, `Nothing is delivered: ${why}\n`)
  const { obstacles } = JSON.parse(run(file, "telemetry status --json").stdout)
  assert.deepStrictEqual(obstacles, [{ what: "no_worker", why }])
  assert.include(run(bundled.esm, "telemetry status --json").stdout, "\"obstacles\":[]")
})

test.live("A bundled host never runs one of its own files as the worker, nor a file of the place where it was bundled", function*() {
  const home = yield* directory
  const started = Path.join(home, "started")
  for (const folder of ["bin", "worker", "layers"]) Fs.mkdirSync(Path.join(home, folder))
  Fs.writeFileSync(
    Path.join(home, "worker/main.cjs"),
    `require("node:fs").writeFileSync(${JSON.stringify(started)}, "")`
  )
  const bundler = JSON.stringify(pathToFileURL(Path.join(home, "layers/NodeProcess.js")).href)
  for (const define of [{}, { "import.meta.url": bundler }]) {
    const file = Path.join(home, "bin/acme.mjs")
    bundle(file, "esm", main, define)
    const run = runSync(home, file, ["deploy", "x"], { ACME_POSTHOG_KEY: "phc_bundled", CI: "true" })
    assert.strictEqual(run.stdout, "Deployed x to eu\n")
    assert.isFalse(Fs.existsSync(started))
  }
})

test.live("A bundled host finds the published worker beside it on a runtime that names modules by their paths", function*() {
  const home = yield* directory
  for (const folder of ["layers", "worker"]) Fs.mkdirSync(Path.join(home, folder))
  const beside = Path.join(home, "worker/main.cjs")
  Fs.writeFileSync(beside, "")
  const file = Path.join(home, "layers/NodeProcess.js")
  bundle(file, "cjs", fileURLToPath(new URL("../../src/layers/NodeProcess.ts", import.meta.url)))
  const script = `console.log(require(${JSON.stringify(file)}).current.worker.join())`
  const run = ChildProcess.spawnSync(process.execPath, ["-e", script], { encoding: "utf8" })
  assert.deepStrictEqual([run.stdout, run.stderr], [`${beside}\n`, ""])
})

test.live("A bundled host delivers on a runtime without single executables", function*() {
  const home = yield* directory
  const unknown = Path.join(home, "unknown.mjs")
  Fs.writeFileSync(
    unknown,
    `const get = process.getBuiltinModule
         process.getBuiltinModule = (name) => name === "node:sea" ? undefined : get(name)`
  )
  yield* isDelivered([process.execPath, "--import", unknown, bundled.esm], home)
})

test.live("A bundled host that is started with only one of the two marks of a worker is no worker", function*() {
  const home = yield* directory
  const named = runSync(home, bundled.esm, ["deploy", "x"], { EFFECT_CLI_USAGE_WORKER: "{}" })
  assert.strictEqual(named.stdout, "Deployed x to eu\n")
  const marked = runSync(home, bundled.esm, ["deploy", "x", "--effect-cli-usage-worker"])
  assert.include(marked.stderr, "--effect-cli-usage-worker")
  assert.strictEqual(marked.status, 1)
})

// == the script of the worker

/** A script of the user, and the number of its runs. */
const userScript = (folder: string) => {
  const log = Path.join(folder, "runs")
  const text = `import { appendFileSync } from "node:fs"\nappendFileSync(${JSON.stringify(log)}, "ran\\n")\n`
  const file = Path.join(folder, "script.mjs")
  Fs.writeFileSync(file, text)
  return { file, text, runs: () => Fs.existsSync(log) ? Fs.readFileSync(log, "utf8").split("\n").length - 1 : 0 }
}

test.live("A bundled host that replaces `process.argv` and runs a script of the user is still its own worker", function*() {
  const home = yield* directory
  const script = userScript(home)
  const file = Path.join(home, "runner.mjs")
  bundle(file, "esm", fileURLToPath(new URL("hosts/RunnerEntry.ts", import.meta.url)))
  yield* isDelivered([process.execPath, file], home, ["run", script.file], "")
  assert.strictEqual(script.runs(), 1)
})

test.live("A worker never runs the script that imported a bundled host", function*() {
  const home = yield* directory
  const script = userScript(home)
  const [esm, cjs] = [pathToFileURL(bundled.esm).href, bundled.cjs].map((name) => JSON.stringify(name))
  const importing = Path.join(home, "importing.mjs")
  Fs.writeFileSync(importing, `${script.text}await import(${esm})`)
  const requiring = Path.join(home, "requiring.cjs")
  Fs.writeFileSync(
    requiring,
    `require("node:fs").appendFileSync(${JSON.stringify(Path.join(home, "runs"))}, "ran\\n")
    require(${cjs})`
  )
  for (
    const [runs, ...words] of [
      [0, "--eval", `import(${esm})`, script.file],
      [0, "--eval", `require(${cjs})`, script.file],
      [1, "--import", bundled.esm, script.file],
      [2, importing],
      [3, requiring]
    ] as const
  ) {
    yield* isDelivered([process.execPath, ...words], Fs.mkdtempSync(Path.join(home, "home-")))
    assert.strictEqual(script.runs(), runs, words.join(" "))
  }
})

test.live("A bundled host delivers by a link to it, by a file that imports it, and if a shared chunk asks for its entry", function*() {
  const home = yield* directory
  const at = (name: string) => Path.join(home, name)
  Fs.symlinkSync(bundled.esm, at("acme"))
  Fs.writeFileSync(
    at("start.ts"),
    `import { isWorker } from "effect-cli-usage/worker"
     export const start = () => isWorker() ? import("effect-cli-usage/worker/main") : import(${JSON.stringify(main)})`
  )
  for (const name of ["one.ts", "two.ts"]) {
    Fs.writeFileSync(at(name), `import { start } from "./start.ts"; await start()`)
  }
  split(home, ["one.ts", "two.ts"], home)
  Fs.writeFileSync(at("bin.mjs"), `import "./one.js"`)
  Fs.writeFileSync(at("bin.cjs"), `require(${JSON.stringify(bundled.cjs)})`)
  for (const name of ["acme", "one.js", "bin.mjs", "bin.cjs"]) {
    yield* isDelivered([process.execPath, at(name)], Fs.mkdtempSync(at("home-")))
  }
})
