/**
 * A server on loopback that accepts the requests that PostHog accepts, and shows what arrived.
 *
 * It answers as PostHog's ingestion does, or in any of the ways in which a network and its servers fail: the tests of a
 * client get real sockets, and a developer sees events arrive without an account. It runs on Node only, and in real
 * time even under a test clock, because its sockets do.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import { isJson } from "../domain/JsonDocument.ts"
import { printable } from "./Printable.ts"
import * as SinkApi from "./SinkApi.ts"
import * as SinkHttp from "./SinkHttp.ts"
import * as SinkPage from "./SinkPage.ts"
import * as SinkStore from "./SinkStore.ts"

/**
 * One element of a batch, as it arrived.
 *
 * **Details**
 *
 * A field that the element does not have, or not as text, is empty. `raw` is the JSON text of the whole element, keys in
 * the order in which they came: a resend is the same message exactly when its `raw` is the same.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReceivedMessage {
  readonly event: string
  readonly distinct_id: string
  readonly properties: Readonly<Record<string, unknown>>
  readonly timestamp: string
  readonly uuid: string
  /** Person properties beside `properties`, as some clients write them. */
  readonly $set?: unknown
  readonly $set_once?: unknown
  readonly received_at: string
  /** The index of the request in {@link PostHogSink.requests}. */
  readonly request: number
  readonly raw: string
}

/**
 * How a request was answered: a status, or what was done in place of an answer.
 *
 * `"drip"` becomes 200 with the last byte. A rule sees `"pending"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Answered = number | "pending" | "hang" | "reset" | "drip"

/**
 * A request that arrived whole, its body decompressed.
 *
 * Requests to `/api/`, requests for the page, and refused requests are not counted. A request is refused if its `Host` is
 * not a loopback name, or if its `Origin` is another site.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReceivedRequest {
  readonly index: number
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly api_key: string
  readonly body: string
  readonly batch: ReadonlyArray<ReceivedMessage>
  readonly answered: Answered
  readonly received_at: string
}

/**
 * One way to answer a request to `/batch/`.
 *
 * **Details**
 *
 * - `Validate`, the default, does what PostHog does: 400 for an empty batch, and for the whole batch when one event has no
 *   name, no distinct id or a bad uuid; 401 without a key; else 200. Above 20 MB, compressed or not, every rule answers 413.
 * - `Ok` is a 200 for whatever came; with `quota_limited` it says that the messages were dropped over quota.
 * - `Status` is any other status; its body is `{}` unless given.
 * - `NotJson` is a 200 with a page, as of a captive portal.
 * - `Redirect` sends the client elsewhere.
 * - `Hang` never answers.
 * - `Delay` answers later, by `Validate` unless given; the messages are accepted then, also of a client that has left.
 * - `Reset` cuts the connection: in the middle of a 200's body, or `before` the first byte of an answer.
 * - `Drip` is a 200 whose body comes one byte every 500 ms.
 * - `RejectPoison` answers 400 to a batch with a bad message in it, else 200.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = Data.TaggedEnum<{
  Validate: {}
  Ok: { readonly quota_limited?: ReadonlyArray<string> }
  Status: { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  NotJson: {}
  Redirect: { readonly status: number; readonly location: string }
  Hang: {}
  Delay: { readonly millis: number; readonly answer?: Answer }
  Reset: { readonly before?: boolean }
  Drip: {}
  RejectPoison: { readonly isBad: (message: ReceivedMessage) => boolean }
}>

/**
 * Constructors of {@link Answer}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Answer = Data.taggedEnum<Answer>()

/**
 * How requests are answered from now on; a function also gets how many requests the rule answered before.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule = Answer | ((request: ReceivedRequest, index: number) => Answer)

/**
 * A running sink.
 *
 * @category models
 * @since 0.1.0
 */
export interface PostHogSink {
  readonly url: string
  /** What was accepted: answered by a 2xx with a JSON body that does not say `quota_limited`. In order of arrival. */
  readonly messages: Effect.Effect<ReadonlyArray<ReceivedMessage>>
  /** Every message that ever arrived, accepted or not. */
  readonly attempts: Effect.Effect<ReadonlyArray<ReceivedMessage>>
  readonly requests: Effect.Effect<ReadonlyArray<ReceivedRequest>>
  /** Sets how requests to `/batch/` are answered from now on. */
  readonly answer: (rule: Rule) => Effect.Effect<void>
  /** Calls the listener with each message that is accepted, until the scope closes. */
  readonly onMessage: (listener: (message: ReceivedMessage) => void) => Effect.Effect<void, never, Scope.Scope>
  /** Waits until the predicate holds of the accepted messages (or of the requests), and returns the messages. */
  readonly waitFor: (
    predicate: (messages: ReadonlyArray<ReceivedMessage>, requests: ReadonlyArray<ReceivedRequest>) => boolean,
    timeout?: Duration.Input
  ) => Effect.Effect<ReadonlyArray<ReceivedMessage>, SinkTimeout>
}

/**
 * The sink could not be started.
 *
 * @category errors
 * @since 0.1.0
 */
export class SinkError extends Schema.TaggedError<SinkError>()("SinkError", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/**
 * What was waited for did not arrive; the message lists what did.
 *
 * @category errors
 * @since 0.1.0
 */
export class SinkTimeout extends Schema.TaggedError<SinkTimeout>()("SinkTimeout", {
  message: Schema.String
}) {}

const dripInterval = 500
const accepted = JSON.stringify({ status: 1 })
const page = "<!doctype html><html><head><title>Welcome</title></head><body>Please sign in.</body></html>"

/** Creates an answer with an error message. */
const failed = (status: number, error: string): Answer => Answer.Status({ status, body: JSON.stringify({ error }) })

const describe = (
  messages: ReadonlyArray<ReceivedMessage>,
  requests: ReadonlyArray<ReceivedRequest>
): string =>
  [
    `Accepted messages: ${messages.length}`,
    ...messages.map(({ distinct_id, event, uuid }) => printable(`  ${event} of ${distinct_id} (${uuid})`)),
    `Requests: ${requests.length}`,
    ...requests.map(({ answered, batch, method, path }) => {
      const events = batch.map(({ event }) => event).join(", ") || "no message"
      return printable(`  ${method} ${path} with ${events}: answered ${answered}`)
    })
  ].join("\n")

/** How long an idle connection is kept. */
const keepAliveMillis = 60_000

// A timer with a longer time ends at once.
const maxTimer = 2 ** 31 - 1

const listen = (server: Net.Server, port: number): Effect.Effect<number, SinkError> =>
  Effect.callback((resume) => {
    const fail = (cause: unknown) => {
      const inUse = Predicate.hasProperty(cause, "code") && cause.code === "EADDRINUSE"
      const reason = inUse ? "it is already in use" : cause instanceof Error ? cause.message : String(cause)
      resume(Effect.fail(new SinkError({ message: `The sink cannot listen on port ${port}: ${reason}`, cause })))
    }
    server.once("error", fail)
    try {
      server.listen(port, "127.0.0.1", () => {
        server.off("error", fail)
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
      })
    } catch (cause) {
      fail(cause)
    }
  })

/**
 * Starts a sink on 127.0.0.1; it stops, and its connections are cut, when the scope closes.
 *
 * **Example** (Waiting for an event)
 *
 * ```ts
 * const program = Effect.gen(function*() {
 *   const sink = yield* PostHogSink.make()
 *   yield* sink.answer((_, index) => index === 0 ? PostHogSink.Answer.Hang() : PostHogSink.Answer.Validate())
 *   // run the client against sink.url
 *   yield* sink.waitFor((messages) => messages.some(({ event }) => event === "$create_alias"), "10 seconds")
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options?: {
  /** 0, the default, takes any free port. */
  readonly port?: number
  readonly tls?: { readonly key: string; readonly cert: string }
}): Effect.fn.Return<PostHogSink, SinkError, Scope.Scope> {
  const tls = options?.tls
  const store = SinkStore.make()
  const { recordAnswer } = store
  let rule: Rule = Answer.Validate()
  let ruleIndex = 0
  let fault: SinkApi.Fault | undefined

  // Each answer is settled before its last byte leaves: a client that has its answer finds its messages here.
  const respond = (
    answer: Answer,
    request: ReceivedRequest,
    refused: SinkHttp.Refused | undefined,
    response: Http.ServerResponse
  ): void => {
    switch (answer._tag) {
      case "Validate": {
        const validated = refused === undefined ? Answer.Ok({}) : failed(refused.status, refused.error)
        return respond(validated, request, refused, response)
      }
      case "RejectPoison": {
        const isBad = request.batch.some(answer.isBad)
        return respond(isBad ? failed(400, "a message of the batch is bad") : Answer.Ok({}), request, refused, response)
      }
      case "Ok": {
        const { quota_limited = [] } = answer
        const isLimited = quota_limited.length > 0
        recordAnswer(request, 200, !isLimited)
        return SinkHttp.send(response, 200, isLimited ? JSON.stringify({ status: 1, quota_limited }) : accepted)
      }
      case "Status": {
        const { body = "{}", headers, status } = answer
        recordAnswer(request, status, status >= 200 && status < 300 && isJson(body))
        return SinkHttp.send(response, status, body, headers)
      }
      case "NotJson":
        recordAnswer(request, 200, false)
        return SinkHttp.send(response, 200, page, { "content-type": "text/html; charset=utf-8" })
      case "Redirect":
        recordAnswer(request, answer.status, false)
        return SinkHttp.send(response, answer.status, "", { location: answer.location })
      case "Hang":
        return recordAnswer(request, "hang", false)
      case "Delay":
        // PostHog accepts a request also if the client has disconnected.
        return void setTimeout(
          () => respond(answer.answer ?? Answer.Validate(), request, refused, response),
          answer.millis
        ).unref()
      case "Reset": {
        recordAnswer(request, "reset", false)
        const socket = response.socket
        if (socket === null) return
        if (answer.before === true) {
          // A TLS socket has no way to send a TCP reset; there the connection just ends.
          return void (tls === undefined ? socket.resetAndDestroy() : socket.destroy())
        }
        response.writeHead(200, { "content-type": "application/json", "content-length": accepted.length })
        // No TCP reset here: it would race with the half that the client is to read.
        response.write(accepted.slice(0, accepted.length / 2), () => socket.destroy())
        return
      }
      case "Drip": {
        recordAnswer(request, "drip", false)
        response.writeHead(200, { "content-type": "application/json", "content-length": accepted.length })
        response.flushHeaders()
        let sent = 0
        const timer = setInterval(() => {
          const byte = accepted.slice(sent, ++sent)
          if (sent < accepted.length) {
            response.write(byte)
          } else {
            clearInterval(timer)
            recordAnswer(request, 200, true)
            response.end(byte)
          }
        }, dripInterval)
        response.once("close", () => clearInterval(timer))
      }
    }
  }

  const scheme = tls === undefined ? "http" : "https"

  const nextAnswer = (request: ReceivedRequest): Answer => {
    if (fault !== undefined && fault.requests > 0) {
      const { answer, requests } = fault
      fault = { answer, requests: requests - 1 }
      return answer
    }
    return typeof rule === "function" ? rule(request, ruleIndex++) : rule
  }

  const receive = (
    incoming: Http.IncomingMessage,
    response: Http.ServerResponse,
    bytes: SinkHttp.Body
  ): void => {
    const { headers, method = "", url: path = "" } = incoming
    const refusal = SinkHttp.refusal(headers, scheme)
    if (refusal !== undefined) return SinkHttp.send(response, 403, JSON.stringify({ error: refusal }))
    const pathname = path.split("?", 1)[0]
    const { api_key, batch, body, isTooLarge, refused } = SinkHttp.decode(bytes, headers["content-encoding"])
    const route = `${method} ${pathname}`
    const setFault = (next: SinkApi.Fault | undefined) => void (fault = next)
    if (SinkPage.answer(route, response) || SinkApi.answer(route, body, response, { store, setFault })) return
    const received_at = new Date().toISOString()
    const isBatch = method === "POST" && (pathname === "/batch/" || pathname === "/batch")
    const request = store.add((index) => ({
      index,
      method,
      path,
      headers,
      api_key: isBatch ? api_key : "",
      body,
      batch: isBatch ? batch.map((message) => ({ ...message, received_at, request: index })) : [],
      answered: "pending",
      received_at
    }))
    const next = isTooLarge
      ? failed(413, "request body too large")
      : isBatch
      ? nextAnswer(request)
      : failed(404, "not found")
    respond(next, request, refused, response)
  }

  const server = yield* Effect.try({
    try: () => tls === undefined ? Http.createServer() : Https.createServer(tls),
    catch: (cause) => new SinkError({ message: "The sink cannot use this TLS key and certificate", cause })
  })
  // Node.js closes a connection that is idle for 5 s, which a client on a busy machine is between two requests.
  server.keepAliveTimeout = keepAliveMillis
  server.on("request", (incoming: Http.IncomingMessage, response: Http.ServerResponse) => {
    SinkHttp.readBody(incoming, (body) => {
      try {
        receive(incoming, response, body)
      } catch (cause) {
        // A rule of a test has thrown. Its client must not wait, and the other tests must not end.
        SinkHttp.send(response, 500, JSON.stringify({ error: String(cause) }))
      }
    })
    response.on("error", () => {})
  })
  // `closeAllConnections` leaves those in a TLS handshake.
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket: Net.Socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })

  const port = yield* Effect.acquireRelease(
    listen(server, options?.port ?? 0),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )

  return {
    url: `${scheme}://127.0.0.1:${port}`,
    messages: Effect.sync(store.messages),
    attempts: Effect.sync(store.attempts),
    requests: Effect.sync(store.requests),
    answer: (next) =>
      Effect.sync(() => {
        rule = next
        ruleIndex = 0
      }),
    onMessage: (listener) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => store.watch({ onMessage: listener })),
        (unwatch) => Effect.sync(unwatch)
      )),
    waitFor: (predicate, timeout = "5 seconds") =>
      Effect.callback((resume) => {
        const stop = () => {
          clearTimeout(timer)
          unwatch()
        }
        const timer = setTimeout(() => {
          stop()
          resume(Effect.fail(
            new SinkTimeout({
              message: `Not seen within ${Duration.format(Duration.fromInputUnsafe(timeout))}.\n${
                describe(store.messages(), store.requests())
              }`
            })
          ))
        }, Math.min(Duration.toMillis(timeout), maxTimer))
        // A predicate that throws fails the test that waits, not the server that was about to answer.
        const check = () => {
          try {
            const seen = store.messages()
            if (!predicate(seen, store.requests())) return
            stop()
            resume(Effect.succeed(seen))
          } catch (defect) {
            stop()
            resume(Effect.die(defect))
          }
        }
        const unwatch = store.watch({ onAnswer: check })
        check()
        return Effect.sync(stop)
      })
  }
})
