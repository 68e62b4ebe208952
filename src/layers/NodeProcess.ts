/**
 * What every process of the module is: the host's, and the worker.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as NodeOs from "node:os"
import { fileURLToPath } from "node:url"
import { isOwnWorker } from "../domain/WorkerMarks.ts"
import type { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"

const lowest = 19

// `.ts` in a checkout; in the published package the worker is one bundled file. A bundled host is its own worker, and
// said so when it started.
const workerArguments = (): ReadonlyArray<string> => {
  if (!isOwnWorker()) {
    const isSource = import.meta.url.endsWith(".ts")
    return [fileURLToPath(new URL(isSource ? "../worker/main.ts" : "../worker/main.cjs", import.meta.url))]
  }
  const script = process.argv[1]
  return script === undefined ? [] : [script]
}

/**
 * This process.
 *
 * @category getters
 * @since 0.1.0
 */
export const current: RuntimeEnvironment["Service"]["process"] = {
  pid: process.pid,
  uid: process.geteuid === undefined || process.getuid === undefined
    ? undefined
    : { effective: process.geteuid(), real: process.getuid() },
  executable: process.execPath,
  worker: workerArguments(),
  lowerPriority: (pid) => Effect.ignore(Effect.try(() => NodeOs.setPriority(pid, lowest))),
  onExit: (listener) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        let thrown: unknown
        const onThrow = (error: unknown) => {
          thrown = error
        }
        const onEnd = (code: number) => listener(code, thrown)
        process.on("uncaughtExceptionMonitor", onThrow)
        process.on("exit", onEnd)
        return { onThrow, onEnd }
      }),
      ({ onEnd, onThrow }) =>
        Effect.sync(() => {
          process.removeListener("uncaughtExceptionMonitor", onThrow)
          process.removeListener("exit", onEnd)
        })
    ))
}

/**
 * @category getters
 * @since 0.1.0
 */
export const os: RuntimeEnvironment["Service"]["os"] = {
  type: NodeOs.type(),
  release: NodeOs.release(),
  arch: process.arch
}
