/**
 * Time limits that a slow or busy machine does not meet.
 */
import Module from "node:module"
import Os from "node:os"
import { marker } from "../../../src/layers/WorkerMarks.ts"

const factor = 60
const longestTimerMillis = 2 ** 31 - 1

/** Multiplies every timer of at least `fromMillis`. */
const moveTimers = (fromMillis: number): void => {
  const far = (millis: unknown) =>
    typeof millis === "number" && millis >= fromMillis ? Math.min(millis * factor, longestTimerMillis) : millis
  globalThis.setTimeout = new Proxy(globalThis.setTimeout, {
    apply: (setTimeout, self, [callback, millis, ...rest]) =>
      Reflect.apply(setTimeout, self, [callback, far(millis), ...rest])
  })
}

/**
 * Moves the time limits of this process out of reach. A bundle calls it before it loads the host or the worker.
 *
 * In a host, only the variable `TEST_FAR_LIMITS=1` moves the limits: those of delivery and of the resolver. In a worker,
 * which inherits no such variable, the limits are always moved: those of a request and of the worker's life.
 */
export const moveLimits = (): void => {
  // A shorter timer is a poll, or the second for which a worker waits for more.
  if (process.argv.includes(marker)) {
    moveTimers(5_000)
  } else if (process.env["TEST_FAR_LIMITS"] === "1") {
    moveTimers(1_000)
    // A worker of the lowest priority may not run at all while the machine is busy.
    Os.setPriority = () => {}
    Module.syncBuiltinESMExports()
  }
}
