/**
 * acme's entry when it is bundled: it is its own worker.
 */
import { isWorker } from "effect-cli-usage/worker"

void (isWorker() ? import("effect-cli-usage/worker/main") : import("./main.ts"))
