/**
 * What every process of the module is: the host's, and the worker.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import type * as NodeSea from "node:sea"
import { fileURLToPath } from "node:url"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import type { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { isOwnWorker } from "./WorkerMarks.ts"

const lowest = 19

// `.ts` in a checkout; in the published package the worker is one file. Bundled into a host, this module has the host's
// name, whatever stands beside it, and the host is its own worker if it said so when it started.
const shippedWorker = (): string | undefined => {
  // V8 is asked: a bundler may put a path of the machine that it ran on in the place of `import.meta.url`.
  const [here] = process.getBuiltinModule("node:util").getCallSites(1, { sourceMap: false })
  const script = here?.scriptName ?? ""
  // Node.js names a module by its URL, other runtimes by its path.
  const path = script.startsWith("file:") ? fileURLToPath(script) : script
  const [, root, language] = /^(.*[\\/])layers[\\/]NodeProcess\.([jt])s$/.exec(path) ?? []
  if (root === undefined) return undefined
  const file = `${root}worker/main.${language === "t" ? "ts" : "cjs"}`
  return NodeFs.existsSync(file) ? file : undefined
}

const workerArguments = (): ReadonlyArray<string> | undefined => {
  if (!isOwnWorker()) {
    const file = shippedWorker()
    return file === undefined ? undefined : [file]
  }
  // Not every runtime that runs Node.js's programs has the module.
  const sea: Pick<typeof NodeSea, "isSea"> | undefined = process.getBuiltinModule("node:sea")
  // A single executable is started without a script.
  const script = sea?.isSea() ? undefined : process.argv[1]
  return script === undefined ? [] : [script]
}

type ExitListener = Parameters<CurrentProcess["Service"]["onExit"]>[0]

// One pair for all: Node.js warns of the eleventh listener, and a process may run many commands at once.
const exitListeners = new Set<{ readonly listener: ExitListener; thrown: unknown }>()
const onThrow = (error: unknown) => {
  for (const each of exitListeners) each.thrown = error
}
// What began last ends first: a command records before delivery begins.
const onEnd = (code: number) => {
  for (const { listener, thrown } of [...exitListeners].toReversed()) listener(code, thrown)
}

/**
 * This process.
 *
 * @category getters
 * @since 0.1.0
 */
export const current: CurrentProcess["Service"] = {
  executable: process.execPath,
  get worker() {
    return workerArguments()
  },
  exitCode: Effect.sync(() => Number(process.exitCode ?? 0)),
  // A host may have put another object in the place of `process.env`, which cannot be written.
  setVariable: (name, value) =>
    Effect.ignore(Effect.try(() => {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    })),
  lowerPriority: (pid) => Effect.ignore(Effect.try(() => NodeOs.setPriority(pid, lowest))),
  interrupted: Effect.callback((resume) => {
    const remove = () => {
      process.removeListener("SIGINT", onSignal)
      process.removeListener("SIGTERM", onSignal)
    }
    const onSignal = (signal: NodeJS.Signals) => {
      // Where nobody else listens, the process would have ended by it. Asked before others have heard it and gone.
      const isAlone = process.listenerCount(signal) === 1
      remove()
      if (isAlone) process.kill(process.pid, signal)
      process.nextTick(() => resume(Effect.void))
    }
    process.prependListener("SIGINT", onSignal)
    process.prependListener("SIGTERM", onSignal)
    return Effect.sync(remove)
  }),
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
    ))
}

/**
 * What Node.js knows of any process without a look around.
 *
 * @category getters
 * @since 0.1.0
 */
export const facts = {
  runtime: { language: "node", version: process.versions.node },
  os: { type: NodeOs.type(), release: NodeOs.release(), arch: process.arch },
  pid: process.pid,
  uid: process.geteuid === undefined || process.getuid === undefined
    ? undefined
    : { effective: process.geteuid(), real: process.getuid() }
} satisfies Partial<RuntimeEnvironment["Service"]>

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<CurrentProcess> = Layer.succeed(CurrentProcess, current)
