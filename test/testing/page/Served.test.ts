/**
 * How the sink serves its page.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { body, event, post, test } from "../Requests.ts"

const parts = ["/", "/page.css", "/page.js", "/page.svg"]

test(
  "The page and its parts come with a policy that allows no inline code, no other host and no HTML from text",
  function*(sink) {
    const types: Array<string | undefined> = []
    for (const path of parts) {
      const { headers, status } = yield* post(sink, "", { method: "GET", path })
      assert.strictEqual(status, 200, path)
      types.push(headers["content-type"])
      const policy = String(headers["content-security-policy"]).split("; ")
      assert.include(policy, "default-src 'none'")
      assert.include(policy, "script-src 'self'")
      assert.include(policy, "style-src 'self'")
      assert.include(policy, "connect-src 'self'")
      assert.include(policy, "frame-ancestors 'none'")
      assert.include(policy, "require-trusted-types-for 'script'")
      assert.notMatch(policy.join(), /unsafe|https?:|data:|\*/)
      assert.deepInclude(headers, {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin"
      })
    }
    assert.deepStrictEqual(types, [
      "text/html; charset=utf-8",
      "text/css; charset=utf-8",
      "text/javascript; charset=utf-8",
      "image/svg+xml"
    ])
  }
)

test("The page names no other host, and nothing in it is inline", function*(sink) {
  const [html = "", css = "", script = ""] = yield* Effect.forEach(
    parts,
    (path) => Effect.map(post(sink, "", { method: "GET", path }), ({ text }) => text)
  )
  assert.notMatch(html, /\sstyle=|<style|\son\w+=|<script(?![^>]* src="\/page\.js")/)
  assert.notMatch(html + css, /https?:|\/\//)
  assert.deepStrictEqual(script.match(/https?:\/\/[^"'`\s]*/g), ["http://www.w3.org/2000/svg"])
  assert.notMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/)
})

test(
  "A request for the page is not counted by the sink, is refused under another host name, and must be a GET",
  function*(sink) {
    yield* post(sink, "", { method: "GET", path: "/" })
    const other = yield* post(sink, "", { method: "GET", path: "/", headers: { host: "example.com" } })
    assert.strictEqual(other.status, 403)
    assert.deepStrictEqual(yield* sink.requests, [])
    yield* post(sink, body(event(1)), { path: "/" })
    assert.deepStrictEqual((yield* sink.requests).map(({ answered, method, path }) => [answered, method, path]), [
      [404, "POST", "/"]
    ])
  }
)
