/**
 * `npm run test:runtime -- bun [vitest's arguments]`: the tests of acme, which then runs on Bun or Deno.
 */
import { spawnSync } from "node:child_process"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")
const names = [
  "Accounts",
  "Consent",
  "Delivery",
  "Ends",
  "Host",
  "Privacy",
  "Recording",
  "Retry",
  "Telemetry",
  "WorkerEnvironment"
]
const files = names.map((name) => `test/acme/${name}.test.ts`)

const [runtime, ...args] = process.argv.slice(2)
if (runtime !== "bun" && runtime !== "deno") {
  console.error("npm run test:runtime -- bun|deno [vitest's arguments]")
  process.exit(2)
}

const { status } = spawnSync(
  process.execPath,
  [Path.join(root, "node_modules/vitest/vitest.mjs"), "run", ...(args.length > 0 ? args : files)],
  { cwd: root, stdio: "inherit", env: { ...process.env, TEST_RUNTIME: runtime } }
)
process.exit(status ?? 1)
