/** The `/api/` of a sink: reads what arrived, and injects faults. */
import type * as Http from "node:http"
import * as JsonDocument from "../domain/JsonDocument.ts"
import * as Persons from "./Persons.ts"
import type { Answer, ReceivedMessage } from "./PostHogSink.ts"
import { send } from "./SinkHttp.ts"
import type { SinkStore } from "./SinkStore.ts"

/** What the next requests get in place of an answer. */
export interface Fault {
  readonly answer: Answer
  /** The number of requests that get it. */
  readonly requests: number
}

const usage = "a fault is {\"fault\":\"status\",\"status\":503}, {\"fault\":\"delay\",\"millis\":2000}, " +
  "{\"fault\":\"hang\"}, {\"fault\":\"reset\"} or {\"fault\":\"html\"}; with \"requests\":2 the next two requests get it"

const isWithin = (value: unknown, minimum: number, maximum: number): value is number =>
  Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum

const decodeFault = (text: string): Fault | undefined => {
  const { fault, millis = 0, requests = Number.MAX_SAFE_INTEGER, status = 0 } = JsonDocument.parse(text) ?? {}
  const isCounted = isWithin(requests, 1, Number.MAX_SAFE_INTEGER)
  if (!isCounted || !isWithin(millis, 0, 600_000) || !isWithin(status, 0, 599)) return undefined
  switch (fault) {
    case "status":
      return status < 300 ? undefined : { answer: { _tag: "Status", status }, requests }
    case "delay":
      return millis === 0 ? undefined : { answer: { _tag: "Delay", millis }, requests }
    case "hang":
      return { answer: { _tag: "Hang" }, requests }
    case "reset":
      return { answer: { _tag: "Reset", before: true }, requests }
    case "html":
      return { answer: { _tag: "NotJson" }, requests }
    default:
      return undefined
  }
}

const shown = ({ raw: _raw, request: _request, ...message }: ReceivedMessage) => message

const persons = (store: SinkStore) =>
  Persons.fold(store.messages()).persons.map(({ distinctIds, isIdentified, properties }) => ({
    distinct_ids: distinctIds,
    is_identified: isIdentified,
    properties
  }))

const warnings = (store: SinkStore) =>
  Persons.fold(store.messages()).warnings.map(({ message, type }) => ({
    type,
    uuid: message.uuid,
    event: message.event,
    distinct_id: message.distinct_id
  }))

/** How much may wait for a reader of the stream. */
const maxWaitingBytes = 20 * 1024 * 1024

const stream = (store: SinkStore, response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
  response.flushHeaders()
  const write = (event: string, data: unknown) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  for (const message of store.messages()) write("message", shown(message))
  const unwatch = store.watch({
    onMessage: (message) => {
      if (response.writableLength > maxWaitingBytes) response.destroy()
      else write("message", shown(message))
    },
    onClear: () => write("clear", {})
  })
  response.once("close", unwatch)
}

/**
 * Answers a request to the API; false for any other request.
 *
 * **Details**
 *
 * - `GET /api/messages`, `DELETE /api/messages`: what was accepted; forgets it.
 * - `GET /api/persons`, `GET /api/warnings`: what PostHog would make of it.
 * - `GET /api/events`: a stream of `message` events, which begins with those that are there, and of `clear` events.
 * - `POST /api/faults`, `DELETE /api/faults`: what the next requests get; ends it.
 */
export const answer = (
  route: string,
  body: string,
  response: Http.ServerResponse,
  { setFault, store }: { readonly store: SinkStore; readonly setFault: (fault: Fault | undefined) => void }
): boolean => {
  const reply = (value: unknown, status = 200): boolean => {
    send(response, status, JSON.stringify(value), { "cache-control": "no-store" })
    return true
  }
  switch (route) {
    case "GET /api/messages":
      return reply(store.messages().map(shown))
    case "DELETE /api/messages":
      store.clear()
      return reply({})
    case "GET /api/persons":
      return reply(persons(store))
    case "GET /api/warnings":
      return reply(warnings(store))
    case "GET /api/events":
      stream(store, response)
      return true
    case "POST /api/faults": {
      const fault = decodeFault(body)
      if (fault === undefined) return reply({ error: usage }, 400)
      setFault(fault)
      return reply({})
    }
    case "DELETE /api/faults":
      setFault(undefined)
      return reply({})
    default:
      return false
  }
}
