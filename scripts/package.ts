/**
 * `npm run build`: what is published, in `dist`: JavaScript and types, and the worker as one bundled file.
 */
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")
const dist = Path.join(root, "dist")

Fs.rmSync(dist, { recursive: true, force: true })
execFileSync(process.execPath, [
  Path.join(root, "node_modules/typescript/lib/tsc.js"),
  "-p",
  Path.join(root, "tsconfig.build.json")
], { stdio: "inherit" })

await build({
  entryPoints: [Path.join(root, "src/worker/main.ts")],
  outfile: Path.join(dist, "worker/main.cjs"),
  bundle: true,
  platform: "node",
  target: "node22",
  format: "cjs",
  minify: true,
  // A worker never looks for another one's file: it is its own successor.
  define: { "import.meta.url": "undefined" },
  legalComments: "none"
})
// The worker's own modules are in the bundle.
for (const name of ["main", "Process", "Worker", "PostHogClient", "Transport"]) {
  for (const ending of ["js", "d.ts"]) Fs.rmSync(Path.join(dist, `worker/${name}.${ending}`), { force: true })
}

const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
const { allowScripts: _, devDependencies: __, scripts: ___, ...published } = manifest
const built = (source: string): string =>
  source.replace("./src/worker/main.ts", "./worker/main.cjs").replace("./src/", "./").replace(/\.ts$/, ".js")
Fs.writeFileSync(
  Path.join(dist, "package.json"),
  JSON.stringify(
    {
      ...published,
      sideEffects: false,
      exports: Object.fromEntries(
        Object.entries<string>(published.exports).map(([name, source]) => [name, built(source)])
      )
    },
    null,
    2
  ) + "\n"
)
for (const name of ["README.md", "LICENSE"]) {
  if (Fs.existsSync(Path.join(root, name))) Fs.copyFileSync(Path.join(root, name), Path.join(dist, name))
}
