/**
 * The measurements.
 */
import * as ChildProcess from "node:child_process"
import { gzipSync } from "node:zlib"
import { marker } from "../src/layers/WorkerMarks.ts"
import * as Build from "./Build.ts"
import * as Device from "./Device.ts"
import * as Machine from "./Machine.ts"
import * as Processes from "./Processes.ts"
import { notMeasured, paired, type Row, single } from "./Result.ts"
import type { Runner } from "./Runner.ts"
import * as Sink from "./Sink.ts"
import { inTurn, median, slope } from "./Statistics.ts"

/** How much is done. */
export interface Counts {
  readonly start: number
  readonly alive: number
  readonly oneCpu: number
  readonly next: number
  readonly burst: { readonly commands: number; readonly rounds: number; readonly floors: number }
  readonly hole: {
    readonly ours: number
    readonly peers: number
    readonly rounds: number
    /** Whether also the peers are run that wait for an answer: most of a minute. */
    readonly waits: boolean
  }
  readonly worker: number
  readonly drain: number
  readonly lost: number
  readonly growth: number
}

export const full: Counts = {
  start: 40,
  alive: 30,
  oneCpu: 30,
  next: 15,
  burst: { commands: 200, rounds: 3, floors: 100 },
  hole: { ours: 200, peers: 50, rounds: 10, waits: true },
  worker: 15,
  drain: 10,
  lost: 50,
  growth: 8
}

export const quick: Counts = {
  start: 4,
  alive: 3,
  oneCpu: 3,
  next: 1,
  burst: { commands: 15, rounds: 1, floors: 5 },
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
  /** One whose programs share one CPU, or why there is none. */
  readonly pinned: Runner | string
  readonly sink: Sink.Sink
}

type Peer = Exclude<Build.Variant, "Ours" | "Baseline">

const peerNames: Readonly<Record<Peer, string>> = {
  InProcess: "posthog-node in the process",
  Segment: "Segment in the process",
  DetachedPerEvent: "a process per event",
  BareSpawn: "floor: bare spawn",
  BareAppend: "floor: bare append",
  Loaded: "floor: the module loaded, not used",
  ByHand: "floor: recorded by hand, without the module",
  Layered: "floor: recorded in seven layers that do the least",
  LoadedLayered: "floor: the module loaded, and recorded in seven layers that do the least"
}

const peersOf = <const P extends Peer, A>(
  peers: ReadonlyArray<P>,
  value: (peer: P) => A
): Readonly<Record<string, A>> => Object.fromEntries(peers.map((peer) => [peerNames[peer], value(peer)]))

const deploy = (file: string): ReadonlyArray<string> => [process.execPath, file, "deploy", "site"]

const splitName = "split into files by its bundler"
const askedName = "asked in its main file"

const isSender = (variant: string): boolean =>
  variant === "Ours" || variant === "InProcess" || variant === "Segment" || variant === "DetachedPerEvent"

const hours = { unit: "hours of waiting", each: 1 / 3.6 }
const cpuHours = 1 / 3.6
const cpuUnit = "CPU hours"
const million = 1_000_000

/** A device whose first command has been: it is no first run any more, so it needs no terminal to be a lasting one. */
const usedDevice = async ({ programs, runner }: Bench, host: string): Promise<Device.Device> => {
  const device = Device.make(host)
  await runner.run({ words: deploy(programs.alone), env: device.env })
  return device
}

/** Whoever sends must have sent, or what was measured is nothing. */
const arrived = async (sink: Sink.Sink, wanted: number, what: string): Promise<void> => {
  const count = await sink.reaches(wanted, 10_000)
  if (count < wanted) throw new Error(`${what}: of ${wanted} messages ${count} arrived`)
}

// == at the end of a command

const startNames = [
  "Baseline",
  "Again",
  "Ours",
  "DetachedPerEvent",
  "InProcess",
  "Segment",
  "BareSpawn",
  "BareAppend"
] as const

const starts = async (
  bench: Bench,
  runner: Runner,
  rounds: number,
  options: { readonly id: string; readonly what: string; readonly noise: string; readonly budget: number }
): Promise<ReadonlyArray<Row>> => {
  const device = await usedDevice(bench, bench.sink.url)
  let expected = await bench.sink.count()
  // The message of the device's first command goes with the first worker.
  expected += device.waiting()
  const samples = await inTurn({ rounds, warm: true }, startNames, async (name) => {
    const variant = name === "Again" ? "Baseline" : name
    const { alive, wall } = await runner.run({ words: deploy(bench.programs.hosts[variant]), env: device.env })
    if (alive) throw new Error(`${options.id}: a process was left of an earlier run`)
    if (isSender(variant)) expected += 1
    return wall
  })
  await arrived(bench.sink, expected, options.id)
  return [
    paired({
      ...options,
      unit: "ms wall",
      ours: samples("Ours"),
      baseline: samples("Baseline"),
      peers: peersOf(["BareSpawn", "BareAppend", "DetachedPerEvent", "InProcess", "Segment"], samples),
      note: "PostHog answers at once, on loopback: a real round trip comes on top of those in the process",
      million: hours
    }),
    paired({
      id: options.noise,
      what: "noise: the baseline against itself",
      unit: "ms wall",
      ours: samples("Again"),
      baseline: samples("Baseline"),
      peers: {}
    })
  ]
}

const start = (bench: Bench): Promise<ReadonlyArray<Row>> =>
  starts(bench, bench.runner, bench.counts.start, {
    id: "start",
    what: "a command that starts a worker",
    noise: "noise",
    budget: 1.08
  })

const oneCpu = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const options = {
    id: "one-cpu",
    what: "the same, pinned to one CPU",
    noise: "noise-one-cpu",
    budget: 1.12
  }
  return typeof bench.pinned === "string"
    ? [notMeasured({ ...options, unit: "ms wall" }, bench.pinned)]
    : await starts(bench, bench.pinned, bench.counts.oneCpu, options)
}

const oneCpuNext = async (bench: Bench): Promise<Row> => {
  const options = { id: "one-cpu-next", what: "the command right after it, without the module", unit: "ms wall" }
  const { counts, pinned, programs, sink } = bench
  if (typeof pinned === "string") return notMeasured(options, pinned)
  const device = await usedDevice(bench, sink.url)
  const samples = await inTurn(
    { rounds: counts.next, warm: true },
    ["Baseline", "Ours", "DetachedPerEvent", "BareSpawn"],
    async (name) => {
      await pinned.run({ words: deploy(programs.hosts[name]), env: device.env, leaves: true })
      return (await pinned.run({ words: deploy(programs.hosts.Baseline), env: device.env })).wall
    }
  )
  return paired({
    ...options,
    ours: samples("Ours"),
    baseline: samples("Baseline"),
    peers: peersOf(["BareSpawn", "DetachedPerEvent"], samples),
    million: hours
  })
}

const alive = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner, sink } = bench
  const device = await usedDevice(bench, sink.url)
  const settledMillis = 300
  const samples = await inTurn(
    { rounds: counts.alive, warm: true },
    ["Baseline", "Again", "Ours", "BareAppend", "Loaded", "ByHand", "Layered", "LoadedLayered", "DetachedPerEvent"],
    async (name) => {
      const variant = name === "Again" ? "Baseline" : name
      for (let turn = 0; turn < 5; turn++) {
        await runner.run({ words: deploy(programs.hosts.Ours), env: device.env, leaves: true })
        await Processes.sleep(settledMillis)
        const { alive, wall } = await runner.run({
          words: deploy(programs.hosts[variant]),
          env: device.env,
          leaves: true
        })
        if (alive) return wall
      }
      throw new Error("alive: no worker lives after a command that starts one")
    }
  )
  await runner.run({ words: deploy(programs.hosts.Baseline), env: device.env })
  return [
    paired({
      id: "alive",
      what: "a command that finds a worker alive",
      unit: "ms wall",
      ours: samples("Ours"),
      baseline: samples("Baseline"),
      budget: 1.03,
      peers: peersOf(["BareAppend", "ByHand", "Layered", "Loaded", "LoadedLayered", "DetachedPerEvent"], samples),
      note: "or within the noise",
      million: hours
    }),
    paired({
      id: "noise-alive",
      what: "noise: the baseline against itself",
      unit: "ms wall",
      ours: samples("Again"),
      baseline: samples("Baseline"),
      peers: {}
    })
  ]
}

/** A host that is bundled with its worker, as its bundler leaves it. */
const oneFile = async (bench: Bench): Promise<Row> => {
  const { counts, programs, runner, sink } = bench
  const device = await usedDevice(bench, sink.url)
  const file = {
    Baseline: programs.hosts.Baseline,
    OneFile: programs.oneFile,
    Asked: programs.asked,
    Split: programs.split,
    Beside: programs.hosts.Ours
  }
  const names = ["Baseline", "OneFile", "Asked", "Split", "Beside"] as const
  const samples = await inTurn({ rounds: counts.alive, warm: true }, names, async (name) => {
    device.backOff()
    return (await runner.run({ words: deploy(file[name]), env: device.env })).wall
  })
  return paired({
    id: "one-file",
    what: "a command of a host that is one file, its worker in it",
    unit: "ms wall",
    ours: samples("OneFile"),
    baseline: samples("Baseline"),
    peers: {
      [askedName]: samples("Asked"),
      [splitName]: samples("Split"),
      "beside its installed package": samples("Beside")
    },
    note: "no worker is started",
    million: hours
  })
}

// == bursts

/** A PostHog that is not there. */
const nobody = "http://127.0.0.1:9"

const burst = async (
  bench: Bench,
  runner: Runner | string,
  of: "cpu" | "wall"
): Promise<Row> => {
  const { commands, floors, rounds } = bench.counts.burst
  const options = of === "cpu"
    ? { id: "burst-cpu", what: `${commands} commands in a row: hosts and workers`, unit: "ms CPU", budget: 1.1 }
    : { id: "burst-wall", what: `${commands} commands in a row, on one CPU`, unit: "ms wall", budget: 1.15 }
  if (typeof runner === "string") return notMeasured(options, runner)
  if (of === "cpu" && runner.counts !== true) return notMeasured(options, runner.counts)
  const device = await usedDevice(bench, bench.sink.url)
  const expected = (await bench.sink.count()) + device.waiting() + commands * rounds
  const take = async (name: Build.Variant, { env }: Device.Device, times: number) =>
    (await runner.run({ words: deploy(bench.programs.hosts[name]), env, times }))[of] ?? Number.NaN
  const samples = await inTurn({ rounds, warm: false }, ["Baseline", "Ours"], (name) => take(name, device, commands))
  await arrived(bench.sink, expected, options.id)
  const peers = ["DetachedPerEvent", "InProcess"] as const
  const others = await inTurn({ rounds: 1, warm: false }, peers, (name) => take(name, device, commands))

  // No worker is part of the floor, so it needs no burst: command by command, the machine's moods fall on both alike.
  const floorDevice = await usedDevice(bench, nobody)
  const before = floorDevice.waiting()
  const floor = await inTurn(
    { rounds: floors, warm: false },
    ["Baseline", "Again", "LoadedLayered"],
    (name) => take(name === "Again" ? "Baseline" : name, floorDevice, 1)
  )
  if (floorDevice.waiting() !== before + floors) {
    throw new Error(`${options.id}: of the floor's ${floors} events ${floorDevice.waiting() - before} were recorded`)
  }
  const scale = median(samples("Baseline")) / median(floor("Baseline"))
  const scaled = (name: "Again" | "LoadedLayered") => floor(name).map((sample) => sample * scale)
  return paired({
    ...options,
    ours: samples("Ours"),
    baseline: samples("Baseline"),
    peers: {
      ...peersOf(["LoadedLayered"], scaled),
      "noise: the baseline against itself": scaled("Again"),
      ...peersOf(peers, others)
    },
    note: "floor and noise command by command, in turn",
    million: of === "cpu"
      ? { unit: cpuUnit, each: cpuHours / commands }
      : { ...hours, each: hours.each / commands }
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
    unit: "processes",
    budget: 1
  }
  const memory = { id: "hole-memory", what: "and their memory", unit: "MiB", budget: 90 }
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
    const once = async (name: Build.Variant): Promise<number> => {
      const { wall } = await runner.run({ words: deploy(programs.hosts[name]), env: device.env, leaves: true })
      Processes.end(Processes.leftInProc())
      return wall
    }
    const walls = await inTurn({ rounds: counts.hole.rounds, warm: true }, ["Baseline", "Ours"], once)
    const inProcess = counts.hole.waits ? [await once("InProcess")] : []
    const name = `${peerNames.DetachedPerEvent} (${counts.hole.peers} commands)`
    return [
      single({ ...workers, ours: [ours.most], peers: { [name]: peer.most } }),
      single({
        ...memory,
        ours: [ours.memory],
        peers: { [name]: peer.memory },
        note: "proportional: what processes share is divided among them"
      }),
      paired({
        ...wall,
        ours: walls("Ours"),
        baseline: walls("Baseline"),
        peers: { [peerNames.InProcess]: inProcess },
        million: hours
      })
    ]
  } finally {
    await sink.close()
  }
}

// == the worker

const worker = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner, sink } = bench
  const one = { id: "worker", what: "a worker that sends one event over http", unit: "ms CPU", budget: 60 }
  const reexecuted = { id: "worker-reexecuted", what: "a bundled host as its own worker", unit: "ms CPU", budget: 75 }
  const tls = { id: "worker-tls", what: "the shipped worker over TLS", unit: "ms CPU", budget: 75 }
  if (runner.counts !== true) {
    const why = runner.counts
    return [one, reexecuted, tls].map((row) => notMeasured(row, why))
  }
  const device = await usedDevice(bench, sink.url)
  const certificate = Device.certificate((args) =>
    ChildProcess.spawnSync("openssl", args, { stdio: "ignore", timeout: 20_000 }).status === 0
  )
  const secure = typeof certificate === "string" ? undefined : await Sink.open({ tls: certificate })
  const secureDevice = secure === undefined ? undefined : await usedDevice(bench, secure.url)
  const ca = typeof certificate === "string" ? "" : certificate.file

  const send = async (file: string, device: Device.Device, sink: Sink.Sink) => {
    device.fill(1)
    const expected = (await sink.count()) + 1
    const env = { ...device.workerEnv(true), ...(sink === secure ? { NODE_EXTRA_CA_CERTS: ca } : {}) }
    const { cpu } = await runner.run({ words: [process.execPath, file, marker], env })
    await arrived(sink, expected, "worker")
    return cpu ?? Number.NaN
  }
  const capture = async (file: string) => {
    const env = {
      ...device.env,
      BENCH_EVENT: JSON.stringify({
        host: sink.url,
        key: "phc_bench",
        name: "event",
        distinctId: "device",
        properties: {}
      })
    }
    return (await runner.run({ words: [process.execPath, file], env })).cpu ?? Number.NaN
  }
  try {
    const samples = await inTurn(
      { rounds: counts.worker, warm: true },
      ["Ours", "Reexecuted", "Asked", "Split", "Tls", "Bundled", "Unbundled", "Empty"],
      async (name) => {
        switch (name) {
          case "Ours":
            return await send(programs.worker, device, sink)
          case "Reexecuted":
            return await send(programs.oneFile, device, sink)
          case "Asked":
            return await send(programs.asked, device, sink)
          case "Tls":
            return secure === undefined || secureDevice === undefined
              ? Number.NaN
              : await send(programs.worker, secureDevice, secure)
          case "Split":
            return await send(programs.split, device, sink)
          case "Bundled":
            return await capture(programs.capture)
          case "Unbundled":
            return await capture(programs.captureUnbundled)
          case "Empty":
            return await capture(programs.empty)
        }
      }
    )
    const peers = {
      "floor: an empty Node": median(samples("Empty")),
      "posthog-node, bundled": median(samples("Bundled")),
      "posthog-node, unbundled": median(samples("Unbundled"))
    }
    const cost = { unit: `${cpuUnit}, if each run started one`, of: (ms: number) => ms * cpuHours }
    return [
      single({ ...one, ours: samples("Ours"), peers, million: cost }),
      single({
        ...reexecuted,
        ours: samples("Reexecuted"),
        peers: { [askedName]: median(samples("Asked")), [splitName]: median(samples("Split")) },
        million: cost
      }),
      typeof certificate === "string"
        ? notMeasured(tls, certificate)
        : single({ ...tls, ours: samples("Tls"), million: cost })
    ]
  } finally {
    await secure?.close()
  }
}

/** CPU milliseconds of a worker that finds so many messages waiting, as on a device that was offline. */
const drainOf = async (bench: Bench, device: Device.Device, count: number): Promise<number> => {
  device.fill(count)
  const expected = (await bench.sink.count()) + count
  const { cpu } = await bench.runner.run({
    words: [process.execPath, bench.programs.worker, marker],
    env: device.workerEnv(true)
  })
  await arrived(bench.sink, expected, "drain")
  return cpu ?? Number.NaN
}

const drain = async (bench: Bench): Promise<Row> => {
  const events = 200
  const options = { id: "drain", what: `CPU per event in a drain of ${events}`, unit: "ms CPU", budget: 0.5 }
  if (bench.runner.counts !== true) return notMeasured(options, bench.runner.counts)
  const device = await usedDevice(bench, bench.sink.url)
  const samples = await inTurn(
    { rounds: bench.counts.drain, warm: true },
    ["Ours"],
    async () => await drainOf(bench, device, events) / events
  )
  return single({
    ...options,
    ours: samples("Ours"),
    note: "the whole worker, its start included",
    million: { unit: cpuUnit, of: (ms) => ms * cpuHours }
  })
}

const sizes = ["1", "10", "100", "1000"] as const

const growth = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner, sink } = bench
  const device = await usedDevice(bench, sink.url)
  const captures = await inTurn({ rounds: counts.growth * 2, warm: true }, sizes, async (size) => {
    device.fill(Number(size))
    return (await runner.run({ words: deploy(programs.alone), env: device.env })).wall
  })
  const capture = paired({
    id: "growth-capture",
    what: "a command with 1,000 messages waiting (baseline: with one)",
    unit: "ms wall",
    ours: captures("1000"),
    baseline: captures("1"),
    peers: { "10 waiting": captures("10"), "100 waiting": captures("100") },
    note: "no worker is started"
  })
  const options = { id: "growth-drain", what: "CPU that one more waiting message costs a worker", unit: "ms CPU" }
  if (runner.counts !== true) return [capture, notMeasured(options, runner.counts)]
  const drains = await inTurn(
    { rounds: counts.growth, warm: true },
    sizes,
    (size) => drainOf(bench, device, Number(size))
  )
  const points = sizes.map((size) => [Number(size), median(drains(size))] as const)
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

const container = async (bench: Bench): Promise<Row> => {
  const { counts, programs, runner, sink } = bench
  const options = {
    id: "container",
    what: `delivered when the container ends with the CLI, of ${counts.lost}`,
    unit: "events",
    budget: counts.lost
  }
  const { namespace } = Machine
  if (typeof namespace === "string") return notMeasured(options, namespace)
  const delivered = async (name: Build.Variant): Promise<number> => {
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
  }
  const peers: ReadonlyArray<Peer> = ["DetachedPerEvent", "InProcess", "Segment"]
  const ours = await delivered("Ours")
  const others = new Map<Peer, number>()
  for (const peer of peers) others.set(peer, await delivered(peer))
  return single({
    ...options,
    ours: [ours],
    peers: peersOf(peers, (peer) => others.get(peer) ?? null),
    million: { unit: "events lost, if each run were one", of: (events) => (1 - events / counts.lost) * million }
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
    budget: counts.lost
  }
  if (process.platform === "win32") return notMeasured(options, "Windows has no process groups to interrupt")
  const recorded = async (name: Build.Variant): Promise<number> => {
    const device = await usedDevice(bench, sink.url)
    const first = name === "Ours" ? device.waiting() : 0
    const before = (await sink.count()) + first
    for (let n = 0; n < counts.lost; n++) await interrupted(programs.hosts[name], device.env)
    return (await sink.reaches(before + counts.lost, 3000)) - before
  }
  const ours = await recorded("Ours")
  const peers: ReadonlyArray<Peer> = ["DetachedPerEvent", "InProcess", "Segment"]
  const others = new Map<Peer, number>()
  for (const peer of peers) others.set(peer, await recorded(peer))
  await Processes.gone()
  return single({
    ...options,
    ours: [ours],
    peers: peersOf(peers, (peer) => others.get(peer) ?? null),
    million: { unit: "events lost, if each run ended so", of: (events) => (1 - events / counts.lost) * million }
  })
}

// == size

const size = async (): Promise<Row> => {
  const variants = ["Baseline", "Ours", "DetachedPerEvent", "InProcess", "Segment"] as const
  const bundles = new Map<Build.Variant, { readonly plain: number; readonly zipped: number }>()
  for (const variant of variants) {
    const { text } = await Build.bundle(variant)
    bundles.set(variant, { plain: text.length, zipped: gzipSync(text).length })
  }
  const kb = (variant: Build.Variant, of: "plain" | "zipped"): number =>
    ((bundles.get(variant)?.[of] ?? Number.NaN) - (bundles.get("Baseline")?.[of] ?? Number.NaN)) / 1000
  return single({
    id: "size",
    what: "minified bytes that the module adds to a bundled host",
    unit: "kB",
    ours: [kb("Ours", "plain")],
    budget: Build.sizeBudget / 1000,
    peers: {
      "ours, compressed": kb("Ours", "zipped"),
      ...peersOf(["DetachedPerEvent", "InProcess", "Segment"], (peer) => kb(peer, "plain"))
    }
  })
}

/** Every measurement, in the order in which they are made. */
export const all: Readonly<Record<string, (bench: Bench) => Promise<Row | ReadonlyArray<Row>>>> = {
  start,
  alive,
  "one-file": oneFile,
  "one-cpu": oneCpu,
  "one-cpu-next": oneCpuNext,
  "burst-cpu": (bench) => burst(bench, bench.runner, "cpu"),
  "burst-wall": (bench) => burst(bench, bench.pinned, "wall"),
  hole,
  worker,
  drain,
  container,
  "ctrl-c": ctrlC,
  growth,
  size
}
