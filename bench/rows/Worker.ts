/**
 * What a worker costs.
 */
import { marker } from "../../src/layers/WorkerMarks.ts"
import * as Device from "../Device.ts"
import { type Million, notMeasured, paired, type Row, single } from "../Result.ts"
import * as Sink from "../Sink.ts"
import { inTurn, middle, slope } from "../Statistics.ts"
import { arrived, askedName, type Bench, constant, cpuUnit, deploy, splitName, usedDevice } from "./Bench.ts"

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

export const worker = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
  const { counts, programs, runner, sink } = bench
  const one = { id: "worker", what: "a worker that sends one event over http", unit: "ms CPU" }
  const reexecuted = { id: "worker-reexecuted", what: "a bundled host as its own worker", unit: "ms CPU" }
  const tls = { id: "worker-tls", what: "the shipped worker over TLS", unit: "ms CPU" }
  if (runner.counts !== true) {
    const why = runner.counts
    return [one, reexecuted, tls].map((row) => notMeasured(row, why))
  }
  const device = await usedDevice(bench, sink.url)
  const certificate = Device.certificate()
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

export const drain = async (bench: Bench): Promise<Row> => {
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

export const growth = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
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
