/** The write-once link of an anon id to a principal. */
import * as Predicate from "effect/Predicate"
import { type AnonId, isAnonId } from "./AnonId.ts"
import * as JsonDocument from "./JsonDocument.ts"
import * as Message from "./Message.ts"
import { isPrincipalId, type PrincipalId } from "./PrincipalId.ts"

/**
 * The source of the credential when the principal was learned.
 *
 * @category models
 * @since 0.1.0
 */
export type CredentialSource = "stored" | "environment" | "none"

/**
 * How a principal was learned: by a login, a response, the resolver, or a link that another tool wrote.
 *
 * @category models
 * @since 0.1.0
 */
export type Sighting = "login" | "observe" | "resolver" | "adopted"

/**
 * The link of an anon id to a principal, with the alias message that merges the history of the anon id into the
 * principal.
 *
 * **Details**
 *
 * A claim is written once and never changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Claim {
  readonly version: 1
  readonly anon_id: AnonId
  readonly principal_id: PrincipalId
  readonly learned_by: Sighting
  readonly credential: CredentialSource
  /** The outbox of the alias; null with a null alias. */
  readonly destination: string | null
  /** Null if the anon id had no history of its own, or if another tool had already sent the alias. */
  readonly alias: Message.Message | null
}

/**
 * A claim file that is invalid or cannot be read now.
 *
 * **Details**
 *
 * The anon id is claimed by an unknown principal, so it is never aliased again.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnreadableClaim {
  readonly _tag: "UnreadableClaim"
  readonly principal_id: undefined
  readonly credential: "none"
}

export const unreadable: UnreadableClaim = { _tag: "UnreadableClaim", principal_id: undefined, credential: "none" }

/** Returns whether a claim could be read. */
export const isReadable = (claim: Claim | UnreadableClaim): claim is Claim => !("_tag" in claim)

/** Returns whether a value is the source of a credential. */
export const isSource = (value: unknown): value is CredentialSource =>
  value === "stored" || value === "environment" || value === "none"

const isSighting = (value: unknown): value is Sighting =>
  value === "login" || value === "observe" || value === "resolver" || value === "adopted"

/** Decodes a claim's file. */
export const decode = JsonDocument.decoder<Claim>((document) => {
  const { alias, anon_id, credential, destination, learned_by, principal_id, version } = document
  const isClaim = version === 1 && isAnonId(anon_id) && isPrincipalId(principal_id) && isSighting(learned_by) &&
    isSource(credential) && (destination === null || Predicate.isString(destination))
  if (!isClaim) return undefined
  const message = alias === null ? null : Message.decodeValue(alias)
  return message === undefined
    ? undefined
    : { version, anon_id, principal_id, learned_by, credential, destination, alias: message }
})

/** Encodes a claim's file. */
export const encode = (claim: Claim): string => JSON.stringify(claim)
