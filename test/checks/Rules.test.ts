/**
 * What a check prints about a broken rule. The rule is broken in a copy of the files that the check reads.
 */
import { assert, describe, it } from "@effect/vitest"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { onTestFinished } from "vitest"

const root = Path.resolve(import.meta.dirname, "../..")

const copyOf = (...names: ReadonlyArray<string>): string => {
  const copy = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-cli-usage-rules-")))
  onTestFinished(() => Fs.rmSync(copy, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  for (const name of names) Fs.cpSync(Path.join(root, name), Path.join(copy, name), { recursive: true })
  Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(copy, "node_modules"), "junction")
  return copy
}

const write = (copy: string, file: string, text: string): void => {
  Fs.mkdirSync(Path.dirname(Path.join(copy, file)), { recursive: true })
  Fs.writeFileSync(Path.join(copy, file), text)
}

const replace = (copy: string, file: string, from: string | RegExp, to: string): void => {
  const text = Fs.readFileSync(Path.join(copy, file), "utf8")
  assert.notStrictEqual(text.replace(from, to), text, `${file} has no ${String(from)}`)
  write(copy, file, text.replace(from, to))
}

const run = (copy: string, program: string, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = ChildProcess.spawnSync(process.execPath, [program, ...args], {
    cwd: copy,
    encoding: "utf8"
  })
  return { status, output: stdout + stderr }
}

const passes = ({ output, status }: ReturnType<typeof run>): void => assert.strictEqual(status, 0, output)

/** Asserts that a check failed, and said which rule is broken, where, why the rule exists, and what to do. */
const tells = ({ output, status }: ReturnType<typeof run>, ...parts: ReadonlyArray<string>): void => {
  assert.notStrictEqual(status, 0, output)
  for (const part of parts) assert.include(output, part)
}

describe(".oxlintrc.json", () => {
  const lint = (copy: string) => run(copy, "node_modules/oxlint/bin/oxlint", "--deny-warnings")

  const broken: ReadonlyArray<readonly [what: string, file: string, code: string, rule: string]> = [
    [
      "an import of layers in domain",
      "src/domain/Bad.ts",
      `export { debug } from "../layers/Debug.ts"`,
      "Rule: src/domain imports domain only."
    ],
    [
      "an import of cli in layers",
      "src/layers/Bad.ts",
      `import type * as Flow from "../cli/Flow.ts"\nexport type Bad = typeof Flow`,
      "Rule: src/layers imports layers, domain and services only."
    ],
    [
      "an import of cli in the worker",
      "src/worker/Bad.ts",
      `export { make } from "../cli/Flow.ts"`,
      "Rule: src/worker imports worker, domain, services and layers only."
    ],
    [
      "an import of the testing entry point in the index",
      "src/index.ts",
      `export * as TestUsage from "./testing/TestUsage.ts"`,
      "Rule: src/index.ts imports domain, services, layers and cli only."
    ],
    ["a barrel import", "src/layers/Bad.ts", `export { Effect } from "effect"`, "Rule: no barrel imports."],
    [
      "a barrel import of effect/cli",
      "src/cli/Bad.ts",
      `export { Command } from "effect/cli"`,
      "Rule: no barrel imports."
    ],
    [
      "an import of posthog-node in layers",
      "src/layers/Bad.ts",
      `export { PostHog } from "posthog-node"`,
      "Rule: src/layers loads no posthog-node"
    ],
    [
      "an import of a platform package in cli",
      "src/cli/Bad.ts",
      `export { layer } from "@effect/platform-node/NodeServices"`,
      "Rule: src/cli loads no posthog-node, platform package"
    ],
    [
      "an import of node:fs in services",
      "src/services/Bad.ts",
      `export { rmSync } from "node:fs"`,
      "Rule: src/services has no I/O."
    ],
    [
      "a read of the environment in domain",
      "src/domain/Bad.ts",
      `export const bad = process.env["HOME"]`,
      "Rule: domain and services have no I/O."
    ],
    [
      "a line on the console",
      "src/layers/Bad.ts",
      `export const bad = () => console.log("recorded")`,
      "Rule: the library prints nothing."
    ],
    [
      "a line on stdout",
      "src/cli/Bad.ts",
      `export const bad = () => process.stdout.write("recorded")`,
      "Rule: the library prints nothing."
    ]
  ]

  it.each(broken)("The linter refuses %s", (_, file, code, rule) => {
    const copy = copyOf(".oxlintrc.json")
    write(copy, file, `${code}\n`)
    tells(lint(copy), rule, "Why: ", "Fix: ", file)
  })

  it("The linter refuses a file of more than 500 lines in src and test", () => {
    const copy = copyOf(".oxlintrc.json")
    const lines = (count: number) => `export const long = 1\n${"//\n".repeat(count - 1)}`
    for (const folder of ["src", "test"]) {
      write(copy, `${folder}/Long.ts`, lines(500))
      passes(lint(copy))
      write(copy, `${folder}/Long.ts`, lines(501))
      tells(lint(copy), "eslint(max-lines)", "Maximum allowed is 500", `${folder}/Long.ts`)
      Fs.rmSync(Path.join(copy, folder, "Long.ts"))
    }
  })

  it("The linter accepts imports that point down and debug lines", () => {
    const copy = copyOf(".oxlintrc.json")
    write(
      copy,
      "src/cli/Good.ts",
      `export { debug } from "../layers/Debug.ts"\nexport * as Effect from "effect/Effect"\n`
    )
    passes(lint(copy))
  })
})

describe("npm run api -- --check", () => {
  const copyOfApi = () => copyOf("api", "package.json", "scripts", "src", "tsconfig.json", "tsconfig.build.json")
  const api = (copy: string, ...args: ReadonlyArray<string>) => run(copy, "scripts/api.ts", ...args)

  it("A change of the public surface fails the check until the report is written again", () => {
    const copy = copyOfApi()
    replace(copy, "src/domain/Shared.ts", "readonly groups?:", "readonly teams?: string\n  readonly groups?:")
    tells(
      api(copy, "--check"),
      "Rule broken: api/ has the public surface of src",
      "  api/index.api.md\n",
      "Why: ",
      "Fix: "
    )
    passes(api(copy))
    assert.include(Fs.readFileSync(Path.join(copy, "api/index.api.md"), "utf8"), "readonly teams?: string")
  })

  it("A public name without a docstring or category, and a public type that is not exported, fail the check", () => {
    const copy = copyOfApi()
    replace(copy, "src/worker/Entry.ts", /\/\*\*(?:(?!\*\/)[^])*\*\/\nexport const isWorker/, "export const isWorker")
    replace(copy, "src/domain/Shared.ts", " * @category models\n", "")
    replace(copy, "src/cli/Flow.ts", / \* @since 0\.1\.0\n/, "")
    replace(copy, "src/index.ts", "export type { Destination } from \"./domain/Destination.ts\"\n", "")
    tells(
      api(copy, "--check"),
      "Rule broken: a public name has a docstring",
      "  src/worker/Entry.ts: isWorker of effect-cli-usage/worker\n",
      "  src/domain/Shared.ts: Shared of effect-cli-usage\n",
      "  src/cli/Flow.ts: Flow of effect-cli-usage\n",
      "Rule broken: a public declaration names public types only",
      "  src/services/UsageSettings.ts: UsageSettings_base names Destination of src/domain/Destination.ts\n",
      "Why: ",
      "Fix: "
    )
  })
})

it("A dictionary that does not list what is sent fails the check", () => {
  const copy = copyOf("examples/acme", "package.json", "src")
  const files = ["examples/acme/usage-events.md", "examples/acme/usage-events.json"]
  const page = "examples/acme/TELEMETRY.md"
  const words = ["dictionary", "--name", "acme", "--telemetry", page, "examples/acme/Events.ts", ...files, "--check"]
  const check = () => run(copy, "src/kit/main.ts", ...words)
  passes(check())
  replace(copy, page, "# Telemetry", "# Stale")
  tells(check(), `  ${page}: out of date.`)
  replace(copy, "examples/acme/Events.ts", /description: "[^"]*"/, `description: "Something else"`)
  const all = [...files, page].join(", ")
  tells(check(), `${all}: out of date.`, "People read there", "Run the same command without --check")
})

it("A file with a line that no test reaches fails the check of the coverage until the document names the file", () => {
  const copy = copyOf("scripts/Rule.ts", "scripts/coverage.ts")
  const named = (...files: ReadonlyArray<string>) =>
    write(copy, "docs/coverage.md", files.map((file) => `| \`${file}\` | why |\n`).join(""))
  const lines = (file: string, covered: number) => ({ [Path.join(copy, file)]: { lines: { total: 10, covered } } })
  write(copy, "src/cli/Half.ts", "")
  write(
    copy,
    ".cache/coverage/coverage-summary.json",
    JSON.stringify({
      total: { lines: { total: 20, covered: 15 } },
      ...lines("src/cli/Half.ts", 5),
      ...lines("src/Whole.ts", 10)
    })
  )
  const check = () => run(copy, "scripts/coverage.ts")
  named()
  tells(check(), "Rule broken: docs/coverage.md names each file", "  src/cli/Half.ts\n", "Why: ", "Fix: ")
  assert.notInclude(check().output, "src/Whole.ts")
  named("src/cli/Half.ts")
  passes(check())
  named("src/cli/Half.ts", "src/cli/Gone.ts")
  tells(check(), "Rule broken: docs/coverage.md names only files that exist", "  src/cli/Gone.ts\n", "Why: ", "Fix: ")
})

it("A commit subject that is too long or has no scope fails the check", () => {
  const copy = copyOf("scripts/Rule.ts", "scripts/commits.ts")
  const git = (...args: ReadonlyArray<string>) =>
    ChildProcess.execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@localhost", ...args], { cwd: copy })
  const commit = (subject: string) => git("commit", "--quiet", "--allow-empty", "--message", subject)
  const check = () => run(copy, "scripts/commits.ts")
  git("init", "--quiet")
  commit("Before the rule was there")
  assert.include(check().output, "There is no origin/main to compare with")
  git("update-ref", "refs/remotes/origin/main", "HEAD")
  commit("outbox: count the messages that wait")
  passes(check())
  const long = `outbox: ${"keep ".repeat(20)}`.slice(0, 100).trimEnd()
  commit(long)
  commit("Keep messages")
  tells(check(), "Rule broken: a commit's subject has a scope", long, " Keep messages\n", "Why: ", "Fix: ")
  assert.notInclude(check().output, "count the messages")
})
