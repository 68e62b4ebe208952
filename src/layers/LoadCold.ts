/**
 * Loads the parts of the module that most commands do not need.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/**
 * Loads them; a failure, as after an upgrade that removed the file, is a defect.
 *
 * @category loading
 * @since 0.1.0
 */
export const cold = Effect.promise(() => import("./Cold.ts"))
