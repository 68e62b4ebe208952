/**
 * `npm run build [-- <folder>]`: what is published, in `dist` or in that folder: JavaScript and types, and the worker, the
 * kit and the script of the sink's page bundled.
 */
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { bundle as bundlePage } from "../src/testing/page/Bundle.ts"
import { defer, namespaces } from "./Deferred.ts"
import { makeEager } from "./Eager.ts"
import { bundleWorker, inBundle } from "./WorkerBundle.ts"

const root = Path.resolve(import.meta.dirname, "..")
const dist = Path.resolve(process.argv[2] ?? Path.join(root, "dist"))

Fs.rmSync(dist, { recursive: true, force: true })
execFileSync(process.execPath, [
  Path.join(root, "node_modules/typescript/lib/tsc.js"),
  "-p",
  Path.join(root, "tsconfig.build.json"),
  "--outDir",
  dist
], { stdio: "inherit" })

/** Changes the text of each file of the package whose name has an ending. */
const rewrite = (ending: string, change: (text: string, name: string) => string): void => {
  for (const name of Fs.readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(ending)) continue
    const file = Path.join(dist, name)
    Fs.writeFileSync(file, change(Fs.readFileSync(file, "utf8"), name))
  }
}

// A bundler keeps a call at the top of a module, such as a layer that the host does not use, unless it is said to be pure.
rewrite(".js", (text) => text.replaceAll(/^(?:export )?const \w+ = (?=\w+\.\w+\()/gm, "$&/* @__PURE__ */ "))
const deferred = await defer(dist, Path.join(dist, "cli/Usage.js"))
await namespaces(dist, Path.join(dist, "index.js"))
Fs.rmSync(Path.join(dist, "index.js.map"))
// The worker's own modules are in its bundle.
for (const name of ["start", "main", "Process", "Worker", "PostHogClient", "Transport"]) {
  for (const ending of ["js", "js.map", "d.ts"]) Fs.rmSync(Path.join(dist, `worker/${name}.${ending}`), { force: true })
}

const bundledWorker = await bundleWorker(Path.join(dist, "worker/main.cjs"), true)
Fs.writeFileSync(Path.join(dist, "worker/main.d.cts"), "export {}\n")

// The kit is one file with an Effect and a platform of its own: it runs beside any version that a CLI has.
const kit = Path.join(dist, "kit/main.js")
const { metafile, outputFiles: [program] } = await build({
  absWorkingDir: root,
  entryPoints: [kit],
  bundle: true,
  write: false,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "none",
  logLevel: "error",
  metafile: true,
  nodePaths: [Path.join(root, "node_modules")],
  external: ["../cli/DataDictionary.js"]
})
Fs.rmSync(Path.dirname(kit), { recursive: true })
Fs.mkdirSync(Path.dirname(kit))
Fs.writeFileSync(kit, program?.text ?? "", { mode: 0o755 })

// The page of the sink, which the kit serves too.
const page = Path.join(dist, "testing/page")
Fs.mkdirSync(page)
for (const name of ["index.html", "page.css", "page.svg"]) {
  Fs.copyFileSync(Path.join(root, "src/testing/page", name), Path.join(page, name))
}
Fs.writeFileSync(Path.join(page, "page.js"), await bundlePage())

const own = `${Fs.realpathSync(dist)}${Path.sep}`
const bundled = [
  ...bundledWorker,
  ...inBundle(metafile).filter((file) => !Path.resolve(root, file).startsWith(own))
]

/** The licence of a package, and of what that package holds of others. */
const licences = (name: string, files: ReadonlyArray<string>): string => {
  const folder = Path.join(root, "node_modules", name)
  const { version } = JSON.parse(Fs.readFileSync(Path.join(folder, "package.json"), "utf8"))
  const own = Fs.readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file)).map((file) => Path.join(folder, file))
  if (own.length === 0) throw new Error(`${name} is in the package and has no licence`)
  const vendored = files.map((file) => Path.join(root, `${file}.LICENSE.txt`)).filter((file) => Fs.existsSync(file))
  const texts = [...own, ...vendored].map((file) => Fs.readFileSync(file, "utf8").trim())
  return `${name} ${version}\n\n${[...new Set(texts)].join("\n\n")}\n`
}

const packageOf = (file: string): string | undefined => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]
const packages = Map.groupBy(new Set([...bundled, ...deferred]), packageOf)
Fs.writeFileSync(
  Path.join(dist, "THIRD-PARTY-NOTICES.txt"),
  [
    "worker/main.cjs, kit/main.js and the files of layers contain these packages.\n",
    ...[...packages].flatMap(([name, files]) => name === undefined ? [] : [licences(name, files)]).toSorted()
  ].join(`\n${"-".repeat(80)}\n\n`)
)

const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
// Private, so that nobody publishes the sources.
const { allowScripts: _, devDependencies: __, private: ___, scripts: ____, ...published } = manifest
const built = (source: string): string =>
  source === "./src/worker/main.ts" ? "./worker/main.cjs" : source.replace("./src/", "./").replace(/\.ts$/, ".js")
const builtAll = (sources: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, built(source)]))
Fs.writeFileSync(
  Path.join(dist, "package.json"),
  JSON.stringify(
    {
      ...published,
      sideEffects: ["./worker/main.cjs"],
      bin: builtAll(published.bin),
      exports: builtAll(published.exports)
    },
    null,
    2
  ) + "\n"
)

// A map has its sources, under the names that they would have in the package.
rewrite(".map", (text, name) => {
  const map: { readonly sources: ReadonlyArray<string> } = JSON.parse(text)
  const folder = Fs.realpathSync(Path.dirname(Path.join(dist, name)))
  const rename = (source: string): string => {
    const path = Path.relative(root, Path.resolve(folder, source))
    return /^(src|node_modules)/.test(path) ?
      Path.relative(Path.dirname(name), path).replaceAll("\\", "/") :
      // A stand-in of a deferred file.
      source.replace(dist, "")
  }
  return JSON.stringify({ ...map, sources: map.sources.map(rename) })
})

makeEager(dist)

// What is for contributors is not published.
const forContributors = ["docs/adr", "docs/architecture.md", "docs/fleet.md"].map((name) => Path.join(root, name))
for (const name of ["README.md", "AGENTS.md", "CHANGELOG.md", "LICENSE", "docs", "examples/acme", "examples/starter"]) {
  const from = Path.join(root, name)
  if (!Fs.existsSync(from)) continue
  Fs.cpSync(from, Path.join(dist, name), { recursive: true, filter: (file) => !forContributors.includes(file) })
}
rewrite("README.md", (text) => text.replaceAll(/^.*\(CONTRIBUTING\.md\).*\n/gm, ""))
// A link to what is not published becomes its text.
rewrite(".md", (text, name) => {
  const folder = Path.dirname(Path.join(dist, name))
  const isThere = (target: string): boolean =>
    /^(#|[a-z]+:)/.test(target) || Fs.existsSync(Path.resolve(folder, target.replace(/#.*/, "")))
  return text.replaceAll(/\[([^\]]+)\]\(([^)\s]+)\)/g, (link, label, target) => isThere(target) ? link : label)
})
