/** posthog-node, made exact: what is on disk is what is sent, and every answer is known. */
// The entry without what only a server needs: it reads source files for stack traces, through `readline`.
import { PostHog, type PostHogOptions } from "posthog-node/edge"
import type { Destination } from "../domain/Destination.ts"
import type { Message } from "../domain/Message.ts"
import { type Answer, post } from "./Transport.ts"

// What posthog-node calls a message: JSON that may be changed.
type WireValue = string | number | boolean | null | Array<WireValue> | { [key: string]: WireValue }
interface Wire {
  [key: string]: WireValue
}

// posthog-node treats some names in ways of its own ("$exception" goes last). The message has its name already.
const anyEvent = "message"

/** Shorter bodies are sent as they are: what fits into one packet of a network is no faster when it is compressed. */
const compressFrom = 1200

/** The longest that one request may take. */
const requestLimitMillis = 5000

// posthog-node is told that all went well whatever happened: what it would do on an error (retry, halve, drop) is the
// worker's decision.
type Fetch = NonNullable<PostHogOptions["fetch"]>

const taken: Awaited<ReturnType<Fetch>> = {
  status: 200,
  headers: { get: () => null },
  text: () => Promise.resolve("{}"),
  json: () => Promise.resolve({})
}

/** Sends messages in one request of posthog-node's. */
export class PostHogClient extends PostHog {
  readonly #messages: Map<string, Wire>
  readonly #answer: { value: Answer }

  constructor(destination: Destination) {
    const messages = new Map<string, Wire>()
    const answer: { value: Answer } = { value: { _tag: "Kept", reason: "nothing was sent" } }
    super(destination.key, {
      host: destination.host,
      flushAt: Number.MAX_SAFE_INTEGER,
      maxBatchSize: Number.MAX_SAFE_INTEGER,
      maxQueueSize: Number.MAX_SAFE_INTEGER,
      flushInterval: 0,
      fetchRetryCount: 0,
      requestTimeout: requestLimitMillis * 2,
      isServer: false,
      disableGeoip: false,
      fetch: async (url, { body, headers }) => {
        answer.value = typeof body === "string" || body instanceof Uint8Array
          ? await post(new URL(url), headers, body, requestLimitMillis)
          : { _tag: "Kept", reason: "an unknown kind of body" }
        return taken
      }
    })
    this.#messages = messages
    this.#answer = answer
  }

  // One message fits into a packet as it is, and most workers send one.
  protected override async compressPayload(payload: string) {
    if (payload.length < compressFrom) return null
    return process.getBuiltinModule("node:zlib").gzipSync(payload)
  }

  override getLibraryId(): string {
    return "posthog-node"
  }

  // What posthog-node would add (library, geoip, its own clock) is in the message already, the same at every resend.
  protected override processBeforeEnqueue(message: Wire): Wire | null {
    return typeof message.uuid === "string" ? this.#messages.get(message.uuid) ?? null : null
  }

  /** Sends messages in one request; never rejects. */
  async send(messages: ReadonlyArray<Message>): Promise<Answer> {
    this.#answer.value = { _tag: "Kept", reason: "nothing was sent" }
    for (const message of messages) {
      const wire: Wire = JSON.parse(JSON.stringify(message))
      this.#messages.set(message.uuid, wire)
      this.capture({
        event: anyEvent,
        distinctId: message.distinct_id,
        properties: {},
        timestamp: new Date(message.timestamp),
        uuid: message.uuid
      })
    }
    await this.flush().catch(() => {})
    this.#messages.clear()
    return this.#answer.value
  }
}
