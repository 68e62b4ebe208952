/**
 * The bundlers of `npm run matrix`: each returns the file that its bundle is started by. What is split begins with
 * `entry.ts`, and one file with `asking.ts` (`scripts/Matrix.ts`).
 */
import * as Esbuild from "esbuild"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { inject } from "postject"
import { bun, deno } from "../test/fixtures/Runtimes.ts"
import { install } from "./Packages.ts"

/** One file as CommonJS is what Node.js makes an executable of. */
export type Form = "split" | "one file" | "cjs"

/** Builds with esbuild, from an entry of the caller's if it names one. */
export const esbuild = (
  project: string,
  form: Form,
  from: "entry" | "asking" | "Eager" = form === "split" ? "entry" : "asking"
): string => {
  const folder = Path.join(project, `esbuild-${form}-${from}`)
  const options = {
    entryPoints: [Path.join(project, `${from}.ts`)],
    bundle: true,
    platform: "node",
    target: "node22",
    logLevel: "silent"
  } satisfies Esbuild.BuildOptions
  if (form === "split") {
    Esbuild.buildSync({ ...options, outdir: folder, format: "esm", splitting: true })
    return Path.join(folder, `${from}.js`)
  }
  const outfile = Path.join(folder, `${from}.${form === "cjs" ? "cjs" : "mjs"}`)
  Esbuild.buildSync({ ...options, outfile, format: form === "cjs" ? "cjs" : "esm" })
  return outfile
}

/** The packages of the bundlers that are not development dependencies, and what their programs are called. */
export const packages = {
  Rollup: {
    names: [
      "rollup@4.68.8",
      "@rollup/plugin-commonjs@28.0.9",
      "@rollup/plugin-json@6.1.0",
      "@rollup/plugin-node-resolve@16.0.3"
    ],
    program: "rollup/dist/bin/rollup"
  },
  Rolldown: { names: ["rolldown@1.3.3"], program: "rolldown/bin/cli.mjs" },
  tsdown: { names: ["tsdown@0.23.7"], program: "tsdown/dist/run.mjs" }
} as const

const build = (name: keyof typeof packages, project: string, args: ReadonlyArray<string>): void => {
  const { names, program } = packages[name]
  const file = Path.join(install(...names), "node_modules", program)
  execFileSync(process.execPath, [file, ...args], { cwd: project, stdio: "pipe" })
}

/** A bundler that has Rollup's options; `whole` is the one that makes one file. */
const likeRollup =
  (name: "Rollup" | "Rolldown", whole: string, ...args: ReadonlyArray<string>) =>
  (project: string, form: Form): string => {
    const folder = `${name.toLowerCase()}-${form.replace(" ", "-")}`
    const file = `${folder}/${form === "split" ? "entry.js" : form === "cjs" ? "asking.cjs" : "asking.mjs"}`
    const output = form === "split" ? ["entry.ts", "--dir", folder] : ["asking.ts", "--file", file, whole]
    build(name, project, [...args, ...output, "--format", form === "cjs" ? "cjs" : "esm"])
    return Path.join(project, file)
  }

const plugins = ["node-resolve={preferBuiltins:true,exportConditions:['node']}", "commonjs", "json"]

/** Builds with Rollup. */
export const rollup = likeRollup(
  "Rollup",
  "--inlineDynamicImports",
  ...plugins.flatMap((plugin) => ["--plugin", plugin])
)

/** Builds with Rolldown. */
export const rolldown = likeRollup("Rolldown", "--no-codeSplitting", "--platform", "node")

/** Builds with tsdown. */
export const tsdown = (project: string, form: "split" | "one file"): string => {
  const folder = `tsdown-${form.replace(" ", "-")}`
  const entry = form === "split" ? "entry" : "asking"
  const config = Path.join(project, `${folder}.config.mjs`)
  const options = {
    entry: [`${entry}.ts`],
    outDir: folder,
    platform: "node",
    dts: false,
    outputOptions: { codeSplitting: form === "split" }
  }
  Fs.writeFileSync(config, `export default ${JSON.stringify(options)}`)
  build("tsdown", project, ["--config", config])
  return Path.join(project, folder, `${entry}.mjs`)
}

/** Builds with `bun build`. */
export const bunBuild = (project: string, form: "split" | "one file"): string => {
  const folder = `bun-${form.replace(" ", "-")}`
  const args = form === "split"
    ? ["entry.ts", "--splitting", `--outdir=${folder}`]
    : ["asking.ts", `--outfile=${folder}/asking.mjs`]
  execFileSync(bun, ["build", "--target=node", ...args], { cwd: project, stdio: "pipe" })
  return Path.join(project, folder, form === "split" ? "entry.js" : "asking.mjs")
}

const executableName = process.platform === "win32" ? "host.exe" : "host"

/** Makes a single executable application of Node.js out of a CommonJS file, and returns it. */
export const nodeExecutable = async (node: string, main: string, folder: string): Promise<string> => {
  Fs.mkdirSync(folder, { recursive: true })
  const executable = Path.join(folder, executableName)
  const blob = Path.join(folder, "host.blob")
  const config = Path.join(folder, "sea.json")
  Fs.writeFileSync(config, JSON.stringify({ main, output: blob, disableExperimentalSEAWarning: true }))
  execFileSync(node, ["--experimental-sea-config", config], { stdio: "ignore" })
  Fs.copyFileSync(node, executable)
  Fs.chmodSync(executable, 0o700)
  // macOS kills a process whose executable does not fit its signature.
  const isMac = process.platform === "darwin"
  if (isMac) execFileSync("codesign", ["--remove-signature", executable])
  // It prints about a section that it does not know.
  await inject(executable, "NODE_SEA_BLOB", Fs.readFileSync(blob), {
    sentinelFuse: "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2",
    ...(isMac ? { machoSegmentName: "NODE_SEA" } : {})
  })
  if (isMac) execFileSync("codesign", ["--sign", "-", executable])
  return executable
}

/** Builds an executable with `bun build --compile`. */
export const bunExecutable = (project: string, ...options: ReadonlyArray<string>): string => {
  const file = Path.join(project, "bun-executable", executableName)
  const args = ["build", "asking.ts", "--compile", "--minify", ...options, `--outfile=${file}`]
  execFileSync(bun, args, { cwd: project, stdio: "pipe" })
  return file
}

/** Builds an executable with `deno compile`, which downloads `denort`. */
export const denoExecutable = (project: string): string => {
  const file = Path.join(project, "deno-executable", executableName)
  execFileSync(deno, ["compile", "-A", "--no-check", "--output", file, "asking.ts"], { cwd: project, stdio: "pipe" })
  return file
}
