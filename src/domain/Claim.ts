/**
 * The written-once fact that an anon id belongs to a principal.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { AnonId } from "./AnonId.ts"
import * as JsonDocument from "./JsonDocument.ts"
import { Message } from "./Message.ts"
import { PrincipalId } from "./PrincipalId.ts"

/**
 * Where the credential at hand came from when a principal was learned.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CredentialSource = Schema.Literals(["stored", "environment", "none"])

/**
 * @category models
 * @since 0.1.0
 */
export type CredentialSource = typeof CredentialSource.Type

/**
 * How a principal was learned: the host's login, a response that named it, the resolver's answer, or a link that
 * another tool had written.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Sighting = Schema.Literals(["login", "observe", "resolver", "adopted"])

/**
 * @category models
 * @since 0.1.0
 */
export type Sighting = typeof Sighting.Type

/**
 * An anon id's principal, with the whole alias message that tells PostHog so.
 *
 * `alias` is null where the anon id had no history of its own, or where another tool had sent its alias already.
 * `destination` is the outbox that the alias belongs to; null with a null alias.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Claim = Schema.Struct({
  version: Schema.Literal(1),
  anon_id: AnonId,
  principal_id: PrincipalId,
  learned_by: Sighting,
  credential: CredentialSource,
  destination: Schema.NullOr(Schema.String),
  alias: Schema.NullOr(Message)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Claim extends Schema.Schema.Type<typeof Claim> {}

/**
 * A claim file that cannot be read: it claims, but for nobody that we know, so its anon id is never aliased again.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnreadableClaim {
  readonly _tag: "UnreadableClaim"
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const unreadable: UnreadableClaim = { _tag: "UnreadableClaim" }

/**
 * @category guards
 * @since 0.1.0
 */
export const isReadable = (claim: Claim | UnreadableClaim): claim is Claim => !("_tag" in claim)

/**
 * The principal that a claim names, if it can be read.
 *
 * @category getters
 * @since 0.1.0
 */
export const principalOf = (claim: Claim | UnreadableClaim): PrincipalId | undefined =>
  isReadable(claim) ? claim.principal_id : undefined

/**
 * A claim's file.
 *
 * @category codecs
 * @since 0.1.0
 */
export const { decode, encode } = JsonDocument.make(() => Claim)
