/** Posts one request of posthog-node, and decodes the answer. */
import * as Predicate from "effect/Predicate"
import type * as Http from "node:http"

/**
 * The answer of PostHog: `Taken` (accepted, except events over the quota), `TooLarge`, `Malformed`, or `Kept` for any
 * other answer: the messages are kept for a retry.
 */
export type Answer =
  | { readonly _tag: "Taken"; readonly quotaLimited: boolean }
  | { readonly _tag: "TooLarge" }
  | { readonly _tag: "Malformed" }
  | { readonly _tag: "Kept"; readonly reason: string }

const maxBody = 64 * 1024

/** The reason if PostHog does not answer in time. */
export const noAnswer = "no answer in time"

const read = (status: number, body: string): Answer => {
  if (status === 413) return { _tag: "TooLarge" }
  if (status === 400) return { _tag: "Malformed" }
  if (status < 200 || status > 299) return { _tag: "Kept", reason: `the answer was status ${status}` }
  try {
    const json: unknown = JSON.parse(body)
    const limited = Predicate.hasProperty(json, "quota_limited") ? json.quota_limited : undefined
    return { _tag: "Taken", quotaLimited: Array.isArray(limited) && limited.length > 0 }
  } catch {
    // A captive portal answers every request with status 200, but not with JSON.
    return { _tag: "Kept", reason: "the answer was not JSON" }
  }
}

/**
 * Posts a body and returns the answer, within `limit` milliseconds. It rejects only if Node.js refuses the request.
 *
 * `process.getBuiltinModule` does not load undici (19 ms), which an import of `node:http` does. Redirects are not
 * followed.
 */
export const post = (
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
  limit: number
): Promise<Answer> =>
  new Promise((resolve) => {
    const http: Pick<typeof Http, "request"> = url.protocol === "http:"
      ? process.getBuiltinModule("node:http")
      : process.getBuiltinModule("node:https")
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
    let isFinal = false
    const end = (answer: Answer) => {
      isFinal = true
      clearTimeout(timer)
      request.destroy()
      resolve(answer)
    }
    const fail = (reason: string) => end({ _tag: "Kept", reason })
    const onResponse = (response: Http.IncomingMessage) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        text += chunk
        if (text.length <= maxBody) return
        // The page of a proxy may be long: the status says enough.
        const answer = read(response.statusCode ?? 0, "")
        if (answer._tag === "TooLarge" || answer._tag === "Malformed") end(answer)
        else fail("an answer without end")
      })
      response.on("error", () => fail("the answer broke off"))
      response.on("close", () => fail("the answer broke off"))
      response.on("end", () => {
        clearTimeout(timer)
        resolve(
          response.complete ? read(response.statusCode ?? 0, text) : { _tag: "Kept", reason: "the answer broke off" }
        )
      })
    }
    const send = (): Http.ClientRequest => {
      // Without `accept-encoding`, a server may compress its answer, and `node:http` does not decompress.
      const own = { "accept-encoding": "identity", "content-length": bytes.length }
      const sent = http.request(url, { method: "POST", headers: { ...headers, ...own } }, onResponse)
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // A server may close a keep-alive connection while it is used again. Then the request is sent once more.
        if (isFinal || !sent.reusedSocket || error.code !== "ECONNRESET") {
          // The code names the problem (ECONNREFUSED, CERT_HAS_EXPIRED), and has no text of the request.
          return fail(`no connection (${error.code ?? error.name})`)
        }
        isFinal = true
        request = send()
      })
      sent.end(bytes)
      return sent
    }
    let request = send()
    const timer = setTimeout(() => fail(noAnswer), limit)
  })
