/**
 * The measurements.
 */
import * as ChildProcess from "node:child_process"
import { gzipSync } from "node:zlib"
import { marker } from "../src/layers/WorkerMarks.ts"
import * as Build from "./Build.ts"
import * as Device from "./Device.ts"
import * as Graph from "./Graph.ts"
import * as Looks from "./Looks.ts"
import * as Machine from "./Machine.ts"
import * as Processes from "./Processes.ts"
import { type Budget, type Million, notMeasured, paired, type Row, single } from "./Result.ts"
import type { Runner } from "./Runner.ts"
import * as Sink from "./Sink.ts"
import { inTurn, middle, type Samples, slope } from "./Statistics.ts"

/** How many rounds, commands or events. */
export interface Counts {
  readonly start: number
  readonly alive: number
  readonly off: number
  readonly oneCpu: number
  readonly next: number
  readonly burst: { readonly commands: number; readonly rounds: number }
  readonly hole: {
    readonly ours: number
    readonly peers: number
    readonly rounds: number
    /** Whether the peers that wait for an answer run too: most of a minute. */
    readonly waits: boolean
  }
  readonly worker: number
  readonly drain: number
  readonly lost: number
  readonly growth: number
}

export const full: Counts = {
  start: 40,
  alive: 40,
  off: 60,
  oneCpu: 30,
  next: 15,
  burst: { commands: 200, rounds: 3 },
  hole: { ours: 200, peers: 50, rounds: 10, waits: true },
  worker: 15,
  drain: 10,
  lost: 50,
  growth: 8
}

export const quick: Counts = {
  start: 3,
  alive: 3,
  off: 6,
  oneCpu: 3,
  next: 1,
  burst: { commands: 15, rounds: 1 },
  hole: { ours: 20, peers: 5, rounds: 3, waits: false },
  worker: 2,
  drain: 1,
  lost: 5,
  growth: 1
}

export interface Bench {
  readonly counts: Counts
  readonly programs: Build.Programs
  readonly runner: Runner
  /** A runner whose programs share one CPU, or why there is none. */
  readonly pinned: Runner | string
  readonly sink: Sink.Sink
}

const labels = {
  BareSpawn: "floor: bare spawn",
  ByHand: "floor: recorded by hand",
  ByHandEntry: "floor: recorded by hand in this form",
  ByHandAsked: "floor: recorded by hand in this form",
  DetachedPerEvent: "a process per event",
  InProcess: "posthog-node in the process",
  Segment: "Segment in the process"
}

type Label = keyof typeof labels
type Peer = Extract<Label, Build.Variant>

const named = (...peers: ReadonlyArray<Label>): Readonly<Record<string, string>> =>
  Object.fromEntries(peers.map((peer) => [peer, labels[peer]]))

/** What a floor costs in the same rounds, and some points. A point is a hundredth of the baseline. */
const floor = (name: Label, points: number): Budget => ({
  is: `${labels[name].replace("floor: ", "")} + ${points} points`,
  of: (ratio) => ratio(name) + points / 100
})

const constant = (budget: number): Budget => ({ of: () => budget })

const deploy = (file: string): ReadonlyArray<string> => [process.execPath, file, "deploy", "site"]

const hostOf = (name: Build.Variant | "Again"): Build.Variant => name === "Again" ? "Baseline" : name

const askedName = "asked in its main file"
const splitName = "its entry split by a bundler"

const isSender = (variant: string): boolean =>
  variant === "Ours" || variant === "InProcess" || variant === "Segment" || variant === "DetachedPerEvent"

const hours: Million = { unit: "hours of waiting", of: (ms, baseline) => (ms - baseline) / 3.6 }
const cpuUnit = "CPU hours"

/** A device whose first commands have been, with their messages waiting: a later command is a steady one. */
const usedDevice = async ({ programs, runner }: Bench, host: string): Promise<Device.Device> => {
  const device = Device.make(host)
  device.backOff()
  await runner.run({ words: deploy(programs.hosts.Ours), env: device.env, times: 3 })
  if (device.waiting() !== 3) throw new Error(`of a device's first 3 events ${device.waiting()} were recorded`)
  device.delivers()
  return device
}

/** Fails where events are missing: a host that does nothing is cheap. */
const arrived = async (sink: Sink.Sink, wanted: number, what: string): Promise<void> => {
  const count = await sink.reaches(wanted, 10_000)
  if (count < wanted) throw new Error(`${what}: of ${wanted} messages ${count} arrived`)
}

// == at the end of a command

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

const start = (bench: Bench): Promise<Row> =>
  starts(bench, bench.runner, bench.counts.start, {
    id: "start",
    what: "a command that starts a worker",
    budget: floor("BareSpawn", 4)
  })

const oneCpu = async (bench: Bench): Promise<Row> => {
  const options = {
    id: "one-cpu",
    what: "a command that starts a worker, pinned to one CPU",
    budget: floor("BareSpawn", 5)
  }
  return typeof bench.pinned === "string"
    ? notMeasured({ ...options, unit: "ms wall" }, bench.pinned)
    : await starts(bench, bench.pinned, bench.counts.oneCpu, options)
}

const oneCpuNext = async (bench: Bench): Promise<Row> => {
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

const alive = async (bench: Bench): Promise<Row> => {
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

const off = async (bench: Bench): Promise<Row> => {
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
const oneFile = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
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

const compileCache = async (bench: Bench): Promise<Row> => {
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

// == what a steady command looks at, and loads

const looks = async ({ programs, runner, sink }: Bench): Promise<ReadonlyArray<Row>> => {
  const what = "system calls below the home or on the policy file"
  const steady = { id: "looks", what: `${what}, of a steady command`, unit: "calls" }
  const loggedIn = { id: "looks-logged-in", what: "the same, of an account", unit: "calls" }
  if (Machine.traces !== true) {
    const why = Machine.traces
    return [steady, loggedIn].map((row) => notMeasured(row, why))
  }
  const { Baseline, ByHand, LoggedIn, Ours } = await Looks.take(programs, runner, sink.url)
  const peers = { "without the module": Baseline.length, [labels.ByHand]: ByHand.length }
  return [
    single({ ...steady, ours: [Ours.length], budget: 40, peers, note: "`-- --looks` lists them" }),
    single({ ...loggedIn, ours: [LoggedIn.length], budget: 40 })
  ]
}

const size = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { programs: { hosts, outputs }, sink } = bench
  const baseline = await Build.bundle("Baseline")
  const { text } = await Build.bundle("Ours")
  const added = async (peer: Peer): Promise<number> =>
    ((await Build.bundle(peer)).text.length - baseline.text.length) / 1000
  const device = await usedDevice(bench, sink.url)
  device.backOff()
  const { files } = await Graph.record(deploy(hosts.Ours).slice(1), device.env)
  const loaded = Build.inputsOf(outputs, files)
  return [
    single({
      id: "size-steady",
      what: "minified bytes of the module that a steady command loads",
      unit: "kB",
      ours: [Build.bytesOf(loaded, "module") / 1000],
      budget: 30,
      peers: {
        "with the modules of others that it adds":
          (Build.bytesOf(loaded, "all") - Build.bytesOf(baseline.imported, "all")) / 1000
      },
      note: "in the files of a split host that a command was seen to load"
    }),
    single({
      id: "size",
      what: "minified bytes that the module adds to a bundled host",
      unit: "kB",
      ours: [(text.length - baseline.text.length) / 1000],
      budget: Build.sizeBudget / 1000,
      peers: {
        "ours, compressed": (gzipSync(text).length - gzipSync(baseline.text).length) / 1000,
        [labels.DetachedPerEvent]: await added("DetachedPerEvent"),
        [labels.InProcess]: await added("InProcess"),
        [labels.Segment]: await added("Segment")
      },
      note: "the host is one file without its worker"
    })
  ]
}

// == bursts

const burst = async (bench: Bench, runner: Runner | string, of: "cpu" | "wall"): Promise<Row> => {
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

// == a black hole

const watch = async (running: Promise<unknown>): Promise<{ readonly most: number; readonly memory: number }> => {
  const ended = running.then(() => true)
  let most = 0
  let memory = 0
  do {
    const pids = Processes.leftInProc()
    most = Math.max(most, pids.length)
    memory = Math.max(memory, pids.reduce((sum, pid) => sum + Processes.memory(pid), 0))
  } while (!(await Promise.race([ended, Processes.sleep(50).then(() => false)])))
  return { most, memory: memory / 1024 }
}

const hole = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
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
      Processes.end(Processes.leftInProc())
      return wall
    }
    const walls = await inTurn(counts.hole.rounds, ["Baseline", "Again", "Ours"], once)
    const inProcess = counts.hole.waits ? [await once("InProcess")] : []
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

// == the worker

const perEvent: Million = { unit: cpuUnit, of: (ms) => ms / 3.6 }

/** CPU milliseconds of a worker that finds so many messages waiting, as on a device that was offline. */
const drainOf = async (
  { programs, runner, sink }: Bench,
  device: Device.Device,
  count: number,
  options: { readonly file?: string; readonly sink?: Sink.Sink; readonly variables?: Record<string, string> } = {}
): Promise<number> => {
  const to = options.sink ?? sink
  device.fill(count)
  const expected = (await to.count()) + count
  const { cpu } = await runner.run({
    words: [process.execPath, options.file ?? programs.worker, marker],
    env: { ...device.workerEnv, ...options.variables }
  })
  await arrived(to, expected, "worker")
  return cpu ?? Number.NaN
}

/** CPU milliseconds of a program that sends one event with posthog-node, or of an empty one. */
const captureOf = async ({ runner, sink }: Bench, { env }: Device.Device, file: string): Promise<number> => {
  const event = { host: sink.url, key: "phc_bench", name: "event", distinctId: "device", properties: {} }
  const variables = { ...env, BENCH_EVENT: JSON.stringify(event) }
  return (await runner.run({ words: [process.execPath, file], env: variables })).cpu ?? Number.NaN
}

const worker = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner, sink } = bench
  const one = { id: "worker", what: "a worker that sends one event over http", unit: "ms CPU" }
  const reexecuted = { id: "worker-reexecuted", what: "a bundled host as its own worker", unit: "ms CPU" }
  const tls = { id: "worker-tls", what: "the shipped worker over TLS", unit: "ms CPU" }
  if (runner.counts !== true) {
    const why = runner.counts
    return [one, reexecuted, tls].map((row) => notMeasured(row, why))
  }
  const device = await usedDevice(bench, sink.url)
  const certificate = Device.certificate((args) =>
    ChildProcess.spawnSync("openssl", args, { stdio: "ignore", timeout: 20_000 }).status === 0
  )
  const secure = typeof certificate === "string"
    ? undefined
    : { sink: await Sink.open({ tls: certificate }), variables: { NODE_EXTRA_CA_CERTS: certificate.file } }
  const secureDevice = await usedDevice(bench, secure?.sink.url ?? sink.url)
  try {
    const takes: Readonly<Record<string, () => Promise<number>>> = {
      Baseline: () => captureOf(bench, device, programs.empty),
      Again: () => captureOf(bench, device, programs.empty),
      Ours: () => drainOf(bench, device, 1),
      Reexecuted: () => drainOf(bench, device, 1, { file: programs.oneFile.OursEntry }),
      Asked: () => drainOf(bench, device, 1, { file: programs.oneFile.OursAsked }),
      Split: () => drainOf(bench, device, 1, { file: programs.splitEntry }),
      Bundled: () => captureOf(bench, device, programs.capture),
      Unbundled: () => captureOf(bench, device, programs.captureUnbundled),
      ...(secure === undefined ? {} : { Tls: () => drainOf(bench, secureDevice, 1, secure) })
    }
    const names = Object.keys(takes)
    const layouts = [await inTurn(counts.worker, names, (name) => takes[name]?.() ?? Promise.resolve(Number.NaN))]
    const million = { ...perEvent, unit: `${cpuUnit}, if each run started one` }
    return [
      paired({
        ...one,
        layouts,
        budget: constant(2.7),
        peers: { Bundled: "posthog-node, bundled", Unbundled: "posthog-node, unbundled" },
        note: "the baseline is an empty Node",
        million
      }),
      paired({
        ...reexecuted,
        layouts,
        ours: "Reexecuted",
        budget: constant(3.5),
        peers: { Asked: askedName, Split: splitName },
        million
      }),
      typeof certificate === "string"
        ? notMeasured(tls, certificate)
        : paired({ ...tls, layouts, ours: "Tls", budget: constant(3.5), million })
    ]
  } finally {
    await secure?.sink.close()
  }
}

const drain = async (bench: Bench): Promise<Row> => {
  const events = 200
  const options = { id: "drain", what: `CPU per event in a drain of ${events}`, unit: "ms CPU" }
  if (bench.runner.counts !== true) return notMeasured(options, bench.runner.counts)
  const device = await usedDevice(bench, bench.sink.url)
  const samples = await inTurn(
    bench.counts.drain,
    ["Baseline", "Again", "Ours"],
    async (name) =>
      name === "Ours"
        ? (await drainOf(bench, device, events)) / events
        : await captureOf(bench, device, bench.programs.empty)
  )
  return paired({
    ...options,
    layouts: [samples],
    budget: constant(0.025),
    note: "the whole worker, its start included; the baseline is an empty Node",
    million: perEvent
  })
}

const sizes = ["1", "10", "100", "1000"] as const

const growth = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner, sink } = bench
  const device = await usedDevice(bench, sink.url)
  const captures = await inTurn(counts.growth * 2, sizes, async (size) => {
    device.fill(Number(size))
    device.backOff()
    return (await runner.run({ words: deploy(programs.hosts.Ours), env: device.env })).wall
  })
  const capture = paired({
    id: "growth-capture",
    what: "a command with 1,000 messages waiting (baseline: with one)",
    unit: "ms wall",
    layouts: [captures],
    ours: "1000",
    baseline: "1",
    peers: { 10: "10 waiting", 100: "100 waiting" },
    note: "no worker is started"
  })
  const options = { id: "growth-drain", what: "CPU that one more waiting message costs a worker", unit: "ms CPU" }
  if (runner.counts !== true) return [capture, notMeasured(options, runner.counts)]
  const drains = await inTurn(counts.growth, sizes, (size) => drainOf(bench, device, Number(size)))
  const points = sizes.map((size) => [Number(size), middle(drains(size))] as const)
  return [
    capture,
    single({
      ...options,
      ours: [slope(points)],
      peers: Object.fromEntries(points.map(([size, ms]) => [`all of ${size}`, ms])),
      note: "the slope of the line through the whole drains beside it"
    })
  ]
}

// == what is lost

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

const container = async (bench: Bench): Promise<Row> => {
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

const ctrlC = async (bench: Bench): Promise<Row> => {
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

/** Every measurement, in the order in which they are made. */
export const all: Readonly<Record<string, (bench: Bench) => Promise<Row | ReadonlyArray<Row>>>> = {
  start,
  alive,
  off,
  "one-file": oneFile,
  "compile-cache": compileCache,
  looks,
  size,
  "one-cpu": oneCpu,
  "one-cpu-next": oneCpuNext,
  "burst-cpu": (bench) => burst(bench, bench.runner, "cpu"),
  "burst-wall": (bench) => burst(bench, bench.pinned, "wall"),
  hole,
  worker,
  drain,
  container,
  "ctrl-c": ctrlC,
  growth
}
