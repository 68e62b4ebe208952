/**
 * What the end of a command costs.
 */
import { type Budget, notMeasured, paired, type Row } from "../Result.ts"
import type { Runner } from "../Runner.ts"
import { inTurn, type Samples } from "../Statistics.ts"
import {
  arrived,
  type Bench,
  deploy,
  floor,
  hostOf,
  hours,
  isSender,
  labels,
  named,
  splitName,
  usedDevice
} from "./Bench.ts"

const starts = async (
  bench: Bench,
  runner: Runner,
  rounds: number,
  options: { readonly id: string; readonly what: string; readonly budget: Budget }
): Promise<Row> => {
  const device = await usedDevice(bench, bench.sink.url)
  // The messages of the device's first commands go with the first worker.
  let expected = (await bench.sink.count()) + device.waiting()
  const names = ["Baseline", "Again", "Ours", "DetachedPerEvent", "InProcess", "Segment", "BareSpawn"] as const
  const samples = await inTurn(rounds, names, async (name) => {
    const { alive, wall } = await runner.run({ words: deploy(bench.programs.hosts[hostOf(name)]), env: device.env })
    if (alive) throw new Error(`${options.id}: a process was left of an earlier run`)
    if (isSender(name)) expected += 1
    return wall
  })
  await arrived(bench.sink, expected, options.id)
  return paired({
    ...options,
    unit: "ms wall",
    layouts: [samples],
    peers: named("BareSpawn", "DetachedPerEvent", "InProcess", "Segment"),
    note: "PostHog answers at once, on loopback: a real round trip comes on top of the peers in the process",
    million: hours
  })
}

export const start = (bench: Bench): Promise<Row> =>
  starts(bench, bench.runner, bench.counts.start, {
    id: "start",
    what: "a command that starts a worker",
    budget: floor("BareSpawn", 4)
  })

export const oneCpu = async (bench: Bench): Promise<Row> => {
  const options = {
    id: "one-cpu",
    what: "a command that starts a worker, pinned to one CPU",
    budget: floor("BareSpawn", 5)
  }
  return typeof bench.pinned === "string"
    ? notMeasured({ ...options, unit: "ms wall" }, bench.pinned)
    : await starts(bench, bench.pinned, bench.counts.oneCpu, options)
}

export const oneCpuNext = async (bench: Bench): Promise<Row> => {
  const options = { id: "one-cpu-next", what: "the command right after `one-cpu`, without the module", unit: "ms wall" }
  const { counts, pinned, programs, sink } = bench
  if (typeof pinned === "string") return notMeasured(options, pinned)
  const device = await usedDevice(bench, sink.url)
  const names = ["Baseline", "Again", "Ours", "DetachedPerEvent", "BareSpawn"] as const
  const samples = await inTurn(counts.next, names, async (name) => {
    await pinned.run({ words: deploy(programs.hosts[hostOf(name)]), env: device.env, leaves: true })
    return (await pinned.run({ words: deploy(programs.hosts.Baseline), env: device.env })).wall
  })
  return paired({ ...options, layouts: [samples], peers: named("BareSpawn", "DetachedPerEvent"), million: hours })
}

const backedOffNote = "the device is backed off"

/** Rounds of hosts on a device that is backed off. Those that record must have recorded. */
const backedOff = async (
  bench: Bench,
  rounds: number,
  hosts: Readonly<Record<string, string>>,
  options: { readonly record: ReadonlyArray<string>; readonly variables?: Readonly<Record<string, string>> }
): Promise<Samples> => {
  const device = await usedDevice(bench, bench.sink.url)
  let expected = device.waiting()
  const samples = await inTurn(rounds, Object.keys(hosts), async (name) => {
    device.backOff()
    if (options.record.includes(name)) expected += 1
    const env = { ...device.env, ...options.variables }
    return (await bench.runner.run({ words: deploy(hosts[name] ?? ""), env })).wall
  })
  if (device.waiting() !== expected) throw new Error(`of ${expected} events ${device.waiting()} were recorded`)
  return samples
}

export const alive = async (bench: Bench): Promise<Row> => {
  const { counts, programs } = bench
  const layouts: Array<Samples> = []
  for (const layout of programs.layouts) {
    const hosts = { ...layout, Again: layout.Baseline }
    layouts.push(await backedOff(bench, counts.alive, hosts, { record: ["Ours", "ByHand"] }))
  }
  return paired({
    id: "alive",
    what: "a command that starts no worker",
    unit: "ms wall",
    layouts,
    budget: floor("ByHand", 4),
    peers: named("ByHand"),
    note: backedOffNote,
    million: hours
  })
}

export const off = async (bench: Bench): Promise<Row> => {
  const { counts, programs } = bench
  const layouts: Array<Samples> = []
  for (const { Baseline, Ours } of programs.layouts) {
    const hosts = { Baseline, Again: Baseline, Ours }
    layouts.push(await backedOff(bench, counts.off, hosts, { record: [], variables: { DO_NOT_TRACK: "1" } }))
  }
  return paired({
    id: "off",
    what: "a command with telemetry denied by a variable",
    unit: "ms wall",
    layouts,
    budget: { is: "1.015 + the noise", of: (_, noise) => 1.015 + noise },
    million: hours
  })
}

/** A host of one file in both forms of the README. The floor of each is recording by hand in the same form. */
export const oneFile = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs: { oneFile, splitEntry } } = bench
  const hosts = { ...oneFile, Again: oneFile.Baseline, Split: splitEntry }
  const record = Object.keys(oneFile).filter((name) => name !== "Baseline")
  const samples = await backedOff(bench, counts.alive, hosts, { record: [...record, "Split"] })
  const common = { unit: "ms wall", layouts: [samples], note: backedOffNote, million: hours }
  return [
    paired({
      ...common,
      id: "one-file",
      what: "a command of a host that is one file with its worker in it",
      ours: "OursEntry",
      budget: floor("ByHandEntry", 6),
      peers: { ...named("ByHandEntry"), ByHand: `${labels.ByHand}, no worker in the file`, Split: splitName }
    }),
    paired({
      ...common,
      id: "one-file-asked",
      what: "the same, where the main file asks for the worker",
      ours: "OursAsked",
      budget: floor("ByHandAsked", 6),
      peers: named("ByHandAsked")
    })
  ]
}

export const compileCache = async (bench: Bench): Promise<Row> => {
  const { counts, programs: { cached, hosts } } = bench
  const all = { ...cached, Again: cached.Baseline, Without: hosts.Baseline, OursWithout: hosts.Ours }
  return paired({
    id: "compile-cache",
    what: "a command of a host with a compile cache",
    unit: "ms wall",
    layouts: [await backedOff(bench, counts.alive, all, { record: ["Ours", "OursWithout"] })],
    peers: { Without: "neither the cache nor the module", OursWithout: "the module without the cache" },
    note: backedOffNote,
    million: hours
  })
}
