import { assert, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Destination from "../../src/domain/Destination.ts"

const key = "phc_0123456789"
const host = "https://us.i.posthog.com"

const problem = (options: { readonly host?: string; readonly key?: string }): string =>
  Result.match(Destination.make({ host, key, ...options }), {
    onFailure: (problem) => problem,
    onSuccess: () => assert.fail(`${JSON.stringify(options)} was taken`)
  })

const refused: ReadonlyArray<readonly [title: string, problem: RegExp, hosts: ReadonlyArray<string>]> = [
  [
    "A host is a URL, and the problem shows one",
    /must be a URL such as "https:\/\/us\.i\.posthog\.com"/,
    ["", "us.i.posthog.com", "//us.i.posthog.com", "https://", "not a URL"]
  ],
  [
    "A host is https, or http on loopback, and the problem says so",
    /must be https:, or http: on this machine's loopback/,
    [
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
  ],
  [
    "A host has no user, password, query or fragment, and the problem does not repeat a password",
    /^(?!.*password@).*must have no user, password, query or fragment/,
    [
      "https://user@us.i.posthog.com",
      "https://user:password@us.i.posthog.com",
      "https://us.i.posthog.com?a=1",
      "https://us.i.posthog.com/#x"
    ]
  ]
]

it("A host is kept by its scheme, name, port and path, without a slash at the end", () => {
  for (
    const [given, taken = given] of [
      [host],
      ["https://us.i.posthog.com/", host],
      ["https://proxy.example.com/ingest/", "https://proxy.example.com/ingest"],
      ["https://proxy.example.com:8443/a/b"],
      ["HTTPS://US.i.PostHog.com", host],
      ["http://localhost:4000"],
      ["http://127.0.0.1:4000/", "http://127.0.0.1:4000"],
      ["http://127.255.0.3"],
      ["http://[::1]:4000"]
    ] satisfies ReadonlyArray<readonly [string, string?]>
  ) {
    assert.deepStrictEqual(Destination.make({ host: given, key }), Result.succeed({ host: taken, key }))
  }
})

for (const [title, expected, hosts] of refused) {
  it(title, () => {
    for (const host of hosts) assert.match(problem({ host }), expected, host)
  })
}

it("A key is printable, may have blanks around it, and is not repeated where it is wrong: it may be a secret", () => {
  assert.deepStrictEqual(Destination.make({ host, key: `  ${key}\n` }), Result.succeed({ host, key }))
  for (const bad of ["", "   ", "phc 1", "phc_\u0000", "phc_ключ", "x".repeat(201), "phx_secret with a blank"]) {
    assert.match(problem({ key: bad }), /key must be a project's API key \("phc_…"\)/)
    assert.notInclude(problem({ key: bad }), "phx_secret")
  }
})

it("A personal API key is refused without being repeated, and the problem says what to do about it", () => {
  for (const secret of ["phx_0123456789", " PHX_0123456789"]) {
    const text = problem({ key: secret })
    assert.match(text, /the PostHog key is a personal API key .*use the project's API key \("phc_…"\) .*revoke/)
    assert.notInclude(text, "0123456789")
  }
})
