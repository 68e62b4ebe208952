/** Loads the modules that most commands do not need. */
import * as Effect from "effect/Effect"

/** Loads the modules. A failure, such as after an upgrade that removed the file, is a defect. */
export const cold = Effect.promise(() => import("./Cold.ts"))
