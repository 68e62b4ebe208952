/**
 * Many commands in a row, also while PostHog never answers.
 */
import { setTimeout as sleep } from "node:timers/promises"
import * as Build from "../Build.ts"
import * as Machine from "../Machine.ts"
import * as Processes from "../Processes.ts"
import { notMeasured, paired, type Row, single } from "../Result.ts"
import type { Runner } from "../Runner.ts"
import * as Sink from "../Sink.ts"
import { inTurn } from "../Statistics.ts"
import { arrived, type Bench, constant, cpuUnit, deploy, hostOf, hours, labels, named, usedDevice } from "./Bench.ts"

export const burst = async (bench: Bench, runner: Runner | string, of: "cpu" | "wall"): Promise<Row> => {
  const { commands, rounds } = bench.counts.burst
  const options = of === "cpu"
    ? { id: "burst-cpu", what: `${commands} commands in a row: hosts and workers`, unit: "ms CPU" }
    : { id: "burst-wall", what: `${commands} commands in a row, on one CPU`, unit: "ms wall" }
  if (typeof runner === "string") return notMeasured(options, runner)
  if (of === "cpu" && runner.counts !== true) return notMeasured(options, runner.counts)
  const device = await usedDevice(bench, bench.sink.url)
  const expected = (await bench.sink.count()) + device.waiting() + commands * rounds
  const take = async (name: Build.Variant | "Again"): Promise<number> => {
    const words = deploy(bench.programs.hosts[hostOf(name)])
    return (await runner.run({ words, env: device.env, times: commands }))[of] ?? Number.NaN
  }
  const samples = await inTurn(rounds, ["Baseline", "Again", "Ours"], take, { warm: false })
  await arrived(bench.sink, expected, options.id)
  const peers = await inTurn(1, ["DetachedPerEvent", "InProcess"], take, { warm: false })
  return paired({
    ...options,
    layouts: [(name) => [...samples(name), ...peers(name)]],
    budget: constant(of === "cpu" ? 1.1 : 1.12),
    peers: named("DetachedPerEvent", "InProcess"),
    million: { unit: of === "cpu" ? cpuUnit : hours.unit, of: (ms, baseline) => hours.of(ms, baseline) / commands }
  })
}

const watch = async (running: Promise<unknown>): Promise<{ readonly most: number; readonly memory: number }> => {
  const ended = running.then(() => true)
  let most = 0
  let memory = 0
  do {
    const pids = Processes.leftInProc()
    most = Math.max(most, pids.length)
    memory = Math.max(memory, pids.reduce((sum, pid) => sum + Processes.memory(pid), 0))
  } while (!(await Promise.race([ended, sleep(50, false)])))
  return { most, memory: memory / 1024 }
}

export const hole = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner } = bench
  const workers = {
    id: "hole",
    what: `${counts.hole.ours} commands in a row while PostHog never answers: workers alive at once`,
    unit: "processes"
  }
  const memory = { id: "hole-memory", what: "and their memory", unit: "MiB" }
  const wall = { id: "hole-wall", what: "and one command", unit: "ms wall" }
  if (!Machine.hasProc) return [workers, memory, wall].map((row) => notMeasured(row, "there is no /proc"))
  const sink = await Sink.open({ hangs: true })
  try {
    const device = await usedDevice(bench, sink.url)
    const run = (name: Build.Variant, times: number) =>
      watch(runner.run({ words: deploy(programs.hosts[name]), env: device.env, times, leaves: true }))
    const ours = await run("Ours", counts.hole.ours)
    // One that waits for an answer would be waited for.
    Processes.end(Processes.leftInProc())
    const peer = await run("DetachedPerEvent", counts.hole.peers)
    Processes.end(Processes.leftInProc())
    const once = async (name: Build.Variant | "Again"): Promise<number> => {
      const { wall } = await runner.run({ words: deploy(programs.hosts[hostOf(name)]), env: device.env, leaves: true })
      return wall
    }
    // The worker stays: a command that finds that one was ended from outside waits for delivery.
    const walls = await inTurn(counts.hole.rounds, ["Baseline", "Again", "Ours"], once)
    const inProcess = counts.hole.waits ? [await once("InProcess")] : []
    Processes.end(Processes.leftInProc())
    const name = `${labels.DetachedPerEvent} (${counts.hole.peers} commands)`
    return [
      single({ ...workers, ours: [ours.most], budget: 1, peers: { [name]: peer.most } }),
      single({
        ...memory,
        ours: [ours.memory],
        budget: 90,
        peers: { [name]: peer.memory },
        note: "proportional: what processes share is divided among them"
      }),
      paired({
        ...wall,
        layouts: [(name) => name === "InProcess" ? inProcess : walls(name)],
        peers: named("InProcess"),
        million: hours
      })
    ]
  } finally {
    await sink.close()
  }
}
