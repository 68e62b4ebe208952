import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, type Metafile } from "esbuild"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { version } from "../src/domain/Version.ts"

const root = Path.resolve(import.meta.dirname, "..")
const src = Path.join(root, "src")

const files = Fs.readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))

/** The sources without their comments. */
const code = new Map(files.map((file) => {
  const text = Fs.readFileSync(Path.join(src, file), "utf8")
  return [file, text.replaceAll(/^\s*(\/?\*|\/\/).*$/gm, "")]
}))

/** The ids of the tags or references that are declared, by file. */
const declared = (kind: "Service" | "Reference"): Readonly<Record<string, ReadonlyArray<string>>> =>
  Object.fromEntries([...code].flatMap(([file, text]) => {
    const ids = [...text.matchAll(new RegExp(`Context\\.${kind}<[^]*?"(effect-cli-usage/[^"]+)"`, "g"))]
    assert.strictEqual(ids.length, text.match(new RegExp(`(extends |= )Context\\.${kind}\\b`, "g"))?.length ?? 0, file)
    return ids.length === 0 ? [] : [[file, ids.map(([, id = ""]) => id)]]
  }))

describe("source folders", () => {
  it("The page of the sink has of the rest of the package only what runs in a browser", async () => {
    const { metafile } = await build({
      absWorkingDir: src,
      entryPoints: ["testing/page/Main.ts"],
      bundle: true,
      platform: "browser",
      metafile: true,
      outdir: "out",
      write: false
    })
    const rest = Object.keys(metafile.inputs).filter((file) => !file.startsWith("testing/page/"))
    assert.deepStrictEqual(rest.toSorted(), ["testing/Persons.ts", "testing/Printable.ts"])
  })

  it("Every folder has a rule of the linter that says what it may import", () => {
    const { overrides }: { readonly overrides: ReadonlyArray<{ readonly files: [string]; readonly rules: object }> } =
      JSON.parse(Fs.readFileSync(Path.join(root, ".oxlintrc.json"), "utf8"))
    const ruled = overrides.flatMap(({ files: [files], rules }) => "no-restricted-imports" in rules ? [files] : [])
    const folders = files.map((file) => file.replace(/\/.*/, ""))
    const expected = folders.map((folder) => folder === "index.ts" ? "src/index.ts" : `src/${folder}/**`)
    assert.deepStrictEqual(ruled.toSorted(), [...new Set(expected)].toSorted())
  })

  it("There are exactly ten services, one a file, and one more for tests of a host", () => {
    const { "testing/TestUsage.ts": ofTests, ...services } = declared("Service")
    assert.deepStrictEqual(ofTests, ["effect-cli-usage/testing/TestUsage"])
    const identity = ["IdentitySlot", "IdentityStitch", "IdentityStore", "PrincipalResolver"]
    const names = ["CaptureWorker", "Consent", "HostRuntime", ...identity, "Outbox", "UsageCapture", "UsageSettings"]
    assert.deepStrictEqual(
      services,
      Object.fromEntries(names.map((name) => [`services/${name}.ts`, [`effect-cli-usage/services/${name}`]]))
    )
  })

  it("There are six references, which have a default and which no host has to provide", () => {
    assert.deepStrictEqual(declared("Reference"), {
      "cli/CommandTracking.ts": ["effect-cli-usage/cli/Untracked", "effect-cli-usage/cli/TrackOptions"],
      "cli/Flow.ts": ["effect-cli-usage/cli/Flow/CurrentFlow"],
      "layers/Debug.ts": ["effect-cli-usage/layers/Debug/IsDebugMode"],
      "services/CurrentCommand.ts": ["effect-cli-usage/services/CurrentCommand"],
      "services/UsageContext.ts": ["effect-cli-usage/services/UsageContext"]
    })
  })
})

describe("loaded modules", () => {
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

  const layers = (names: string) => names.trim().split(/\s+/).map((name) => `layers/${name}.ts`)

  const cold = layers(`
    Cold ContinuousIntegration Delivery FileIdentityStore FileOutbox FullStitch HttpJson HttpPrincipal
    MemoryDisk OptOutFiles
  `).concat("cli/TelemetryHandlers.ts")

  const steady = layers(`
    EnvironmentConsent HomeSafety HostFacts KnownFile NodeDisk NodeProcess OutboxWriter Recorder
    StateFiles Steady SteadyStitch UsageServices WorkerProcess
  `)

  it("A command with telemetry denied by a variable loads neither the services nor what changes anything", () => {
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

describe("version", () => {
  it("The version that is sent is that of package.json", () => {
    const manifest: { readonly version: string } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
    assert.strictEqual(version, manifest.version)
  })
})
