/** Who an event belongs to, and what is done when a principal is seen: the two tables that everything else serves. */
import type { AnonId } from "./AnonId.ts"
import type { CredentialSource, Sighting } from "./Claim.ts"
import type { PrincipalId } from "./PrincipalId.ts"

/**
 * An anon id's claim, reduced to what the rules ask.
 *
 * `principal` is undefined for a claim that cannot be read: it belongs to somebody, and nobody knows to whom.
 */
export interface ClaimFacts {
  readonly principal: PrincipalId | undefined
  readonly credential: CredentialSource
}

/** The credential at hand, reduced to what the rules ask. */
export interface CredentialFacts {
  readonly source: CredentialSource
  /** The principal that this credential is known to be of. */
  readonly knownAs: PrincipalId | undefined
}

export interface Attribution {
  readonly distinctId: string
  /** Whether PostHog must make no person for it (`$process_person_profile: false`). */
  readonly personless: boolean
}

/**
 * Says who an event belongs to.
 *
 * 1. The principal of the slot. 2. The claim's, if the credential at hand is known to be that principal's, or there is
 * none and the claim did not come from a stored one. 3. With a claim, an id of this command's own: the anon id *is* the
 * claimed principal, who may be somebody else. 4. The anon id.
 */
export const attribute = (facts: {
  readonly slot: PrincipalId | undefined
  readonly anonId: AnonId
  readonly claim: ClaimFacts | undefined
  readonly credential: CredentialFacts
  readonly invocationId: string
}): Attribution => {
  const { claim, credential, slot } = facts
  if (slot !== undefined) return { distinctId: slot, personless: false }
  if (claim === undefined) return { distinctId: facts.anonId, personless: true }
  const known = credential.source === "none" ? claim.credential !== "stored" : credential.knownAs === claim.principal
  return claim.principal !== undefined && known
    ? { distinctId: claim.principal, personless: false }
    : { distinctId: facts.invocationId, personless: true }
}

/**
 * What follows from a principal that was seen.
 *
 * `Stamp` is this command's alone. `Claim`, and `Switch`, stamp too: the one publishes the anon id's claim with its alias,
 * the other rotates, then claims the new anon id without one.
 */
export type Consequence = "Nothing" | "Stamp" | "Claim" | "Switch"

/**
 * Says what is done when a principal is seen.
 *
 * A stored credential is new where it is not known to be the claimed principal's: then the account was changed on this
 * device. A credential from the environment never changes whom the device belongs to.
 */
export const onSighting = (facts: {
  readonly principal: PrincipalId
  readonly seenBy: Exclude<Sighting, "adopted">
  readonly slot: PrincipalId | undefined
  readonly claim: ClaimFacts | undefined
  readonly credential: CredentialFacts
  readonly ephemeral: boolean
}): Consequence => {
  const { claim, credential, ephemeral, principal, seenBy, slot } = facts
  if (seenBy !== "login" && slot !== undefined) return "Nothing"
  if (claim?.principal === principal) return "Stamp"
  if (ephemeral) return "Stamp"
  if (claim === undefined) return "Claim"
  if (seenBy === "login") return "Switch"
  const isNew = credential.source === "stored" &&
    (credential.knownAs === undefined || credential.knownAs !== claim.principal)
  return isNew ? "Switch" : "Stamp"
}

/** Says whether the user signed out elsewhere: the credential is gone that the claim was learned with. */
export const signedOutElsewhere = (facts: {
  readonly claim: ClaimFacts | undefined
  readonly credential: CredentialFacts
}): boolean => facts.claim?.credential === "stored" && facts.credential.source === "none"
