/**
 * The unit of delivery: one element of the `batch` that PostHog's `/batch/` accepts.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
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

/** Encodes a message's file. */
export const encode = (message: Message): string => JSON.stringify({ version: 1, message })

/** Returns whether a message's file is of a newer version. A worker of that version will send it. */
export const isNewer = (text: string): boolean =>
  Option.exists(JsonDocument.parse(text), ({ version }) => Predicate.isNumber(version) && version > 1)
