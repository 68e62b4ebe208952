/**
 * `npm run mutations`: a test of the tests. Each mistake of `test/mutations/Mutations.ts` is made in a copy of this
 * package, and a test must fail there.
 */
import { spawnSync } from "node:child_process"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import type { JsonTestResults } from "vitest/node"
import { mutations } from "../test/mutations/Mutations.ts"
import type { Mutation } from "../test/mutations/Wrong.ts"

const root = Path.resolve(import.meta.dirname, "..")

const model = ["test/model/Model.test.ts"]
// The files of these folders, but for those whose subject no mutation is of.
const folders = ["test/domain", "test/layers", "test/stitch"]
const others = ["test/cli/CommandTracking.test.ts", "test/worker/Handover.test.ts"]
const unrelated =
  /\/(Debug|Disk|MemoryDisk|Http\w*|NodeProcess|NodeHostRuntime|ObservedHttpClient|WorkerProcess)\.test\.ts$/
const units = [
  ...folders.flatMap((folder) => NFS.readdirSync(Path.join(root, folder)).map((name) => `${folder}/${name}`)),
  ...others
].filter((file) => file.endsWith(".test.ts") && !unrelated.test(file))

// == a copy of the package

const copied = ["src", "test", "examples", "scripts", "package.json", "tsconfig.json", "vitest.config.ts"]

const makeCopy = (): string => {
  const copy = NFS.realpathSync(NFS.mkdtempSync(Path.join(OS.tmpdir(), "effect-cli-usage-mutations-")))
  for (const name of copied) {
    const from = Path.join(root, name)
    if (NFS.existsSync(from)) NFS.cpSync(from, Path.join(copy, name), { recursive: true })
  }
  NFS.symlinkSync(Path.join(root, "node_modules"), Path.join(copy, "node_modules"))
  return copy
}

// == mistakes

type Files = Map<string, string>

const specifier = (from: string, to: string): string => {
  const relative = Path.posix.relative(Path.posix.dirname(from), to)
  return relative.startsWith(".") ? relative : `./${relative}`
}

/** Puts wrong modules beside the right ones, and lets all modules, or one importer, import the wrong ones. */
const replace = async (copy: string, { name, wrong }: Mutation): Promise<Files> => {
  const files: Files = new Map()
  for (const { exports, importer, module } of wrong) {
    const src = Path.join(copy, "src")
    const right = importer === undefined ? module.replace(/\.ts$/, ".right.ts") : module
    const names = Object.keys(exports(await import(Path.join(root, "src", module))))
    const replaced = importer === undefined ? module : module.replace(/\.ts$/, ".wrong.ts")
    files.set(Path.join(src, right), NFS.readFileSync(Path.join(src, module), "utf8"))
    files.set(
      Path.join(src, replaced),
      `import * as right from "${specifier(replaced, right)}"
import { mutations } from "${specifier(replaced, "../test/mutations/Mutations.ts")}"
export * from "${specifier(replaced, right)}"
const { wrong } = mutations.find(({ name }) => name === ${JSON.stringify(name)})
export const { ${names.join(", ")} } = wrong.find(({ module }) => module === "${module}").exports(right)
`
    )
    if (importer === undefined) continue
    const text = NFS.readFileSync(Path.join(src, importer), "utf8")
    const imported = `"${specifier(importer, module)}"`
    if (!text.includes(imported)) throw new Error(`"${name}": ${importer} does not import ${module}`)
    files.set(Path.join(src, importer), text.replaceAll(imported, `"${specifier(importer, replaced)}"`))
  }
  return files
}

/** Makes a mistake in the copy. Returns a function that undoes it. */
const mutate = async (copy: string, mutation: Mutation): Promise<() => void> => {
  const files = await replace(copy, mutation)
  const before = [...files.keys()].map((file) =>
    [file, NFS.existsSync(file) ? NFS.readFileSync(file) : undefined] as const
  )
  for (const [file, text] of files) NFS.writeFileSync(file, text)
  return () => {
    for (const [file, text] of before) {
      if (text === undefined) NFS.rmSync(file)
      else NFS.writeFileSync(file, text)
    }
  }
}

// == tests

/** What fails, in words; nothing where all tests pass. */
const failureIn = (copy: string, report: JsonTestResults): string | undefined => {
  if (report.success) return undefined
  for (const file of report.testResults) {
    for (const { failureMessages, fullName, status } of file.assertionResults) {
      if (status !== "failed") continue
      const rule = /broken: (.*)/.exec((failureMessages ?? []).join("\n"))?.[1]
      return rule === undefined ? fullName : `random programs: ${rule}`
    }
    if (file.status === "failed") return `${Path.relative(copy, file.name)} does not load`
  }
  return "vitest failed"
}

const test = (copy: string, tests: ReadonlyArray<string>): string | undefined => {
  const there = tests.filter((file) => NFS.existsSync(Path.join(copy, file)))
  if (there.length === 0) return undefined
  const output = Path.join(copy, "report.json")
  NFS.rmSync(output, { force: true })
  const vitest = Path.join(root, "node_modules/vitest/vitest.mjs")
  const words = [vitest, "run", "--reporter=json", `--outputFile=${output}`, "--bail=1", ...there]
  const { error } = spawnSync(process.execPath, words, { cwd: copy, stdio: "ignore" })
  if (error !== undefined) throw error
  return NFS.existsSync(output)
    ? failureIn(copy, JSON.parse(NFS.readFileSync(output, "utf8")))
    : "vitest did not report"
}

// == the table

const main = async (): Promise<number> => {
  const only = process.argv[2]
  const chosen = mutations.filter(({ name }) => only === undefined || name.includes(only))
  const copy = makeCopy()
  const startedAt = performance.now()
  let missed = 0
  try {
    for (const tests of [model, units]) {
      const failure = test(copy, tests)
      if (failure !== undefined) {
        console.error(`without a mistake, this fails already: ${failure}`)
        return 2
      }
    }
    console.log("| mutation | caught by random programs and schedules | caught by examples |\n| --- | --- | --- |")
    for (const mutation of chosen) {
      const undo = await mutate(copy, mutation)
      const byModel = test(copy, model)
      const byUnits = test(copy, units)
      undo()
      if (byModel === undefined && byUnits === undefined) missed += 1
      console.log(`| ${mutation.name} | ${byModel ?? "–"} | ${byUnits ?? "–"} |`)
    }
  } finally {
    NFS.rmSync(copy, { recursive: true, force: true })
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  console.log(`\n${chosen.length - missed} of ${chosen.length} caught, in ${seconds} s`)
  return missed === 0 ? 0 : 1
}

process.exitCode = await main()
