/**
 * The host's HTTP client, observed for the principal in the responses of the host's API.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { debug } from "./Debug.ts"

/**
 * The API and the response header that name a principal.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The origin of the host's API: `"https://api.acme.dev"`. Of a longer URL the origin is used. */
  readonly origin: string
  /** The response header that holds the principal's id. */
  readonly header: string
}

// A value that is not ASCII is decoded as Latin-1, and a repeated header is joined by ", ". Neither is certainly the id
// that a login would report.
const ambiguous = /[^ -~]|, /

// A text such as `localhost:3000` is a URL without an origin.
const originOf = (url: string): string | undefined => {
  const origin = URL.canParse(url) ? new URL(url).origin : "null"
  return origin === "null" ? undefined : origin
}

/**
 * Returns a function that makes an HTTP client report the principal of each response.
 *
 * **When to use**
 *
 * Use it for a client that is not in the context. For the client in the context, use `layer`.
 *
 * **Details**
 *
 * A response counts if its status is 2xx, its request has an `Authorization` header, and both the requested and the
 * final URL have the origin of the API. The value of the header must be one ASCII value. No request is added, and the
 * response is unchanged.
 *
 * @category constructors
 * @since 0.1.0
 */
export const observe = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<(client: HttpClient.HttpClient) => HttpClient.HttpClient, never, IdentityStitch> {
  const stitch = yield* IdentityStitch
  const header = String(options.header).toLowerCase()

  // Returns why a response names no principal.
  const problemOf = (
    { headers, request, status, url }: HttpClientResponse.HttpClientResponse,
    origin: string
  ): string | undefined => {
    if (originOf(request.url) !== origin || originOf(url) !== origin) return `it is not from ${origin}`
    if (Math.floor(status / 100) !== 2) return `its status is ${status}`
    if (request.headers["authorization"] === undefined) return "its request has no Authorization header"
    const value = headers[header]
    if (value === undefined) return `it has no header ${header}`
    return ambiguous.test(value) ? `its header ${header} is not one ASCII value` : undefined
  }

  return HttpClient.tap((response) => {
    // Most commands make no request.
    const origin = originOf(options.origin)
    if (origin === undefined) {
      return debug(`no response is observed: origin "${options.origin}" is no URL such as https://api.acme.dev`)
    }
    const problem = problemOf(response, origin)
    return problem === undefined
      ? stitch.observe(response.headers[header] ?? "", response.request.headers["authorization"])
      : debug(`a response names no principal: ${problem}`)
  })
})

/**
 * Provides the `HttpClient` of the context, observed.
 *
 * **Example** (Observing the client of a host)
 *
 * ```ts
 * const client = ObservedHttpClient.layer({ origin: "https://api.acme.dev", header: "x-principal-id" }).pipe(
 *   Layer.provide([NodeHttpClient.layerUndici, UsageLive])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | IdentityStitch> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.flatMap(HttpClient.HttpClient, (client) => Effect.map(observe(options), (observed) => observed(client)))
  )
