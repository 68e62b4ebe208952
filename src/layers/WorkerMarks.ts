/**
 * How a process knows that it is a worker. Nothing is imported here: a bundled host looks before anything heavy loads.
 *
 * @since 0.1.0
 */

/**
 * The variable that carries a worker's job; together with `marker` in argv it makes a process a worker.
 *
 * @category constants
 * @since 0.1.0
 */
export const variable = "EFFECT_CLI_USAGE_WORKER"

/**
 * The argument that, together with the variable, makes a process a worker: one of the two alone, leaked into another
 * process, is harmless.
 *
 * @category constants
 * @since 0.1.0
 */
export const marker = "--effect-cli-usage-worker"

/**
 * Whether this process was started as a worker: both marks must be there.
 *
 * @category entry
 * @since 0.1.0
 */
export const areSet = (): boolean => process.env[variable] !== undefined && process.argv.includes(marker)

const ownWorker = Symbol.for("effect-cli-usage/worker/own")

/**
 * Notes, for this process, that its own entry runs the worker when it finds both marks.
 *
 * It stands on `globalThis` because a bundle may hold this module twice.
 *
 * @category entry
 * @since 0.1.0
 */
export const setOwnWorker = (): void => {
  Object.assign(globalThis, { [ownWorker]: true })
}

/**
 * @category entry
 * @since 0.1.0
 */
export const isOwnWorker = (): boolean => ownWorker in globalThis
