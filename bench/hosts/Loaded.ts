/**
 * The least that the module's code costs: it is loaded as acme loads it, and nothing of it is used.
 */
import { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient, Usage as Ours } from "../../src/index.ts"
import { bare } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

// The bundler would leave out what nobody refers to.
const { layer, telemetryCommand, track } = Ours
Object.assign(globalThis, {
  loaded: [
    Flow.make,
    HttpPrincipalResolver.layer,
    IdentityStitch,
    layer,
    ObservedHttpClient.observe,
    telemetryCommand,
    track
  ]
})

export const Usage = bare
