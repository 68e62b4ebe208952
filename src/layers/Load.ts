/**
 * Loads what a command needs where no variable denies telemetry.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/**
 * Loads the services; a failure, as after an upgrade that removed the file, is a defect.
 *
 * @category loading
 * @since 0.1.0
 */
export const steady = Effect.promise(() => import("./Steady.ts"))
