/** Loads the parts of the module that most commands do not need. */
import * as Effect from "effect/Effect"

/** Loads them; a failure, as after an upgrade that removed the file, is a defect. */
export const cold = Effect.promise(() => import("./Cold.ts"))
