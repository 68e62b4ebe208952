/** Loads the services of a command, if no variable denies telemetry. */
import * as Effect from "effect/Effect"

/** Loads the services. A failure, such as after an upgrade that removed the file, is a defect. */
export const steady = Effect.promise(() => import("./Steady.ts"))
