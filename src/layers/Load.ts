/** Loads what a command needs where no variable denies telemetry. */
import * as Effect from "effect/Effect"

/** Loads the services; a failure, as after an upgrade that removed the file, is a defect. */
export const steady = Effect.promise(() => import("./Steady.ts"))
