/**
 * The marks of a worker process. This module has no imports: a bundled host checks the marks before it loads anything.
 */

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

/**
 * Notes that the entry of this process runs the worker if it has both marks.
 *
 * The note is on `globalThis`, because a bundle may have this module twice.
 */
export const setOwnWorker = (): void => {
  Object.assign(globalThis, { [ownWorker]: true })
}

export const isOwnWorker = (): boolean => ownWorker in globalThis
