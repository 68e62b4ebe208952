/**
 * The least that starting a process costs: an empty Node, detached.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { atEnd } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

export const Usage = atEnd(Effect.sync(() => {
  spawn(process.execPath, [fileURLToPath(new URL("empty.cjs", import.meta.url))], { detached: true, stdio: "ignore" })
    .unref()
}))
