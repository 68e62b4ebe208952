/**
 * How many events arrive from a process that ends early.
 */
import * as ChildProcess from "node:child_process"
import * as Build from "../Build.ts"
import * as Device from "../Device.ts"
import * as Machine from "../Machine.ts"
import * as Processes from "../Processes.ts"
import { notMeasured, type Row, single } from "../Result.ts"
import { type Bench, deploy, labels, usedDevice } from "./Bench.ts"

/** Of so many events, how many came through. */
const lost = async (
  { counts }: Bench,
  options: { readonly id: string; readonly what: string; readonly unit: string; readonly isLost: string },
  take: (name: Build.Variant) => Promise<number>
): Promise<Row> => {
  const ours = await take("Ours")
  const peers: Record<string, number> = {}
  for (const peer of ["DetachedPerEvent", "InProcess", "Segment"] as const) peers[labels[peer]] = await take(peer)
  const million = {
    unit: `events lost, if each run ${options.isLost}`,
    of: (events: number) => (1 - events / counts.lost) * 1_000_000
  }
  return single({ ...options, ours: [ours], budget: counts.lost, isLeast: true, peers, million })
}

export const container = async (bench: Bench): Promise<Row> => {
  const { counts, programs, runner, sink } = bench
  const options = {
    id: "container",
    what: `delivered when the container ends with the CLI, of ${counts.lost}`,
    unit: "events",
    isLost: "were one"
  }
  const { namespace } = Machine
  if (typeof namespace === "string") return notMeasured(options, namespace)
  return await lost(bench, options, async (name) => {
    const before = await sink.count()
    for (let n = 0; n < counts.lost; n++) {
      // A container's home is as its image has it: every run is a first one.
      const device = Device.make(sink.url)
      await runner.run({
        words: [...namespace, ...deploy(programs.hosts[name])],
        env: { ...device.env, BENCH_IN_CONTAINER: "1" }
      })
    }
    return (await sink.reaches(before + counts.lost, 500)) - before
  })
}

/** Runs a host in a process group of its own, and interrupts the group 2 ms after its first output. */
const interrupted = (file: string, env: Readonly<Record<string, string>>): Promise<void> =>
  new Promise((resolve, reject) => {
    const [node = "", ...args] = deploy(file)
    const child = ChildProcess.spawn(node, args, {
      env: { ...env },
      detached: true,
      stdio: ["ignore", "pipe", "ignore"]
    })
    child.once("error", reject)
    child.once("close", () => resolve())
    child.stdout.once("data", () => {
      const at = performance.now() + 2
      while (performance.now() < at);
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGINT")
      } catch {
        // It has ended already.
      }
    })
  })

export const ctrlC = async (bench: Bench): Promise<Row> => {
  const { counts, programs, sink } = bench
  const options = {
    id: "ctrl-c",
    what: `recorded when Ctrl-C comes 2 ms after the output, of ${counts.lost}`,
    unit: "events",
    isLost: "ended so"
  }
  if (process.platform === "win32") return notMeasured(options, "Windows has no process groups to interrupt")
  const row = await lost(bench, options, async (name) => {
    const device = await usedDevice(bench, sink.url)
    const before = (await sink.count()) + (name === "Ours" ? device.waiting() : 0)
    for (let n = 0; n < counts.lost; n++) await interrupted(programs.hosts[name], device.env)
    return (await sink.reaches(before + counts.lost, 3000)) - before
  })
  await Processes.gone()
  return row
}
