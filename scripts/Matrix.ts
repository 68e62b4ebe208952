/**
 * A small host that has the published package, in each form in which hosts are shipped, and a check that it delivers.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { run } from "../test/fixtures/Process.ts"
import { runs, type RuntimeName } from "../test/fixtures/Runtimes.ts"
import { eventually, makeSink, noLease } from "../test/fixtures/Wait.ts"
import * as Bundlers from "./Bundlers.ts"
import { node } from "./Packages.ts"

const root = Path.resolve(import.meta.dirname, "..")

// == the host's sources

// What the README says of a bundled host.
const entry = `import { isWorker } from "effect-cli-usage/worker"
void (isWorker() ? import("effect-cli-usage/worker/main") : import("./Installed.ts"))
`

// What it says of one that can be one file only, of this host's source.
const asking = (source: string): string =>
  `import { isWorker } from "effect-cli-usage/worker"\n${
    source.replace(
      "\nCommand.make(",
      "\nif (isWorker()) void import(\"effect-cli-usage/worker/main\")\nelse Command.make("
    )
  }`

/** Writes the host and its entries into a project that has the package. */
export const writeHost = (project: string): void => {
  const source = Fs.readFileSync(Path.join(root, "test/acme/hosts/Installed.ts"), "utf8")
  Fs.writeFileSync(Path.join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
  Fs.writeFileSync(Path.join(project, "Installed.ts"), source)
  Fs.writeFileSync(Path.join(project, "entry.ts"), entry)
  Fs.writeFileSync(Path.join(project, "asking.ts"), asking(source))
}

// == its forms

/** A runtime that a host is tried on. */
export interface Runtime {
  readonly name: string
  readonly language: RuntimeName
  /** The executable, and what it takes before a file. */
  readonly words: () => ReadonlyArray<string>
}

export const runtimes: ReadonlyArray<Runtime> = [
  ...["22", "24", "26"].map((version): Runtime => ({
    name: `Node.js ${version}`,
    language: "node",
    words: () => [node(version)]
  })),
  { name: "Bun", language: "bun", words: () => runs.bun },
  { name: "Deno", language: "deno", words: () => runs.deno }
]

/** A form of the host, made by a bundler. */
export interface Row {
  readonly form: "source" | "split" | "one file" | "executable"
  readonly bundler: string
  /** The only runtime that an executable is made of; without it a form is a file that each runtime runs. */
  readonly of?: RuntimeName
  /** Returns the file that is started. */
  readonly build: (project: string, runtime: Runtime) => string | Promise<string>
}

const bundled = (form: "split" | "one file"): ReadonlyArray<Row> => [
  { form, bundler: "esbuild", build: (project) => Bundlers.esbuild(project, form) },
  { form, bundler: "Rollup", build: (project) => Bundlers.rollup(project, form) },
  { form, bundler: "Rolldown", build: (project) => Bundlers.rolldown(project, form) },
  { form, bundler: "tsdown", build: (project) => Bundlers.tsdown(project, form) },
  { form, bundler: "bun build", build: (project) => Bundlers.bunBuild(project, form) }
]

// A single executable application of Node.js.
const sea = (bundler: string, bundle: (project: string, form: "cjs") => string): Row => ({
  form: "executable",
  bundler: `${bundler}, SEA`,
  of: "node",
  build: (project, { words }) =>
    Bundlers.nodeExecutable(words()[0] ?? "", bundle(project, "cjs"), Path.join(project, "sea"))
})

export const rows: ReadonlyArray<Row> = [
  { form: "source", bundler: "none", build: (project) => Path.join(project, "Installed.ts") },
  ...bundled("split"),
  ...bundled("one file"),
  sea("esbuild", Bundlers.esbuild),
  sea("Rollup", Bundlers.rollup),
  sea("Rolldown", Bundlers.rolldown),
  {
    form: "executable",
    bundler: "bun build --compile",
    of: "bun",
    build: (project) => Bundlers.bunExecutable(project)
  },
  {
    form: "executable",
    bundler: "bun build --compile --bytecode",
    of: "bun",
    build: (project) => Bundlers.bunExecutable(project, "--bytecode", "--format=esm")
  },
  { form: "executable", bundler: "deno compile", of: "deno", build: Bundlers.denoExecutable }
]

/** Returns the words that start a form of the host, given its file. */
export const wordsOf = (row: Row, runtime: Runtime, file: string): ReadonlyArray<string> =>
  row.of === undefined ? [...runtime.words(), file] : [file]

/** What a cell of the matrix says. */
export interface Cell {
  readonly result: "delivers" | "fails" | "not run" | "none"
  readonly why?: string
}

const textOf = ({ result, why }: Cell): string =>
  result === "none" ? "" : why === undefined ? result : `${result}: ${why}`

const table = (header: ReadonlyArray<string>, lines: ReadonlyArray<ReadonlyArray<string>>): string =>
  [header, header.map(() => "---"), ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n")

/** The whole table: a line for each row, a column for each runtime. */
export const toTable = (cellOf: (row: Row, runtime: Runtime) => Cell): string =>
  table(
    ["form", "bundler", ...runtimes.map(({ name }) => name)],
    rows.map((row) => [row.form, row.bundler, ...runtimes.map((runtime) => textOf(cellOf(row, runtime)))])
  )

/** The short table: a line for each form. */
export const toShortTable = (cellOf: (row: Row, runtime: Runtime) => Cell): string =>
  table(
    ["form", ...runtimes.map(({ name }) => name)],
    [...Map.groupBy(rows, ({ form }) => form)].map(([form, rows]) => [
      form,
      ...runtimes.map((runtime) => {
        const cells = rows.map((row) => cellOf(row, runtime)).filter(({ result }) => result !== "none")
        return textOf(cells.find(({ result }) => result !== "delivers") ?? cells[0] ?? { result: "none" })
      })
    ])
  )

const begin = "<!-- npm run matrix -->"
const end = "<!-- end -->"

/** The generated part of a document, or the document with another one. */
export const generated = (document: string, part?: string): string => {
  const [before = "", rest] = document.split(begin)
  const [there, after] = rest?.split(end) ?? []
  if (there === undefined || after === undefined) throw new Error(`a document without ${begin} and ${end}`)
  return part === undefined ? there.trim() : `${before}${begin}\n${part}\n${end}${after}`
}

// == the check

// What a process on Windows does not do without.
const platformVariables = ["SystemRoot", "SystemDrive", "TEMP", "TMP", "PATHEXT"]

/**
 * Runs two commands of a host on a new device, and returns the events that PostHog took: the first command has no
 * terminal on its first run, and so waits for delivery; the second leaves a worker behind. Then `telemetry status` must
 * say that nothing waits.
 */
export const deliver = Effect.fnUntraced(function*(
  words: ReadonlyArray<string>,
  folder: string,
  variables: Readonly<Record<string, string>> = {}
) {
  const sink = yield* makeSink()
  const home = Fs.mkdtempSync(Path.join(folder, "home-"))
  const state = Path.join(home, ".installed")
  const env = {
    ...Object.fromEntries(platformVariables.map((name) => [name, process.env[name]])),
    PATH: process.env["PATH"],
    HOME: home,
    USERPROFILE: home,
    INSTALLED_HOME: state,
    INSTALLED_POSTHOG_HOST: sink.url,
    DENO_NO_UPDATE_CHECK: "1",
    ...variables
  }
  const host = (...args: ReadonlyArray<string>) => run([...words, ...args], { env })
  const command = Effect.gen(function*() {
    const { code, stderr, stdout } = yield* host()
    if (stdout !== "Ran\n" || stderr !== "" || code !== 0) {
      return yield* Effect.die(new Error(`the command ended with ${code}: ${stdout}${stderr}`))
    }
  })
  yield* command
  yield* sink.waitFor((messages) => messages.length === 1)
  yield* noLease(state)
  yield* command
  const messages = yield* sink.waitFor((messages) => messages.length === 2)
  yield* noLease(state)
  const status = yield* eventually(
    Effect.map(host("telemetry", "status", "--json"), ({ stdout }) => JSON.parse(stdout)),
    ({ last_delivery, pending }) => pending === 0 && last_delivery !== null
  )
  return { home, messages, status }
})
