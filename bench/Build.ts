/**
 * Bundles acme as a host would, with `effect-cli-usage`, with a peer in its place, and with nothing in its place.
 */
import * as Esbuild from "esbuild"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

export const root: string = Path.resolve(import.meta.dirname, "..")
export const out: string = Path.join(root, "bench/out")

const acme = Path.join(root, "examples/acme/main.ts")
const entry = Path.join(root, "examples/acme/entry.ts")
const hosts = Path.join(root, "bench/hosts")

/** Minified bytes that the module may add to a bundled host; docs/performance.md says what they are. */
export const sizeBudget = 88_000

/** What stands in the place of `effect-cli-usage`: itself, or a file of `bench/hosts`. */
export type Variant =
  | "Ours"
  | "Baseline"
  | "InProcess"
  | "Segment"
  | "DetachedPerEvent"
  | "BareSpawn"
  | "BareAppend"
  | "Loaded"
  | "ByHand"
  | "Layered"
  | "LoadedLayered"

const swap = (variant: Variant): Esbuild.Plugin => ({
  name: "swap",
  setup: (build) => {
    if (variant === "Ours") return
    build.onResolve({ filter: /^effect-cli-usage$/ }, () => ({ path: Path.join(hosts, `${variant}.ts`) }))
  }
})

// The bench may itself run in a container, or in a machine that looks like one. The library looks as it always does,
// and pays for it; what it is told comes from a variable.
const containerByVariable: Esbuild.Plugin = {
  name: "container-by-variable",
  setup: (build) => {
    build.onLoad({ filter: /\/is-inside-container\/index\.js$/ }, ({ path }) => ({
      contents: `${
        Fs.readFileSync(path, "utf8").replace("export default function isInsideContainer", "function look")
      }\nexport default () => (look(), process.env.BENCH_IN_CONTAINER === "1")`,
      resolveDir: Path.dirname(path),
      loader: "js"
    }))
  }
}

// A host that is one file is its own worker. Here the file stands for a host beside its installed packages, so that the
// cost of the shipped worker is seen: the module is told that its package is next to the bundle's folder.
const besidePackage: Esbuild.Plugin = {
  name: "beside-package",
  setup: (build) => {
    build.onLoad({ filter: /\/src\/layers\/NodeProcess\.ts$/ }, ({ path }) => ({
      contents: Fs.readFileSync(path, "utf8").replace(
        "= here?.scriptName ?? \"\"",
        "= new URL(\"../layers/NodeProcess.js\", import.meta.url).href"
      ),
      resolveDir: Path.dirname(path),
      loader: "ts"
    }))
  }
}

// What an author bundles is the package: its worker has what it needs already in it.
const publishedWorker: Esbuild.Plugin = {
  name: "published-worker",
  setup: (build) => {
    build.onResolve({ filter: /^effect-cli-usage\/worker\/main$/ }, () => ({
      path: Path.join(root, "dist/worker/main.cjs")
    }))
  }
}

// What the README has for a host that can be one file only: its main file asks, at its end.
const askedInMain: Esbuild.Plugin = {
  name: "asked-in-main",
  setup: (build) => {
    build.onLoad({ filter: /\/acme\/main\.ts$/ }, ({ path }) => ({
      contents: `import { isWorker } from "effect-cli-usage/worker"\n${
        Fs.readFileSync(path, "utf8").replace(
          "\nacme.pipe(",
          "\nif (isWorker()) void import(\"effect-cli-usage/worker/main\")\nelse acme.pipe("
        )
      }`,
      resolveDir: Path.dirname(path),
      loader: "ts"
    }))
  }
}

const common = {
  bundle: true,
  minify: true,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "none",
  logLevel: "error"
} satisfies Esbuild.BuildOptions

// Segment's packages are CommonJS inside.
const withRequire = {
  banner: {
    js: "import { createRequire as requireOf } from \"node:module\"; const require = requireOf(import.meta.url);"
  }
}

/** The bundle of a host, in memory, with the bytes that each file put into it. */
export const bundle = async (
  variant: Variant
): Promise<{ readonly text: Uint8Array; readonly inputs: ReadonlyMap<string, number> }> => {
  const { metafile, outputFiles } = await Esbuild.build({
    ...common,
    ...(variant === "Segment" ? withRequire : {}),
    entryPoints: [acme],
    plugins: [swap(variant)],
    metafile: true,
    write: false
  })
  const [output] = Object.values(metafile.outputs)
  return {
    text: outputFiles[0]?.contents ?? new Uint8Array(),
    inputs: new Map(Object.entries(output?.inputs ?? {}).map(([file, { bytesInOutput }]) => [file, bytesInOutput]))
  }
}

const newest = (folder: string): number =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((time, entry) => Math.max(time, Fs.statSync(Path.join(entry.parentPath, entry.name)).mtimeMs), 0)

// The file that is shipped, not one that is like it.
const shippedWorker = (): string => {
  const file = Path.join(root, "dist/worker/main.cjs")
  if (!Fs.existsSync(file) || Fs.statSync(file).mtimeMs < newest(Path.join(root, "src"))) {
    execFileSync(process.execPath, [Path.join(root, "scripts/package.ts")], { stdio: ["ignore", "ignore", "inherit"] })
  }
  return file
}

/** The programs that are measured. */
export interface Programs {
  readonly hosts: Readonly<Record<Variant, string>>
  /** Ours, with no worker beside it: it keeps its events and starts nobody. */
  readonly alone: string
  /** Ours, which is its own worker: in one file, in one whose main file asks, and as an entry that is split. */
  readonly oneFile: string
  readonly asked: string
  readonly split: string
  readonly worker: string
  /** posthog-node sending one event, in one file and in many. */
  readonly capture: string
  readonly captureUnbundled: string
  readonly empty: string
}

/** Builds all of it into `bench/out`. */
export const build = async (): Promise<Programs> => {
  const worker = shippedWorker()
  Fs.rmSync(out, { recursive: true, force: true })
  const at = (path: string): string => Path.join(out, path)

  const host = async (variant: Variant, outfile: string): Promise<string> => {
    await Esbuild.build({
      ...common,
      ...(variant === "Segment" ? withRequire : {}),
      entryPoints: [acme],
      outfile,
      plugins: [swap(variant), containerByVariable, besidePackage]
    })
    return outfile
  }

  const programs: Programs = {
    hosts: {
      Ours: await host("Ours", at("hosts/acme.mjs")),
      Baseline: await host("Baseline", at("hosts/Baseline.mjs")),
      InProcess: await host("InProcess", at("hosts/InProcess.mjs")),
      Segment: await host("Segment", at("hosts/Segment.mjs")),
      DetachedPerEvent: await host("DetachedPerEvent", at("hosts/DetachedPerEvent.mjs")),
      BareSpawn: await host("BareSpawn", at("hosts/BareSpawn.mjs")),
      BareAppend: await host("BareAppend", at("hosts/BareAppend.mjs")),
      Loaded: await host("Loaded", at("hosts/Loaded.mjs")),
      ByHand: await host("ByHand", at("hosts/ByHand.mjs")),
      Layered: await host("Layered", at("hosts/Layered.mjs")),
      LoadedLayered: await host("LoadedLayered", at("hosts/LoadedLayered.mjs"))
    },
    alone: await host("Ours", at("alone/hosts/acme.mjs")),
    oneFile: at("one-file/acme.mjs"),
    asked: at("asked/acme.mjs"),
    split: at("split/acme.mjs"),
    worker: at("worker/main.cjs"),
    capture: at("hosts/capture.mjs"),
    captureUnbundled: at("hosts/capture-unbundled.mjs"),
    empty: at("hosts/empty.cjs")
  }
  const ownWorker = { ...common, entryPoints: [entry], plugins: [containerByVariable, publishedWorker] }
  await Esbuild.build({ ...ownWorker, outfile: programs.oneFile })
  await Esbuild.build({
    ...ownWorker,
    entryPoints: [acme],
    outfile: programs.asked,
    plugins: [...ownWorker.plugins, askedInMain]
  })
  await Esbuild.build({
    ...ownWorker,
    entryPoints: { acme: entry },
    outdir: Path.dirname(programs.split),
    outExtension: { ".js": ".mjs" },
    splitting: true
  })
  await Esbuild.build({ ...common, entryPoints: [Path.join(hosts, "capture.ts")], outfile: programs.capture })
  await Esbuild.build({
    ...common,
    entryPoints: [Path.join(hosts, "capture.ts")],
    outfile: programs.captureUnbundled,
    packages: "external"
  })
  Fs.mkdirSync(at("worker"), { recursive: true })
  Fs.copyFileSync(worker, programs.worker)
  Fs.writeFileSync(programs.empty, "")
  return programs
}
