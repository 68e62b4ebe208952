/**
 * `npm run bench`: measures every row of the table in docs/performance.md and writes it there and to
 * `bench/results.json`, and runs the simulation of docs/fleet.md.
 *
 * `-- --quick` takes few samples and leaves the documents alone; `-- --only start,worker` takes some measurements and
 * writes nothing; `-- --graph` lists the modules that are loaded; `-- --fleet` runs the simulation only.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as Build from "./Build.ts"
import * as Fleet from "./Fleet.ts"
import * as Graph from "./Graph.ts"
import { machine, pinned } from "./Machine.ts"
import * as Report from "./Report.ts"
import type { Results, Row } from "./Result.ts"
import * as Rows from "./Rows.ts"
import * as Runner from "./Runner.ts"
import * as Sink from "./Sink.ts"

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    graph: { type: "boolean", default: false },
    fleet: { type: "boolean", default: false }
  }
})

const writeFleet = (): void => Report.insert(Path.join(Build.root, "docs/fleet.md"), "fleet", Fleet.report())

const measure = async (quick: boolean, only: ReadonlyArray<string> | undefined): Promise<void> => {
  console.error("building …")
  const programs = await Build.build()
  const sink = await Sink.open()
  const runner = await Runner.make()
  const onOneCpu = typeof pinned === "string" ? pinned : await Runner.make(pinned)
  const bench = { counts: quick ? Rows.quick : Rows.full, programs, runner, pinned: onOneCpu, sink }
  const rows: Array<Row> = []
  try {
    for (const [name, take] of Object.entries(Rows.all)) {
      if (only !== undefined && !only.includes(name)) continue
      const startedAt = performance.now()
      rows.push(...[await take(bench)].flat())
      console.error(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    }
  } finally {
    runner.close()
    if (typeof onOneCpu !== "string") onOneCpu.close()
    await sink.close()
  }
  const results: Results = { machine, quick, rows }
  console.log(Report.toText(results))
  if (only !== undefined) return
  Fs.writeFileSync(Path.join(Build.root, "bench/results.json"), `${JSON.stringify(results, null, 2)}\n`)
  if (quick) return
  Report.insert(Path.join(Build.root, "docs/performance.md"), "bench", Report.toMarkdown(results))
  writeFleet()
}

if (values.fleet) writeFleet()
else if (values.graph) console.log(await Graph.report())
else await measure(values.quick, values.only?.split(","))
