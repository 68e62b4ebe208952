/** Reads requests of programs on this machine, within bounds, and writes answers. */
import * as Predicate from "effect/Predicate"
import type * as Http from "node:http"
import * as Zlib from "node:zlib"
import { isUuid } from "../domain/Message.ts"
import type { ReceivedMessage } from "./PostHogSink.ts"

/** PostHog's limit of a body; the sink also holds it for a body before it is inflated, and after. */
const maxBodyBytes = 20 * 1024 * 1024

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i

/**
 * Returns why a request is refused; undefined if it is accepted.
 *
 * A web page can send requests to this machine. By DNS rebinding it can also read the answers.
 */
export const refusal = ({ host = "", origin }: Http.IncomingHttpHeaders, scheme: string): string | undefined => {
  if (!loopback.test(host)) return "the sink is reached by a name of this machine only"
  return origin === undefined || origin === `${scheme}://${host}` ? undefined : "the request is from a page elsewhere"
}

/** A body; empty where it was too large. */
export interface Body {
  readonly bytes: Buffer
  readonly isTooLarge: boolean
}

/** Reads a whole body, and keeps no more than its limit of it. */
export const readBody = (incoming: Http.IncomingMessage, read: (body: Body) => void): void => {
  let chunks: Array<Buffer> = []
  let size = 0
  incoming.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBodyBytes) chunks = []
    else chunks.push(chunk)
  })
  incoming.on("end", () => read({ bytes: Buffer.concat(chunks), isTooLarge: size > maxBodyBytes }))
  // A client that goes away in the middle, a killed one for example, is part of what is tested.
  incoming.on("error", () => {})
}

export interface Refused {
  readonly status: number
  readonly error: string
}

/** What is in a request. */
export interface Decoded {
  /** The inflated body. If it cannot be inflated: the bytes as received, to show the mistake of the client. */
  readonly body: string
  readonly api_key: string
  readonly batch: ReadonlyArray<Omit<ReceivedMessage, "received_at" | "request">>
  /** Whether nothing of it was read, because there is too much of it. */
  readonly isTooLarge: boolean
  /** What PostHog answers instead of accepting it. */
  readonly refused: Refused | undefined
}

const record = (value: unknown): Readonly<Record<string, unknown>> => Predicate.isObject(value) ? { ...value } : {}

const text = (value: unknown): string => Predicate.isString(value) ? value : ""

const toMessage = (element: unknown): Decoded["batch"][number] => {
  const fields = record(element)
  return {
    event: text(fields["event"]),
    distinct_id: text(fields["distinct_id"]),
    properties: record(fields["properties"]),
    timestamp: text(fields["timestamp"]),
    uuid: text(fields["uuid"]),
    ..."$set" in fields ? { $set: fields["$set"] } : {},
    ..."$set_once" in fields ? { $set_once: fields["$set_once"] } : {},
    raw: JSON.stringify(element)
  }
}

/** Returns why PostHog refuses a message. A missing uuid is no reason: PostHog creates one. */
const flaw = (element: unknown): string | undefined => {
  const { distinct_id, event, uuid } = record(element)
  if (text(event) === "") return "event submitted with an empty event name"
  if (text(distinct_id) === "") return "event submitted with an empty distinct_id"
  return uuid === undefined || isUuid(text(uuid)) ? undefined : "event submitted with an invalid uuid"
}

const refuse = (api_key: unknown, batch: ReadonlyArray<unknown>): Refused | undefined => {
  if (batch.length === 0) return { status: 400, error: "request holds no event" }
  if (text(api_key) === "") return { status: 401, error: "event submitted without an api_key" }
  const error = batch.map(flaw).find((found) => found !== undefined)
  return error === undefined ? undefined : { status: 400, error }
}

const inflate = ({ bytes, isTooLarge }: Body, encoding: string | undefined) => {
  try {
    const plain = encoding === "gzip" ? Zlib.gunzipSync(bytes, { maxOutputLength: maxBodyBytes }) : bytes
    return { body: plain.toString("utf8"), isTooLarge, isWhole: !isTooLarge }
  } catch (cause) {
    const isBomb = cause instanceof RangeError && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE"
    return { body: bytes.toString("latin1"), isTooLarge: isTooLarge || isBomb, isWhole: false }
  }
}

/** Decodes the body of a request; what is no batch is refused. */
export const decode = (bytes: Body, encoding: string | undefined): Decoded => {
  const { body, isTooLarge, isWhole } = inflate(bytes, encoding)
  const none = (what: string): Decoded => ({
    body,
    isTooLarge,
    api_key: "",
    batch: [],
    refused: { status: 400, error: `failed to decode request: ${what}` }
  })
  if (!isWhole) return none("its body is no gzip, though its content-encoding says so")
  try {
    const { api_key: key, batch } = record(JSON.parse(body))
    const api_key = text(key)
    if (!Array.isArray(batch)) return { ...none("it has no batch"), api_key }
    return { body, isTooLarge, api_key, batch: batch.map(toMessage), refused: refuse(api_key, batch) }
  } catch {
    return none("its body is no JSON, or nested too deep")
  }
}

/** Answers a request, with JSON unless the headers say otherwise. */
export const send = (
  response: Http.ServerResponse,
  status: number,
  body: string,
  headers?: Readonly<Record<string, string>>
): void => {
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...headers
  })
  response.end(body)
}
