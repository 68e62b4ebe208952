/**
 * `npm run storm [-- --seconds N --seed N]`: real processes that log in and out of two accounts on one home, with random
 * kills, against the invariants. Three minutes where nothing else is said. Exits with 1 at the first rule that is broken.
 */
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as Fleet from "../test/model/Fleet.ts"
import * as Storm from "../test/model/Storm.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "180" }, seed: { type: "string" } }
})
const end = performance.now() + Number(values.seconds) * 1000
const first = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
const folder = NFS.mkdtempSync(Path.join(OS.tmpdir(), "effect-cli-usage-storm-"))
try {
  const driver = Fleet.bundle(folder)
  console.log(`first seed ${first}`)
  let seed = first
  const counts = { commands: 0, kills: 0, stops: 0 }
  for (; performance.now() < end && process.exitCode === undefined; seed += 1) {
    for (const { actor, signal } of Storm.plansOf(seed)) {
      if (actor._tag === "Command") counts.commands += 1
      if (signal !== undefined) counts[signal.kind === "kill" ? "kills" : "stops"] += 1
    }
    const broken = await Storm.run(driver, seed)
    if (broken === undefined) continue
    console.error(broken)
    process.exitCode = 1
  }
  const { commands, kills, stops } = counts
  console.log(`${seed - first} storms of ${commands} commands, with ${kills} kills and ${stops} suspensions`)
} finally {
  NFS.rmSync(folder, { recursive: true, force: true })
}
