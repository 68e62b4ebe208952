/**
 * A small `HttpClient` for requests in the background of a command, each of which can be given up at any moment.
 *
 * Two things in Node would let such a request hold up the end of the command. `fetch` and `import "node:http"` load
 * undici, which costs more than the request; so Node's modules are taken with `process.getBuiltinModule`, at the first
 * request. And `dns.lookup` asks the system's resolver in the thread pool, from where it cannot be called back: both
 * `process.exit` and the natural end of a process wait for it, many seconds where a name server does not answer. So
 * names are resolved here: `localhost`, the hosts file, then the name server itself, which can be cancelled.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { LookupAddress } from "node:dns"
import type { Resolver } from "node:dns/promises"
import * as NFS from "node:fs"
import type { IncomingMessage } from "node:http"
import type { LookupFunction } from "node:net"

const maxBodyBytes = 64 * 1024

// == names

const hostsFile = process.platform === "win32" ? "C:\\Windows\\System32\\drivers\\etc\\hosts" : "/etc/hosts"

const toAddress = (address: string): LookupAddress => ({
  address,
  family: process.getBuiltinModule("node:net").isIP(address)
})

const inHostsFile = (name: string): ReadonlyArray<LookupAddress> => {
  let text: string
  try {
    text = NFS.readFileSync(hostsFile, "utf8").toLowerCase()
  } catch {
    return []
  }
  // Some hosts files block a hundred thousand names.
  return text.split("\n").filter((line) => line.includes(name)).flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/)
    return names.includes(name) ? [toAddress(address)] : []
  }).filter(({ family }) => family !== 0)
}

// Some name servers never answer for one kind of address. RFC 8305 gives it 50 ms when the other kind is there.
const laterMillis = 50

const orNone = (one: Promise<Array<string>>, other: Promise<Array<string>>): Promise<Array<string>> =>
  new Promise((resolve, reject) => {
    one.then(resolve, reject)
    other.then(() => setTimeout(() => resolve([]), laterMillis).unref(), () => {})
  })

const askNameServer = async (resolver: Resolver, name: string): Promise<ReadonlyArray<LookupAddress>> => {
  const [four, six] = [resolver.resolve4(name), resolver.resolve6(name)]
  const answers = await Promise.allSettled([orNone(four, six), orNone(six, four)])
  const addresses = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value.map(toAddress) : [])
  const [failure] = answers.flatMap((answer) => answer.status === "rejected" ? [answer.reason] : [])
  if (addresses.length === 0 && failure !== undefined) throw failure
  return addresses
}

const resolve = async (resolver: Resolver, name: string): Promise<ReadonlyArray<LookupAddress>> => {
  if (name === "localhost") return ["127.0.0.1", "::1"].map(toAddress)
  const known = inHostsFile(name)
  return known.length > 0 ? known : await askNameServer(resolver, name)
}

// Node asks for names only, never for an address.
const lookup = (resolver: Resolver): LookupFunction => (name, options, callback) => {
  resolve(resolver, name).then(
    (addresses) => {
      // Node tries one address after the other where it asked for all of them.
      if (options.all === true) return callback(null, [...addresses])
      const [first] = addresses
      callback(null, first?.address ?? "", first?.family)
    },
    (error) => callback(error, "")
  )
}

// == requests

const transportError = (
  request: HttpClientRequest.HttpClientRequest,
  details: { readonly cause: unknown } | { readonly description: string }
) => new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, ...details }) })

const read = (message: IncomingMessage, done: (body: Buffer<ArrayBuffer> | undefined) => void): void => {
  const chunks: Array<Buffer> = []
  let size = 0
  message.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBodyBytes) return done(undefined)
    chunks.push(chunk)
  })
  message.once("end", () => done(Buffer.concat(chunks)))
}

const send = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  signal: AbortSignal
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  Effect.callback((resume) => {
    const fail = (details: Parameters<typeof transportError>[1]) =>
      resume(Effect.fail(transportError(request, details)))
    const { body } = request
    if (body._tag !== "Empty" && body._tag !== "Uint8Array") {
      return fail({ description: `a ${body._tag} body is not supported` })
    }
    try {
      const resolver = new (process.getBuiltinModule("node:dns/promises").Resolver)()
      const { request: start } = url.protocol === "https:"
        ? process.getBuiltinModule("node:https")
        : process.getBuiltinModule("node:http")
      const outgoing = start(url, {
        // An agent of its own, which does not keep the connection.
        agent: false,
        method: request.method,
        headers: request.headers,
        lookup: lookup(resolver),
        signal
      })
      outgoing.on("error", (cause) => fail({ cause }))
      outgoing.once("close", () => resolver.cancel())
      outgoing.once("socket", (socket) => {
        socket.unref()
        // Each address that is tried has a handle of its own.
        socket.on("connectionAttempt", () => socket.unref())
      })
      outgoing.once("upgrade", (_message, socket) => {
        fail({ description: "an upgrade is not supported" })
        socket.destroy()
      })
      outgoing.once("response", (message) => {
        message.on("error", (cause) => fail({ cause }))
        read(message, (body) => {
          if (body === undefined) {
            fail({ description: `the body is larger than ${maxBodyBytes} bytes` })
            return outgoing.destroy()
          }
          resume(Effect.succeed(new NodeHttpResponse(request, url, message, body)))
        })
      })
      outgoing.end(body._tag === "Uint8Array" ? body.body : undefined)
    } catch (cause) {
      // A header or a protocol that Node refuses.
      fail({ cause })
    }
  })

// == responses

// Not `HttpClientResponse.fromWeb`: reading `globalThis.Response` loads undici.
class NodeHttpResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse, Pipeable {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly url: string
  readonly status: number
  readonly headers: Headers.Headers
  readonly cookies: Cookies.Cookies
  readonly remoteAddress: Option.Option<string>
  readonly text: Effect.Effect<string>
  readonly json: Effect.Effect<Schema.Json, HttpClientError.HttpClientError>
  readonly arrayBuffer: Effect.Effect<ArrayBuffer>
  readonly stream: Stream.Stream<Uint8Array>
  readonly urlParamsBody: Effect.Effect<UrlParams.UrlParams>
  readonly formData: Effect.Effect<never, HttpClientError.HttpClientError>
  readonly upgrade: Effect.Effect<never, HttpClientError.HttpClientError>

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    url: URL,
    message: IncomingMessage,
    body: Buffer<ArrayBuffer>
  ) {
    super()
    const decodeError = (details: { readonly cause?: unknown; readonly description?: string }) =>
      new HttpClientError.HttpClientError({
        reason: new HttpClientError.DecodeError({ request, response: this, ...details })
      })
    this.request = request
    this.url = url.href.replace(/#.*/, "")
    this.status = message.statusCode ?? 0
    this.headers = Headers.fromInput(message.headers)
    this.cookies = Cookies.fromSetCookie(message.headers["set-cookie"] ?? [])
    this.remoteAddress = Option.fromUndefinedOr(message.socket.remoteAddress)
    this.text = Effect.sync(() => new TextDecoder().decode(body))
    this.json = Effect.flatMap(this.text, (text) =>
      Effect.try({
        try: () => text === "" ? null : JSON.parse(text),
        catch: (cause) => decodeError({ cause })
      }))
    this.arrayBuffer = Effect.sync(() => new Uint8Array(body).buffer)
    this.stream = Stream.succeed(new Uint8Array(body))
    this.urlParamsBody = Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
    this.formData = Effect.suspend(() => Effect.fail(decodeError({ description: "form data is not supported" })))
    this.upgrade = Effect.suspend(() =>
      Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.StatusCodeError({
            request,
            response: this,
            description: "an upgrade is not supported"
          })
        })
      )
    )
  }

  override toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  pipe() {
    return pipeArguments(this, arguments)
  }
}

// == the client

/**
 * The client whose requests can be given up at any moment.
 *
 * **Details**
 *
 * Interrupting a request destroys its socket and cancels its name look-up at once. A connection serves one request.
 * Redirects are not followed. A response's body is read before the response is given, and one of more than 64 KiB is a
 * failure. Bodies to send are those in memory.
 *
 * **Gotchas**
 *
 * A request does not keep the process alive by itself, unless while a name server is asked: whoever wants the answer
 * waits in a program that is kept alive, as `runMain` does. Names are those of the hosts file and of the name server:
 * no mDNS, no search domains, no other sources of the system's resolver. No proxy is used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: HttpClient.HttpClient = HttpClient.make(send)

/**
 * Provides the client whose requests can be given up at any moment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.succeed(HttpClient.HttpClient, make)
