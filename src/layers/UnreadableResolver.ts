/** The principal resolver of a host whose credential cannot be read. */
import * as Effect from "effect/Effect"
import * as Credential from "../domain/Credential.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"

/** A resolver with an unknown credential. Without a credential the user would count as signed out. */
export const unreadable: PrincipalResolver["Service"] = PrincipalResolver.of({
  credential: Effect.succeed(Credential.unreadable),
  resolve: () => Effect.succeed(undefined)
})
