/**
 * What the tests of the sink send to it.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { makeSink } from "../fixtures/Wait.ts"

export const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

export const event = (n: number) => ({
  event: `event ${n}`,
  distinct_id: "user",
  properties: { n },
  timestamp: "2026-01-01T00:00:00.000Z",
  uuid: uuid(n)
})

export const body = (...batch: ReadonlyArray<unknown>) => JSON.stringify({ api_key: "phc_test", batch })

export interface Reply {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

export interface PostOptions {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly ca?: string
}

/** One request on a connection of its own; interruption closes it. Fails with Node's error code. */
export const request = (
  url: string,
  payload: string | Buffer,
  options: PostOptions = {}
): Effect.Effect<Reply, string> =>
  Effect.callback((resume) => {
    const fail = (error: NodeJS.ErrnoException) => resume(Effect.fail(error.code ?? error.message))
    const { ca, headers = {}, method = "POST", path = "/batch/" } = options
    const client = (url.startsWith("https:") ? Https : Http).request(
      new URL(path, url),
      { method, headers: { "content-length": Buffer.byteLength(payload), ...headers }, agent: false, ca },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", fail)
        response.on("end", () =>
          resume(Effect.succeed({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString("utf8")
          })))
      }
    )
    client.on("error", fail)
    client.end(payload)
    return Effect.sync(() => client.destroy())
  })

export const post = (sink: PostHogSink.PostHogSink, payload: string | Buffer, options?: PostOptions) =>
  request(sink.url, payload, options)

export const names = (messages: ReadonlyArray<PostHogSink.ReceivedMessage>) => messages.map(({ event }) => event)

/** A test with a sink of its own. */
export const test = <A>(
  title: string,
  body: (sink: PostHogSink.PostHogSink) => Generator<Effect.Effect<unknown, unknown, Scope.Scope>, A, never>
): void => it.live(title, () => Effect.flatMap(makeSink(), (sink) => Effect.gen(() => body(sink))))
