/**
 * `npm run test:node -- 22 [vitest's arguments]`: the tests on another Node.js, from the `node` package.
 */
import { spawnSync } from "node:child_process"
import * as Path from "node:path"
import { node } from "./Packages.ts"

const root = Path.resolve(import.meta.dirname, "..")

const [version, ...args] = process.argv.slice(2)
if (version === undefined) {
  console.error("npm run test:node -- VERSION [vitest's arguments]")
  process.exit(2)
}

const executable = node(version)
console.log(spawnSync(executable, ["--version"], { encoding: "utf8" }).stdout.trim())
const { status } = spawnSync(executable, [Path.join(root, "node_modules/vitest/vitest.mjs"), "run", ...args], {
  cwd: root,
  stdio: "inherit",
  // What a test starts by name is this one too.
  env: { ...process.env, PATH: `${Path.dirname(executable)}${Path.delimiter}${process.env["PATH"] ?? ""}` }
})
process.exit(status ?? 1)
