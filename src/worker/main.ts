/** The worker's entry. */
import { setOwnWorker } from "../layers/WorkerMarks.ts"
import { run } from "./Process.ts"

// A successor is started with the same arguments as this process.
setOwnWorker()

/** The number of messages that this worker has delivered, when it has ended. */
export const delivered: Promise<number> = run()
