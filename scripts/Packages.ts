/**
 * Packages that development needs now and then and does not install: other versions of Node.js and Effect, other runtimes
 * and bundlers. npm installs them once, into a folder of the system's for temporary files.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** These bring their binary by a script that runs after the install. */
const scripts = ["bun", "deno", "esbuild", "node"]

/** Runs npm in a folder. On Windows npm is a batch file, which only a shell starts. */
export const npm = (folder: string, args: ReadonlyArray<string>): string =>
  execFileSync("npm", [...args], {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32",
    stdio: ["ignore", "pipe", "inherit"]
  })

/** Installs packages (`node@22`) once, and returns the folder that has the `node_modules`. */
export const install = (...packages: ReadonlyArray<string>): string => {
  const key = createHash("sha256").update(packages.join(" ")).digest("hex").slice(0, 16)
  const folder = Path.join(Os.tmpdir(), "effect-cli-usage-packages", key)
  if (Fs.existsSync(Path.join(folder, "installed"))) return folder
  Fs.rmSync(folder, { recursive: true, force: true })
  Fs.mkdirSync(folder, { recursive: true })
  const allowScripts = Object.fromEntries(scripts.map((name) => [name, true]))
  Fs.writeFileSync(Path.join(folder, "package.json"), JSON.stringify({ private: true, type: "module", allowScripts }))
  npm(folder, ["install", "--no-audit", "--no-fund", "--loglevel=error", ...packages])
  Fs.writeFileSync(Path.join(folder, "installed"), packages.join(" "))
  return folder
}

/** Returns the path of the `node` of a version, such as `22` or `26.1.0`. */
export const node = (version: string): string => {
  const folder = install(`node@${version}`)
  const name = process.platform === "win32" ? "node.exe" : "node"
  return Fs.realpathSync(Path.join(folder, "node_modules/node/bin", name))
}
