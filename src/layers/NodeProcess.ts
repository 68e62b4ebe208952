/** What every process of the module is: the host's, and the worker. */
import * as Effect from "effect/Effect"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import type * as NodeSea from "node:sea"
import { fileURLToPath } from "node:url"
import type { HostRuntime } from "../services/HostRuntime.ts"
import { disk } from "./NodeDisk.ts"
import { isOwnWorker } from "./WorkerMarks.ts"

// == the runtime

const { bun, deno, node } = process.versions

const runtime = bun !== undefined
  ? { language: "bun", version: bun }
  : deno !== undefined
  ? { language: "deno", version: deno }
  : { language: "node", version: node }

// == the worker

// `.ts` in a checkout; in the published package the worker is one file. Bundled into a host, this module has the host's
// name, and the host is its own worker if it said so when it started.
const shippedWorker = (): string | undefined => {
  // V8 is asked: a bundler may replace `import.meta.url` by a path of the machine that it ran on.
  const [here] = process.getBuiltinModule("node:util").getCallSites(1, { sourceMap: false })
  const script = here?.scriptName ?? ""
  // Node.js names a module by its URL, other runtimes by its path. In the package this module is a part of another.
  const path = script.startsWith("file:") ? fileURLToPath(script) : script
  const [, root, language] = /^(.*[\\/])layers[\\/](?:Steady|NodeProcess)\.([jt])s$/.exec(path) ?? []
  if (root === undefined) return undefined
  const file = `${root}worker/main.${language === "t" ? "ts" : "cjs"}`
  return NodeFs.existsSync(file) ? file : undefined
}

// Yarn keeps packages in archives, whose files only its loader finds. A worker has no NODE_OPTIONS that name the loader.
const loaderOf = (file: string): ReadonlyArray<string> => {
  if (process.versions["pnp"] === undefined) return []
  try {
    return ["--require", process.getBuiltinModule("node:module").createRequire(file).resolve("pnpapi")]
  } catch {
    // A host that is installed elsewhere and runs in a script of the project: its worker is a file as any other.
    return []
  }
}

declare const Deno: { readonly build: { readonly standalone?: boolean } }

// A single executable is started without a script.
const isExecutable = (script: string): boolean => {
  // Not every runtime that runs Node.js's programs has the module.
  const sea: Pick<typeof NodeSea, "isSea"> | undefined = process.getBuiltinModule("node:sea")
  if (sea?.isSea()) return true
  // Bun names the script by a file system that is in the executable.
  if (bun !== undefined) return /^(\/\$bunfs|[a-z]:[\\/]~BUN)[\\/]/i.test(script)
  return deno !== undefined && Deno.build.standalone === true
}

const workerArguments = (): ReadonlyArray<string> | undefined => {
  if (!isOwnWorker()) {
    const file = shippedWorker()
    return file === undefined ? undefined : [...loaderOf(file), file]
  }
  const script = process.argv[1]
  return script === undefined || isExecutable(script) ? [] : [script]
}

// == processes

/** The kernel's number for the initial PID namespace (PROC_PID_INIT_INO). */
export const initialPidNamespace = "pid:[4026531836]"

/** Returns the PID namespace of this process; undefined where the platform has none, or it cannot be read. */
export const pidNamespace = (): string | undefined => {
  try {
    return NodeFs.readlinkSync("/proc/self/ns/pid")
  } catch {
    return undefined
  }
}

// Undefined where the runtime does not tell this process the machine's name, as Deno may: then no mark says anything.
const placeOf = (): string | undefined => {
  try {
    return `${NodeOs.hostname()} ${pidNamespace()}`
  } catch {
    return undefined
  }
}

// In ticks since the machine's start; empty where it is not known, and for a process that has ended, even if its parent has
// not taken notice yet.
const beginningOf = (pid: number | string): string => {
  try {
    // `/proc` may be that of another PID namespace.
    if (NodeFs.readlinkSync("/proc/self") !== String(process.pid)) return ""
    // After the name, which may hold anything: the state, and 19 fields later the beginning.
    const fields = NodeFs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? []
    return fields[0] === "Z" ? "" : fields[19] ?? ""
  } catch {
    return ""
  }
}

const isAlive = (mark: string): boolean | undefined => {
  const [, pid, began, place] = /^(\d+) (\d*) (.*)$/.exec(mark) ?? []
  if (pid === undefined || place !== placeOf()) return undefined
  if (began !== "") return began === beginningOf(pid)
  try {
    return process.kill(Number(pid), 0)
  } catch {
    // There is none, or it is another user's.
    return false
  }
}

// == the end of the process

// Bun ends a process with 1 at an unhandled rejection, and gives its listeners 0 and no error (ADR 0025). Then nothing
// has called `process.exit`.
const isRejection = (code: number): boolean =>
  bun !== undefined && code === 0 && process.exitCode === undefined &&
  !process.getBuiltinModule("node:util").getCallSites().some(({ functionName }) => functionName === "exit")

type ExitListener = Parameters<HostRuntime["Service"]["onExit"]>[0]

// One pair of listeners for all: Node.js warns of the eleventh, and a process may run many commands at once.
const exitListeners = new Set<{ readonly listener: ExitListener; thrown: unknown }>()
let isExiting = false
const onThrow = (error: unknown) => {
  for (const each of exitListeners) each.thrown = error
  // Deno does not run the listeners of "exit" then.
  if (deno !== undefined && process.listenerCount("uncaughtException") === 0) onEnd(1)
}
// The last one first: a command records before delivery begins.
const onEnd = (code: number) => {
  isExiting = true
  const actual = isRejection(code) ? 1 : code
  for (const { listener, thrown } of [...exitListeners].toReversed()) listener(actual, thrown)
}

const signals: ReadonlyArray<NodeJS.Signals> = ["SIGINT", "SIGTERM"]

const onSignal: HostRuntime["Service"]["onSignal"] = (listener) => {
  const remove = () => {
    for (const signal of signals) process.removeListener(signal, onEither)
  }
  // On Deno the listeners run in the order in which they were added, so that another one may have run and gone.
  const heard = new Set(deno === undefined ? [] : signals.filter((signal) => process.listenerCount(signal) > 0))
  const onEither = (signal: NodeJS.Signals) => {
    // Without another listener the signal would have ended the process. Counted before the others have run and gone.
    const isAlone = process.listenerCount(signal) === 1 && !heard.has(signal)
    remove()
    listener()
    if (isAlone) process.kill(process.pid, signal)
  }
  for (const signal of signals) process.prependListener(signal, onEither)
  return remove
}

/** Merges two objects whose getters stay getters. */
export const merge = <A extends object, B extends object>(first: A, second: B): A & B =>
  Object.defineProperties(
    Object.defineProperties(Object.create(null), Object.getOwnPropertyDescriptors(first)),
    Object.getOwnPropertyDescriptors(second)
  )

/** What Node.js knows of any process without a look at the machine. */
export const current = {
  runtime,
  os: { type: NodeOs.type(), release: NodeOs.release(), arch: process.arch },
  pid: process.pid,
  markOf: (pid) => `${pid} ${beginningOf(pid)} ${placeOf()}`,
  isAlive,
  uid: process.geteuid === undefined || process.getuid === undefined
    ? undefined
    : { effective: process.geteuid(), real: process.getuid() },
  disk,
  uuid: () => process.getBuiltinModule("node:crypto").randomUUID(),
  sha256: (text) => process.getBuiltinModule("node:crypto").createHash("sha256").update(text).digest("hex"),
  executable: process.execPath,
  get worker() {
    return workerArguments()
  },
  exitCode: Effect.sync(() => Number(process.exitCode ?? 0)),
  // A host may have replaced `process.env` by an object that cannot be written.
  setVariable: (name, value) =>
    Effect.ignore(Effect.try(() => {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    })),
  interrupted: Effect.callback((resume) => Effect.sync(onSignal(() => process.nextTick(() => resume(Effect.void))))),
  onSignal,
  onExit: (listener) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        const entry = { listener, thrown: undefined }
        exitListeners.add(entry)
        if (exitListeners.size > 1) return entry
        process.on("uncaughtExceptionMonitor", onThrow)
        process.on("exit", onEnd)
        return entry
      }),
      (entry) =>
        Effect.sync(() => {
          exitListeners.delete(entry)
          if (exitListeners.size > 0) return
          process.removeListener("uncaughtExceptionMonitor", onThrow)
          process.removeListener("exit", onEnd)
        })
    )),
  isExiting: Effect.sync(() => isExiting)
} satisfies Partial<HostRuntime["Service"]>
