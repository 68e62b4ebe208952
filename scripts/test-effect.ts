/**
 * `npm run test:effect -- 4.0.6 [vitest's arguments]`: types and tests on another Effect, in a copy of this checkout.
 */
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { npm } from "./Packages.ts"

const root = Path.resolve(import.meta.dirname, "..")

const [asked, ...args] = process.argv.slice(2)
if (asked === undefined) {
  console.error("npm run test:effect -- VERSION [vitest's arguments]")
  process.exit(2)
}
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
npm(copy, ["install", "--no-audit", "--no-fund", "--loglevel=error", "--force"])

const modules = Path.join(copy, "node_modules")
for (const name of ["effect", "@effect/platform-node", "@effect/platform-node-shared"]) {
  console.log(name, JSON.parse(Fs.readFileSync(Path.join(modules, name, "package.json"), "utf8")).version)
}
const run = (...words: ReadonlyArray<string>): number => {
  const { status } = spawnSync(process.execPath, words, { cwd: copy, stdio: "inherit" })
  return status ?? 1
}
const types = run(Path.join(modules, "typescript/lib/tsc.js"), "--noEmit", "-p", "tsconfig.json")
console.log(types === 0 ? "types: no error" : "types: errors")
process.exit(run(Path.join(modules, "vitest/vitest.mjs"), "run", ...args) || types)
