/**
 * The package as it is published, in a project that has it and what its manifest asks for.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { SourceMap } from "node:module"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { esbuild } from "../../scripts/Bundlers.ts"
import { bundle } from "../../src/testing/page/Bundle.ts"
import { run, start } from "../fixtures/Process.ts"
import * as Project from "../fixtures/Project.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually, makeSink, noLease } from "../fixtures/Wait.ts"
import { request } from "../testing/Requests.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

let project = ""
const inProject = (...path: ReadonlyArray<string>): string => Path.join(project, ...path)

beforeAll(() => {
  project = Project.make()
  for (const host of ["Eager.ts", "Strict.ts"]) {
    Fs.copyFileSync(Path.join(root, "test/acme/hosts", host), inProject(host))
  }
})

afterAll(() => Project.remove(project))

const delivers = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const sink = yield* makeSink()
  const home = Fs.mkdtempSync(inProject("home-"))
  const ended = yield* run([process.execPath, ...args], {
    env: {
      PATH: process.env["PATH"],
      HOME: home,
      INSTALLED_HOME: Path.join(home, ".installed"),
      INSTALLED_POSTHOG_HOST: sink.url
    }
  })
  assert.deepStrictEqual(ended, { stdout: "Ran\n", stderr: "", code: 0, signal: null })
  const messages = yield* sink.waitFor((messages) => messages.length > 0)
  assert.deepStrictEqual(messages.map(({ event }) => event), ["CLI execution succeeded"])
  yield* noLease(Path.join(home, ".installed"))
  return home
})

it("The functions that every command calls are in parentheses, in which V8 compiles them as it loads them", () => {
  const count = (file: string): number => {
    const text = Fs.readFileSync(inProject("node_modules/effect-cli-usage", file), "utf8")
    return [...text.matchAll(/(?:=|:) \((?:async )?\([^()]*\) =>|\(\(function\* ?\(/g)].length
  }
  assert.isAbove(count("layers/Steady.js"), 80)
  assert.isAbove(count("cli/CommandTracking.js"), 1)
  for (const file of ["layers/Cold.js", "cli/TelemetryHandlers.js", "cli/ErrorClass.js"]) {
    assert.strictEqual(count(file), 0, file)
  }
})

for (const [form, name] of [["one file", "one esm file"], ["cjs", "one cjs file"]] as const) {
  it.live(`A host with the published package delivers as ${name}`, () =>
    Effect.suspend(() => delivers(esbuild(project, form, "entry"))))

  it.live(`A host with the published package delivers as ${name} that asks in its main file`, () =>
    Effect.suspend(() => delivers(esbuild(project, form))))
}

test.live("A host with the published package delivers as an entry and its chunks, and a command loads no chunk of the worker", function*() {
  const file = esbuild(project, "split")
  yield* delivers(file)
  const folder = Path.dirname(file)
  const [worker, ...more] = Fs.readdirSync(folder).filter((name) =>
    Fs.readFileSync(Path.join(folder, name), "utf8").includes("posthog-node")
  )
  assert.lengthOf(more, 0)
  Fs.rmSync(Path.join(folder, worker ?? ""))
  const run = ChildProcess.spawnSync(process.execPath, [file], {
    encoding: "utf8",
    env: {
      PATH: process.env["PATH"],
      HOME: project,
      INSTALLED_HOME: inProject("home-of-split"),
      INSTALLED_POSTHOG_HOST: "http://127.0.0.1:9",
      CI: "true"
    }
  })
  assert.deepStrictEqual([run.stdout, run.stderr, run.status], ["Ran\n", "", 0])
})

/** A host in a folder of its own, with the removal of a part of the package and a run of the host. */
const splitHost = (name: string) => {
  const folder = inProject(name)
  Fs.cpSync(Path.dirname(esbuild(project, "split")), folder, { recursive: true })
  const chunk = (part: string) => Fs.readdirSync(folder).find((name) => name.startsWith(`${part}-`)) ?? "none"
  return {
    remove: (part: string) => Fs.rmSync(Path.join(folder, chunk(part))),
    command: (args: ReadonlyArray<string>, variables: Readonly<Record<string, string>> = {}) =>
      run([process.execPath, Path.join(folder, "entry.js"), ...args], {
        env: {
          PATH: process.env["PATH"],
          HOME: project,
          INSTALLED_HOME: inProject(`home-of-${name}`),
          INSTALLED_POSTHOG_HOST: "http://127.0.0.1:9",
          ...variables
        }
      })
  }
}

test.live("A host runs its commands when an upgrade removes a part of the package meanwhile, and says so in debug mode", function*() {
  const { command, remove } = splitHost("removed")
  for (const part of ["Cold", "Steady"]) {
    remove(part)
    assert.deepStrictEqual(yield* command([]), { stdout: "Ran\n", stderr: "", code: 0, signal: null })
    const told = yield* command([], { INSTALLED_USAGE_DEBUG: "1" })
    assert.deepStrictEqual([told.stdout, told.code], ["Ran\n", 0])
    assert.match(told.stderr, new RegExp(`^usage: nothing is recorded.*${part}-`, "s"))
  }
})

test.live("A host whose part for the opt-out was removed says that the opt-out could not be changed, and exits with 1", function*() {
  const { command, remove } = splitHost("removed-opt-out")
  remove("Cold")
  const { code, stderr, stdout } = yield* command(["telemetry", "disable"])
  assert.deepStrictEqual([stdout, code], ["", 1])
  assert.match(stderr, /The opt-out at .* could not be changed: a file of the program is missing/)
})

test.live("A host delivers and runs once when a bundler runs the file of the worker and that of the host in every process", function*() {
  const home = yield* delivers(esbuild(project, "one file", "Eager"))
  assert.strictEqual(Fs.readFileSync(Path.join(home, ".installed-ran"), "utf8"), "once\n")
})

it.live("A host with the published package delivers without a bundler", () =>
  Effect.suspend(() => delivers(inProject("Installed.ts"))))

test.live("A host with the published package delivers without a bundler if its entry needs flags and asks for its worker", function*() {
  Fs.writeFileSync(inProject("preload.mjs"), "globalThis.isPreloaded = true")
  Fs.writeFileSync(
    inProject("flags.ts"),
    `if (!("isPreloaded" in globalThis)) throw new Error("the flag is missing")
      ${Fs.readFileSync(inProject("entry.ts"), "utf8")}`
  )
  yield* delivers("--import", inProject("preload.mjs"), inProject("flags.ts"))
})

test.live("The published program for authors serves the page of the sink", function*() {
  const kit = inProject("node_modules/effect-cli-usage/kit/main.js")
  const { child } = yield* start([process.execPath, kit, "sink", "--port", "0"], {
    env: { PATH: process.env["PATH"], HOME: project }
  })
  let stdout = ""
  child.stdout?.on("data", (text: string) => stdout += text)
  yield* eventually(Effect.sync(() => stdout), (stdout) => stdout.includes("\n"))
  const url = stdout.replace("listening on ", "").trim()
  const get = (path: string) => Effect.map(request(url, "", { method: "GET", path }), ({ text }) => text)
  const html = yield* get("/")
  assert.include(html, "No messages yet")
  for (const path of ["/page.js", "/page.css", "/page.svg"]) {
    assert.include(html, path)
    const source = Path.join(root, "src/testing/page", path)
    assert.strictEqual(
      yield* get(path),
      path === "/page.js" ? yield* Effect.promise(bundle) : Fs.readFileSync(source, "utf8")
    )
  }
})

it("The published package has every type that its declarations name", () => {
  const compilerOptions = {
    target: "ES2024",
    module: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    types: ["node"],
    outDir: "types"
  }
  Fs.writeFileSync(inProject("tsconfig.json"), JSON.stringify({ compilerOptions, files: ["Strict.ts"] }))
  const compiler = ChildProcess.spawnSync(
    process.execPath,
    [Path.join(root, "node_modules/typescript/lib/tsc.js"), "-p", project],
    { encoding: "utf8" }
  )
  assert.strictEqual(compiler.stdout, "")
  assert.isTrue(Fs.existsSync(inProject("types/Strict.d.ts")))
})

it("The published package exports its entry points and nothing internal", () => {
  const internal = ["domain/AnonId", "domain/AnonId.js", "layers/Recorder", "services/Outbox", "cli/Usage"]
  const open = ["layers", "testing", "worker"]
  const names = [...open, ...internal].map((name) => `effect-cli-usage/${name}`)
  const script = `for (const name of ${JSON.stringify(names)})
    console.log(await import(name).then(() => "open", ({ code }) => code))`
  const { stdout } = ChildProcess.spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: project,
    encoding: "utf8"
  })
  const expected = [...open.map(() => "open"), ...internal.map(() => "ERR_PACKAGE_PATH_NOT_EXPORTED")]
  assert.deepStrictEqual(stdout.trim().split("\n"), expected)
})

it("The source maps of the published package lead to its sources, and name no folder of the machine that built it", () => {
  const installed = inProject("node_modules/effect-cli-usage")
  // A part that is loaded when it is needed, the module that loads one, and one that is as the compiler wrote it.
  const texts = [
    ["layers/Cold.js", "src/layers/FileOutbox.ts", /could not remove a message/],
    ["cli/TelemetryCommand.js", "src/cli/TelemetryCommand.ts", /"enable"/],
    ["cli/CommandTracking.js", "src/cli/CommandTracking.ts", /"effect-cli-usage\/cli\/Untracked"/]
  ] as const
  for (const [file, source, words] of texts) {
    const payload = JSON.parse(Fs.readFileSync(Path.join(installed, `${file}.map`), "utf8"))
    const lines = Fs.readFileSync(Path.join(installed, file), "utf8").split("\n")
    const at = lines.findIndex((line) => words.test(line))
    const entry = new SourceMap(payload).findEntry(at, lines[at]?.search(words) ?? 0)
    if (!("originalLine" in entry)) return assert.fail(`${file} has no mapping of line ${at + 1}`)
    assert.strictEqual(entry.originalSource, `../${source}`)
    const original = Fs.readFileSync(Path.join(root, source), "utf8")
    assert.match(original.split("\n")[entry.originalLine] ?? "", words)
    assert.include(payload.sourcesContent, original)
  }
  const maps = Fs.readdirSync(installed, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".map"))
  assert.isAbove(maps.length, 50)
  for (const name of maps) {
    const { sources } = JSON.parse(Fs.readFileSync(Path.join(installed, name), "utf8"))
    assert.deepStrictEqual(
      sources.filter((source: string) => source.includes(project) || source.includes(root)),
      [],
      name
    )
  }
})

it("The published package has the files that its documents link to, no text for contributors, and all licences", () => {
  const installed = inProject("node_modules/effect-cli-usage")
  const text = (name: string) => Fs.readFileSync(Path.join(installed, name), "utf8")
  const documents = Fs.readdirSync(installed, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".md")
  )
  assert.includeMembers(documents, ["README.md", "CHANGELOG.md", "docs/privacy.md"])
  for (const name of ["CONTRIBUTING.md", "docs/adr", "docs/architecture.md", "api"]) {
    assert.isFalse(Fs.existsSync(Path.join(installed, name)), name)
  }
  for (const name of documents) {
    const links = [...text(name).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link = ""]) => link)
    const broken = links.filter((link) => !Fs.existsSync(Path.resolve(installed, Path.dirname(name), link)))
    assert.deepStrictEqual(broken, [], name)
  }
  for (const name of ["effect 4", "posthog-node 5", "@posthog/core 1"]) {
    assert.include(text("THIRD-PARTY-NOTICES.txt"), `\n${name}.`)
  }
})

test.live("The published program checks what a host sends, and writes its dictionary with the Effect of the host", function*() {
  const installed = inProject("node_modules/effect-cli-usage")
  const { bin } = JSON.parse(Fs.readFileSync(Path.join(installed, "package.json"), "utf8"))
  const program = (...args: ReadonlyArray<string>) =>
    run([Path.join(installed, bin["effect-cli-usage"]), ...args], {
      cwd: project,
      env: {
        PATH: `${Path.dirname(process.execPath)}:${process.env["PATH"]}`,
        HOME: project,
        INSTALLED_HOME: inProject("home-of-check"),
        CI: "true"
      }
    })
  const check = yield* program("sink", "--check", "--json", "--", process.execPath, "Installed.ts")
  assert.deepStrictEqual([check.code, check.stderr], [0, "Ran\n"])
  assert.deepInclude(JSON.parse(check.stdout), { exit_code: 0, messages: 1, findings: [] })
  Fs.writeFileSync(
    inProject("Events.ts"),
    `import { UsageEvent } from "effect-cli-usage"
      import * as Schema from "effect/Schema"
      export const Chosen = UsageEvent.make("Chosen", {
        description: "A template was chosen",
        properties: Schema.Struct({ template: Schema.String })
      })`
  )
  const dictionary = yield* program("dictionary", "Events.ts")
  assert.deepStrictEqual([dictionary.code, dictionary.stderr], [0, ""])
  assert.include(dictionary.stdout, "## Chosen\n\nA template was chosen.\n")
})

it("The published worker can be required, and does nothing in a process that is no worker", () => {
  const timers = `const set = globalThis.setTimeout
    let count = 0
    globalThis.setTimeout = (...all) => (count++, set(...all))
    require("effect-cli-usage/worker/main")
    console.log(count)`
  const worker = ChildProcess.spawnSync(process.execPath, ["-e", timers], { cwd: project, encoding: "utf8" })
  assert.deepStrictEqual([worker.stdout, worker.stderr, worker.status], ["0\n", "", 0])
})
