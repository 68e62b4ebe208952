/** Sends messages with posthog-node, unchanged, and returns the answer (ADR 0008). */
// The edge entry does not load the code of a server, which reads source files for stack traces.
import { PostHog, type PostHogOptions } from "posthog-node/edge"
import type { Destination } from "../domain/Destination.ts"
import type { Message } from "../domain/Message.ts"
import { type Answer, post } from "./Transport.ts"

// A message of posthog-node: mutable JSON.
type WireValue = string | number | boolean | null | Array<WireValue> | { [key: string]: WireValue }
interface Wire {
  [key: string]: WireValue
}

// posthog-node treats some names differently, such as "$exception". The message already has its own name.
const anyEvent = "message"

/** Shorter bodies are not compressed: they fit into one network packet. */
const compressFrom = 1200

/** The time limit of one request. */
const requestLimitMillis = 5000

// posthog-node always receives a success. The worker handles errors, which posthog-node would retry, halve or drop.
type Fetch = NonNullable<PostHogOptions["fetch"]>

const accepted: Awaited<ReturnType<Fetch>> = {
  status: 200,
  headers: { get: () => null },
  text: () => Promise.resolve("{}"),
  json: () => Promise.resolve({})
}

/** Sends messages in one request of posthog-node's. */
export class PostHogClient extends PostHog {
  readonly #messages: Map<string, Wire | undefined>
  readonly #answer: { value: Answer }

  constructor(destination: Destination) {
    const messages = new Map<string, Wire | undefined>()
    const answer: { value: Answer } = { value: { _tag: "Malformed" } }
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
        if (typeof body === "string" || body instanceof Uint8Array) {
          answer.value = await post(new URL(url), headers, body, requestLimitMillis)
        }
        return accepted
      }
    })
    this.#messages = messages
    this.#answer = answer
  }

  // Most workers send one message, which fits into one network packet.
  protected override async compressPayload(payload: string) {
    // The messages are encoded, so a later error is not about them: zlib has no memory, or Node.js refuses the request.
    this.#answer.value = { _tag: "Kept", reason: "nothing was sent" }
    if (payload.length < compressFrom) return null
    return process.getBuiltinModule("node:zlib").gzipSync(payload)
  }

  override getLibraryId(): string {
    return "posthog-node"
  }

  // The message already has the properties that posthog-node would add (library, geoip, time), equal at every resend.
  protected override processBeforeEnqueue(message: Wire): Wire | null {
    return typeof message.uuid === "string" ? this.#messages.get(message.uuid) ?? null : null
  }

  /** Sends messages in one request; never rejects. */
  async send(messages: ReadonlyArray<Message>): Promise<Answer> {
    // The answer if a message is nested too deep to be encoded.
    this.#answer.value = { _tag: "Malformed" }
    let wires: ReadonlyArray<Wire>
    try {
      wires = JSON.parse(JSON.stringify(messages))
    } catch {
      return this.#answer.value
    }
    for (const [index, message] of messages.entries()) {
      this.#messages.set(message.uuid, wires[index])
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
