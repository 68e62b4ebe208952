/**
 * The worker's entry.
 *
 * @since 0.1.0
 */
import { run } from "./Process.ts"

await run()
