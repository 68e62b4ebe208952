/**
 * A session: commands with less than 30 minutes of silence between them, on one device under one anon id.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { AnonId } from "./AnonId.ts"
import * as JsonDocument from "./JsonDocument.ts"

/**
 * @category schemas
 * @since 0.1.0
 */
export const Session = Schema.Struct({
  version: Schema.Literal(1),
  anon_id: AnonId,
  session_id: Schema.String.check(Schema.isUUID()),
  /** Milliseconds since 1970. */
  last_active: Schema.Finite
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Session extends Schema.Schema.Type<typeof Session> {}

/**
 * The session's file.
 *
 * @category codecs
 * @since 0.1.0
 */
export const { decode, encode } = JsonDocument.make(() => Session)

/** PostHog's own session length. */
const silenceMillis = 30 * 60 * 1000

/**
 * Whether a session goes on: the same device's, with less than 30 minutes between its last sign of life and now.
 *
 * A clock that was set back by less than that ends none.
 *
 * @category rules
 * @since 0.1.0
 */
export const goesOn = (session: Session, anonId: AnonId, now: number): boolean =>
  session.anon_id === anonId && Math.abs(now - session.last_active) < silenceMillis
