/** The paths and bounds of an outbox. */
import type { Message } from "./Message.ts"
import type { StateHome } from "./StateHome.ts"

/** Returns the paths of one destination's outbox. */
export const make = (home: StateHome, destinationId: string) => {
  const root = `${home.outboxes}/${destinationId}`
  return {
    root,
    events: `${root}/events`,
    setAside: `${root}/set-aside`,
    /** The last messages that PostHog accepted. */
    sent: `${root}/sent`,
    backOff: `${root}/back-off.json`,
    lastDelivery: `${root}/last-delivery.json`
  }
}

export type OutboxFolder = Readonly<ReturnType<typeof make>>

/**
 * The maximum number of messages in an outbox, their maximum size in bytes and their maximum age in milliseconds.
 *
 * **Details**
 *
 * The oldest messages are removed first. Default: 1,000 messages, 1 MiB, 7 days.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounds {
  readonly messages: number
  readonly bytes: number
  readonly ageMillis: number
}

/**
 * Some of the `Bounds`. The others keep their defaults.
 *
 * @category models
 * @since 0.1.0
 */
export type SomeBounds = { readonly [Name in keyof Bounds]?: Bounds[Name] | undefined }

/** The default bounds: 1,000 messages, 1 MiB, 7 days. */
export const defaultBounds: Bounds = {
  messages: 1000,
  bytes: 1024 * 1024,
  ageMillis: 7 * 24 * 60 * 60 * 1000
}

/** The bounds of the messages set aside: 1,000 messages, 1 MiB, any age. Age is counted from the recording. */
export const setAsideBounds: SomeBounds = { ageMillis: Number.POSITIVE_INFINITY }

/** The bounds of the sent messages: 100 messages, 1 MiB, 7 days since the recording. */
export const sentBounds = { messages: 100 } satisfies SomeBounds

// A message has at most 64 KiB. A name with a larger size is invalid: it would remove every other message.
const pattern = /^(\d{15})-(\d{6})-([0-9a-f-]{36})-([0-9a-f-]{36})-(\d{1,6})\.json$/

/**
 * Returns the name of an event's file: time, sequence, invocation, uuid and size. A listing of the folder is enough for
 * the order and the bounds.
 */
export const eventName = (message: Message, now: number, bytes: number): string => {
  const { invocation_id: id, sequence } = message.properties
  const time = String(Math.max(0, Math.trunc(now))).padStart(15, "0")
  const number = String(typeof sequence === "number" ? Math.max(0, Math.trunc(sequence)) : 0).padStart(6, "0")
  return `${time}-${number}-${typeof id === "string" ? id : ""}-${message.uuid}-${bytes}.json`
}

export const isEventName = (name: string): boolean => name.endsWith(".json")

export const isOfInvocation = (name: string, invocationId: string): boolean => pattern.exec(name)?.[3] === invocationId

// Another process may have recorded a message since `now` was read.
const futureMillis = 60_000

/**
 * Returns the oldest names of a sorted listing that are beyond the bounds. A missing bound has its default.
 *
 * A message of the future counts as the oldest: it was recorded before the clock was set back.
 */
export const beyondBounds = (
  names: ReadonlyArray<string>,
  now: number,
  bounds: SomeBounds = {}
): ReadonlyArray<string> => {
  const limits = {
    messages: bounds.messages ?? defaultBounds.messages,
    bytes: bounds.bytes ?? defaultBounds.bytes,
    ageMillis: bounds.ageMillis ?? defaultBounds.ageMillis
  }
  const files = names.map((name) => {
    const match = pattern.exec(name)
    return { name, time: match === null ? now : Number(match[1]), bytes: match === null ? 0 : Number(match[5]) }
  })
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  let count = files.length
  const beyond: Array<string> = []
  const isOfFuture = ({ time }: { readonly time: number }): boolean => time - now > futureMillis
  for (const file of [...files.filter(isOfFuture), ...files.filter((file) => !isOfFuture(file))]) {
    // No `break`: a file with another name has no age, and may be the first.
    if (count > limits.messages || bytes > limits.bytes || now - file.time > limits.ageMillis) {
      beyond.push(file.name)
      count -= 1
      bytes -= file.bytes
    }
  }
  return beyond
}
