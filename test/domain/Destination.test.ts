import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Destination from "../../src/domain/Destination.ts"

const key = "phc_0123456789"
const host = "https://us.i.posthog.com"

const problem = (options: { readonly host: string; readonly key: string }): string =>
  Result.match(Destination.make(options), {
    onFailure: (problem) => problem,
    onSuccess: () => assert.fail("it was taken")
  })

describe("a destination", () => {
  for (
    const [given, taken] of [
      [host, host],
      ["https://us.i.posthog.com/", host],
      ["https://proxy.example.com/ingest/", "https://proxy.example.com/ingest"],
      ["https://proxy.example.com:8443/a/b", "https://proxy.example.com:8443/a/b"],
      ["HTTPS://US.i.PostHog.com", host],
      ["http://localhost:4000", "http://localhost:4000"],
      ["http://127.0.0.1:4000/", "http://127.0.0.1:4000"],
      ["http://127.255.0.3", "http://127.255.0.3"],
      ["http://[::1]:4000", "http://[::1]:4000"]
    ] as const
  ) {
    it(`may be ${given}`, () => {
      assert.deepStrictEqual(Destination.make({ host: given, key }), Result.succeed({ host: taken, key }))
    })
  }

  it("takes a key with blanks around it, as it is copied", () => {
    assert.deepStrictEqual(Destination.make({ host, key: `  ${key}\n` }), Result.succeed({ host, key }))
  })

  for (const bad of ["", "   ", "phc 1", "phc_\u0000", "phc_ключ", "x".repeat(201)]) {
    it(`needs a key, and says which: ${JSON.stringify(bad).slice(0, 30)}`, () => {
      assert.match(problem({ host, key: bad }), /key must be a project's API key \("phc_…"\)/)
    })
  }

  for (const secret of ["phx_0123456789", " PHX_0123456789"]) {
    it(`needs no secret, and says what to do about one: ${secret}`, () => {
      const text = problem({ host, key: secret })
      assert.match(text, /the PostHog key is a personal API key .*take the project's API key \("phc_…"\) .*revoke/)
      assert.notInclude(text, "0123456789")
    })
  }

  for (const bad of ["", "us.i.posthog.com", "//us.i.posthog.com", "https://", "not a URL"]) {
    it(`needs a URL, and shows one: ${JSON.stringify(bad)}`, () => {
      assert.match(problem({ host: bad, key }), /must be a URL such as "https:\/\/us\.i\.posthog\.com"/)
    })
  }

  for (
    const bad of [
      "http://us.i.posthog.com",
      "http://192.168.0.1:4000",
      "http://localhost.example.com",
      "http://127.0.0.1.example.com",
      "http://0.0.0.0:4000",
      "http://[::2]:4000",
      "ftp://localhost",
      "file:///etc/passwd",
      "localhost:4000"
    ]
  ) {
    it(`is https, or http on loopback, and says so: ${bad}`, () => {
      assert.match(problem({ host: bad, key }), /must be https:, or http: on this machine's loopback/)
    })
  }

  for (
    const bad of [
      "https://user@us.i.posthog.com",
      "https://user:password@us.i.posthog.com",
      "https://us.i.posthog.com?a=1",
      "https://us.i.posthog.com/#x"
    ]
  ) {
    it(`is nothing more, and says what is too much: ${bad}`, () => {
      const text = problem({ host: bad, key })
      assert.match(text, /must have no user, password, query or fragment/)
      assert.notInclude(text, "password@")
    })
  }

  it("does not repeat a key that is wrong: it may be a secret one", () => {
    assert.notInclude(problem({ host, key: "phx_secret with a blank" }), "phx_secret")
  })
})
