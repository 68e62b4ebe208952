/**
 * The entry of `Runner.ts`, as a bundled host has it.
 */
import { isWorker } from "effect-cli-usage/worker"

void (isWorker() ? import("effect-cli-usage/worker/main") : import("./Runner.ts"))
