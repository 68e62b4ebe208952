/**
 * What is sent: one element of the `batch` that PostHog's `/batch/` takes.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as JsonDocument from "./JsonDocument.ts"

/**
 * One event or alias, whole: what stands on disk is what goes over the wire, byte for byte, however often it is sent.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Message = Schema.Struct({
  event: Schema.NonEmptyString,
  properties: Schema.JsonObject,
  timestamp: Schema.NonEmptyString,
  uuid: Schema.String.check(Schema.isUUID()),
  distinct_id: Schema.NonEmptyString
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Message extends Schema.Schema.Type<typeof Message> {}

/**
 * The largest message that capture takes, in bytes of JSON (PostHog's own limit for an event is about 1 MB).
 *
 * @category constants
 * @since 0.1.0
 */
export const maxBytes = 64 * 1024

// The `version` is the format's, so that an older worker leaves a newer message alone.
const Spooled = JsonDocument.make(() => Schema.Struct({ version: Schema.Literal(1), message: Message }))

/**
 * The text of a message's file.
 *
 * @category codecs
 * @since 0.1.0
 */
export const encode = (message: Message): string => Spooled.encode({ version: 1, message })

/**
 * Reads a message's file; nothing where it is not whole or from a newer version.
 *
 * @category codecs
 * @since 0.1.0
 */
export const decode = Spooled.decode

const Versioned = JsonDocument.make(() => Schema.Struct({ version: Schema.Int }))

/**
 * Whether a message's file is of a newer version, whose worker will send it.
 *
 * @category codecs
 * @since 0.1.0
 */
export const isNewer = (text: string): boolean => Option.exists(Versioned.decode(text), ({ version }) => version > 1)
