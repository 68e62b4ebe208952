/** The worker's entry. */
import { setOwnWorker } from "../layers/WorkerMarks.ts"
import { run } from "./Process.ts"

// A successor is started as this process was.
setOwnWorker()

/** How many messages this worker delivered, when it has ended. */
export const delivered: Promise<number> = run()
