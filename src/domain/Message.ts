/** The unit of delivery: one element of the `batch` that PostHog's `/batch/` accepts. */
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as JsonDocument from "./JsonDocument.ts"

/**
 * An event or alias in the form that is sent.
 *
 * **Details**
 *
 * A resend sends the same bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly event: string
  readonly properties: Schema.JsonObject
  /** ISO 8601. */
  readonly timestamp: string
  readonly uuid: string
  readonly distinct_id: string
}

/** The maximum size of a message, in bytes of JSON. PostHog's own limit for an event is about 1 MB. */
export const maxBytes = 64 * 1024

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Returns whether a text is a UUID of any version. */
export const isUuid = (text: string): boolean => uuidPattern.test(text)

const isText = (value: unknown): value is string => Predicate.isString(value) && value !== ""

const isObject = (value: Schema.Json | undefined): value is Schema.JsonObject => Predicate.isObject(value)

/** Decodes a message from parsed JSON; undefined if PostHog would refuse a batch with it. */
export const decodeValue = (value: Schema.Json | undefined): Message | undefined => {
  if (!isObject(value)) return undefined
  const { distinct_id, event, properties, timestamp, uuid: id } = value
  const isMessage = isText(event) && isObject(properties) && isText(timestamp) && isText(id) && isUuid(id) &&
    isText(distinct_id)
  return isMessage ? { event, properties, timestamp, uuid: id, distinct_id } : undefined
}

/**
 * Decodes a message's file; none if it is incomplete or of a newer version.
 *
 * `version` is the version of the format, so that an older worker does not send a newer message.
 */
export const decode = JsonDocument.decoder<Message>(({ message, version }) =>
  version === 1 ? decodeValue(message) : undefined
)

/**
 * Returns a time, in milliseconds since 1970, in ISO 8601.
 *
 * `toISOString` gives the same text, but first sets up the time zone of the process, which takes 0.2 ms.
 */
export const timestampOf = (millis: number): string => {
  const date = new Date(millis)
  const year = date.getUTCFullYear()
  if (!(year >= 1000 && year <= 9999)) return date.toISOString()
  const day = String((year * 100 + date.getUTCMonth() + 1) * 100 + date.getUTCDate())
  const seconds = (date.getUTCHours() * 100 + date.getUTCMinutes()) * 100 + date.getUTCSeconds()
  // The first digit keeps the zeros after it.
  const time = String(1e9 + seconds * 1000 + date.getUTCMilliseconds())
  return `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T${time.slice(1, 3)}:${time.slice(3, 5)}:${
    time.slice(5, 7)
  }.${time.slice(7)}Z`
}

/** Encodes a message's file. */
export const encode = (message: Message): string => JSON.stringify({ version: 1, message })

/** Returns whether a message's file is of a newer version. A worker of that version will send it. */
export const isNewer = (text: string): boolean => {
  const version = JsonDocument.parse(text)?.["version"]
  return Predicate.isNumber(version) && version > 1
}
