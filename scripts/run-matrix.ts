/**
 * `npm run matrix [-- RUNTIME …]`: builds a small host in each form with each bundler, runs it on each runtime against the
 * sink, and checks that it delivers. Without the names of runtimes the tables of README and docs/runtimes.md are written.
 */
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Project from "../test/fixtures/Project.ts"
import { packages } from "./Bundlers.ts"
import * as Matrix from "./Matrix.ts"

const root = Path.resolve(import.meta.dirname, "..")
const named = process.argv.slice(2)
const chosen = Matrix.runtimes.filter(({ language }) => named.length === 0 || named.includes(language))

const project = Project.make()
process.on("exit", () => Project.remove(project))

// What the network of this machine does not have is no failure of the host.
const failure = (error: unknown): Matrix.Cell => {
  const text = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error)
  const [, address] = /error sending request for url \((https:[^)]+)\)/.exec(text) ?? []
  return address === undefined
    ? { result: "fails", why: text.split("\n")[0]?.replaceAll("|", "/") ?? "" }
    : { result: "not run", why: `${new URL(address).hostname} could not be reached` }
}

const check = async (row: Matrix.Row, runtime: Matrix.Runtime, file: string): Promise<Matrix.Cell> => {
  const { messages, status } = await Effect.runPromise(
    Effect.scoped(Matrix.deliver(Matrix.wordsOf(row, runtime, file), project))
  )
  const languages = messages.map(({ properties }) => properties["runtime_language"])
  if (languages.some((language) => language !== runtime.language)) {
    return { result: "fails", why: `the events name ${languages.join(", ")}` }
  }
  return status.set_aside === 0 ? { result: "delivers" } : { result: "fails", why: `${status.set_aside} set aside` }
}

const cells = new Map<string, Matrix.Cell>()
const keyOf = (row: Matrix.Row, runtime: Matrix.Runtime): string => `${row.form}, ${row.bundler}, ${runtime.name}`

for (const row of Matrix.rows) {
  let shared: string | undefined
  for (const runtime of chosen.filter(({ language }) => row.of === undefined || row.of === language)) {
    const cell = await Promise.resolve()
      .then(async () => (row.of === undefined ? shared : undefined) ?? row.build(project, runtime))
      .then((file) => check(row, runtime, shared = file))
      .catch(failure)
    console.log(`${keyOf(row, runtime)}: ${cell.result}${cell.why === undefined ? "" : `: ${cell.why}`}`)
    cells.set(keyOf(row, runtime), cell)
  }
}

const versions = [
  ...Matrix.runtimes.map(({ language, words }) => {
    const version = execFileSync(words()[0] ?? "", ["--version"], { encoding: "utf8" })
    return `${language} ${/\d+(\.\d+)+/.exec(version)?.[0]}`
  }),
  ...Object.values(packages).map(({ names: [name] }) => name.replace("@", " ")),
  ...["esbuild", "effect"].map((name) =>
    `${name} ${JSON.parse(Fs.readFileSync(Path.join(root, "node_modules", name, "package.json"), "utf8")).version}`
  )
]

if (named.length === 0) {
  const cellOf = (row: Matrix.Row, runtime: Matrix.Runtime): Matrix.Cell =>
    cells.get(keyOf(row, runtime)) ?? { result: "none" }
  const place = `Run on ${process.platform} ${process.arch}, with ${versions.join(", ")}.`
  for (
    const [name, part] of [
      ["README.md", Matrix.toShortTable(cellOf)],
      ["docs/runtimes.md", `${Matrix.toTable(cellOf)}\n\n${place}`]
    ] as const
  ) {
    const file = Path.join(root, name)
    Fs.writeFileSync(file, Matrix.generated(Fs.readFileSync(file, "utf8"), part))
  }
}
process.exit([...cells.values()].some(({ result }) => result === "fails") ? 1 : 0)
