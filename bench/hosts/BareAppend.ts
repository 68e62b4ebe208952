/**
 * The least that keeping an event costs: 1 KB appended to a file.
 */
import * as Effect from "effect/Effect"
import { appendFileSync } from "node:fs"
import { atEnd } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

const line = `${"x".repeat(1023)}\n`

export const Usage = atEnd(Effect.sync(() => appendFileSync(`${process.env["HOME"]}/appended`, line, { mode: 0o600 })))
