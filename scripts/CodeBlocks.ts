/**
 * The code blocks of the documents and docstrings: where they are, and whether they compile.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

export interface Block {
  /** The document, below the root. */
  readonly file: string
  /** The line of the document that has the first line of the code. */
  readonly line: number
  readonly language: string
  readonly code: string
}

/** Something wrong in a document. */
export interface Finding {
  readonly file: string
  readonly line: number
  readonly problem: string
}

export const format = ({ file, line, problem }: Finding): string => `${file}:${line}: ${problem}`

const fence = /^(\s*(?:\* )?)```(\w*)/

/** Returns the fenced blocks of a Markdown document, or of the docstrings of a module. */
export const blocksOf = (file: string, text: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  let open: { readonly prefix: string; readonly language: string; readonly at: number } | undefined
  const lines = text.split("\n")
  for (const [index, line] of lines.entries()) {
    const [, prefix = "", language = ""] = fence.exec(line) ?? []
    if (open === undefined) {
      if (fence.test(line)) open = { prefix, language, at: index + 1 }
    } else if (line.trimEnd() === `${open.prefix}\`\`\``) {
      const { at, language, prefix } = open
      const code = lines.slice(at, index).map((line) => line.slice(prefix.length)).join("\n")
      blocks.push({ file, line: at + 1, language, code })
      open = undefined
    }
  }
  return blocks
}

/** Returns the documents below a root: all but the decisions, which quote what is gone. */
export const documents = (root: string): ReadonlyArray<string> => [
  ...["README.md", "CONTRIBUTING.md", "AGENTS.md"].filter((file) => Fs.existsSync(Path.join(root, file))),
  ...Fs.readdirSync(Path.join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)
]

/** Returns the modules below a root that have docstrings. */
export const modules = (root: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => Path.join("src", name))

/** Returns the blocks of some files in a language. */
export const read = (root: string, files: ReadonlyArray<string>, language: string): ReadonlyArray<Block> =>
  files
    .flatMap((file) => blocksOf(file, Fs.readFileSync(Path.join(root, file), "utf8")))
    .filter((block) => block.language === language)

// == compilation

const namespaces: Readonly<Record<string, string>> = {
  Argument: "effect/cli/Argument",
  Command: "effect/cli/Command",
  Config: "effect/Config",
  Console: "effect/Console",
  Effect: "effect/Effect",
  FileSystem: "effect/FileSystem",
  Flag: "effect/cli/Flag",
  HttpClient: "effect/http/HttpClient",
  Layer: "effect/Layer",
  NodeHttpClient: "@effect/platform-node/NodeHttpClient",
  NodeRuntime: "@effect/platform-node/NodeRuntime",
  NodeServices: "@effect/platform-node/NodeServices",
  Redacted: "effect/Redacted",
  References: "effect/References",
  Result: "effect/Result",
  Schema: "effect/Schema"
}

const hostModule = "host.ts"

/** What a block may use without importing it: the statement that imports each name. */
const importable = async (host: string): Promise<ReadonlyMap<string, string>> => {
  const named = async (specifier: string, module: string) =>
    Object.keys(await import(module)).map((name) => [name, `import { ${name} } from "${specifier}"`] as const)
  return new Map([
    ...Object.entries(namespaces).map(([name, from]) => [name, `import * as ${name} from "${from}"`] as const),
    ...["assert", "it"].map((name) => [name, `import { ${name} } from "@effect/vitest"`] as const),
    ...await named("effect-cli-usage/worker", "../src/worker/Entry.ts"),
    ...await named("effect-cli-usage/testing", "../src/testing/index.ts"),
    ...await named("effect-cli-usage/layers", "../src/layers/index.ts"),
    ...await named("effect-cli-usage", "../src/index.ts"),
    ...[...host.matchAll(/^export declare (?:const|class) (\w+)/gm)].map(([, name = ""]) =>
      [name, `import { ${name} } from "./${hostModule}"`] as const
    )
  ])
}

const withoutTexts = (code: string): string =>
  code.replaceAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\/.*|\/\*[^]*?\*\//g, "\"\"")

const declares = (code: string, name: string): boolean =>
  new RegExp(`\\b(?:const|let|class|function|interface|type|as) ${name}\\b|import\\s*\\{[^}]*\\b${name}\\b`).test(code)

const preludeOf = (code: string, names: ReadonlyMap<string, string>): string => {
  const plain = withoutTexts(code)
  return [...names]
    .filter(([name]) => new RegExp(`(?<![.\\w])${name}\\b(?!:)`).test(plain) && !declares(plain, name))
    .map(([, statement]) => statement)
    .join("; ")
}

/** What to do about a block that does not compile. */
export const advice = "A block must compile by itself. Effect's modules, this package's exports and the names of " +
  "scripts/DocumentedHost.ts are imported for it. If it uses another part of a host, declare that part there."

/**
 * Compiles TypeScript blocks in one program, each as a module of its own.
 *
 * Each module is as long as its document, so that the compiler names the document's lines.
 */
export const compile = async (root: string, blocks: ReadonlyArray<Block>): Promise<ReadonlyArray<Finding>> => {
  const host = Fs.readFileSync(Path.join(root, "scripts/DocumentedHost.ts"), "utf8")
  const names = await importable(host)
  const folder = Fs.mkdtempSync(Path.join(root, "examples", ".readme-"))
  try {
    const tsconfig = JSON.stringify({
      extends: "../../tsconfig.json",
      compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
      include: ["*.ts"]
    })
    Fs.writeFileSync(Path.join(folder, "tsconfig.json"), tsconfig)
    Fs.writeFileSync(Path.join(folder, hostModule), host)
    Fs.writeFileSync(Path.join(folder, "main.ts"), "export {}\n")
    // The module of examples/starter that its test imports.
    Fs.writeFileSync(Path.join(folder, "Cli.ts"), "export * from \"../starter/Cli.ts\"\n")
    for (const [n, { code, line }] of blocks.entries()) {
      const text = `${preludeOf(code, names)}${"\n".repeat(line - 1)}${code}\n`
      Fs.writeFileSync(Path.join(folder, `${n}.ts`), text)
    }
    const { stdout } = ChildProcess.spawnSync(
      process.execPath,
      [Path.join(root, "node_modules/typescript/lib/tsc.js"), "--pretty", "false", "-p", "."],
      { cwd: folder, encoding: "utf8" }
    )
    return [...stdout.matchAll(/^(\S+)\.ts\((\d+),\d+\): error (.*)/gm)].map(
      ([, n = "", line = "", message = ""]) => {
        const file = blocks[Number(n)]?.file ?? "scripts/DocumentedHost.ts"
        return { file, line: Number(line), problem: message }
      }
    )
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

// == links

const anchorOf = (heading: string): string =>
  heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-")

const anchorsOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading))

/** Returns the links that lead to no file, or to no heading of it; an image is made by a script, and may not be there. */
export const brokenLinks = (root: string, files: ReadonlyArray<string>): ReadonlyArray<Finding> =>
  files.flatMap((file) => {
    const text = Fs.readFileSync(Path.join(root, file), "utf8")
    return text.split("\n").flatMap((line, index) =>
      [...line.matchAll(/(?<!!\[[^\]]*)\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
        if (/^[a-z]+:/.test(target)) return []
        const [path = "", anchor] = target.split("#")
        const to = path === "" ? Path.join(root, file) : Path.resolve(root, Path.dirname(file), path)
        const isThere = Fs.existsSync(to) &&
          (anchor === undefined || anchorsOf(Fs.readFileSync(to, "utf8")).includes(anchor))
        return isThere
          ? []
          : [{ file, line: index + 1, problem: `no file or heading at the link ${target}: correct it` }]
      })
    )
  })
