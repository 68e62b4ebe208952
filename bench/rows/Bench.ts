/**
 * What the measurements share.
 */
import * as Build from "../Build.ts"
import * as Device from "../Device.ts"
import type { Budget, Million } from "../Result.ts"
import type { Runner } from "../Runner.ts"
import type * as Sink from "../Sink.ts"

/** How many rounds, commands or events. */
export const full = {
  start: 40,
  alive: 40,
  off: 60,
  oneCpu: 30,
  next: 15,
  burst: { commands: 200, rounds: 3 },
  /** `waits` says whether the peers that wait for an answer run too: most of a minute. */
  hole: { ours: 200, peers: 50, rounds: 10, waits: true },
  worker: 15,
  drain: 10,
  lost: 50,
  growth: 8
}

export const quick: typeof full = {
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
  readonly counts: typeof full
  readonly programs: Build.Programs
  readonly runner: Runner
  /** A runner whose programs share one CPU, or why there is none. */
  readonly pinned: Runner | string
  readonly sink: Sink.Sink
}

export const labels = {
  BareSpawn: "floor: bare spawn",
  ByHand: "floor: recorded by hand",
  ByHandEntry: "floor: recorded by hand in this form",
  ByHandAsked: "floor: recorded by hand in this form",
  DetachedPerEvent: "a process per event",
  InProcess: "posthog-node in the process",
  Segment: "Segment in the process"
}

type Label = keyof typeof labels
export type Peer = Extract<Label, Build.Variant>

export const named = (...peers: ReadonlyArray<Label>): Readonly<Record<string, string>> =>
  Object.fromEntries(peers.map((peer) => [peer, labels[peer]]))

/** What a floor costs in the same rounds, and some points. A point is a hundredth of the baseline. */
export const floor = (name: Label, points: number): Budget => ({
  is: `${labels[name].replace("floor: ", "")} + ${points} points`,
  of: (ratio) => ratio(name) + points / 100
})

export const constant = (budget: number): Budget => ({ of: () => budget })

export const deploy = (file: string): ReadonlyArray<string> => [process.execPath, file, "deploy", "site"]

export const hostOf = (name: Build.Variant | "Again"): Build.Variant => name === "Again" ? "Baseline" : name

export const askedName = "asked in its main file"
export const splitName = "its entry split by a bundler"

export const isSender = (variant: string): boolean =>
  ["Ours", "InProcess", "Segment", "DetachedPerEvent"].includes(variant)

export const hours: Million = { unit: "hours of waiting", of: (ms, baseline) => (ms - baseline) / 3.6 }
export const cpuUnit = "CPU hours"

/** A device whose first commands have been, with their messages waiting: a later command is a steady one. */
export const usedDevice = async ({ programs, runner }: Bench, host: string): Promise<Device.Device> => {
  const device = Device.make(host)
  device.backOff()
  await runner.run({ words: deploy(programs.hosts.Ours), env: device.env, times: 3 })
  if (device.waiting() !== 3) throw new Error(`of a device's first 3 events ${device.waiting()} were recorded`)
  device.delivers()
  return device
}

/** Fails where events are missing: a host that does nothing is cheap. */
export const arrived = async (sink: Sink.Sink, wanted: number, what: string): Promise<void> => {
  const count = await sink.reaches(wanted, 10_000)
  if (count < wanted) throw new Error(`${what}: of ${wanted} messages ${count} arrived`)
}
