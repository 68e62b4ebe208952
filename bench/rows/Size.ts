/**
 * What a steady command looks at on the disk, and the code that it loads.
 */
import { gzipSync } from "node:zlib"
import * as Build from "../Build.ts"
import * as Graph from "../Graph.ts"
import * as Looks from "../Looks.ts"
import * as Machine from "../Machine.ts"
import { notMeasured, type Row, single } from "../Result.ts"
import { type Bench, deploy, labels, type Peer, usedDevice } from "./Bench.ts"

export const looks = async ({ programs, runner, sink }: Bench): Promise<ReadonlyArray<Row>> => {
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

export const size = async (bench: Bench): Promise<ReadonlyArray<Row>> => {
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
