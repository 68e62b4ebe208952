/**
 * How a process knows that it is a worker. Nothing is imported here: a bundled host looks before anything heavy loads.
 */

/** The variable that carries a worker's job; together with `marker` in argv it makes a process a worker. */
export const variable = "EFFECT_CLI_USAGE_WORKER"

/**
 * The argument that, together with the variable, makes a process a worker: one of the two alone, leaked into another
 * process, is harmless.
 */
export const marker = "--effect-cli-usage-worker"

/** Whether this process was started as a worker: both marks must be there. */
export const areSet = (): boolean => process.env[variable] !== undefined && process.argv.includes(marker)

const ownWorker = Symbol.for("effect-cli-usage/worker/own")

/**
 * Notes, for this process, that its own entry runs the worker when it finds both marks.
 *
 * It stands on `globalThis` because a bundle may hold this module twice.
 */
export const setOwnWorker = (): void => {
  Object.assign(globalThis, { [ownWorker]: true })
}

export const isOwnWorker = (): boolean => ownWorker in globalThis
