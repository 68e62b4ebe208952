/**
 * A bundled host runs its own worker: its entry asks first whether it is one.
 *
 * **Example** (A bundled host's entry)
 *
 * ```ts
 * import { isWorker } from "effect-cli-usage/worker"
 *
 * void (isWorker() ? import("effect-cli-usage/worker/main") : import("./main.ts"))
 * ```
 *
 * **Example** (The end of the main file, where a bundler can make one file only)
 *
 * ```ts
 * if (isWorker()) void import("effect-cli-usage/worker/main")
 * else NodeRuntime.runMain(program)
 * ```
 *
 * @since 0.1.0
 */
import { areSet, setOwnWorker } from "../layers/WorkerMarks.ts"

/**
 * Whether this process was started as a worker: both marks must be there, so that one that leaked into the environment
 * of another process is harmless.
 *
 * Calling it also says that this executable can be started as one.
 *
 * @category entry
 * @since 0.1.0
 */
export const isWorker = (): boolean => {
  setOwnWorker()
  return areSet()
}
