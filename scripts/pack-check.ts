/**
 * `npm run pack-check`: whether the package is as it should be published. It is built and packed, publint and attw read
 * it, and a project that installs it compiles under `nodenext` and under `bundler`, with declarations, and delivers.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { npm } from "./Packages.ts"

const root = Path.resolve(import.meta.dirname, "..")
const temporary = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-cli-usage-pack-")))
process.on("exit", () => Fs.rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))

// The consumer's home, for the host that runs in it.
const env = { ...process.env, CI: "true", INSTALLED_HOME: Path.join(temporary, "home") }

const run = (what: string, cwd: string, script: string, ...args: ReadonlyArray<string>): string => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [script, ...args], { cwd, encoding: "utf8", env })
  if (status !== 0) {
    console.error(`${what} failed:\n${stdout}${stderr}`)
    process.exit(1)
  }
  console.log(`${what}: good`)
  return stdout
}

const modules = Path.join(root, "node_modules")

const dist = Path.join(temporary, "dist")
run("build", root, Path.join(root, "scripts/package.ts"), dist)
const tarball = Path.join(temporary, npm(temporary, ["pack", dist, "--loglevel=error"]).trim())

run("publint", root, Path.join(modules, "publint/src/cli.js"), tarball, "--strict")
// The package is ESM: `require` finds its files, and Node.js 22.19 and later load them.
run("attw", root, Path.join(modules, "@arethetypeswrong/cli/dist/index.js"), tarball, "--profile", "esm-only")

const consumer = Path.join(temporary, "consumer")
Fs.mkdirSync(consumer)
const { devDependencies } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
const installed = ["@effect/platform-node", "@types/node", "effect"].map((name) => [name, devDependencies[name]])
Fs.writeFileSync(
  Path.join(consumer, "package.json"),
  JSON.stringify({
    private: true,
    type: "module",
    dependencies: { "effect-cli-usage": `file:${tarball}`, ...Object.fromEntries(installed) }
  })
)
npm(consumer, ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"])
for (const host of ["Installed.ts", "Strict.ts"]) {
  Fs.copyFileSync(Path.join(root, "test/acme/hosts", host), Path.join(consumer, host))
}

const resolutions = [
  ["nodenext", { module: "NodeNext" }],
  ["bundler", { module: "ESNext", moduleResolution: "bundler" }]
] as const
for (const [name, resolution] of resolutions) {
  const compilerOptions = {
    ...resolution,
    target: "ES2024",
    strict: true,
    exactOptionalPropertyTypes: true,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    types: ["node"],
    outDir: name
  }
  const config = Path.join(consumer, `${name}.json`)
  Fs.writeFileSync(config, JSON.stringify({ compilerOptions, files: ["Strict.ts"] }))
  run(`types under ${name}`, consumer, Path.join(modules, "typescript/lib/tsc.js"), "-p", config)
}

const kit = Path.join(consumer, "node_modules/effect-cli-usage/kit/main.js")
const checked = run("delivery", consumer, kit, "sink", "--check", "--json", "--", process.execPath, "Installed.ts")
const { findings, messages } = JSON.parse(checked)
if (messages !== 1 || findings.length > 0) {
  console.error(`the installed host delivered ${messages} messages:\n${JSON.stringify(findings, null, 2)}`)
  process.exit(1)
}
