/** Claims an anon id for a principal, with the alias message. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { CredentialFacts, SeenBy } from "../domain/Attribution.ts"
import type * as Claim from "../domain/Claim.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { trackedCommand } from "../services/CurrentCommand.ts"
import type { Identity, IdentityStore } from "../services/IdentityStore.ts"
import type { UsageSettings } from "../services/UsageSettings.ts"
import { IsDebugMode } from "./Debug.ts"
import type { Shared } from "./SteadyStitch.ts"

/** The claim to publish. */
export interface Request {
  readonly identity: Identity
  readonly principal: PrincipalId
  readonly learnedBy: SeenBy
  /** The source of the current credential. */
  readonly source: CredentialFacts["source"]
  /** Whether the anon id has a history to merge into the principal. */
  readonly withAlias: boolean
}

/** Returns a function that publishes a claim. */
export const make = (
  { files: { notes }, recorder }: Shared,
  store: IdentityStore["Service"],
  { destinationId }: UsageSettings["Service"]
) =>
  Effect.fnUntraced(function*({ identity, learnedBy, principal, source, withAlias }: Request) {
    const claim: Claim.Claim = {
      version: 1,
      anon_id: identity.anonId,
      principal_id: principal,
      learned_by: learnedBy,
      // A login stores its credential, also if a variable takes precedence in this command.
      credential: learnedBy === "login" && source === "environment" ? "stored" : source === "unknown" ? "none" : source,
      destination: null,
      alias: null
    }
    if (!withAlias) return yield* store.claim(claim)
    const command = yield* trackedCommand
    const draft = {
      event: "$create_alias",
      distinctId: principal,
      // PostHog drops a personless alias.
      personless: false,
      properties: { distinct_id: principal, alias: identity.anonId },
      command: command?.name
    }
    const at = yield* Clock.currentTimeMillis
    const { confirm, message } = yield* notes.run(() => recorder.compose(draft, identity, at))
    const result = yield* store.claim({ ...claim, destination: destinationId, alias: message })
    if (result._tag !== "Published") return result
    yield* notes.run(confirm)
    if (yield* IsDebugMode) yield* Console.error(JSON.stringify(message))
    return result
  })
