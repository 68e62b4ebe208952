/** The two rules of identity: the distinct id of an event, and the consequence of a sighting. */
import type { AnonId } from "./AnonId.ts"
import type { Claim, CredentialSource, Sighting, UnreadableClaim } from "./Claim.ts"
import type { PrincipalId } from "./PrincipalId.ts"

/** The part of a claim that the rules need. */
export type ClaimFacts = Pick<Claim | UnreadableClaim, "principal_id" | "credential">

/** The facts of the current credential that the rules need. */
export interface CredentialFacts {
  /** `unknown` in a host without a resolver: another version of it may have stored a credential. */
  readonly source: CredentialSource | "unknown"
  /** The principal of the credential, if the cache or the API named it. */
  readonly principal: PrincipalId | undefined
}

export interface Attribution {
  readonly distinctId: string
  /** Whether PostHog creates no person for the event (`$process_person_profile: false`). */
  readonly personless: boolean
}

/**
 * Returns the distinct id of an event.
 *
 * 1. The principal of the slot. 2. The principal of the claim, if it is the known principal of the current credential,
 * if there is no credential and the claim was not learned with a stored one, or if no credential is ever known and the
 * claim was learned with none. 3. With any other claim, the invocation
 * id: PostHog has merged the anon id into the claimed principal. 4. The anon id.
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
  const known = credential.source === "none"
    ? claim.credential !== "stored"
    : credential.source === "unknown"
    ? claim.credential === "none"
    : credential.principal === claim.principal_id
  return claim.principal_id !== undefined && known
    ? { distinctId: claim.principal_id, personless: false }
    : { distinctId: facts.invocationId, personless: true }
}

/** What told the principal of a sighting. */
export type SeenBy = Exclude<Sighting, "adopted">

/**
 * The consequence of a sighting.
 *
 * `Stamp` sets the principal of this command. `Claim` also publishes a claim of the anon id, with an alias. `Switch`
 * also rotates the anon id, and publishes a claim of the new anon id without an alias.
 */
export type Consequence = "Nothing" | "Stamp" | "Claim" | "Switch"

/**
 * Returns the consequence of a sighting.
 *
 * If the known principal of a stored credential is not the claimed principal, then the account was changed on this
 * device. A credential from the environment never changes the claim of a device.
 */
export const consequenceOf = (facts: {
  readonly principal: PrincipalId
  readonly seenBy: SeenBy
  readonly slot: PrincipalId | undefined
  readonly claim: ClaimFacts | undefined
  readonly credential: CredentialFacts
  readonly ephemeral: boolean
}): Consequence => {
  const { claim, credential, ephemeral, principal, seenBy, slot } = facts
  if (seenBy !== "login" && slot !== undefined) return "Nothing"
  if (claim?.principal_id === principal) return "Stamp"
  if (ephemeral) return "Stamp"
  if (claim === undefined) return "Claim"
  if (seenBy === "login") return "Switch"
  const isNew = credential.source === "stored" &&
    (credential.principal === undefined || credential.principal !== claim.principal_id)
  return isNew ? "Switch" : "Stamp"
}

/** Returns whether another process signed out: the stored credential of the claim is removed. */
export const isSignedOutElsewhere = (facts: {
  readonly claim: ClaimFacts | undefined
  readonly credential: CredentialFacts
}): boolean => facts.claim?.credential === "stored" && facts.credential.source === "none"
