/**
 * Which modules a host loads because of this package, and which its worker loads.
 */
import { execFile } from "node:child_process"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { marker } from "../src/layers/WorkerMarks.ts"
import { root } from "./Build.ts"
import * as Device from "./Device.ts"
import * as Sink from "./Sink.ts"

export interface Graph {
  /** Files, as paths below `node_modules` or the repository. */
  readonly files: ReadonlyArray<string>
  /** Node's own modules, internal ones too. */
  readonly builtins: ReadonlyArray<string>
}

const named = (url: string): string => {
  const path = decodeURIComponent(url.replace(/^file:\/\//, ""))
  const modules = path.lastIndexOf("/node_modules/")
  return modules < 0 ? Path.relative(root, path) : path.slice(modules + "/node_modules/".length)
}

/** What a Node with these arguments loads. */
export const record = async (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
): Promise<Graph & { readonly stdout: string }> => {
  const file = Path.join(Device.folder, `graph-${Crypto.randomUUID()}.json`)
  const recorder = pathToFileURL(Path.join(root, "bench/graph/record.ts")).href
  const options = { env: { ...env, BENCH_GRAPH: file }, timeout: 30_000 }
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", recorder, ...args], options)
  const { builtins, files }: Graph = JSON.parse(Fs.readFileSync(file, "utf8"))
  return {
    stdout,
    files: files.filter((url) => url.startsWith("file:") && url !== recorder).map(named).toSorted(),
    builtins: builtins.toSorted()
  }
}

const without = (all: ReadonlyArray<string>, some: ReadonlyArray<string>): ReadonlyArray<string> =>
  all.filter((name) => !some.includes(name))

/** What the graphs are of. */
export interface Graphs {
  /** acme without the module. */
  readonly baseline: Graph
  /** What acme loads more because of the module: a command that is recorded, and starts a worker. */
  readonly added: Graph
  /** A worker that delivers that command's event. */
  readonly worker: Graph
  /** Whether all of them did what they should have: what does nothing loads nothing. */
  readonly ran: boolean
}

/** Runs all of them from source, where each module is a file. */
export const make = async (): Promise<Graphs> => {
  const sink = await Sink.open()
  try {
    const acme = [Path.join(root, "examples/acme/main.ts"), "deploy", "site"]
    const device = Device.make(sink.url)
    const swap = pathToFileURL(Path.join(root, "bench/hosts/Baseline.ts")).href
    const baseline = await record(acme, { ...device.env, BENCH_SWAP: swap })
    const host = await record(acme, device.env)
    const delivered = await sink.reaches(1, 15_000)
    // Nobody is started for this one's event, so it is there for a worker that is looked at.
    const other = Device.make(sink.url)
    other.backOff()
    await record(acme, other.env)
    const worker = await record([Path.join(root, "src/worker/main.ts"), marker], other.workerEnv)
    return {
      baseline,
      added: {
        files: without(host.files, baseline.files).filter((name) => !name.startsWith("bench/")),
        builtins: without(host.builtins, baseline.builtins)
      },
      worker,
      ran: delivered === 1 && (await sink.reaches(2, 0)) === 2 && baseline.stdout === host.stdout &&
        host.stdout.includes("Deployed")
    }
  } finally {
    await sink.close()
  }
}

const list = (title: string, names: ReadonlyArray<string>): string =>
  [`${title}: ${names.length}`, ...names.map((name) => `  ${name}`)].join("\n")

/** The lists, for people. */
export const report = async (): Promise<string> => {
  const { added, baseline, worker } = await make()
  return [
    `acme without the module loads ${baseline.files.length} files and ${baseline.builtins.length} of Node's modules.`,
    list("Files that a host loads because of the module", added.files),
    list("Node's own modules that a host loads because of it", added.builtins),
    list("Files that the worker loads", worker.files),
    list("Node's own modules that the worker loads", worker.builtins)
  ].join("\n\n")
}
