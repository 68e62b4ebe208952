/**
 * The least that this module's code costs in this module's shape: it is loaded as in `Loaded`, and what is done is that
 * of `Layered`.
 */
import { Usage as layered } from "./Layered.ts"
import { Usage as loaded } from "./Loaded.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Layered.ts"

// The bundler would leave out a file of which nothing is used.
export const Usage = { ...loaded, ...layered }
