/** What posthog-node sends through: one request, its answer read exactly. */
import * as Predicate from "effect/Predicate"
import type * as Http from "node:http"

/**
 * What PostHog said: taken, with what it was over quota of; too large; refused as malformed; or anything else, which
 * says nothing about the messages.
 */
export type Answer =
  | { readonly _tag: "Taken"; readonly quotaLimited: boolean }
  | { readonly _tag: "TooLarge" }
  | { readonly _tag: "Malformed" }
  | { readonly _tag: "Kept"; readonly reason: string }

const maxBody = 64 * 1024

const read = (status: number, body: string): Answer => {
  if (status === 413) return { _tag: "TooLarge" }
  if (status === 400) return { _tag: "Malformed" }
  if (status < 200 || status > 299) return { _tag: "Kept", reason: `the answer was status ${status}` }
  try {
    const json: unknown = JSON.parse(body)
    const limited = Predicate.hasProperty(json, "quota_limited") ? json.quota_limited : undefined
    return { _tag: "Taken", quotaLimited: Array.isArray(limited) && limited.length > 0 }
  } catch {
    // A captive portal answers 200 to everything, but not in JSON.
    return { _tag: "Kept", reason: "the answer was no JSON" }
  }
}

/**
 * Posts a body and reads the answer within `limit` milliseconds; rejects only where Node.js refuses to make the request.
 *
 * `process.getBuiltinModule` does not load undici as an import of `node:http` does (19 ms), and this client follows no
 * redirect, as `fetch` would.
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
    let isLast = false
    const kept = (reason: string) => {
      isLast = true
      clearTimeout(timer)
      request.destroy()
      resolve({ _tag: "Kept", reason })
    }
    const onResponse = (response: Http.IncomingMessage) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        text += chunk
        if (text.length > maxBody) kept("an answer without end")
      })
      response.on("error", () => kept("the answer broke off"))
      response.on("close", () => kept("the answer broke off"))
      response.on("end", () => {
        clearTimeout(timer)
        resolve(
          response.complete ? read(response.statusCode ?? 0, text) : { _tag: "Kept", reason: "the answer broke off" }
        )
      })
    }
    const send = (): Http.ClientRequest => {
      const options = { method: "POST", headers: { ...headers, "content-length": bytes.length } }
      const sent = http.request(url, options, onResponse)
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // A server may close a connection that was kept alive just when it is used again. That says nothing of PostHog.
        if (isLast || !sent.reusedSocket || error.code !== "ECONNRESET") {
          // The code says what is wrong (ECONNREFUSED, CERT_HAS_EXPIRED), and nothing of what was sent.
          return kept(`no connection (${error.code ?? error.name})`)
        }
        isLast = true
        request = send()
      })
      sent.end(bytes)
      return sent
    }
    let request = send()
    const timer = setTimeout(() => kept("no answer in time"), limit)
  })
