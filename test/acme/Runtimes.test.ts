/**
 * A host that has the published package, on Bun and Deno: `npm run matrix` tries more forms, and `npm run test:runtime`
 * runs the tests of acme on them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import * as Matrix from "../../scripts/Matrix.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { run, start } from "../fixtures/Process.ts"
import * as Project from "../fixtures/Project.ts"
import { bun, runs, type RuntimeName } from "../fixtures/Runtimes.ts"
import { test } from "../fixtures/Tests.ts"
import { makeSink } from "../fixtures/Wait.ts"
import { bundleHost } from "./Harness.ts"

let project = ""

beforeAll(() => {
  project = Project.make()
})
afterAll(() => Project.remove(project))

type Words = ReadonlyArray<string>

// Node.js's own cells are in the tests of Installed and Bundled.
const cells: ReadonlyArray<readonly [RuntimeName, Matrix.Row["form"], string]> = [
  ["bun", "source", "none"],
  ["bun", "split", "esbuild"],
  ["bun", "split", "bun build"],
  ["bun", "one file", "bun build"],
  ["bun", "executable", "bun build --compile"],
  ["deno", "source", "none"],
  ["deno", "split", "esbuild"],
  ["deno", "one file", "esbuild"]
]

const found = <A>(value: A | undefined): A => value ?? assert.fail("the matrix has no such cell")

describe("delivery", () => {
  for (const [language, form, bundler] of cells) {
    test.live(`A host delivers on ${language} in the form ${form} by ${bundler}, and its event names the runtime`, function*() {
      const runtime = found(Matrix.runtimes.find((runtime) => runtime.language === language))
      const row = found(Matrix.rows.find((row) => row.form === form && row.bundler === bundler))
      const file = yield* Effect.promise(async () => row.build(project, runtime))
      const { messages, status } = yield* Matrix.deliver(Matrix.wordsOf(row, runtime, file), project)
      assert.deepStrictEqual(messages.map(({ event }) => event), Array(2).fill("CLI execution succeeded"))
      assert.deepStrictEqual(messages.map(({ properties }) => properties["runtime_language"]), [language, language])
      assert.deepStrictEqual([status.enabled, status.set_aside], [true, 0])
    })
  }
})

describe("documented matrix", () => {
  const linesOf = (name: string) =>
    Matrix.generated(Fs.readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), "utf8")).split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
  const names = Matrix.runtimes.map(({ name }) => name)
  const isEmpty = (cell: string | undefined) => cell === ""

  it("docs/runtimes.md has each row of the matrix with a result for each of its runtimes, and no other", () => {
    const [header, , ...lines] = linesOf("docs/runtimes.md")
    assert.deepStrictEqual(header, ["form", "bundler", ...names])
    assert.deepStrictEqual(
      lines.map(([form, bundler, ...cells]) => [form, bundler, cells.map(isEmpty)]),
      Matrix.rows.map(({ bundler, form, of }) => [
        form,
        bundler,
        Matrix.runtimes.map(({ language }) => of !== undefined && of !== language)
      ])
    )
  })

  it("README has each form of the matrix, and says of none more than docs/runtimes.md", () => {
    const [header, , ...lines] = linesOf("README.md")
    assert.deepStrictEqual(header, ["form", ...names])
    assert.deepStrictEqual(lines.map(([form]) => form), [...new Set(Matrix.rows.map(({ form }) => form))])
    const whole = linesOf("docs/runtimes.md")
    for (const [form, ...cells] of lines) {
      cells.forEach((cell, column) => {
        const all = whole.filter((line) => line[0] === form).map((line) => line[column + 2])
        assert.isTrue(
          all.every((one) => isEmpty(one) || one === "delivers") === (cell === "delivers"),
          `${form} ${column}`
        )
      })
    }
  })
})

describe("exit codes and signals", () => {
  let ends = ""
  beforeAll(async () => {
    ends = Path.join(project, "ends.mjs")
    await Effect.runPromise(bundleHost(fileURLToPath(new URL("hosts/Ends.ts", import.meta.url)), ends))
  })

  /** The environment of the host on a device of its own. */
  const environment = ({ url }: PostHogSink.PostHogSink) => {
    const home = Fs.mkdtempSync(Path.join(project, "ends-"))
    return { HOME: home, CI: "true", ENDS_HOME: Path.join(home, "state"), ENDS_POSTHOG_HOST: url }
  }

  const rows: ReadonlyArray<readonly ["bun" | "deno", string, number, string | undefined]> = [
    ["bun", "exit 0", 0, undefined],
    ["bun", "uncaught", 1, "Broken"],
    // Bun tells no listener of the error.
    ["bun", "unhandled", 1, undefined],
    ["deno", "exit 0", 0, undefined],
    ["deno", "uncaught", 1, "Broken"],
    ["deno", "guarded", 3, "Error"],
    ["deno", "unhandled", 1, "Broken"]
  ]
  for (const [runtime, line, code, errorClass] of rows) {
    test.live(`A command that ends its process is recorded on ${runtime} with its exit code: ${line}`, function*() {
      const sink = yield* makeSink()
      const ended = yield* run([...runs[runtime], ends, ...line.split(" ")], { env: environment(sink) })
      assert.strictEqual(ended.code, code)
      const [event, ...more] = yield* sink.waitFor(({ length }) => length > 0)
      assert.isEmpty(more)
      const { error_class, exit_code } = { ...event?.properties }
      assert.deepStrictEqual([exit_code, error_class], [code, errorClass])
    })
  }

  test.live("A host on Deno that listens to a signal with `once` handles it during the wait for delivery", function*() {
    const sink = yield* makeSink()
    yield* sink.answer(PostHogSink.Answer.Hang())
    const { child, ended } = yield* start([...runs.deno, ends, "say"], {
      env: { ...environment(sink), ENDS_MODE: "gracefully", TEST_FAR_LIMITS: "1" }
    })
    yield* sink.waitFor((_, requests) => requests.length > 0)
    child.kill("SIGTERM")
    const { code, stdout } = yield* ended
    assert.deepStrictEqual([stdout, code], ["Said\nShut down\n", 0])
  })
})

it("An executable of Bun runs its worker without a script", () => {
  const file = Path.join(project, "worker.ts")
  const module = (name: string) =>
    JSON.stringify(fileURLToPath(new URL(`../../src/layers/${name}.ts`, import.meta.url)))
  Fs.writeFileSync(
    file,
    `import { current } from ${module("NodeProcess")}
     import { setOwnWorker } from ${module("WorkerMarks")}
     setOwnWorker()
     console.log(JSON.stringify(current.worker))`
  )
  const executable = Path.join(project, "worker")
  execFileSync(bun, ["build", file, "--compile", `--outfile=${executable}`], { stdio: "pipe" })
  const workerOf = (...words: Words) => JSON.parse(execFileSync(words[0] ?? "", words.slice(1), { encoding: "utf8" }))
  assert.deepStrictEqual([workerOf(executable, "deploy"), workerOf(bun, file)], [[], [file]])
})
