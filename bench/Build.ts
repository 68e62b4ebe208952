/**
 * Bundles acme as its author would: with the published package, with a peer or a floor in its place, and without either.
 */
import * as Esbuild from "esbuild"
import { execFileSync } from "node:child_process"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"

export const root: string = Path.resolve(import.meta.dirname, "..")
export const out: string = Path.join(root, "bench/out")

const dist = Path.join(root, "dist")
const hosts = Path.join(root, "bench/hosts")
const acme = Path.join(root, "examples/acme/main.ts")
/** Has the worker in its bundle. */
const entry = Path.join(root, "examples/acme/entry.ts")
const cached = Path.join(hosts, "cached.ts")

/** Minified bytes that the module may add to a host. */
export const sizeBudget = 88_000

/** The implementation of `effect-cli-usage` in a host: the package, or a file of `bench/hosts`. */
export type Variant = "Ours" | "Baseline" | "ByHand" | "BareSpawn" | "DetachedPerEvent" | "InProcess" | "Segment"

/**
 * Entry points that the further layouts of a host have. The modules that such an entry shares with acme move to a chunk
 * of their own, which moves a ratio by up to 4 points. The order of modules and padding were tried: no effect.
 */
const layouts: ReadonlyArray<Readonly<Record<string, string>>> = [
  { more: "effect/Layer" },
  { more: "@effect/platform-node/NodeServices" }
]

const newest = (folder: string): number =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((time, entry) => Math.max(time, Fs.statSync(Path.join(entry.parentPath, entry.name)).mtimeMs), 0)

/** Builds `dist` where it is older than `src`; gives the file of an export. */
const shipped = (): (name: string) => string => {
  const manifest = Path.join(dist, "package.json")
  if (!Fs.existsSync(manifest) || Fs.statSync(manifest).mtimeMs < newest(Path.join(root, "src"))) {
    execFileSync(process.execPath, [Path.join(root, "scripts/package.ts")], { stdio: ["ignore", "ignore", "inherit"] })
  }
  const { exports } = JSON.parse(Fs.readFileSync(manifest, "utf8"))
  return (name) => Path.join(dist, exports[name.replace("effect-cli-usage", ".")])
}

const packaged = (variant: Variant): Esbuild.Plugin => ({
  name: "packaged",
  setup: (build) => {
    const file = shipped()
    build.onResolve({ filter: /^effect-cli-usage(\/|$)/ }, ({ path }) => ({
      path: path === "effect-cli-usage" && variant !== "Ours" ? Path.join(hosts, `${variant}.ts`) : file(path)
    }))
  }
})

interface Edit {
  readonly filter: RegExp
  readonly text: string
  readonly by: (source: string) => string
}

/** Replaces texts wherever a module has them. A build in which no module has one of them fails. */
const replace = (edits: ReadonlyArray<Edit>): Esbuild.Plugin => ({
  name: "replace",
  setup: (build) => {
    const missing = new Set(edits)
    const filter = new RegExp(edits.map(({ filter }) => filter.source).join("|"))
    build.onLoad({ filter }, ({ path }) => {
      const source = Fs.readFileSync(path, "utf8")
      const found = edits.filter(({ filter, text }) => filter.test(path) && source.includes(text))
      if (found.length === 0) return undefined
      for (const edit of found) missing.delete(edit)
      return {
        contents: found.reduce((text, edit) => text.replace(edit.text, edit.by(source)), source),
        loader: path.endsWith(".ts") ? "ts" : "js"
      }
    })
    build.onEnd(() => ({
      errors: [...missing].map(({ filter, text }) => ({ text: `no module ${filter} has the text: ${text}` }))
    }))
  }
})

// The bench may run in a container itself. The look for a container stays, since it has a cost; a variable answers.
const containerByVariable: Edit = {
  filter: /\/(is-inside-container\/index|dist\/layers\/Steady)\.js$/,
  text: "function isInsideContainer() {",
  by: () =>
    "function isInsideContainer() { lookForContainer(); return process.env.BENCH_IN_CONTAINER === \"1\" }\n" +
    "function lookForContainer() {"
}

// A bundle has no worker beside it. This gives the module the place that it has in an installed package: `bench/out`
// stands for that package, with the worker in `bench/out/worker`. The module's expression has its own name in it.
const besidePackage: Edit = {
  filter: /\/dist\/.*\.js$/,
  text: "= callSite?.scriptName ?? \"\"",
  by: (source) => {
    const [, name] = /layers\[\\\\\/\]\(\?:(\w+)\|/.exec(source) ?? []
    if (name === undefined) throw new Error("the module that finds the worker has no expression of its own path")
    return `= ${JSON.stringify(pathToFileURL(Path.join(out, "layers", `${name}.js`)).href)}`
  }
}

// The README's form of a host that can only be one file.
const askedInMain: Edit = {
  filter: /\/acme\/main\.ts$/,
  text: "\nacme.pipe(",
  by: () =>
    "\nimport { isWorker } from \"effect-cli-usage/worker\"\nif (isWorker()) void import(\"effect-cli-usage/worker/main\")\nelse acme.pipe("
}

const common = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "none",
  logLevel: "error",
  outExtension: { ".js": ".mjs" },
  metafile: true
} satisfies Esbuild.BuildOptions

// Segment's packages are CommonJS inside.
const requireOf =
  "import { createRequire as requireOf } from \"node:module\"; const require = requireOf(import.meta.url);"

interface Form {
  readonly entry?: string
  readonly more?: Readonly<Record<string, string>>
  readonly splitting?: boolean
  readonly edits?: ReadonlyArray<Edit>
}

const options = (variant: Variant, file: string, form: Form) => ({
  ...common,
  banner: { js: variant === "Segment" ? requireOf : "" },
  entryPoints: { [Path.basename(file, ".mjs")]: form.entry ?? acme, ...form.more },
  outdir: Path.dirname(file),
  splitting: form.splitting ?? false,
  plugins: [packaged(variant), ...(form.edits === undefined ? [] : [replace(form.edits)])]
})

type Outputs = Esbuild.Metafile["outputs"]

/** Bundles a host into files below `bench/out`. */
const write = async (variant: Variant, file: string, form: Form = {}): Promise<Outputs> => {
  const edits = [
    ...(variant === "Ours" || variant === "ByHand" ? [containerByVariable] : []),
    ...(variant === "Ours" && form.entry !== entry && form.edits === undefined ? [besidePackage] : []),
    ...form.edits ?? []
  ]
  return (await Esbuild.build(options(variant, file, edits.length === 0 ? form : { ...form, edits }))).metafile.outputs
}

/** Builds the programs that are measured, into `bench/out`. */
export const build = async () => {
  Fs.rmSync(out, { recursive: true, force: true })
  const splitting = true
  const at = (path: string): string => Path.join(out, path)
  const host = async (variant: Variant, path: string, form: Form = {}): Promise<string> => {
    await write(variant, at(path), form)
    return at(path)
  }
  const split = (variant: Variant): Promise<string> => host(variant, `hosts/${variant}.mjs`, { splitting })
  /** A host in the variants that are judged in every layout. */
  const layout = async (folder: string, more: Readonly<Record<string, string>>) => ({
    Baseline: await host("Baseline", `${folder}/Baseline.mjs`, { more, splitting }),
    ByHand: await host("ByHand", `${folder}/ByHand.mjs`, { more, splitting }),
    Ours: await host("Ours", `${folder}/Ours.mjs`, { more, splitting })
  })
  const first = await layout("hosts", {})
  const others = await Promise.all(layouts.map((more, index) => layout(`layout-${index + 1}`, more)))
  const programs = {
    /** Hosts that a bundler may split. */
    hosts: {
      ...first,
      BareSpawn: await split("BareSpawn"),
      DetachedPerEvent: await split("DetachedPerEvent"),
      InProcess: await split("InProcess"),
      Segment: await split("Segment")
    },
    /** What the bundler wrote for `hosts.Ours`. */
    outputs: await write("Ours", first.Ours, { splitting }),
    /** The first is that of `hosts`. */
    layouts: [first, ...others],
    /** Hosts with Node's compile cache. */
    cached: {
      Baseline: await host("Baseline", "cached/Baseline.mjs", { entry: cached, splitting }),
      Ours: await host("Ours", "cached/Ours.mjs", { entry: cached, splitting })
    },
    /** Hosts of one file. `Entry` and `Asked` have the worker in it: their entry, or their main file, asks for it. */
    oneFile: {
      Baseline: await host("Baseline", "one-file/Baseline.mjs"),
      ByHand: await host("ByHand", "one-file/ByHand.mjs"),
      ByHandEntry: await host("ByHand", "one-file/ByHandEntry.mjs", { entry }),
      ByHandAsked: await host("ByHand", "one-file/ByHandAsked.mjs", { edits: [askedInMain] }),
      OursEntry: await host("Ours", "one-file/OursEntry.mjs", { entry }),
      OursAsked: await host("Ours", "one-file/OursAsked.mjs", { edits: [askedInMain] })
    },
    /** Ours with the entry that asks, split. */
    splitEntry: await host("Ours", "split-entry/Ours.mjs", { entry, splitting }),
    worker: at("worker/main.cjs"),
    /** posthog-node sending one event, in one file and in many. */
    capture: at("hosts/capture.mjs"),
    captureUnbundled: at("hosts/capture-unbundled.mjs"),
    empty: at("hosts/empty.cjs")
  }
  const capture = { ...common, entryPoints: [Path.join(hosts, "capture.ts")], outExtension: {} }
  await Esbuild.build({ ...capture, outfile: programs.capture })
  await Esbuild.build({ ...capture, outfile: programs.captureUnbundled, packages: "external" })
  Fs.mkdirSync(Path.dirname(programs.worker), { recursive: true })
  Fs.copyFileSync(shipped()("effect-cli-usage/worker/main"), programs.worker)
  Fs.writeFileSync(programs.empty, "")
  return programs
}

export type Programs = Awaited<ReturnType<typeof build>>

/** Minified bytes that each input has in some files of a bundle. */
export type Inputs = ReadonlyMap<string, number>

export const inputsOf = (outputs: Outputs, files: Iterable<string>): Inputs => {
  const inputs = new Map<string, number>()
  for (const file of files) {
    for (const [input, { bytesInOutput }] of Object.entries(outputs[file]?.inputs ?? {})) {
      inputs.set(input, (inputs.get(input) ?? 0) + bytesInOutput)
    }
  }
  return inputs
}

/** The bytes of this module's own files, or of all. */
export const bytesOf = (inputs: Inputs, of: "module" | "all"): number =>
  [...inputs].reduce((sum, [input, bytes]) => sum + (of === "all" || input.startsWith("dist/") ? bytes : 0), 0)

/** A host without its worker: in one file, and what the entry of the split host imports statically. */
export const bundle = async (
  variant: Variant
): Promise<{ readonly text: Uint8Array; readonly imported: Inputs }> => {
  const { outputFiles: [file] } = await Esbuild.build({ ...options(variant, "out/host.mjs", {}), write: false })
  const split = options(variant, "out/host.mjs", { splitting: true })
  const { metafile: { outputs } } = await Esbuild.build({ ...split, write: false })
  const files = new Set(["out/host.mjs"])
  // A set that grows is iterated to its end.
  for (const file of files) {
    for (const { kind, path } of outputs[file]?.imports ?? []) if (kind === "import-statement") files.add(path)
  }
  return { text: file?.contents ?? new Uint8Array(), imported: inputsOf(outputs, files) }
}

/** A digest of the code that is measured: comments and types do not change it. */
export const digest = async (): Promise<string> =>
  Crypto.createHash("sha256")
    .update((await bundle("Ours")).text)
    .update(Fs.readFileSync(shipped()("effect-cli-usage/worker/main")))
    .digest("hex").slice(0, 12)
