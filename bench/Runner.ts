/**
 * Runs whole processes and measures them, with all that they leave behind.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { out } from "./Build.ts"
import * as Processes from "./Processes.ts"

export interface Request {
  readonly words: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  /** How often, one after the other; once where it is not said. */
  readonly times?: number
  /** Does not wait for the processes that are left behind. */
  readonly leaves?: boolean
}

export interface Outcome {
  /** Milliseconds until the last program ended, without waiting for what it left behind. */
  readonly wall: number
  /** CPU milliseconds of the programs and of all that they left behind; undefined where it cannot be known. */
  readonly cpu: number | undefined
  /** Whether an earlier request had left a process that still lived. */
  readonly alive: boolean
}

export interface Runner {
  readonly run: (request: Request) => Promise<Outcome>
  /** Whether the CPU time of orphans is known; else why not. */
  readonly counts: true | string
  readonly close: () => void
}

// prctl and getrusage.
const systemCalls: Readonly<Record<string, ReadonlyArray<string>>> = { x64: ["157", "98"], arm64: ["167", "165"] }

// What the programs complain of: posthog-node does when nobody answers.
const complaints = Path.join(out, "stderr.log")
const stderr = (): number => Fs.openSync(complaints, "a")

const failure = (request: Request, failed: string): Error =>
  new Error(`${failed} of ${request.times ?? 1} failed (${complaints}): ${request.words.join(" ")}`)

const perl = (prefix: ReadonlyArray<string>): Promise<Runner | undefined> =>
  new Promise((resolve) => {
    const numbers = process.platform === "linux" ? systemCalls[process.arch] : undefined
    if (numbers === undefined) return resolve(undefined)
    const [file = "", ...args] = [...prefix, "perl", Path.join(import.meta.dirname, "runner.pl"), ...numbers]
    const child = ChildProcess.spawn(file, args, { stdio: ["pipe", "pipe", stderr()] })
    const { stdin, stdout } = child
    if (stdin === null || stdout === null) return resolve(undefined)
    let answered: (line: string | undefined) => void = (line) => resolve(line === "ready" ? runner : undefined)
    child.once("error", () => answered(undefined))
    child.once("close", () => answered(undefined))
    stdin.on("error", () => {})
    createInterface(stdout).on("line", (line) => answered(line))
    const runner: Runner = {
      counts: true,
      close: () => stdin.end(),
      run: (request) =>
        new Promise((resolve, reject) => {
          answered = (line) => {
            const [wall, cpu, alive, failed = "all"] = line?.split("\t") ?? []
            if (failed !== "0") return reject(failure(request, failed))
            resolve({ wall: Number(wall) / 1000, cpu: Number(cpu) / 1000, alive: alive === "1" })
          }
          const env = Object.entries(request.env).map(([name, value]) => `${name}=${value}`)
          const fields = [request.leaves === true ? 0 : 1, request.times ?? 1, env.length, ...env, ...request.words]
          stdin.write(`${fields.join("\t")}\n`)
        })
    }
  })

// Without a subreaper: wall times are right, orphans are waited for by their marks, and their CPU time is not known.
const plain = (prefix: ReadonlyArray<string>): Runner => {
  const log = stderr()
  const once = (request: Request): Promise<void> =>
    new Promise((resolve, reject) => {
      const [file = "", ...args] = [...prefix, ...request.words]
      const child = ChildProcess.spawn(file, args, { env: { ...request.env }, stdio: ["ignore", "ignore", log] })
      child.once("error", reject)
      child.once("exit", (code) => code === 0 ? resolve() : reject(failure(request, "1")))
    })
  return {
    counts: "the CPU time of detached processes needs a child subreaper: Linux on x64 or arm64, with Perl",
    close: () => {},
    run: async (request) => {
      const alive = Processes.left().length > 0
      const startedAt = performance.now()
      for (let n = 0; n < (request.times ?? 1); n++) await once(request)
      const wall = performance.now() - startedAt
      if (request.leaves !== true) await Processes.gone()
      return { wall, cpu: undefined, alive }
    }
  }
}

/** A runner whose programs, and all that they leave, run behind these words. */
export const make = async (prefix: ReadonlyArray<string> = []): Promise<Runner> => (await perl(prefix)) ?? plain(prefix)
