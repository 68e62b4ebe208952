/**
 * The principal resolver of a host without accounts. Every command loads this module, so it does not import what checks
 * the id of a principal.
 */
import * as Effect from "effect/Effect"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"

/** A resolver without a credential. */
export const none: PrincipalResolver["Service"] = PrincipalResolver.of({
  input: { files: [], variables: {}, configuration: "", parse: () => Effect.succeed(undefined) },
  credential: Effect.succeed(undefined),
  resolve: () => Effect.succeed(undefined)
})
