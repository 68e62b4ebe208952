/**
 * A small host that has the published package, in each form in which hosts are shipped, and a check that it delivers.
 */
import * as Effect from "effect/Effect"
import * as Esbuild from "esbuild"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { inject } from "postject"
import { run } from "../test/fixtures/Process.ts"
import { eventually, makeSink, noLease } from "../test/fixtures/Wait.ts"

const root = Path.resolve(import.meta.dirname, "..")

// == the host's sources

// What the README says of a bundled host.
const entry = `import { isWorker } from "effect-cli-usage/worker"
void (isWorker() ? import("effect-cli-usage/worker/main") : import("./Installed.ts"))
`

// What it says of one that can be one file only, of this host's source.
const asking = (source: string): string =>
  `import { isWorker } from "effect-cli-usage/worker"\n${
    source.replace(
      "\nCommand.make(",
      "\nif (isWorker()) void import(\"effect-cli-usage/worker/main\")\nelse Command.make("
    )
  }`

/** Writes the host and its entries into a project that has the package. */
export const writeHost = (project: string): void => {
  const source = Fs.readFileSync(Path.join(root, "test/acme/hosts/Installed.ts"), "utf8")
  Fs.writeFileSync(Path.join(project, "package.json"), JSON.stringify({ private: true, type: "module" }))
  Fs.writeFileSync(Path.join(project, "Installed.ts"), source)
  Fs.writeFileSync(Path.join(project, "entry.ts"), entry)
  Fs.writeFileSync(Path.join(project, "asking.ts"), asking(source))
}

// == its forms

/** Returns the file that an esbuild bundle of an entry is started by. */
export const esbuild = (
  project: string,
  form: "split" | "esm" | "cjs",
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
  const outfile = Path.join(folder, `${from}.${form === "esm" ? "mjs" : "cjs"}`)
  Esbuild.buildSync({ ...options, outfile, format: form })
  return outfile
}

/** Builds with `bun build`, and returns the file that is started. */
export const bunBuild = (bun: string, project: string, form: "split" | "one file" | "executable"): string => {
  const folder = Path.join(project, `bun-${form.replace(" ", "-")}`)
  const build = (...args: ReadonlyArray<string>) =>
    execFileSync(bun, ["build", ...args], { cwd: project, stdio: "pipe" })
  switch (form) {
    case "split":
      build("entry.ts", "--target=node", "--splitting", `--outdir=${folder}`)
      return Path.join(folder, "entry.js")
    case "one file":
      build("asking.ts", "--target=node", `--outfile=${Path.join(folder, "asking.mjs")}`)
      return Path.join(folder, "asking.mjs")
    case "executable": {
      const file = Path.join(folder, executableName)
      build("asking.ts", "--compile", "--minify", `--outfile=${file}`)
      return file
    }
  }
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

// == the check

// What a process on Windows does not do without.
const platformVariables = ["SystemRoot", "SystemDrive", "TEMP", "TMP", "PATHEXT"]

/**
 * Runs two commands of a host on a new device, and returns the events that PostHog took: the first command has no
 * terminal on its first run, and so waits for delivery; the second leaves a worker behind. Then `telemetry status` must
 * say that nothing waits.
 */
export const deliver = Effect.fnUntraced(function*(
  words: ReadonlyArray<string>,
  folder: string,
  variables: Readonly<Record<string, string>> = {}
) {
  const sink = yield* makeSink()
  const home = Fs.mkdtempSync(Path.join(folder, "home-"))
  const state = Path.join(home, ".installed")
  const env = {
    ...Object.fromEntries(platformVariables.map((name) => [name, process.env[name]])),
    PATH: process.env["PATH"],
    HOME: home,
    USERPROFILE: home,
    INSTALLED_HOME: state,
    INSTALLED_POSTHOG_HOST: sink.url,
    DENO_NO_UPDATE_CHECK: "1",
    ...variables
  }
  const host = (...args: ReadonlyArray<string>) => run([...words, ...args], { env })
  const command = Effect.gen(function*() {
    const { code, stderr, stdout } = yield* host()
    if (stdout !== "Ran\n" || stderr !== "" || code !== 0) {
      return yield* Effect.die(new Error(`the command ended with ${code}: ${stdout}${stderr}`))
    }
  })
  yield* command
  yield* sink.waitFor((messages) => messages.length === 1)
  yield* noLease(state)
  yield* command
  const messages = yield* sink.waitFor((messages) => messages.length === 2)
  yield* noLease(state)
  const status = yield* eventually(
    Effect.map(host("telemetry", "status", "--json"), ({ stdout }) => JSON.parse(stdout)),
    ({ last_delivery, pending }) => pending === 0 && last_delivery !== null
  )
  return { home, messages, status }
})
