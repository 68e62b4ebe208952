/**
 * The parts that are loaded when they are needed, as files without imports.
 *
 * A bundler that splits makes a file of every set of modules that some entries share, and a command would read some
 * thirty files; one that makes a single file wraps every shared module in a function. A deferred file that imports nothing
 * shares nothing: the module that loads it puts what it needs where the file finds it.
 */
import { build, type Plugin } from "esbuild"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"

const root = Path.resolve(import.meta.dirname, "..")

const { name, version } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))

const statically = /(?:\bfrom\s*|^import\s*)"(\.{1,2}\/[^"]+)"/gm
const dynamically = /\bimport\("(\.{1,2}\/[^"]+)"\)/g

const importsOf = (file: string, pattern: RegExp): ReadonlyArray<string> => {
  const code = Fs.readFileSync(file, "utf8").replaceAll(/^\s*(\/?\*|\/\/).*$/gm, "")
  return [...code.matchAll(pattern)].map(([, to = ""]) => Path.resolve(Path.dirname(file), to))
}

/** The modules that an entry loads at once. */
const loadedBy = (entry: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(entry)) return seen
  seen.add(entry)
  for (const file of importsOf(entry, statically)) loadedBy(file, seen)
  return seen
}

// A built module is asked through its source: where it is built, there may be no `effect` beside it.
const sourceOf = (dist: string, module: string): string =>
  Path.resolve(root, "src", Path.relative(dist, module).replace(/\.js$/, ".ts"))

const exportsOf = async (dist: string, module: string): Promise<ReadonlyArray<string>> =>
  Object.keys(
    await import(
      Path.isAbsolute(module) ? pathToFileURL(sourceOf(dist, module)).href : import.meta.resolve(module)
    )
  )

// Stands for a module that the loader has: what is not used of it is dropped, and what is can be found in the text.
const standIn = (module: string, names: ReadonlyArray<string>): string =>
  names.filter((name) => /^[\w$]+$/.test(name)).map((name) =>
    `const _${name} = /* @__PURE__ */ needed(${JSON.stringify(module)}, "${name}"); export { _${name} as ${name} }`
  ).join("\n")

// Where a file finds the function that gives what it needs. It is there from the loader's start on: Rollup's
// `inlineDynamicImports` runs the file before anybody imports it. As the argument of a function around the file it would be
// parsed twice, which cost a command 1.7 ms of 70: once with the file, and once when the function is called.
const slotOf = (file: string): string => `globalThis[Symbol.for("${name}@${version}/${Path.basename(file, ".js")}")]`

// A source map has the stand-ins, and must not name a folder of the build machine.
const keyOf = (dist: string, module: string): string =>
  Path.isAbsolute(module) ? `dist:${Path.relative(dist, module)}` : module

const moduleOf = (dist: string, key: string): string =>
  key.startsWith("dist:") ? Path.join(dist, key.slice("dist:".length)) : key

const used = /\/\* @__PURE__ \*\/ needed\("([^"]+)", "([\w$]+)"\)/g

// The map of a text whose lines were moved: lines that have no source are added at its start, or were removed.
const moveLines = (map: string, added: number, removed: ReadonlySet<number> = new Set()): string => {
  const { mappings, ...rest }: { readonly mappings: string } = JSON.parse(map)
  const kept = mappings.split(";").filter((_, line) => !removed.has(line))
  return JSON.stringify({ ...rest, mappings: ";".repeat(added) + kept.join(";") })
}

/** Makes one deferred file; returns what is in it, and what the loader must give to it. */
const makeDeferred = async (dist: string, file: string, hot: ReadonlySet<string>) => {
  const plugin: Plugin = {
    name: "deferred",
    setup: (build) => {
      build.onResolve({ filter: /.*/ }, ({ importer, kind, path }) => {
        if (kind === "entry-point") return undefined
        if (kind === "dynamic-import") return { path, external: true }
        if (/^(node:|effect\/|@effect\/)/.test(path)) return { path, namespace: "needed" }
        const target = Path.resolve(Path.dirname(importer), path)
        // Another package becomes a part of the file.
        return hot.has(target) ? { path: target, namespace: "needed" } : undefined
      })
      build.onLoad({ filter: /.*/, namespace: "needed" }, async ({ path }) => ({
        contents: standIn(keyOf(dist, path), await exportsOf(dist, path)),
        loader: "js"
      }))
    }
  }
  const { metafile, outputFiles: [map, output] } = await build({
    entryPoints: [file],
    outfile: file,
    bundle: true,
    write: false,
    sourcemap: "external",
    format: "esm",
    platform: "node",
    target: "node22",
    legalComments: "none",
    logLevel: "error",
    metafile: true,
    nodePaths: [Path.join(root, "node_modules")],
    plugins: [plugin]
  })
  const text = output?.text ?? ""
  const isComment = (line: string): boolean => line.startsWith("// ")
  const lines = text.split("\n")
  const body = lines.filter((line) => !isComment(line)).join("\n")
  if (/^import\b/m.test(body)) throw new Error(`${file} still imports:\n${body.slice(0, 500)}`)
  // By their places in a list: names would be in the bundle twice, and no bundler makes them shorter. The order is that
  // of the text: esbuild asks for the modules in any order, and two builds of the same sources must be the same.
  const uses = [...body.matchAll(used)].map(([, key = "", name]) => [key, name] as const)
  const keys = [...new Set(uses.map(([key]) => key))]
  const memberOf = (key: string, name: string | undefined): string => `${keys.indexOf(key)}.${name}`
  const needed = [...new Set(uses.map(([key, name]) => memberOf(key, name)))]
  const local = (key: string, name: string): string => `needed${needed.indexOf(memberOf(key, name))}`
  Fs.writeFileSync(
    file,
    `const [${needed.map((_, index) => `needed${index}`).join(", ")}] = ${slotOf(file)}()\n` +
      body.replaceAll(used, (_, key, name) => local(key, name)) +
      `//# sourceMappingURL=${Path.basename(file)}.map\n`
  )
  const comments = new Set(lines.flatMap((line, index) => isComment(line) ? [index] : []))
  Fs.writeFileSync(`${file}.map`, moveLines(map?.text ?? "", 1, comments))
  // Those of other packages.
  const files = Object.keys(metafile.inputs).map((input) => Path.resolve(input))
  return {
    files: files.filter((file) => file.startsWith(Path.join(root, "node_modules"))),
    modules: keys.map((key) => moduleOf(dist, key)),
    needed
  }
}

/** The way from a module to another, as an import names it. */
const specifier = (from: string, to: string): string => {
  if (!Path.isAbsolute(to)) return to
  const path = Path.relative(Path.dirname(from), to).replaceAll("\\", "/")
  return path.startsWith(".") ? path : `./${path}`
}

/**
 * Makes the deferred files of a built package, and lets the modules that load them give what they need.
 *
 * `outer` are the modules that are loaded before the entry is. What a deferred file loads later is made first. Returns the
 * files of other packages that became parts of it.
 */
export const defer = async (
  dist: string,
  entry: string,
  outer: ReadonlySet<string> = new Set()
): Promise<ReadonlyArray<string>> => {
  const own = [...loadedBy(entry)].filter((module) => !outer.has(module))
  const hot = new Set([...outer, ...own])
  const parts: Array<string> = []
  for (const loader of own) {
    for (const file of importsOf(loader, dynamically)) {
      parts.push(...await defer(dist, file, hot))
      const prefix = Path.basename(file, ".js")
      const { files, modules, needed } = await makeDeferred(dist, file, hot)
      parts.push(...files)
      const imports = modules.map((module, index) =>
        `import * as ${prefix}${index} from "${specifier(loader, module)}"\n`
      )
      const path = specifier(loader, file)
      // Set again at each import: a bundle may hold this package twice.
      const call = `(${slotOf(file)} = ${prefix}Needed, import("${path}"))`
      const given = `const ${prefix}Needed = () => [${needed.map((member) => `${prefix}${member}`).join(", ")}]\n` +
        `${slotOf(file)} ??= ${prefix}Needed\n`
      const text = Fs.readFileSync(loader, "utf8")
      Fs.writeFileSync(loader, `${imports.join("")}${given}${text.replaceAll(`import("${path}")`, call)}`)
      const map = `${loader}.map`
      Fs.writeFileSync(map, moveLines(Fs.readFileSync(map, "utf8"), imports.length + 2))
    }
  }
  return parts
}

/**
 * Makes the namespaces of a built module plain objects: esbuild makes an object of `export * as` by a helper that gets a
 * file of its own where a bundle is split, which cost a command 1.1 ms of 70.
 */
export const namespaces = async (dist: string, file: string): Promise<void> => {
  const text = Fs.readFileSync(file, "utf8")
  const made: Array<string> = []
  for (const [, name, path = ""] of text.matchAll(/^export \* as (\w+) from "([^"]+)";?$/gm)) {
    const members = await exportsOf(dist, Path.resolve(Path.dirname(file), path))
    const locals = members.map((member) => `${member} as ${name}_${member}`).join(", ")
    const object = members.map((member) => `${member}: ${name}_${member}`).join(", ")
    made.push(`import { ${locals} } from "${path}"\nexport const ${name} = { ${object} }\n`)
  }
  Fs.writeFileSync(file, made.join("") + text.replaceAll(/^(export \* as|\/\/#) .*\n?/gm, ""))
}
