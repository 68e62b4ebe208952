/**
 * The host's own HTTP client, watched for the principal that its API names.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import { IdentityStitch } from "../services/IdentityStitch.ts"

/**
 * Which responses name a principal.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The origin of the host's API, `"https://api.acme.dev"`; of a longer URL its origin counts. */
  readonly origin: string
  /** The response header that holds the principal's id. */
  readonly header: string
}

// A header's bytes are read as Latin-1, whatever its server meant, and one that is there twice as a list: neither is the
// account's id, as an answer's body or a login would have it.
const unclear = /[^ -~]|, /

const originOf = (url: string): string | undefined => URL.canParse(url) ? new URL(url).origin : undefined

/**
 * Makes what turns the host's client into one that observes the principals its API names.
 *
 * **Details**
 *
 * A response counts if its status is 2xx, its request carried an `Authorization` header, and both the URL that was
 * asked and the one that answered, which a redirect may have changed, are of the API's origin. The header's value must be
 * ASCII, and one. No request is added, and the response stays as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const observe = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<(client: HttpClient.HttpClient) => HttpClient.HttpClient, never, IdentityStitch> {
  const stitch = yield* IdentityStitch
  const origin = originOf(options.origin)
  const header = options.header.toLowerCase()

  const principalIn = (response: HttpClientResponse.HttpClientResponse): string | undefined => {
    const { headers, request, status, url } = response
    const isOwn = origin !== undefined && originOf(request.url) === origin && originOf(url) === origin
    const isAbout = isOwn && Math.floor(status / 100) === 2 && request.headers["authorization"] !== undefined
    const value = isAbout ? headers[header] : undefined
    return value === undefined || unclear.test(value) ? undefined : value
  }

  return HttpClient.tap((response) => {
    const principal = principalIn(response)
    return principal === undefined
      ? Effect.void
      : stitch.observe(principal, response.request.headers["authorization"])
  })
})

/**
 * Puts the client that observes in the place of the one in the context.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | IdentityStitch> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.flatMap(HttpClient.HttpClient, (client) => Effect.map(observe(options), (watched) => watched(client)))
  )
