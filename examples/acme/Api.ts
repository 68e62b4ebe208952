/**
 * Acme's API: who a key belongs to.
 */
import { ObservedHttpClient } from "effect-cli-usage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Acme } from "./Config.ts"

export class ApiError extends Schema.TaggedError<ApiError>()("ApiError", { message: Schema.String }) {}

const Answer = Schema.Struct({ data: Schema.Struct({ principal_id: Schema.String }) })

const refused = (status: number) =>
  new ApiError({ message: status === 401 ? "The API key is not valid" : `The API answered ${status}` })

export class Api extends Context.Service<Api, {
  readonly principal: (path: "validate" | "whoami", key: string) => Effect.Effect<string, ApiError>
}>()("acme/Api") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const { apiUrl } = yield* Acme
      const observed = yield* ObservedHttpClient.observe({ origin: new URL(apiUrl).origin, header: "x-principal-id" })
      const client = observed(yield* HttpClient.HttpClient)
      return Api.of({
        principal: Effect.fnUntraced(function*(path, key) {
          const request = HttpClientRequest.get(`${apiUrl}/api/v1/auth/${path}`).pipe(
            HttpClientRequest.bearerToken(key)
          )
          const response = yield* client.execute(request).pipe(
            Effect.mapError(() => new ApiError({ message: `The API at ${apiUrl} does not answer` }))
          )
          if (response.status !== 200) return yield* refused(response.status)
          const answer = yield* HttpClientResponse.schemaBodyJson(Answer)(response).pipe(
            Effect.mapError(() => new ApiError({ message: "The API's answer is not understood" }))
          )
          return answer.data.principal_id
        })
      })
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))
}
