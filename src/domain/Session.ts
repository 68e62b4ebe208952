/** A session: commands with less than 30 minutes between them, on one device, under one anon id. */
import type { AnonId } from "./AnonId.ts"

/**
 * The session of a device: its id, the anon id, and the time of the last command.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  readonly anon_id: AnonId
  readonly session_id: string
  /** Milliseconds since 1970. */
  readonly last_active: number
}

/** The time without a command after which a session ends, as in PostHog. */
const silenceMillis = 30 * 60 * 1000

/** The minimum time between two writes of the session in a burst of commands. */
const writeEveryMillis = 60 * 1000

/**
 * Returns whether a session continues: the same anon id, with less than 30 minutes since it was last active.
 *
 * If the clock was set back by less than 30 minutes, then the session continues.
 */
export const continues = (session: Session, anonId: AnonId, now: number): boolean =>
  session.anon_id === anonId && Math.abs(now - session.last_active) < silenceMillis

/** Returns the session of an event that is recorded now. */
export const touch = (
  before: Session | undefined,
  anonId: AnonId,
  now: number,
  newId: () => string
): Session =>
  before !== undefined && continues(before, anonId, now)
    ? before
    : { anon_id: anonId, session_id: newId(), last_active: 0 }

/** Returns whether a session must be written again. */
export const isDue = (session: Session, now: number): boolean => Math.abs(now - session.last_active) >= writeEveryMillis
