/** The part of `HostRuntime` that the host's process and the worker have in common. */
import * as Effect from "effect/Effect"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import type * as NodeSea from "node:sea"
import { fileURLToPath } from "node:url"
import type { HostRuntime } from "../services/HostRuntime.ts"
import { disk } from "./NodeDisk.ts"
import { getOwnWorker, type OwnWorker } from "./WorkerMarks.ts"

// == the runtime

const { bun, deno, node } = process.versions

const runtime = bun !== undefined
  ? { language: "bun", version: bun }
  : deno !== undefined
  ? { language: "deno", version: deno }
  : { language: "node", version: node }

// == the worker

// Bun and Deno apply source maps to call sites.
const hasExactCallSites = runtime.language === "node"

// Node.js names a module by its URL, other runtimes by its path.
const pathOf = (script: string): string => script.startsWith("file:") ? fileURLToPath(script) : script

// The worker is `main.ts` in a checkout and `main.cjs` in the published package. A bundled host has no such file: it is
// its own worker if it called `isWorker()` (ADR 0010).
const shippedWorker = (): string | undefined => {
  // Not `import.meta.url`, which a bundler may replace by a path of the build machine.
  const [callSite] = process.getBuiltinModule("node:util").getCallSites(1, { sourceMap: false })
  const script = callSite?.scriptName ?? ""
  // In the package this module is part of `Steady`.
  const [, root, language] = /^(.*[\\/])layers[\\/](?:Steady|NodeProcess)\.([jt])s$/.exec(pathOf(script)) ?? []
  if (root === undefined) return undefined
  const file = `${root}worker/main.${language === "t" ? "ts" : "cjs"}`
  return NodeFs.existsSync(file) ? file : undefined
}

// Yarn keeps packages in archives, which only its loader can read. A worker has no NODE_OPTIONS, so it names the
// loader.
const loaderOf = (file: string): ReadonlyArray<string> => {
  if (process.versions["pnp"] === undefined) return []
  try {
    return ["--require", process.getBuiltinModule("node:module").createRequire(file).resolve("pnpapi")]
  } catch {
    // The host is installed outside the Yarn project, so its worker is an ordinary file.
    return []
  }
}

declare const Deno: { readonly build: { readonly standalone?: boolean } }

// Returns whether the process is a single executable, which starts without a script.
const isExecutable = (script = ""): boolean => {
  // Some runtimes for Node.js programs do not have the module.
  const sea: Pick<typeof NodeSea, "isSea"> | undefined = process.getBuiltinModule("node:sea")
  if (sea?.isSea()) return true
  // In a Bun executable, the path of the script is in a virtual file system.
  if (bun !== undefined) return /^(\/\$bunfs|[a-z]:[\\/]~BUN)[\\/]/i.test(script)
  return deno !== undefined && Deno.build.standalone === true
}

// Returns the file that asks whether it is a worker when it runs as the main script: the innermost file whose top-level
// code was running, or else the last one before the module loader.
const askingFile = ({ callSites }: OwnWorker): string | undefined => {
  let file: string | undefined
  for (const { functionName, scriptName } of callSites) {
    if (/^(node:|\[)/.test(scriptName)) break
    const path = pathOf(scriptName)
    if (!NodePath.isAbsolute(path)) continue
    file = path
    if (functionName === "") break
  }
  return file !== undefined && NodeFs.existsSync(file) ? file : undefined
}

// Returns the script with which a bundled host runs as its own worker. The script of the process may be another one: it
// imported the host, or it is an argument of `node --eval` (ADR 0010).
const ownScript = (own: OwnWorker): string | undefined => hasExactCallSites ? askingFile(own) : own.script

const workerArguments = (): ReadonlyArray<string> | undefined => {
  const own = getOwnWorker()
  // An executable would take a file for an argument of the user.
  if (isExecutable(own === undefined ? process.argv[1] : own.script)) return own === undefined ? undefined : []
  // Preferred to the host's file, which may need flags of Node.js that a worker does not have. In a bundle on Bun and
  // Deno, a call site may name a file of the build machine.
  const file = own === undefined || hasExactCallSites ? shippedWorker() : undefined
  if (file !== undefined) return [...loaderOf(file), file]
  const script = own === undefined ? undefined : ownScript(own)
  return script === undefined ? undefined : [script]
}

// == processes

/** The kernel's number for the initial PID namespace (PROC_PID_INIT_INO). */
export const initialPidNamespace = "pid:[4026531836]"

/** Returns the PID namespace of this process; undefined if the platform has none, or it cannot be read. */
export const pidNamespace = (): string | undefined => {
  try {
    return NodeFs.readlinkSync("/proc/self/ns/pid")
  } catch {
    return undefined
  }
}

// Undefined if the host name cannot be read, such as on Deno without permission: then the state of a mark is unknown.
const machineId = (): string | undefined => {
  try {
    return `${NodeOs.hostname()} ${pidNamespace()}`
  } catch {
    return undefined
  }
}

// Returns the start time of a process, in ticks since boot; empty if it is unknown, and for a process that has ended,
// zombies included.
const startTimeOf = (pid: number | string): string => {
  try {
    // `/proc` may be that of another PID namespace.
    if (NodeFs.readlinkSync("/proc/self") !== String(process.pid)) return ""
    // The fields after the name, which may contain spaces: the state is field 0, the start time is field 19.
    const fields = NodeFs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? []
    return fields[0] === "Z" ? "" : fields[19] ?? ""
  } catch {
    return ""
  }
}

const isAlive = (mark: string): boolean | undefined => {
  const [, pid, startTime, machine] = /^(\d+) (\d*) (.*)$/.exec(mark) ?? []
  if (pid === undefined || machine !== machineId()) return undefined
  if (startTime !== "") return startTime === startTimeOf(pid)
  try {
    return process.kill(Number(pid), 0)
  } catch {
    // The process does not exist, or another user runs it.
    return false
  }
}

// == the end of the process

// At an unhandled rejection, Bun exits with code 1, but calls the listeners with 0 and no error (ADR 0025). Then
// `process.exit` is not on the stack.
const isUnhandledRejection = (code: number): boolean =>
  bun !== undefined && code === 0 && process.exitCode === undefined &&
  !process.getBuiltinModule("node:util").getCallSites().some(({ functionName }) => functionName === "exit")

type ExitListener = Parameters<HostRuntime["Service"]["onExit"]>[0]

// One pair of process listeners for all: Node.js warns of an eleventh listener, and a process may run many commands.
const exitListeners = new Set<{ readonly listener: ExitListener; thrown: unknown }>()
let isExiting = false
const onThrow = (error: unknown) => {
  for (const entry of exitListeners) entry.thrown = error
  // Deno does not run "exit" listeners after an uncaught exception.
  if (deno !== undefined && process.listenerCount("uncaughtException") === 0) onEnd(1)
}
// In reverse order: a command records its event before delivery begins.
const onEnd = (code: number) => {
  isExiting = true
  const actual = isUnhandledRejection(code) ? 1 : code
  for (const { listener, thrown } of [...exitListeners].toReversed()) listener(actual, thrown)
}

const signals: ReadonlyArray<NodeJS.Signals> = ["SIGINT", "SIGTERM"]

// One pair of process listeners for all, as at the exit. Each entry is a function of its own: a listener may be added
// more than once.
const signalListeners = new Set<() => void>()
const hadListener = new Map<NodeJS.Signals, boolean>()
const stopListening = () => {
  for (const signal of signals) process.removeListener(signal, onEachSignal)
}
const onEachSignal = (signal: NodeJS.Signals) => {
  // Without another listener, the signal would have ended the process. Counted before other `once` listeners run.
  const isOnlyListener = process.listenerCount(signal) === 1 && hadListener.get(signal) === false
  stopListening()
  const all = [...signalListeners].toReversed()
  signalListeners.clear()
  for (const listener of all) listener()
  if (isOnlyListener) process.kill(process.pid, signal)
}

const onSignal: HostRuntime["Service"]["onSignal"] = (listener) => {
  const entry = () => listener()
  signalListeners.add(entry)
  for (const signal of signals) {
    // The host may have prepended a listener since the last entry.
    if (process.listeners(signal)[0] === onEachSignal) continue
    process.removeListener(signal, onEachSignal)
    // On Deno the listeners run in the order of adding, so an earlier `once` listener is removed before this one runs.
    hadListener.set(signal, deno !== undefined && process.listenerCount(signal) > 0)
    process.prependListener(signal, onEachSignal)
  }
  return () => {
    if (signalListeners.delete(entry) && signalListeners.size === 0) stopListening()
  }
}

// == variables

// Commands of one process may overlap, and end in any order. The values of a variable: the one from before the first
// open scope, then those of the open scopes, in the order of their opening.
const setVariables = new Map<string, Array<string | undefined>>()

/** Merges two objects whose getters stay getters. */
export const merge = <A extends object, B extends object>(first: A, second: B): A & B =>
  Object.defineProperties(
    Object.defineProperties(Object.create(null), Object.getOwnPropertyDescriptors(first)),
    Object.getOwnPropertyDescriptors(second)
  )

/** The facts and operations of this process that need no detection of CI, container or terminal. */
export const current = {
  runtime,
  os: { type: NodeOs.type(), release: NodeOs.release(), arch: process.arch },
  pid: process.pid,
  markOf: (pid) => `${pid} ${startTimeOf(pid)} ${machineId()}`,
  isAlive,
  uid: process.geteuid === undefined || process.getuid === undefined
    ? undefined
    : { effective: process.geteuid(), real: process.getuid() },
  disk,
  uuid: () => process.getBuiltinModule("node:crypto").randomUUID(),
  sha256: (text) => process.getBuiltinModule("node:crypto").hash("sha256", text),
  executable: process.execPath,
  get worker() {
    return workerArguments()
  },
  exitCode: Effect.sync(() => Number(process.exitCode ?? 0)),
  setVariable: (name, value) =>
    Effect.suspend(() => {
      const values = setVariables.get(name) ?? []
      try {
        if (values.length === 0) values.push(process.env[name])
        process.env[name] = value
      } catch {
        // A host may have replaced `process.env` by a read-only object, and Deno may refuse the variable. Then child
        // processes do not know their parent.
        return Effect.succeed(0)
      }
      setVariables.set(name, values)
      const others = values.push(value) - 2
      const finalizer = () => {
        values.splice(values.lastIndexOf(value), 1)
        if (values.length === 1) setVariables.delete(name)
        try {
          const before = values.at(-1)
          // Another value is that of a later command, or of the host.
          if (process.env[name] !== value) return Effect.void
          if (before === undefined) delete process.env[name]
          else process.env[name] = before
        } catch {
          // As above.
        }
        return Effect.void
      }
      return Effect.as(Effect.addFinalizer(finalizer), others)
    }),
  interrupted: Effect.callback((resume) => Effect.sync(onSignal(() => process.nextTick(() => resume(Effect.void))))),
  onSignal,
  onExit: (listener) =>
    Effect.suspend(() => {
      const entry = { listener, thrown: undefined }
      exitListeners.add(entry)
      if (exitListeners.size === 1) {
        process.on("uncaughtExceptionMonitor", onThrow)
        process.on("exit", onEnd)
      }
      return Effect.addFinalizer(() =>
        Effect.sync(() => {
          exitListeners.delete(entry)
          if (exitListeners.size > 0) return
          process.removeListener("uncaughtExceptionMonitor", onThrow)
          process.removeListener("exit", onEnd)
        })
      )
    }),
  isExiting: Effect.sync(() => isExiting)
} satisfies Partial<HostRuntime["Service"]>
