import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as NodeHttpClient from "../../src/layers/NodeHttpClient.ts"
import * as ObservedHttpClient from "../../src/layers/ObservedHttpClient.ts"
import { IdentityStitch } from "../../src/services/IdentityStitch.ts"

/** A server on loopback that names the principal `p1` in every answer. */
const serve = (answer: (request: Http.IncomingMessage, response: Http.ServerResponse) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Http.Server; readonly paths: Array<string>; readonly port: number }>(
        (resume) => {
          const paths: Array<string> = []
          const server = Http.createServer((request, response) => {
            paths.push(request.url ?? "")
            response.setHeader("x-principal-id", "p1")
            answer(request, response)
          })
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({ server, paths, port }))
          })
        }
      ),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    ({ paths, port }) => ({ paths, url: `http://127.0.0.1:${port}` })
  )

const ok = serve((_, response) => response.end("hello"))

/** An `IdentityStitch` that keeps what it is told. */
const stitch = (observe?: (principalId: string) => Effect.Effect<void>) => {
  const seen: Array<string> = []
  const authorizations: Array<string | undefined> = []
  return {
    seen,
    authorizations,
    layer: Layer.mock(IdentityStitch, {
      observe: (principalId, authorization) =>
        Effect.andThen(
          Effect.sync(() => void (seen.push(principalId), authorizations.push(authorization))),
          observe?.(principalId) ?? Effect.void
        )
    })
  }
}

const authorized = (url: string) => HttpClientRequest.bearerToken(HttpClientRequest.get(url), "key")

const observing = <A>(
  origin: string,
  use: (client: HttpClient.HttpClient) => Effect.Effect<A, HttpClientError.HttpClientError, Scope.Scope>,
  options?: {
    readonly observe?: (principalId: string) => Effect.Effect<void>
    readonly inner?: Layer.Layer<HttpClient.HttpClient>
    readonly header?: string
  }
) => {
  const { authorizations, layer, seen } = stitch(options?.observe)
  return Effect.flatMap(HttpClient.HttpClient, use).pipe(
    Effect.provide(
      ObservedHttpClient.layer({ origin, header: options?.header ?? "x-principal-id" }).pipe(
        Layer.provide(options?.inner ?? NodeHttpClient.layer),
        Layer.provide(layer)
      )
    ),
    Effect.map((result) => ({ authorizations, result, seen }))
  )
}

const status = (client: HttpClient.HttpClient, request: HttpClientRequest.HttpClientRequest) =>
  Effect.map(client.execute(request), (response: HttpClientResponse.HttpClientResponse) => response.status)

describe("ObservedHttpClient", () => {
  it.live("observes the principal that the API names, adds no request, and leaves the response as it is", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const { authorizations, result, seen } = yield* observing(
        api.url,
        (client) => Effect.flatMap(client.execute(authorized(`${api.url}/v1/x?y=1`)), (response) => response.text)
      )
      assert.strictEqual(result, "hello")
      assert.deepStrictEqual(seen, ["p1"])
      assert.deepStrictEqual(authorizations, ["Bearer key"])
      assert.deepStrictEqual(api.paths, ["/v1/x?y=1"])
    }))

  it.live("as a function, observes with the client it was given", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const { layer, seen } = stitch()
      const observe = yield* Effect.provide(
        ObservedHttpClient.observe({ origin: api.url, header: "x-principal-id" }),
        layer
      )
      assert.strictEqual(yield* status(observe(NodeHttpClient.make), authorized(api.url)), 200)
      assert.deepStrictEqual(seen, ["p1"])
    }))

  it.live("observes every response: that one is enough is for the stitch to know", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const { seen } = yield* observing(api.url, (client) =>
        Effect.all([status(client, authorized(api.url)), status(client, authorized(api.url))], { concurrency: 2 }))
      assert.deepStrictEqual(seen, ["p1", "p1"])
    }))

  it.live("takes the origin of a longer URL, and a header in any case", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const { seen } = yield* observing(`${api.url}/api/v1/`, (client) => status(client, authorized(api.url)), {
        header: "X-Principal-Id"
      })
      assert.deepStrictEqual(seen, ["p1"])
    }))

  it.live("sees the header that the host adds inside its client, and outside of it", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const authorize = HttpClient.mapRequest(HttpClientRequest.bearerToken("key"))
      const relative = HttpClient.mapRequest(HttpClientRequest.prependUrl(api.url))
      const inner = Layer.succeed(HttpClient.HttpClient, authorize(NodeHttpClient.make))
      const first = yield* observing(api.url, (client) => client.get(api.url), { inner })
      assert.deepStrictEqual(first.seen, ["p1"])
      const second = yield* observing(api.url, (client) => relative(authorize(client)).get("/v1/x"))
      assert.deepStrictEqual(second.seen, ["p1"])
    }))

  it.live("does not count a response without the header", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const { result, seen } = yield* observing(api.url, (client) => status(client, authorized(api.url)), {
        header: "x-other"
      })
      assert.deepStrictEqual([result, seen], [200, []])
    }))

  // Node.js reads and writes a header's bytes as Latin-1.
  const utf8 = new TextDecoder("latin1").decode(new TextEncoder().encode("josé"))
  for (const [what, header] of [["in UTF-8", utf8], ["that is there twice", ["p1", "p2"]]] as const) {
    it.live(`does not count a header ${what}: nobody has that id`, () =>
      Effect.gen(function*() {
        const api = yield* serve((_, response) => response.setHeader("x-principal-id", header).end())
        const { result, seen } = yield* observing(api.url, (client) => status(client, authorized(api.url)))
        assert.deepStrictEqual([result, seen], [200, []])
      }))
  }

  it.live("does not count a request without the credential", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const { result, seen } = yield* observing(api.url, (client) => status(client, HttpClientRequest.get(api.url)))
      assert.deepStrictEqual([result, seen], [200, []])
    }))

  for (const code of [300, 302, 401, 404, 500]) {
    it.live(`does not count a ${code}`, () =>
      Effect.gen(function*() {
        const api = yield* serve((_, response) => response.writeHead(code).end())
        const { result, seen } = yield* observing(api.url, (client) => status(client, authorized(api.url)))
        assert.deepStrictEqual([result, seen], [code, []])
      }))
  }

  it.live("does not count another origin, nor any where its own is no URL", () =>
    Effect.gen(function*() {
      const [api, other] = [yield* ok, yield* ok]
      for (const origin of [api.url, "not a URL"]) {
        const { result, seen } = yield* observing(origin, (client) => status(client, authorized(other.url)))
        assert.deepStrictEqual([result, seen], [200, []])
      }
    }))

  it.live("does not count a response that says no origin, where its own is no URL", () =>
    Effect.gen(function*() {
      const client = HttpClient.makeWith<
        HttpClientError.HttpClientError,
        never,
        HttpClientError.HttpClientError,
        never
      >(
        Effect.map((request) =>
          HttpClientResponse.fromWeb(request, new Response("", { headers: { "x-principal-id": "p1" } }))
        ),
        Effect.succeed
      )
      const { result, seen } = yield* observing("not a URL", (client) => status(client, authorized("/v1/x")), {
        inner: Layer.succeed(HttpClient.HttpClient, client)
      })
      assert.deepStrictEqual([result, seen], [200, []])
    }))

  describe("with a redirect", () => {
    const clients: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
      ["by fetch", FetchHttpClient.layer],
      ["by Effect", Layer.succeed(HttpClient.HttpClient, HttpClient.followRedirects(NodeHttpClient.make))]
    ]
    for (const [name, inner] of clients) {
      it.live(`${name} counts an answer of the API itself`, () =>
        Effect.gen(function*() {
          const api = yield* serve((request, response) =>
            request.url === "/to" ? response.end() : response.writeHead(302, { location: "/to" }).end()
          )
          const { result, seen } = yield* observing(
            api.url,
            (client) => status(client, authorized(`${api.url}/from`)),
            { inner }
          )
          assert.deepStrictEqual([result, seen, api.paths], [200, ["p1"], ["/from", "/to"]])
        }))

      it.live(`${name} does not count what another origin answers`, () =>
        Effect.gen(function*() {
          const other = yield* ok
          const api = yield* serve((_, response) => response.writeHead(302, { location: other.url }).end())
          const { result, seen } = yield* observing(api.url, (client) => status(client, authorized(api.url)), { inner })
          assert.deepStrictEqual([result, seen, other.paths], [200, [], ["/"]])
        }))

      it.live(`${name} does not count what the API answers to another origin's visitor`, () =>
        Effect.gen(function*() {
          const api = yield* ok
          const other = yield* serve((_, response) => response.writeHead(302, { location: api.url }).end())
          const { result, seen } = yield* observing(api.url, (client) => status(client, authorized(other.url)), {
            inner
          })
          assert.deepStrictEqual([result, seen, api.paths], [200, [], ["/"]])
        }))
    }
  })

  it.live("gives the response once it is observed, so that what the host does next is known to be the account's", () =>
    Effect.gen(function*() {
      const api = yield* ok
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        observing(api.url, (client) => status(client, authorized(api.url)), {
          observe: () => Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(gate))
        })
      )
      yield* Deferred.await(started)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(fiber)).result, 200)
    }))

  it.live("leaves a failure as it is", () =>
    Effect.gen(function*() {
      const api = yield* Effect.scoped(ok)
      const { result, seen } = yield* observing(api.url, (client) =>
        Effect.map(Effect.flip(client.execute(authorized(api.url))), (error) =>
          error.reason._tag).pipe(Effect.orDie))
      assert.deepStrictEqual([result, seen], ["TransportError", []])
    }))
})
