/**
 * The host without telemetry.
 */
import { bare } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

export const Usage = bare
