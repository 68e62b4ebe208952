/**
 * What the documents show: it compiles, it runs, and it is so.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll } from "vitest"
import * as Report from "../../bench/Report.ts"
import * as CodeBlocks from "../../scripts/CodeBlocks.ts"
import * as Process from "../fixtures/Process.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually } from "../fixtures/Wait.ts"
import * as ShellBlocks from "./ShellBlocks.ts"

const { root } = ShellBlocks
const scope = Scope.makeUnsafe()
let checkout = ""

const textOf = (file: string): string => Fs.readFileSync(Path.join(root, file), "utf8")

beforeAll(async () => {
  checkout = await Effect.runPromise(Scope.provide(ShellBlocks.makeCheckout, scope))
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

describe("TypeScript blocks and figures", () => {
  const check = () => Process.run([process.execPath, "scripts/docs.ts", checkout], { cwd: root, env: process.env })

  test.live("Every TypeScript block of a document or docstring compiles, and a broken one is named with what to do", function*() {
    const whole = yield* check()
    assert.strictEqual(whole.code, 0, whole.stderr)
    // Enough are found.
    assert.isAbove(Number(/^\d+/.exec(whole.stdout)?.[0]), 35)
    const breaks = [
      ["README.md", "Usage.track({", "Usage.trak({", "Property 'trak' does not exist"],
      ["docs/migrating.md", "codec: \"supabase\"", "codec: \"segment\"", "Type '\"segment\"' is not assignable"],
      ["src/domain/UsageEvent.ts", "= UsageEvent.make(\"Template", "= UsageEvent.declare(\"Template", "'declare'"],
      ["docs/privacy.md", "](../examples/acme/usage-events.md)", "](../examples/acme/none.md)", "none.md"]
    ] as const
    const lines = breaks.map(([file, from, to]) => {
      const text = Fs.readFileSync(Path.join(checkout, file), "utf8")
      assert.isTrue(text.includes(from), `${file} has no ${from}`)
      Fs.writeFileSync(Path.join(checkout, file), text.replace(from, to))
      return text.slice(0, text.indexOf(from)).split("\n").length
    })
    const broken = yield* check()
    for (const [file] of breaks) Fs.copyFileSync(Path.join(root, file), Path.join(checkout, file))
    assert.strictEqual(broken.code, 1)
    for (const [index, [file, , , problem]] of breaks.entries()) {
      const finding = broken.stderr.split("\n").find((line) => line.startsWith(`${file}:${lines[index]}: `))
      assert.include(finding, problem, broken.stderr)
    }
    assert.include(broken.stderr, "scripts/DocumentedHost.ts")
  })

  it("The figures of the README are those of the bench", () => {
    const [, figures] = /<!-- figures:begin -->\n([^]*?)\n<!-- figures:end -->/.exec(textOf("README.md")) ?? []
    assert.strictEqual(figures, Report.toFigures(JSON.parse(textOf("bench/results.json"))))
  })
})

test.live("The resolver of docs/configuration.md that reads a file keeps the contract, and an unreadable file is no logout", function*() {
  const { code } = ShellBlocks.blockWith("docs/configuration.md", "ts", "input: {")
  const folder = Fs.mkdtempSync(Path.join(checkout, "examples/resolver-"))
  const file = Path.join(folder, "resolver.test.ts")
  Fs.writeFileSync(Path.join(folder, "known"), "known\n")
  Fs.writeFileSync(Path.join(folder, "revoked"), "revoked\n")
  Fs.writeFileSync(
    file,
    `import * as NodeServices from "@effect/platform-node/NodeServices"
import { Credential, PrincipalId, PrincipalResolver } from "effect-cli-usage"
import { PrincipalResolverContract } from "effect-cli-usage/testing"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Assert from "node:assert/strict"
import { describe, it } from "node:test"

const accounts = { known: "account_1" }
const api = { accountOf: (secret) => Effect.succeed(accounts[Redacted.value(secret)] ?? "") }
const resolver = (path) => {
${code.replace("\"/home/me/.acme/token\"", "path")}
  return principals
}
const at = (name) => resolver(import.meta.dirname + "/" + name)
PrincipalResolverContract.suite("resolver", Effect.succeed({
  principal: "account_1",
  loggedIn: at("known"),
  loggedOut: at("missing"),
  unanswered: at("revoked")
}), { describe, it })
it("unreadable", () => Effect.runPromise(Effect.gen(function*() {
  const { credential, input } = yield* PrincipalResolver
  Assert.equal(yield* credential, Credential.unreadable)
  Assert.equal(yield* input.parse({ files: [{ _tag: "Unreadable", code: "EISDIR" }] }), Credential.unreadable)
}).pipe(Effect.provide(at("")))))
`
  )
  const { code: exit, stdout } = yield* Process.run([process.execPath, "--test-reporter=tap", file], {
    cwd: folder,
    env: { PATH: process.env["PATH"] }
  })
  assert.strictEqual(exit, 0, stdout)
  assert.include(stdout, "# pass 6\n")
})

describe("execution in a shell", () => {
  let workplace: ShellBlocks.Workplace

  beforeAll(async () => {
    workplace = await Effect.runPromise(Scope.provide(ShellBlocks.make(checkout), scope))
  })

  const documents = CodeBlocks.documents(root).filter((file) => CodeBlocks.read(root, [file], "sh").length > 0)

  for (const file of documents.filter((file) => file !== "README.md")) {
    test.live(`Every shell block of ${file} that can run does`, function*() {
      const { findings } = yield* ShellBlocks.run(CodeBlocks.read(root, [file], "sh"), workplace)
      assert.deepStrictEqual(findings.map(CodeBlocks.format), [])
    })
  }

  test.live("A shell block that fails is named by the line of its document", function*() {
    const [block] = CodeBlocks.blocksOf("some.md", "# Some\n\n```sh\n# fine:\ntrue\nacme deplay shop\ntrue\n```\n")
    const { findings } = yield* ShellBlocks.run(block === undefined ? [] : [block], workplace)
    const [finding = assert.fail("nothing was found")] = findings
    assert.strictEqual(findings.length, 1)
    assert.match(CodeBlocks.format(finding), /^some\.md:6: the command ends with 1\. Correct it, or say/)
    assert.include(finding.problem, "deplay")
  })

  test.live("The README's host runs as its shell blocks say, and sends the event that it shows", function*() {
    const { findings, url } = yield* ShellBlocks.run(CodeBlocks.read(root, ["README.md"], "sh"), workplace)
    assert.deepStrictEqual(findings.map(CodeBlocks.format), [])
    const shown = JSON.parse(ShellBlocks.blockWith("README.md", "json", "CLI execution succeeded").code)
    const messages = Effect.promise(async (): Promise<ReadonlyArray<typeof shown>> =>
      JSON.parse(await (await fetch(`${url}/api/messages`)).text())
    )
    const isShown = (message: typeof shown) =>
      message.event === shown.event && message.properties.command_name === shown.properties.command_name
    const { received_at: _, ...sent } = (yield* eventually(messages, (all) => all.some(isShown))).find(isShown)
    // What is another on each device, and in each run.
    const varies =
      /^(timestamp|uuid|distinct_id|duration_ms|invocation_id|\$session_id|os_\w+|arch|runtime_version|is_\w+)$/
    const comparable = (message: typeof shown) =>
      JSON.parse(JSON.stringify(message), (key, value) => varies.test(key) ? typeof value : value)
    assert.deepStrictEqual(comparable(sent), comparable(shown))
  })
})

describe("quoted output", () => {
  const document = textOf("docs/troubleshooting.md")
  const sources = CodeBlocks.modules(root).map((file) => [file, textOf(file)] as const)
  const call = /\b(?:debug|debugFailure|notes\.add|operation)\(\s*(?:`((?:[^`\\]|\\.)*)`|"([^"]*)")/g

  /** The parts of a text between what is filled in. */
  const partsOf = (text: string): ReadonlyArray<string> =>
    text.split(/\$\{[^}]*\}|…|\\?`|: /).filter((part) => part.length > 7)

  it("docs/troubleshooting.md lists every debug line of the source", () => {
    const lines = sources.flatMap(([file, text]) =>
      [...text.matchAll(call)].map(([, template = "", plain = ""]) => ({ file, text: template + plain }))
    )
    assert.isAbove(lines.length, 35)
    const missing = lines.filter(({ text }) => !partsOf(text).every((part) => document.includes(part)))
    assert.deepStrictEqual(missing, [], "add these lines to docs/troubleshooting.md, with what to do")
  })

  it("docs/troubleshooting.md quotes only debug lines of the source", () => {
    const code = sources.map(([, text]) => text).join("\n")
    const quoted = [...document.matchAll(/(`+)usage: (.+?)\1(?!`)/g)].map(([, , text = ""]) => text)
    assert.isAbove(quoted.length, 40)
    const gone = quoted.filter((text) => !partsOf(text).every((part) => code.includes(part)))
    assert.deepStrictEqual(gone, [], "correct these lines of docs/troubleshooting.md")
  })

  it("docs/troubleshooting.md lists every reason for which a worker keeps messages", () => {
    const reason = /\b(?:fail\(|reason: |failure = )(?:`([^`]*)`|"([^"]*)")/g
    const reasons = sources.filter(([file]) => file.startsWith("src/worker/"))
      .flatMap(([, text]) => [...text.matchAll(reason)].map(([, template = "", plain = ""]) => template + plain))
    assert.isAbove(reasons.length, 6)
    const partsOfReason = (text: string) => text.split(/\$\{[^}]*\}\)?/).filter((part) => part !== "")
    const missing = reasons.filter((text) => !partsOfReason(text).every((part) => document.includes(part)))
    assert.deepStrictEqual(missing, [], "add these reasons to docs/troubleshooting.md, with what to do")
  })

  it("The documents quote only lines that `telemetry status` prints", () => {
    const code = sources.map(([, text]) => text).join("\n")
    const quoted = CodeBlocks.documents(root).flatMap((file) =>
      [...textOf(file).matchAll(/`(Nothing is delivered|Nothing new is kept|No command is recorded): (.+?)`/g)]
        .flatMap(([, first = "", rest = ""]) => [first, ...partsOf(rest)].map((part) => ({ file, part })))
    )
    assert.isAbove(quoted.length, 5)
    assert.deepStrictEqual(quoted.filter(({ part }) => !code.includes(part)), [])
  })
})
