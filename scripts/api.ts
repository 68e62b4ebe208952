/**
 * `npm run api [-- --check]`: the public surface as text, one file in `api` for each entry point of the package.
 *
 * A change of the surface changes these files, so that a review sees it. The check also fails for a public name without
 * a docstring, and for a type that a public declaration names and no entry point exports.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { type Node, SyntaxKind } from "typescript/unstable/ast"
import { isIdentifier } from "typescript/unstable/ast/is"
import { API, type Symbol, SymbolFlags } from "typescript/unstable/sync"
import { enforce, type Rule } from "./Rule.ts"

const root = Path.resolve(import.meta.dirname, "..")
const reports = Path.join(root, "api")

const upToDate: Rule = {
  name: "api/ has the public surface of src",
  why: "a review sees a change of the public surface in these files only",
  fix: "undo the change of the surface, or run `npm run api`, commit api/, and add a changeset (`npx changeset`)"
}
const documented: Rule = {
  name: "a public name has a docstring with @category and @since, and a public module one with @since",
  why: "the docstring is what the author of a CLI reads in the editor",
  fix: "write a sentence above the declaration (\"Returns …\", \"Provides …\") and the tags, or do not export the name"
}
const complete: Rule = {
  name: "a public declaration names public types only",
  why: "a host that emits declarations cannot name a type that no entry point exports (TS2883)",
  fix: "export the type from src/index.ts, or mark the declaration @internal"
}

// The declarations, as they are published.
const temporary = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-cli-usage-api-")))
process.on("exit", () => Fs.rmSync(temporary, { recursive: true, force: true }))
const declarations = Path.join(temporary, "src")
Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(temporary, "node_modules"), "junction")
const compiler = Path.join(root, "node_modules/typescript/lib/tsc.js")
const project = Path.join(root, "tsconfig.build.json")
execFileSync(process.execPath, [compiler, "-p", project, "--emitDeclarationOnly", "--outDir", declarations], {
  stdio: "inherit"
})
const manifest = Fs.readFileSync(Path.join(root, "package.json"), "utf8")
Fs.writeFileSync(Path.join(temporary, "package.json"), manifest)
const config = Path.join(temporary, "tsconfig.json")
const compilerOptions = { module: "NodeNext", target: "ES2024", types: ["node"], noEmit: true }
Fs.writeFileSync(config, JSON.stringify({ compilerOptions, include: ["src"] }))

const api = new API({ cwd: temporary })
const [opened] = api.updateSnapshot({ openProjects: [config] }).getProjects()
if (opened === undefined) throw new Error(`${config} was not opened`)
const { checker, program } = opened

const resolved = (symbol: Symbol): Symbol =>
  (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)

const moduleOf = (file: string): Symbol => {
  const source = program.getSourceFile(file)
  const symbol = source === undefined ? undefined : checker.getSymbolAtLocation(source)
  if (symbol === undefined) throw new Error(`${file} is no module`)
  return symbol
}

const exportsOf = (module: Symbol): ReadonlyArray<readonly [name: string, Symbol]> =>
  checker.getExportsOfModule(module)
    .map((symbol) => [symbol.name, resolved(symbol)] as const)
    .toSorted(([a], [b]) => a < b ? -1 : 1)

const isModule = (symbol: Symbol): boolean => symbol.declarations.some(({ kind }) => kind === SyntaxKind.SourceFile)

/** The declarations of a symbol that are this package's. */
const nodesOf = (symbol: Symbol): ReadonlyArray<Node> =>
  symbol.declarations.filter(({ path }) => path.startsWith(`${declarations}/`)).flatMap((handle) => {
    const node = handle.resolve(opened)
    // `const` is written in front of the list of declarations.
    return node === undefined ? [] : [node.kind === SyntaxKind.VariableDeclaration ? node.parent.parent : node]
  })

const sourceOf = (file: string): string =>
  Path.join("src", Path.relative(declarations, file)).replaceAll("\\", "/").replace(/\.d\.ts$/, ".ts")

const fileOf = (symbol: Symbol): string => sourceOf(symbol.declarations[0]?.path ?? "")

/** The modules of the entry points, by what they are imported as. The worker's has nothing to import. */
const entries = Object.entries<string>(JSON.parse(manifest).exports).flatMap(([name, source]) => {
  if (!source.endsWith(".ts") || source === "./src/worker/main.ts") return []
  const built = Path.join(temporary, source.replace(/\.ts$/, ".d.ts"))
  const from = Path.posix.join("effect-cli-usage", name)
  if (!name.includes("*")) return [[from, moduleOf(built)] as const]
  const [before = "", after = ""] = built.split("*")
  return program.getSourceFileNames()
    .filter((file) => file.startsWith(before) && file.endsWith(after))
    .map((file) => [from.replace("*", file.slice(before.length, -after.length)), moduleOf(file)] as const)
})

interface Public {
  /** What the entry point is imported as. */
  readonly from: string
  /** The name with its namespaces: `Usage.layer`. */
  readonly name: string
  readonly symbol: Symbol
}

const publicOf = (from: string, module: Symbol, prefix = ""): ReadonlyArray<Public> =>
  exportsOf(module).flatMap(([member, symbol]) => {
    const name = `${prefix}${member}`
    return [{ from, name, symbol }, ...(isModule(symbol) ? publicOf(from, symbol, `${name}.`) : [])]
  })

const all = entries.flatMap(([from, module]) => publicOf(from, module))

// A name of two entry points is written below the first.
const firsts = new Map(all.toReversed().map((one) => [one.symbol.id, one]))

/** The top-level declarations of this package that a declaration names. */
const namesIn = (node: Node, found = new Map<number, Symbol>()): ReadonlyMap<number, Symbol> => {
  node.forEachChild((child) => {
    const symbol = isIdentifier(child) ? checker.getSymbolAtLocation(child) : undefined
    const target = symbol === undefined ? undefined : resolved(symbol)
    if (target !== undefined && !isModule(target)) {
      const isTopLevel = nodesOf(target).some(({ parent }) => parent?.kind === SyntaxKind.SourceFile)
      if (isTopLevel) found.set(target.id, target)
    }
    namesIn(child, found)
  })
  return found
}

const isExported = (node: Node): boolean => node.getText().startsWith("export ")

const textOf = (node: Node): string =>
  node.getText().replaceAll(/^\s*\/\*\*[^]*?\*\/\n/gm, "").replace(/^export /, "").replaceAll("    ", "  ")

const incomplete = new Set<string>()

/** The text of a declaration, after the declarations of its module that it names and that are not exported. */
const textsOf = (symbol: Symbol, seen = new Set<number>()): ReadonlyArray<string> => {
  seen.add(symbol.id)
  const nodes = nodesOf(symbol)
  const locals = nodes.flatMap((node) => [...namesIn(node).values()]).flatMap((other) => {
    if (seen.has(other.id) || firsts.has(other.id)) return []
    if (!nodesOf(other).some(isExported)) return textsOf(other, seen)
    incomplete.add(`${fileOf(symbol)}: ${symbol.name} names ${other.name} of ${fileOf(other)}`)
    return []
  })
  return [...locals, ...nodes.map(textOf)]
}

const isDocumented = (symbol: Symbol): boolean => {
  if (isModule(symbol)) {
    return /^\/\*\*(?:(?!\*\/)[^])*@since \d/.test(Fs.readFileSync(Path.join(root, fileOf(symbol)), "utf8"))
  }
  const tags = symbol.getJsDocTags(checker).map(({ name }) => name)
  return symbol.getDocumentationComment(checker) !== "" && tags.includes("category") && tags.includes("since")
}

const sectionOf = ({ from, name, symbol }: Public): string => {
  const first = firsts.get(symbol.id)
  if (first !== undefined && first.from !== from) return `## ${name}\n\n\`${first.name}\` of \`${first.from}\`.\n`
  return `## ${name}\n${isModule(symbol) ? "" : `\n\`\`\`ts\n${textsOf(symbol).join("\n")}\n\`\`\`\n`}`
}

const fileNameOf = (from: string): string => `${from.split("/").slice(1).join("-") || "index"}.api.md`

const written = new Map(entries.map(([from]) => {
  const sections = all.filter((one) => one.from === from).map(sectionOf)
  return [fileNameOf(from), [`# ${from}\n\n\`npm run api\` writes this file.\n`, ...sections].join("\n")]
}))
const undocumented = [...firsts.values()].filter(({ symbol }) => !isDocumented(symbol))
api.close()

const existing = Fs.existsSync(reports) ? Fs.readdirSync(reports) : []
const isStale = (file: string): boolean =>
  !existing.includes(file) || Fs.readFileSync(Path.join(reports, file), "utf8") !== written.get(file)
const stale = [...new Set([...existing, ...written.keys()])].filter(isStale)
const isCheck = process.argv.includes("--check")
if (!isCheck) {
  Fs.rmSync(reports, { recursive: true, force: true })
  Fs.mkdirSync(reports)
  for (const [file, text] of written) Fs.writeFileSync(Path.join(reports, file), text)
}
enforce([
  [upToDate, isCheck ? stale.map((file) => `api/${file}`) : []],
  [documented, undocumented.map(({ from, name, symbol }) => `${fileOf(symbol)}: ${name} of ${from}`)],
  [complete, [...incomplete].toSorted()]
])
