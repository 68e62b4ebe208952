/** Loads the services of a command, if no variable denies telemetry. */
import * as Effect from "effect/Effect"

let loaded: typeof import("./Steady.ts") | undefined

const load = async () => loaded = await import("./Steady.ts")

/** Loads the services. A failure, such as after an upgrade that removed the file, is a defect. */
export const steady = Effect.suspend(() => loaded === undefined ? Effect.promise(load) : Effect.succeed(loaded))
