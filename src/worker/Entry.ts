/**
 * The entry of a bundled host, which runs as its own worker.
 *
 * **Example** (Starting the host or its worker)
 *
 * ```ts
 * import { isWorker } from "effect-cli-usage/worker"
 *
 * void (isWorker() ? import("effect-cli-usage/worker/main") : import("./main.ts"))
 * ```
 *
 * **Example** (Starting the worker at the end of the main file, for a bundler that makes one file)
 *
 * ```ts
 * if (isWorker()) void import("effect-cli-usage/worker/main")
 * else NodeRuntime.runMain(program)
 * ```
 *
 * @since 0.1.0
 */
import { isMarkedAsWorker, setOwnWorker } from "../layers/WorkerMarks.ts"

/**
 * Returns whether this process was started as a worker.
 *
 * **Details**
 *
 * A worker has a mark in its environment and one in its arguments. An environment variable that leaked into another
 * process is harmless.
 *
 * **Gotchas**
 *
 * The call also enables `Usage.layer` to start this executable as a worker, on Node.js with the file whose top-level code
 * calls it. A bundled host that never calls it delivers nothing, and `telemetry status` prints the reason.
 *
 * @category entry
 * @since 0.1.0
 */
export const isWorker = (): boolean => {
  setOwnWorker()
  return isMarkedAsWorker()
}
