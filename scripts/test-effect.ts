/**
 * `npm run test:effect -- 4.0.6 [vitest's arguments]`: the packed package beside another Effect, with acme on both; then
 * types and tests on that Effect, in a copy of this checkout.
 */
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { run as runProcess } from "../test/fixtures/Process.ts"
import { makeSink } from "../test/fixtures/Wait.ts"
import { npm } from "./Packages.ts"

const root = Path.resolve(import.meta.dirname, "..")

const [asked, ...args] = process.argv.slice(2)
if (asked === undefined) {
  console.error("npm run test:effect -- VERSION [vitest's arguments]")
  process.exit(2)
}
const quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
// The number of a tag such as `latest`.
const version = npm(root, ["view", `effect@${asked}`, "version"]).trim()

const copy = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-cli-usage-effect-")))
process.on("exit", () => Fs.rmSync(copy, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))

const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
for (const file of listed.split("\n").filter((file) => file !== "" && Fs.existsSync(Path.join(root, file)))) {
  Fs.cpSync(Path.join(root, file), Path.join(copy, file))
}

// Not each version of Effect has one of the platform's packages.
const platform = `>=4.0.0 <=${version}`
const manifest = JSON.parse(Fs.readFileSync(Path.join(copy, "package.json"), "utf8"))
Object.assign(manifest.devDependencies, {
  effect: version,
  "@effect/platform-node": platform,
  "@effect/platform-node-shared": platform
})
Fs.writeFileSync(Path.join(copy, "package.json"), JSON.stringify(manifest))
// The peers of `@effect/vitest` begin with 4.0.5.
npm(copy, ["install", ...quiet, "--force"])

const modules = Path.join(copy, "node_modules")
for (const name of ["effect", "@effect/platform-node", "@effect/platform-node-shared"]) {
  console.log(name, JSON.parse(Fs.readFileSync(Path.join(modules, name, "package.json"), "utf8")).version)
}
const run = (...words: ReadonlyArray<string>): number => {
  const { status } = spawnSync(process.execPath, words, { cwd: copy, stdio: "inherit" })
  return status ?? 1
}

// == the packed package

const project = Path.join(copy, "installed")
Fs.mkdirSync(project)
Fs.writeFileSync(Path.join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
run(Path.join(copy, "scripts/package.ts"), Path.join(copy, "dist"))
const [packed = ""] = npm(Path.join(copy, "dist"), ["pack", "--loglevel=error"]).trim().split("\n").slice(-1)
const platforms = ["@effect/platform-node", "@effect/platform-node-shared"].map((name) => `${name}@${platform}`)
npm(project, ["install", ...quiet, Path.join(copy, "dist", packed), `effect@${version}`, ...platforms])
Fs.cpSync(Path.join(copy, "examples/acme"), Path.join(project, "acme"), { recursive: true })
await Effect.gen(function*() {
  const sink = yield* makeSink()
  const env = {
    PATH: process.env["PATH"],
    HOME: project,
    ACME_HOME: Path.join(project, "home"),
    ACME_POSTHOG_HOST: sink.url,
    ACME_POSTHOG_KEY: "phc_packed"
  }
  const { stderr, stdout } = yield* runProcess([process.execPath, Path.join(project, "acme/main.ts"), "deploy", "x"], {
    env
  })
  if (stdout !== "Deployed x to eu\n" || stderr !== "") throw new Error(`acme printed ${stdout}${stderr}`)
  const [message] = yield* sink.waitFor(({ length }) => length === 1)
  console.log(`${packed}, installed beside effect ${version}: acme delivers "${message?.event}"`)
}).pipe(Effect.scoped, Effect.runPromise)

// == types and tests

const types = run(Path.join(modules, "typescript/lib/tsc.js"), "--noEmit", "-p", "tsconfig.json")
console.log(types === 0 ? "types: no error" : "types: errors")
process.exit(run(Path.join(modules, "vitest/vitest.mjs"), "run", ...args) || types)
