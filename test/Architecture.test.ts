import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, type Metafile } from "esbuild"
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

const sources = new Map(files.map((file) => [file, Fs.readFileSync(Path.join(src, file), "utf8")]))

/** The sources without their comments. */
const code = new Map([...sources].map(([file, text]) => [file, text.replaceAll(/^\s*(\/?\*|\/\/).*$/gm, "")]))

const imports: ReadonlyArray<Import> = [...code].flatMap(([from, text]) =>
  [...text.matchAll(specifier)].map(([, to = ""]) => ({
    from,
    to: to.startsWith(".") ? Path.relative(src, Path.resolve(src, Path.dirname(from), to)) : to
  }))
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
  testing: ["domain", "services", "layers"],
  kit: ["domain", "cli", "testing"]
}

const isOwn = (to: string): boolean => files.includes(to)

/** The folders whose files import a module. */
const importersOf = (module: RegExp) => [
  ...new Set(imports.filter(({ to }) => module.test(to)).map(({ from }) => folder(from)))
]

/** The ids of the tags or references that are declared, by file. */
const declared = (kind: "Service" | "Reference"): Readonly<Record<string, ReadonlyArray<string>>> =>
  Object.fromEntries([...code].flatMap(([file, text]) => {
    const ids = [...text.matchAll(new RegExp(`Context\\.${kind}<[^]*?"(effect-cli-usage/[^"]+)"`, "g"))]
    assert.strictEqual(ids.length, text.match(new RegExp(`(extends |= )Context\\.${kind}\\b`, "g"))?.length ?? 0, file)
    return ids.length === 0 ? [] : [[file, ids.map(([, id = ""]) => id)]]
  }))

describe("the layout", () => {
  it("The layout is read: every folder has files, and they import each other", () => {
    assert.isAbove(imports.filter(({ to }) => isOwn(to)).length, 100)
    for (const name of Object.keys(allowed)) {
      assert.isAbove(imports.filter(({ from }) => folder(from) === name).length, 0, name)
    }
    assert.deepStrictEqual([...new Set(files.map(folder))].toSorted(), Object.keys(allowed).toSorted())
  })

  it("Imports between the folders point one way", () => {
    const wrong = imports.filter(({ from, to }) =>
      isOwn(to) && folder(to) !== folder(from) && !(allowed[folder(from)] ?? []).includes(folder(to))
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("The page of the sink is read and never imported, and has of the rest of the package only what runs in a browser", () => {
    const isPage = (file: string) => file.startsWith("testing/page/")
    assert.deepStrictEqual(imports.filter(({ from, to }) => !isPage(from) && isPage(to)), [])
    const outside = imports.filter(({ from, to }) => isPage(from) && !isPage(to))
    assert.deepStrictEqual(
      [...new Set(outside.filter(({ from }) => from !== "testing/page/Bundle.ts").map(({ to }) => to))].toSorted(),
      ["testing/Persons.ts", "testing/Printable.ts"]
    )
    assert.deepStrictEqual(imports.filter(({ from }) => /^testing\/(Persons|Printable)\.ts$/.test(from)), [])
    // Only a checkout bundles it.
    assert.deepStrictEqual(imports.filter(({ to }) => to === "esbuild").map(({ from }) => from), [
      "testing/page/Bundle.ts"
    ])
  })

  it("No barrel of effect or of platform-node is imported", () => {
    const barrels = /^(effect|@effect\/platform-node|effect\/(cli|http|process|crypto|encoding|persistence))$/
    assert.deepStrictEqual(imports.filter(({ to }) => barrels.test(to)), [])
  })

  it("The worker alone loads posthog-node, cli and the kit load effect/cli, and no host loads Effect's files, processes or crypto", () => {
    assert.deepStrictEqual(importersOf(/^posthog-node(\/|$)/), ["worker"])
    assert.deepStrictEqual(importersOf(/^effect\/cli\//), ["cli", "kit"])
    // `Disk`, `HostRuntime` and `WorkerProcess` take their places, which cost a command less.
    assert.deepStrictEqual(importersOf(/^effect\/(FileSystem|PlatformError|process\/|crypto\/)/), ["kit"])
    // Not every 4.x has these.
    assert.deepStrictEqual(importersOf(/^effect\/(Crypto|Glob|persistence\/)/), [])
  })

  it("A host needs no package of a platform: the worker and the kit alone load one, and are published with it", () => {
    assert.deepStrictEqual(importersOf(/^@effect\/platform/), ["kit", "worker"])
  })

  it("Domain and services have no I/O and no Node.js", () => {
    const platform = /^(node:|@effect\/platform)/
    const pure = ["domain", "services"]
    assert.deepStrictEqual(imports.filter(({ from, to }) => pure.includes(folder(from)) && platform.test(to)), [])
    // Nor what is there without an import, nor Effect's own ways to the outside.
    const outside = /\b(process|globalThis|console|fetch)\b[.(]|"effect\/(Console|ConfigProvider|FileSystem)"/
    assert.deepStrictEqual([...code].filter(([file, text]) => pure.includes(folder(file)) && outside.test(text)), [])
  })

  it("There are exactly ten services, one a file, and one more for tests of a host", () => {
    const { "testing/TestUsage.ts": ofTests, ...services } = declared("Service")
    assert.deepStrictEqual(ofTests, ["effect-cli-usage/testing/TestUsage"])
    const names = [
      "CaptureWorker",
      "Consent",
      "HostRuntime",
      "IdentitySlot",
      "IdentityStitch",
      "IdentityStore",
      "Outbox",
      "PrincipalResolver",
      "UsageCapture",
      "UsageSettings"
    ]
    assert.deepStrictEqual(
      services,
      Object.fromEntries(names.map((name) => [`services/${name}.ts`, [`effect-cli-usage/services/${name}`]]))
    )
  })

  it("There are six references, which have a default and which no host has to provide", () => {
    assert.deepStrictEqual(declared("Reference"), {
      "cli/CommandTracking.ts": ["effect-cli-usage/cli/Untracked", "effect-cli-usage/cli/TrackOptions"],
      "cli/Flow.ts": ["effect-cli-usage/cli/Flow/CurrentFlow"],
      "layers/Debug.ts": ["effect-cli-usage/layers/Debug/IsShown"],
      "services/CurrentCommand.ts": ["effect-cli-usage/services/CurrentCommand"],
      "services/UsageContext.ts": ["effect-cli-usage/services/UsageContext"]
    })
  })
})

describe("what a command loads", () => {
  let inputs: Metafile["inputs"] = {}

  beforeAll(async () => {
    const { metafile } = await build({
      absWorkingDir: src,
      entryPoints: ["cli/Usage.ts"],
      bundle: true,
      format: "esm",
      platform: "node",
      packages: "external",
      metafile: true,
      outdir: "out",
      write: false
    })
    inputs = metafile.inputs
  })

  /** The modules that a module loads by its static imports, itself included. */
  const loadedBy = (module: string, seen = new Set<string>()): ReadonlySet<string> => {
    if (seen.has(module)) return seen
    const input = inputs[module]
    if (input === undefined) return assert.fail(`${module} was not read; these were: ${Object.keys(inputs).join(", ")}`)
    seen.add(module)
    for (const { external, kind, path } of input.imports) {
      if (external !== true && kind === "import-statement") loadedBy(path, seen)
    }
    return seen
  }

  const dynamically = (module: string): ReadonlyArray<string> =>
    inputs[module]?.imports.filter(({ kind }) => kind === "dynamic-import").map(({ path }) => path) ?? []

  const assertLoads = (module: string, some: ReadonlyArray<string>, none: ReadonlyArray<string>) => {
    const loaded = loadedBy(module)
    const found = `${module} loads ${[...loaded].join(", ")}`
    for (const other of some) assert.isTrue(loaded.has(other), `${other} is not loaded: ${found}`)
    assert.deepStrictEqual(none.filter((other) => loaded.has(other)), [], found)
    // A module that was renamed would never be found.
    for (const other of none) assert.isDefined(inputs[other], `${other} is no module of a host`)
  }

  const cold = [
    "layers/Cold.ts",
    "layers/Delivery.ts",
    "layers/FileIdentityStore.ts",
    "layers/FileOutbox.ts",
    "layers/HttpJson.ts",
    "layers/HttpPrincipal.ts",
    "layers/HybridIdentityStitch.ts",
    "layers/MemoryDisk.ts",
    "layers/OptOutFiles.ts",
    "layers/Whole.ts",
    "cli/TelemetryHandlers.ts"
  ]

  const steady = [
    "layers/Steady.ts",
    "layers/EnvironmentConsent.ts",
    "layers/HomeSafety.ts",
    "layers/KnownFile.ts",
    "layers/NodeDisk.ts",
    "layers/NodeHostRuntime.ts",
    "layers/NodeProcess.ts",
    "layers/OutboxWriter.ts",
    "layers/Recorder.ts",
    "layers/StateFiles.ts",
    "layers/SteadyStitch.ts",
    "layers/UsageServices.ts",
    "layers/WorkerProcess.ts"
  ]

  it("A command whose telemetry a variable denies loads neither the services nor what changes anything", () => {
    assertLoads("cli/Usage.ts", ["cli/CommandTracking.ts", "layers/NodeUsage.ts", "layers/VariableConsent.ts"], [
      ...steady,
      ...cold
    ])
    assert.isAtMost(loadedBy("cli/Usage.ts").size, 30)
  })

  it("A steady command loads the services, and nothing that changes the identity, waits for delivery or asks an API", () => {
    assertLoads("layers/Steady.ts", steady, cold)
  })

  it("What is not loaded at once is loaded by one dynamic import each", () => {
    assert.deepStrictEqual(
      Object.fromEntries(
        Object.keys(inputs).map((module) => [module, dynamically(module)]).filter(([, to]) => to?.length)
      ),
      {
        "cli/TelemetryCommand.ts": ["cli/TelemetryHandlers.ts"],
        "layers/Load.ts": ["layers/Steady.ts"],
        "layers/LoadCold.ts": ["layers/Cold.ts"]
      }
    )
    assertLoads("layers/Cold.ts", cold.filter((module) => module.startsWith("layers/")), [])
  })
})

describe("the package", () => {
  it("The version that is sent is that of package.json", () => {
    const manifest: { readonly version: string } = JSON.parse(
      Fs.readFileSync(Path.join(root, "package.json"), "utf8")
    )
    assert.strictEqual(version, manifest.version)
  })
})
