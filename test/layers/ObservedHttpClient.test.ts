import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
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
import * as TestConsole from "effect/testing/TestConsole"
import * as Http from "node:http"
import * as Debug from "../../src/layers/Debug.ts"
import * as ObservedHttpClient from "../../src/layers/ObservedHttpClient.ts"
import { IdentityStitch } from "../../src/services/IdentityStitch.ts"
import { type Answer, listen } from "../fixtures/Servers.ts"
import { test } from "../fixtures/Tests.ts"

/** A server on loopback that names the principal `p1` in every answer. */
const serve = Effect.fnUntraced(function*(answer: Answer = (_, response) => response.end("hello")) {
  const paths: Array<string> = []
  const { url } = yield* listen(Http.createServer((request, response) => {
    paths.push(request.url ?? "")
    response.setHeader("x-principal-id", "p1")
    answer(request, response)
  }))
  return { paths, url }
})

const authorized = (url: string) => HttpClientRequest.bearerToken(HttpClientRequest.get(url), "key")

interface Options<A> {
  readonly use?: (client: HttpClient.HttpClient) => Effect.Effect<A, HttpClientError.HttpClientError, Scope.Scope>
  readonly observe?: Effect.Effect<void>
  readonly inner?: Layer.Layer<HttpClient.HttpClient>
  readonly header?: string
}

/** Executes an authorized request to `url`, if nothing else, with the client of a host whose API has the origin. */
const observing = <A = number>(
  origin: string,
  url: string,
  { header = "x-principal-id", inner = NodeHttpClient.layerNodeHttp, observe = Effect.void, use }: Options<A> = {}
) => {
  const seen: Array<readonly [principalId: string, authorization: string | undefined]> = []
  const stitch = Layer.mock(IdentityStitch, {
    observe: (...observed) => Effect.andThen(Effect.sync(() => void seen.push([observed[0], observed[1]])), observe)
  })
  const status = (client: HttpClient.HttpClient) =>
    Effect.map(client.execute(authorized(url)), ({ status }): A | number => status)
  return Effect.flatMap(HttpClient.HttpClient, use ?? status).pipe(
    Effect.provide(ObservedHttpClient.layer({ origin, header }).pipe(Layer.provide([inner, stitch]))),
    Effect.map((result) => ({ result, seen }))
  )
}

const p1 = ["p1", "Bearer key"] as const

describe("observed responses", () => {
  test.live("A response of the API is observed with its principal and authorization, without another request or a change", function*() {
    const api = yield* serve()
    const { result, seen } = yield* observing(api.url, "", {
      use: (client) => Effect.flatMap(client.execute(authorized(`${api.url}/v1/x?y=1`)), ({ text }) => text)
    })
    assert.deepStrictEqual([result, seen, api.paths], ["hello", [p1], ["/v1/x?y=1"]])
  })

  test.live("A response of the API is observed each time, by the origin of a longer URL and by a header in any case", function*() {
    const api = yield* serve()
    const { seen } = yield* observing(`${api.url}/api/v1/`, "", {
      header: "X-Principal-Id",
      use: (client) =>
        Effect.all([client.execute(authorized(api.url)), client.execute(authorized(api.url))], { concurrency: 2 })
    })
    assert.deepStrictEqual(seen, [p1, p1])
  })

  test.live("A response of the API is observed if the host adds the credential within its client or around it", function*() {
    const api = yield* serve()
    const authorize = HttpClient.mapRequest(HttpClientRequest.bearerToken("key"))
    const relative = HttpClient.mapRequest(HttpClientRequest.prependUrl(api.url))
    const inner = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, authorize)).pipe(
      Layer.provide(NodeHttpClient.layerNodeHttp)
    )
    const within = yield* observing(api.url, "", { inner, use: (client) => client.get(api.url) })
    const around = yield* observing(api.url, "", { use: (client) => relative(authorize(client)).get("/v1/x") })
    assert.deepStrictEqual([within.seen, around.seen], [[p1], [p1]])
  })

  it.live("A response of the API is observed with the client that `observe` was given", () =>
    Effect.gen(function*() {
      const api = yield* serve()
      const seen: Array<string> = []
      const stitch = { observe: (principalId: string) => Effect.sync(() => void seen.push(principalId)) }
      const observe = yield* ObservedHttpClient.observe({ origin: api.url, header: "x-principal-id" }).pipe(
        Effect.provide(Layer.mock(IdentityStitch, stitch))
      )
      const client = observe(yield* HttpClient.HttpClient)
      assert.strictEqual((yield* client.execute(authorized(api.url))).status, 200)
      assert.deepStrictEqual(seen, ["p1"])
    }).pipe(Effect.provide(FetchHttpClient.layer)))

  test.live("A response of the API is returned after it was observed, so that the next event belongs to the account", function*() {
    const api = yield* serve()
    const [started, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const observe = Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(gate))
    const fiber = yield* Effect.forkChild(observing(api.url, api.url, { observe }))
    yield* Deferred.await(started)
    assert.isUndefined(fiber.pollUnsafe())
    yield* Deferred.succeed(gate, undefined)
    assert.strictEqual((yield* Fiber.join(fiber)).result, 200)
  })
})

describe("ignored responses", () => {
  // Node.js reads and writes the bytes of a header as Latin-1.
  const utf8 = new TextDecoder("latin1").decode(new TextEncoder().encode("josé"))
  const unclear: Readonly<Record<string, string | Array<string>>> = {
    "in UTF-8": utf8,
    "that occurs twice": ["p1", "p2"]
  }
  test.live.each(Object.entries(unclear))("A response is not observed with a header %s", function*([, header]) {
    const api = yield* serve((_, response) => response.setHeader("x-principal-id", header).end())
    assert.deepStrictEqual(yield* observing(api.url, api.url), { result: 200, seen: [] })
  })

  test.live("A response is not observed without the header, or to a request without the credential", function*() {
    const api = yield* serve()
    assert.deepStrictEqual(yield* observing(api.url, api.url, { header: "x-other" }), { result: 200, seen: [] })
    assert.deepStrictEqual((yield* observing(api.url, "", { use: (client) => client.get(api.url) })).seen, [])
  })

  test.live.each([300, 302, 401, 404, 500])("A response is not observed with the status %s", function*(code) {
    const api = yield* serve((_, response) => response.writeHead(code).end())
    assert.deepStrictEqual(yield* observing(api.url, api.url), { result: code, seen: [] })
  })

  test.live("A response of another origin is not observed, and none if the origin of the API is no URL", function*() {
    const [api, other] = [yield* serve(), yield* serve()]
    for (const origin of [api.url, "not a URL"]) {
      assert.deepStrictEqual(yield* observing(origin, other.url), { result: 200, seen: [] })
    }
    // A response without an origin.
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
    const inner = Layer.succeed(HttpClient.HttpClient, client)
    assert.deepStrictEqual(yield* observing("not a URL", "/v1/x", { inner }), { result: 200, seen: [] })
  })

  /** The debug lines of a request. */
  const linesOf = (observed: Effect.Effect<unknown, HttpClientError.HttpClientError, Scope.Scope>) =>
    Effect.andThen(observed, TestConsole.errorLines).pipe(
      Effect.provide(TestConsole.layer),
      Effect.provideService(Debug.IsDebugMode, true)
    )

  for (const origin of ["not a URL", "api.acme.dev", "localhost:4010"]) {
    test.live(`No response is observed, and a debug line says why, if the origin of the API is ${origin}`, function*() {
      const api = yield* serve()
      assert.deepStrictEqual(yield* linesOf(observing(origin, api.url)), [
        `usage: no response is observed: origin "${origin}" is no URL such as https://api.acme.dev`
      ])
    })
  }

  test.live("A debug line says why a response names no principal, and no line is written about one that does", function*() {
    const [api, other] = [yield* serve(), yield* serve((_, response) => response.writeHead(404).end())]
    const torn = yield* serve((_, response) => response.setHeader("x-principal-id", utf8).end())
    const why = (problem: string) => [`usage: a response names no principal: ${problem}`]
    assert.deepStrictEqual(yield* linesOf(observing(api.url, other.url)), why(`it is not from ${api.url}`))
    assert.deepStrictEqual(yield* linesOf(observing(other.url, other.url)), why("its status is 404"))
    assert.deepStrictEqual(
      yield* linesOf(observing(api.url, "", { use: (client) => client.get(api.url) })),
      why("its request has no Authorization header")
    )
    const misspelled = observing(api.url, api.url, { header: "X-Principle-Id" })
    assert.deepStrictEqual(yield* linesOf(misspelled), why("it has no header x-principle-id"))
    assert.deepStrictEqual(
      yield* linesOf(observing(torn.url, torn.url)),
      why("its header x-principal-id is not one ASCII value")
    )
    assert.deepStrictEqual(yield* linesOf(observing(api.url, api.url)), [])
  })

  test.live("A request that fails is not observed, and its failure stays as it is", function*() {
    const api = yield* Effect.scoped(serve())
    const { result, seen } = yield* observing(api.url, "", {
      use: (client) =>
        Effect.map(Effect.flip(client.execute(authorized(api.url))), ({ reason }) => reason._tag).pipe(Effect.orDie)
    })
    assert.deepStrictEqual([result, seen], ["TransportError", []])
  })
})

describe("redirects", () => {
  const followed = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.followRedirects()))
    .pipe(
      Layer.provide(NodeHttpClient.layerNodeHttp)
    )
  for (const [name, inner] of [["fetch", FetchHttpClient.layer], ["Effect", followed]] as const) {
    test.live(`With redirects by ${name}, a response is observed if the API was asked and the API answered`, function*() {
      const other = yield* serve()
      const api = yield* serve(({ url }, response) =>
        url === "/to"
          ? response.end()
          : response.writeHead(302, { location: url === "/away" ? other.url : "/to" }).end()
      )
      const away = yield* serve((_, response) => response.writeHead(302, { location: `${api.url}/to` }).end())
      const results = yield* Effect.all([
        observing(api.url, `${api.url}/from`, { inner }),
        observing(api.url, `${api.url}/away`, { inner }),
        observing(api.url, away.url, { inner })
      ])
      assert.deepStrictEqual(results.map(({ result, seen }) => [result, seen]), [[200, [p1]], [200, []], [200, []]])
      assert.deepStrictEqual([api.paths, other.paths], [["/from", "/to", "/away", "/to"], ["/"]])
    })
  }
})
