/**
 * `effect-cli-usage` as an author runs it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as AcmeApi from "../../examples/acme/Server.ts"
import * as Check from "../../src/kit/Check.ts"
import * as CheckedCommand from "../../src/kit/CheckedCommand.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import * as Process from "../fixtures/Process.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually } from "../fixtures/Wait.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

const folder = temporaryFolder("kit-")

/** Runs the kit where it is no test run, and its commands are on no known machine. */
const kit = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Process.run([process.execPath, Path.join(root, "src/kit/main.ts"), ...args], {
    cwd: root,
    env: { PATH: `${Path.dirname(process.execPath)}:${process.env["PATH"]}`, CI: "false", ...env }
  })

const acme = `${process.execPath} ${Path.join(root, "examples/acme/main.ts")}`
const dictionary = Path.join(root, "examples/acme/usage-events.json")

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const problems = (stdout: string): ReadonlyArray<string> =>
  JSON.parse(stdout).findings.map(({ problem, rule }: Check.Finding) => `${rule}: ${problem}`)

const rules = (stdout: string): ReadonlyArray<string> =>
  JSON.parse(stdout).findings.map(({ rule }: { rule: string }) => rule)

test.live("The kit names the Node.js that it needs where an older one runs it", function*() {
  const { engines } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
  const [, minimum = ""] = /^>=(\S+)$/.exec(engines.node) ?? []
  const versions = ["20.19.5", "22.9.0", minimum, "100.0.0"]
  const ended = yield* Effect.all(
    versions.map((node) => {
      const pretended =
        `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${node}" } })`
      const preload = `data:text/javascript,${encodeURIComponent(pretended)}`
      return Process.run([process.execPath, "--import", preload, Path.join(root, "src/kit/main.ts"), "--version"], {
        env: {}
      })
    }),
    { concurrency: 2 }
  )
  assert.deepStrictEqual(ended.map(({ code, stderr }) => [code, stderr]), [
    [1, `effect-cli-usage needs Node.js ${minimum} or newer, and this is 20.19.5\n`],
    [1, `effect-cli-usage needs Node.js ${minimum} or newer, and this is 22.9.0\n`],
    [0, ""],
    [0, ""]
  ])
})

describe("effect-cli-usage sink", () => {
  test.live("The command sink --check finds nothing in acme, from a first command over a login to a logout", function*() {
    const home = yield* folder
    const api = yield* AcmeApi.make(new Map([["k1", "account_1"]]))
    const story = Path.join(home, "story.sh")
    Fs.writeFileSync(
      story,
      `exec >"$HOME/out"
        for line in "deploy a" "login --no-browser --api-key k1" "deploy b --region us" "fail" "logout" "deploy c" \\
          "telemetry flush"
        do ${acme} $line </dev/tty >/dev/tty
        done
        `
    )
    const args = `sink --check --json --dictionary ${dictionary} --name acme -- script -qec`.split(" ")
    const env = { HOME: home, ACME_HOME: Path.join(home, ".acme"), ACME_API_URL: api }
    const { code, stderr, stdout } = yield* kit([...args, `sh ${story}`, "/dev/null"], env)
    assert.strictEqual(code, 0, stderr)
    const { findings, messages } = JSON.parse(stdout)
    // Each command, the alias, and the start and the end of the login.
    assert.deepStrictEqual([findings, messages], [[], 9])
  })

  test.live("The command sink --check finds each fault of a CLI that is wrong on purpose once, and shows what the CLI prints", function*() {
    const home = yield* folder
    const flow = ["Started", "Completed", "Aborted", "Failed"].map((what) => `CLI Auth ${what}`)
    const declared = ["ran", "walked", "$create_alias", "$identify", ...flow].map((name) => ({ name }))
    const file = Path.join(home, "events.json")
    Fs.writeFileSync(file, JSON.stringify({ events: declared, common: [] }))
    const wrong = ["--dictionary", file, "--", process.execPath, Path.join(root, "test/kit/hosts/Wrong.ts")]
    const [json, text] = yield* Effect.all([
      kit(["sink", "--check", "--json", ...wrong]),
      kit(["sink", "--check", ...wrong])
    ], { concurrency: 2 })
    const ofRun = ["command-failed-to-start", "command-did-not-end", "nothing-sent"]
    const all = Object.entries(Check.advice).filter(([rule]) => !ofRun.includes(rule))
    assert.strictEqual(json.code, 1, json.stderr)
    assert.deepStrictEqual(rules(json.stdout).toSorted(), all.map(([rule]) => rule).toSorted())
    assert.deepInclude(JSON.parse(json.stdout), { exit_code: 3, messages: 17 })
    // It was refused in a request of two, and alone.
    assert.include(problems(json.stdout), "refused: PostHog refuses it")
    // The output of the CLI is not in the JSON.
    assert.match(json.stderr, /^did it\n[^]*16 findings in 17 messages/)
    assert.strictEqual(text.code, 1)
    assert.match(text.stdout, /^did it\nthe command ended with exit code 3\n/)
    for (const [rule, advice] of all) {
      assert.include(text.stdout, `\n${rule}\n`)
      assert.include(text.stdout, `\n  ${advice}\n`)
    }
    assert.include(text.stdout, "undeclared\\u{1b}[2J of account_1 (")
    for (const value of ["jane", "do-not-tell", "10.1.2.3"]) assert.notInclude(text.stdout + json.stdout, value)
  })

  test.live("The command sink --check reports a command that cannot be started, that does not end, or that sends nothing", function*() {
    const pids = Path.join(yield* folder, "pids")
    const check = (...words: ReadonlyArray<string>) =>
      kit(["sink", "--check", "--json", "--timeout", "1", "--", ...words])
    const runs = yield* Effect.all(
      [
        check("no-such-command"),
        check(Path.join(root, "package.json")),
        // It and its child ignore the signal that stops it.
        check("sh", "-c", `trap "" TERM; sleep 300 & echo $$ $! >${pids}; sleep 300`),
        check("true"),
        check("sh", "-c", "kill -TERM $$"),
        // Its output ends after it.
        check("sh", "-c", "(sleep 0.1; echo late) &")
      ],
      { concurrency: 4 }
    )
    assert.deepStrictEqual(runs.map(({ code }) => code), [1, 1, 1, 1, 1, 1])
    assert.deepStrictEqual(runs.map(({ stdout }) => JSON.parse(stdout).exit_code), [null, null, null, 0, null, 0])
    assert.include(runs.at(-1)?.stderr, "late\n")
    assert.deepStrictEqual(runs.map(({ stdout }) => problems(stdout)), [
      ["command-failed-to-start: there is no such command"],
      ["command-failed-to-start: it may not be executed"],
      ["command-did-not-end: it was stopped after 1 s", "nothing-sent: no message arrived within 10 s of its end"],
      ["nothing-sent: no message arrived within 10 s of its end"],
      ["nothing-sent: no message arrived within 10 s of its end"],
      ["nothing-sent: no message arrived within 10 s of its end"]
    ])
    const started = Fs.readFileSync(pids, "utf8").trim().split(" ").map(Number)
    assert.lengthOf(started, 2)
    yield* eventually(Effect.sync(() => started.filter(isAlive)), (living) => living.length === 0)
  })

  test.live("The command sink --check finds nothing in the host of the README, which is quoted there as it is, with its test", function*() {
    const home = yield* folder
    const host = Path.join(root, "examples/starter")
    const command = [process.execPath, Path.join(host, "main.ts"), "create", "shop", "--template", "blog"]
    const { code, stdout } = yield* kit(["sink", "--check", "--", ...command], { HOME: home })
    assert.deepStrictEqual([code, stdout], [0, "Created shop\n0 findings in 2 messages\n"])
    const listed = yield* Process.run([process.execPath, Path.join(host, "main.ts"), "telemetry", "events"], {
      env: { HOME: home }
    })
    for (const part of ["\nProject created\n", "may send events that its authors did not list"]) {
      assert.include(listed.stdout, part)
    }
    const readme = Fs.readFileSync(Path.join(root, "README.md"), "utf8")
    const [cli = "", test = ""] = ["Cli.ts", "Cli.test.ts"].map((name) =>
      Fs.readFileSync(Path.join(host, name), "utf8")
    )
    for (const text of [cli, test]) assert.include(readme, `\`\`\`ts\n${text}\`\`\``)
    assert.isAtMost(cli.trim().split("\n").length, 30)
    // Nothing but the kit.
    assert.deepStrictEqual([...test.matchAll(/from "([^"]+)"/g)].map(([, name]) => name), [
      "@effect/platform-node/NodeServices",
      "@effect/vitest",
      "effect-cli-usage/testing",
      "effect/cli/Command",
      "effect/Effect",
      "./Cli.ts"
    ])
  })

  test.live("The command sink refuses what it cannot do, and says what to type", function*() {
    const answers = [
      [["--check"], "--check needs a command to run"],
      [["--", "true"], "a command is run with --check only"],
      [["--check", "--dictionary", Path.join(root, "package.json"), "--", "true"], "data dictionary"]
    ] as const
    for (const [args, expected] of answers) {
      const { code, stderr, stdout } = yield* kit(["sink", ...args])
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.include(stderr, expected)
    }
  })

  it("A CLI finds the sink by variables that begin with its name, a word of its command, or as they are set", () => {
    const { variables } = CheckedCommand
    const url = "http://127.0.0.1:1"
    const of = (command: ReadonlyArray<string>, name?: string, environment = {}) =>
      Object.entries(variables(command, name, environment, url)).filter(([, value]) => value === url).map(([name]) =>
        name
      )
    assert.sameMembers(of(["/usr/bin/my-cli", "--x=1"]), [
      "POSTHOG_HOST",
      "USR_POSTHOG_HOST",
      "BIN_POSTHOG_HOST",
      "MY_CLI_POSTHOG_HOST"
    ])
    assert.include(of(["sh"], "acme"), "ACME_POSTHOG_HOST")
    assert.include(of(["sh"], "my.cli"), "MY_CLI_POSTHOG_HOST")
    assert.include(of(["sh"], undefined, { OTHER_POSTHOG_HOST: "https://eu.i.posthog.com" }), "OTHER_POSTHOG_HOST")
    assert.deepInclude(variables([], undefined, {}, url), { POSTHOG_KEY: "phc_sink", POSTHOG_API_KEY: "phc_sink" })
  })
})

describe("effect-cli-usage dictionary", () => {
  const events = "examples/acme/Events.ts"

  test.live("The command dictionary prints what a module's events and flows send, as Markdown or as JSON", function*() {
    const [markdown, json] = yield* Effect.all([kit(["dictionary", events]), kit(["dictionary", "--json", events])])
    assert.strictEqual(markdown.stdout, Fs.readFileSync(dictionary.replace(/json$/, "md"), "utf8"))
    assert.strictEqual(json.stdout, Fs.readFileSync(dictionary, "utf8"))
  })

  test.live("The command dictionary writes files by their names, and takes a dictionary that the module makes itself", function*() {
    const home = yield* folder
    const module = Path.join(home, "events.mjs")
    const own = { events: [{ name: "Own", description: "It is", properties: [] }], common: [] }
    Fs.writeFileSync(module, `export const dictionary = ${JSON.stringify(own)}`)
    const files = ["docs/new/own.json", "own.md"].map((name) => Path.join(home, name))
    const written = yield* kit(["dictionary", module, ...files])
    assert.deepStrictEqual([written.code, written.stdout], [0, ""], written.stderr)
    assert.deepStrictEqual(JSON.parse(Fs.readFileSync(files[0] ?? "", "utf8")), own)
    assert.include(Fs.readFileSync(files[1] ?? "", "utf8"), "## Own\n")
    const check = kit(["dictionary", "--check", module, ...files])
    assert.strictEqual((yield* check).code, 0)
    // A checkout of Git on Windows.
    for (const file of files) Fs.writeFileSync(file, Fs.readFileSync(file, "utf8").replaceAll("\n", "\r\n"))
    assert.deepStrictEqual(yield* check, { stdout: "", stderr: "", code: 0, signal: null })
    Fs.appendFileSync(files[1] ?? "", "more")
    const stale = yield* check
    assert.strictEqual(stale.code, 1)
    assert.include(stale.stderr, "own.md: out of date")
    const nothing = yield* kit(["dictionary", "--check", module])
    assert.deepStrictEqual([nothing.code, nothing.stdout], [1, ""])
    assert.include(nothing.stderr, "--check needs the names of the files to compare")
  })

  test.live("The command dictionary --telemetry writes a page with a sample event that has exactly what the dictionary declares", function*() {
    const page = Path.join(yield* folder, "TELEMETRY.md")
    const args = ["dictionary", "--telemetry", page, events]
    const nameless = yield* kit(args)
    assert.strictEqual(nameless.code, 1)
    assert.include(nameless.stderr, "--telemetry needs --name")
    const written = yield* kit([...args, "--name", "my-cli"])
    assert.deepStrictEqual([written.code, written.stdout], [0, ""], written.stderr)
    const text = Fs.readFileSync(page, "utf8")
    const parts = [
      "my-cli telemetry disable",
      "MY_CLI_USAGE_TRACKING=0",
      "`CLI Auth Failed`",
      // An event may declare what a user typed, and a command may add it.
      "Beyond the properties of the events above, and those that a command adds while it runs, these are never"
    ]
    for (const part of parts) assert.include(text, part)
    const sample = JSON.parse(/(?<=```json\n)[^]*?(?=```)/.exec(text)?.[0] ?? "")
    const { common, events: [event] } = JSON.parse(Fs.readFileSync(dictionary, "utf8"))
    const declared: ReadonlyArray<{ readonly name: string; readonly required: boolean }> = [
      ...event.properties,
      ...common
    ]
    const names = Object.keys(sample.properties)
    assert.strictEqual(sample.event, event.name)
    assert.deepStrictEqual(names.filter((name) => !declared.some((property) => property.name === name)), [])
    assert.deepStrictEqual(declared.filter(({ name, required }) => required && !names.includes(name)), [])
  })

  test.live("The command dictionary finds events and flows in the lists, objects and modules that a module exports", function*() {
    const home = yield* folder
    const [index, other] = [Path.join(home, "index.mjs"), Path.join(home, "other.mjs")]
    const properties = "properties: Schema.Struct({})"
    const schema = `import * as Schema from ${JSON.stringify(import.meta.resolve("effect/Schema"))}\n`
    const eventOf = (name: string) => `{ name: "${name}", description: "d", ${properties} }`
    Fs.writeFileSync(other, `${schema}export const one = ${eventOf("in a module")}`)
    Fs.writeFileSync(
      index,
      `${schema}export * as Other from "./other.mjs"
export const list = [${eventOf("in a list")}]
export const object = { one: ${eventOf("in an object")}, flow: { events: [${eventOf("in a flow")}] } }
export const deep = { inner: { list: [{ one: ${eventOf("in an inner object")} }] } }
export const instance = new (class { events = [${eventOf("in an instance")}] })()
export const cyclic = { inner: {} }
export const plan = { former: [{ name: "no event", description: "d", properties: { a: "string" } }] }
export const config = { get token() { throw new Error("it is not set") } }
cyclic.inner.outer = cyclic
export const again = list
export const itself = {}
itself.events = itself
// As a connection, which would keep the process running.
setInterval(() => {}, 1000)`
    )
    const { stdout } = yield* kit(["dictionary", index])
    for (const place of ["module", "list", "object", "flow", "inner object", "instance"]) {
      assert.match(stdout, new RegExp(`## in an? ${place}\n`))
    }
    assert.notInclude(stdout, "no event")
  })

  test.live("The command dictionary loads a module without its own arguments, and where nothing is tracked", function*() {
    const module = Path.join(yield* folder, "starts.mjs")
    Fs.writeFileSync(
      module,
      `console.error(JSON.stringify([process.argv, process.env.DO_NOT_TRACK]))
export const dictionary = { events: [], common: [] }`
    )
    const { code, stderr } = yield* kit(["dictionary", "--json", module])
    assert.deepStrictEqual([code, JSON.parse(stderr)], [0, [[process.execPath, module], "1"]])
  })

  test.live("The command dictionary says why a module has no dictionary", function*() {
    const home = yield* folder
    const none = Path.join(home, "none.mjs")
    const broken = Path.join(home, "broken.mjs")
    const partial = Path.join(home, "partial.mjs")
    const two = Path.join(home, "two.mjs")
    const throwing = Path.join(home, "throwing.mjs")
    const declared = (name: string) => `{ name: "${name}", description: "d", properties: { ast: {} } }`
    Fs.writeFileSync(
      partial,
      `export const [a, b, c] = [${["a", "b", "c"].map(declared).join()}]; export default { events: [a], common: [] }`
    )
    Fs.writeFileSync(two, "export const one = { events: [], common: [] }, two = { ...one }, again = one")
    Fs.writeFileSync(none, "export const a = 1, b = null, c = () => {}, d = { events: [{}] }")
    Fs.writeFileSync(throwing, "export const event = { get name() { throw new Error('no name') } }")
    Fs.writeFileSync(broken, "throw new Error('no database')")
    const answers = [
      [[none], `${none} exports no event, no flow and no data dictionary`],
      [[partial], `${partial} exports events that its data dictionary does not have: "b", "c". Give them to`],
      [[two], `${two} exports 2 data dictionaries`],
      [[throwing], `${throwing}: Error: no name`],
      [[broken], `${broken} cannot be loaded: Error: no database`],
      [[Path.join(home, "missing.mjs")], "cannot be loaded"],
      [[events, Path.join(none, "folder.md")], "folder.md: "],
      [[events, partial], `${partial} is a module, and a dictionary is not written there. One module is read`],
      [["--check", events, "usage-events.md", two], `${two} is a module`],
      [["--name", "acme", "--telemetry", none, events], `${none} is a module`]
    ] as const
    for (const [args, expected] of answers) {
      const { code, stderr } = yield* kit(["dictionary", ...args])
      assert.strictEqual(code, 1)
      assert.include(stderr, expected)
    }
    assert.include(Fs.readFileSync(partial, "utf8"), "export const [a, b, c]")
  })
})
