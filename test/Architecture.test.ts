import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { version } from "../src/domain/Version.ts"

const root = Path.resolve(import.meta.dirname, "..")
const src = Path.join(root, "src")

const specifier = /(?:from|import)\s*\(?\s*"([^"]+)"/g

interface Import {
  readonly from: string
  readonly to: string
}

const files = Fs.readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))

const imports: ReadonlyArray<Import> = files.flatMap((file) =>
  [...Fs.readFileSync(Path.join(src, file), "utf8").replaceAll(/^ \*.*$/gm, "").matchAll(specifier)].flatMap(
    (match) => {
      const to = match[1] ?? ""
      return [{
        from: file,
        to: to.startsWith(".") ? Path.relative(src, Path.resolve(src, Path.dirname(file), to)) : to
      }]
    }
  )
)

const folder = (file: string): string => file.includes("/") ? file.slice(0, file.indexOf("/")) : "index"

// What a folder may import of this package besides itself.
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: [],
  services: ["domain"],
  layers: ["domain", "services"],
  cli: ["domain", "services", "layers"],
  index: ["domain", "services", "layers", "cli"],
  worker: ["domain", "services", "layers"],
  testing: ["domain", "services", "layers"]
}

const isOwn = (to: string): boolean => files.includes(to)

describe("the layout", () => {
  it("is read: every folder has files, and they import each other", () => {
    assert.isAbove(imports.filter(({ to }) => isOwn(to)).length, 100)
    for (const name of Object.keys(allowed)) {
      assert.isAbove(imports.filter(({ from }) => folder(from) === name).length, 0, name)
    }
    assert.deepStrictEqual([...new Set(files.map(folder))].toSorted(), Object.keys(allowed).toSorted())
  })

  it("has imports that point one way", () => {
    const wrong = imports.filter(({ from, to }) =>
      isOwn(to) && folder(to) !== folder(from) && !(allowed[folder(from)] ?? []).includes(folder(to))
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("imports no barrel of effect or of platform-node", () => {
    const barrels = /^(effect|@effect\/platform-node|effect\/(cli|http|process|crypto|encoding|persistence))$/
    assert.deepStrictEqual(imports.filter(({ to }) => barrels.test(to)), [])
  })

  it("loads posthog-node in the worker only, and effect/cli in cli only", () => {
    const from = (
      what: RegExp
    ) => [...new Set(imports.filter(({ to }) => what.test(to)).map(({ from }) => folder(from)))]
    assert.deepStrictEqual(from(/^posthog-node(\/|$)/), ["worker"])
    assert.deepStrictEqual(from(/^effect\/cli\//), ["cli"])
  })

  it("has no I/O and no Node in domain and services", () => {
    const platform = /^(node:|@effect\/platform)/
    const pure = ["domain", "services"]
    const wrong = imports.filter(({ from, to }) => pure.includes(folder(from)) && platform.test(to))
    assert.deepStrictEqual(wrong, [])
    // Nor what is there without an import, nor Effect's own ways to the outside.
    const outside = /\b(process|globalThis|console|fetch)\b[.(]|"effect\/(Console|ConfigProvider|FileSystem)"/
    const code = (file: string) =>
      Fs.readFileSync(Path.join(src, file), "utf8").replaceAll(/^\s*(\/\*|\*|\/\/).*$/gm, "")
    assert.deepStrictEqual(files.filter((file) => pure.includes(folder(file)) && outside.test(code(file))), [])
  })
})

describe("the package", () => {
  it("tells the version of package.json", () => {
    const manifest: { readonly version: string } = JSON.parse(
      Fs.readFileSync(Path.join(root, "package.json"), "utf8")
    )
    assert.strictEqual(version, manifest.version)
  })
})
