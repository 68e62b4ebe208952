/**
 * `npm run bench`: measures every row of the table in docs/performance.md, writes it there, to
 * `bench/results.json` and in part to the README, and runs the simulation of docs/fleet.md.
 *
 * `-- --quick` takes few samples and leaves the documents alone; `-- --only start,worker` takes some measurements and
 * writes nothing; `-- --check` says whether `bench/results.json` is of the code that is here; `-- --looks` lists the
 * system calls of a steady command, `-- --instructions` counts what it executes, `-- --graph` lists the modules that are
 * loaded; `-- --fleet` runs the simulation only.
 */
import * as Fs from "node:fs"
import { loadavg } from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as Build from "./Build.ts"
import * as Fleet from "./Fleet.ts"
import * as Graph from "./Graph.ts"
import * as Instructions from "./Instructions.ts"
import * as Looks from "./Looks.ts"
import { machine, pinned, traces } from "./Machine.ts"
import * as Report from "./Report.ts"
import type { Results, Row } from "./Result.ts"
import * as Rows from "./Rows.ts"
import { type Bench, full, quick } from "./rows/Bench.ts"
import * as Runner from "./Runner.ts"
import * as Sink from "./Sink.ts"

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    check: { type: "boolean", default: false },
    looks: { type: "boolean", default: false },
    instructions: { type: "boolean", default: false },
    graph: { type: "boolean", default: false },
    fleet: { type: "boolean", default: false }
  }
})

const writeFleet = (): void => Report.insert(Path.join(Build.root, "docs/fleet.md"), "fleet", Fleet.report())

const resultsFile = Path.join(Build.root, "bench/results.json")

const check = async (): Promise<void> => {
  const { code }: Results = JSON.parse(Fs.readFileSync(resultsFile, "utf8"))
  const here = await Build.digest()
  console.log(`${resultsFile} is of the code ${code}; the code here is ${here}`)
  if (code !== here) process.exitCode = 1
}

const withBench = async (isQuick: boolean, use: (bench: Bench) => Promise<void>): Promise<void> => {
  const [load = 0] = loadavg()
  if (load > 0.5) console.error(`the machine is busy (load ${load.toFixed(1)}): the figures will be noisy`)
  console.error("building …")
  const programs = await Build.build()
  const sink = await Sink.open()
  const runner = await Runner.make()
  const onOneCpu = typeof pinned === "string" ? pinned : await Runner.make(pinned)
  try {
    await use({ counts: isQuick ? quick : full, programs, runner, pinned: onOneCpu, sink })
  } finally {
    runner.close()
    if (typeof onOneCpu !== "string") onOneCpu.close()
    await sink.close()
  }
}

const measure = (quick: boolean, only: ReadonlyArray<string> | undefined): Promise<void> =>
  withBench(quick, async (bench) => {
    const code = await Build.digest()
    const rows: Array<Row> = []
    const unknown = only?.filter((name) => !(name in Rows.all)) ?? []
    if (unknown.length > 0) throw new Error(`no measurement is named ${unknown.join(", ")}`)
    for (const [name, take] of Object.entries(Rows.all)) {
      if (only !== undefined && !only.includes(name)) continue
      const startedAt = performance.now()
      rows.push(...[await take(bench)].flat())
      console.error(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    }
    const results: Results = { machine, quick, code, rows }
    console.log(Report.toText(results))
    if ((await Build.digest()) !== code) throw new Error("the code changed while it was measured")
    if (only !== undefined) return
    Fs.writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`)
    if (quick) return
    Report.insert(Path.join(Build.root, "docs/performance.md"), "bench", Report.toMarkdown(results))
    Report.insert(Path.join(Build.root, "README.md"), "figures", Report.toFigures(results))
    writeFleet()
  })

const looks = (): Promise<void> =>
  withBench(true, async ({ programs, runner, sink }) => {
    console.log(traces === true ? await Looks.report(programs, runner, sink.url) : traces)
  })

if (values.fleet) writeFleet()
else if (values.check) await check()
else if (values.graph) console.log(await Graph.report())
else if (values.looks) await looks()
else if (values.instructions) console.log(Instructions.report(await Build.build()))
else await measure(values.quick, values.only?.split(","))
