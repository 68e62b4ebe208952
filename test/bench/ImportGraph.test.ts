import { assert, beforeAll, it } from "@effect/vitest"
import * as Device from "../../bench/Device.ts"
import * as Graph from "../../bench/Graph.ts"

const barrel = /^(effect|@effect\/platform-node)(\/dist)?\/index\.js$|^effect\/dist\/\w+\/index\.js$/
const undici = /(^|\/)undici(\/|$)/
const http = /^(https?|_http_\w+|internal\/http.*)$/
// What acme needs of effect/cli it loads itself; the wizard is a dialogue that no command of this module has.
const cli = /^effect\/dist\/(internal\/)?cli\//
const wizard = /wizard/i
const network = /^(net|tls|dns|http2|child_process|inspector)$/

const none = (names: ReadonlyArray<string>, forbidden: RegExp) =>
  assert.deepStrictEqual(names.filter((name) => forbidden.test(name)), [])

let graphs: Graph.Graphs

beforeAll(async () => {
  graphs = await Graph.make()
  return Device.clean
})

it("The lists of loaded modules are complete, and every process did its work", () => {
  assert.isTrue(graphs.ran)
  for (const name of ["examples/acme/main.ts", "effect/dist/cli/Command.js", "effect/dist/Effect.js"]) {
    assert.include(graphs.baseline.files, name)
  }
  for (const name of ["src/index.ts", "src/cli/CommandTracking.ts", "src/layers/WorkerMarks.ts"]) {
    assert.include(graphs.added.files, name)
    assert.notInclude(graphs.baseline.files, name)
  }
  for (const name of ["src/worker/main.ts", "effect/dist/Effect.js"]) assert.include(graphs.worker.files, name)
  assert.isAbove(graphs.baseline.builtins.length, 50)
  assert.include(graphs.worker.builtins, "http")
})

it("A host loads the modules of this package and few of others", () => {
  const { builtins, files } = graphs.added
  for (const forbidden of [barrel, cli, wizard, undici, /^(posthog-node|@posthog)\//, /^src\/(worker|testing)\//]) {
    none(files, forbidden)
  }
  for (const forbidden of [undici, http, network]) none(builtins, forbidden)
  const others = files.filter((name) => !name.startsWith("src/"))
  assert.isAtMost(others.length, 15, others.join("\n"))
  assert.isAtMost(builtins.length, 5, builtins.join("\n"))
})

it("A worker loads nothing of effect/cli, no barrel and no undici", () => {
  const { builtins, files } = graphs.worker
  assert.isTrue(files.some((name) => name.startsWith("posthog-node/")))
  for (const forbidden of [barrel, cli, undici, /^src\/(cli|testing)\//, /^src\/index\.ts$/]) none(files, forbidden)
  for (const forbidden of [undici, /^(child_process|https|inspector)$/]) none(builtins, forbidden)
})
