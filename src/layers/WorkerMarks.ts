/**
 * The marks of a worker process. This module has no imports but types: a bundled host checks the marks before it loads
 * anything.
 */
import type { CallSiteObject } from "node:util"
import type * as Util from "node:util"

/** The variable that carries a worker's job; together with `marker` in argv it makes a process a worker. */
export const variable = "EFFECT_CLI_USAGE_WORKER"

/**
 * The argument of a worker. A process is a worker only with both marks, so a variable that leaked into another process
 * is harmless.
 */
export const marker = "--effect-cli-usage-worker"

/** Returns whether this process was started as a worker: it has both marks. */
export const isMarkedAsWorker = (): boolean => process.env[variable] !== undefined && process.argv.includes(marker)

const ownWorker = Symbol.for("effect-cli-usage/worker/own")

/** What a process was when its entry asked whether it is a worker. */
export interface OwnWorker {
  /** The script of the process. The host may replace `process.argv` later. */
  readonly script: string | undefined
  /** The functions that asked, the innermost first. */
  readonly callSites: ReadonlyArray<Pick<CallSiteObject, "functionName" | "scriptName">>
}

// More than the functions of a bundle between its top-level code and the call.
const callSiteLimit = 20

/**
 * Notes that the entry of this process runs the worker if it has both marks. The first note counts: the host may have
 * replaced `process.argv` before a later one.
 *
 * The note is on `globalThis`, because a bundle may have this module twice.
 */
export const setOwnWorker = (): void => {
  if (ownWorker in globalThis) return
  // Not by `sourceMap`, which would name a file of the build machine.
  const { getCallSites }: Partial<typeof Util> = process.getBuiltinModule("node:util")
  const callSites = getCallSites?.(callSiteLimit, { sourceMap: false }) ?? []
  const noted: OwnWorker = { script: process.argv[1], callSites }
  Object.assign(globalThis, { [ownWorker]: noted })
}

/** Returns the note of this process; undefined if its entry has not asked. */
export const getOwnWorker = (): OwnWorker | undefined => Reflect.get(globalThis, ownWorker)
