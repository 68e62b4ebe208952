/**
 * Each rule of `sink --check`, by messages that break it and by some that are close to it.
 */
import { assert, it } from "@effect/vitest"
import * as Check from "../../src/kit/Check.ts"
import type { ReceivedMessage } from "../../src/testing/PostHogSink.ts"

const anon = "0b7e4b0e-6d52-4a44-9f0f-2f7b1a3c9d10"

type Sent = Partial<
  Pick<ReceivedMessage, "$set" | "$set_once" | "event" | "distinct_id" | "properties" | "uuid" | "request">
>

/** Messages that arrived one a request, unless they say otherwise. */
const received = (sent: ReadonlyArray<Sent>): ReadonlyArray<ReceivedMessage> =>
  sent.map((some, index) => {
    const message = {
      event: "ran",
      distinct_id: "account_1",
      properties: {},
      timestamp: "2026-01-01T00:00:00.000Z",
      uuid: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
      ...some
    }
    return {
      request: index,
      received_at: message.timestamp,
      raw: JSON.stringify({ ...message, request: 0 }),
      ...message
    }
  })

const alias = (into: string, other: unknown, more: object = {}): Sent => ({
  event: "$create_alias",
  distinct_id: into,
  properties: { distinct_id: into, alias: other, ...more }
})

const personless = (distinct_id: string): Sent => ({ distinct_id, properties: { $process_person_profile: false } })

const of = (properties: object, event = "ran"): Sent => ({ event, properties: { ...properties } })

const numbered = (invocation_id: string, ...sequences: ReadonlyArray<number>): ReadonlyArray<Sent> =>
  sequences.map((sequence) => of({ invocation_id, sequence }))

const flow = (invocation_id: string, ...ends: ReadonlyArray<string>): ReadonlyArray<Sent> =>
  ends.map((end) => of({ invocation_id }, `CLI Auth ${end}`))

const twice = [
  { uuid: "00000000-0000-4000-8000-00000000000a", event: "a" },
  { uuid: "00000000-0000-4000-8000-00000000000a", event: "b" }
]
const same = { uuid: "00000000-0000-4000-8000-00000000000a" }

const table: {
  readonly [R in Check.Rule]?: readonly [
    bad: ReadonlyArray<ReadonlyArray<Sent>>,
    good: ReadonlyArray<ReadonlyArray<Sent>>
  ]
} = {
  "alias-personless": [
    [false, true].map((profile) => [alias("account_1", anon, { $process_person_profile: profile })]),
    [[personless(anon), alias("account_1", anon)]]
  ],
  "identify-anon": [
    [
      [{ event: "$identify", distinct_id: anon }],
      [personless("device"), { event: "$identify", distinct_id: "device" }],
      [alias("account_1", "device"), { event: "$identify", distinct_id: "device" }]
    ],
    [
      [{ event: "$identify", distinct_id: "account_1" }],
      [alias(anon, "device"), { event: "$identify", distinct_id: anon }],
      [{ event: "$identify", distinct_id: anon, properties: { $anon_distinct_id: "device" } }]
    ]
  ],
  "event-before-alias": [
    [
      [{}, alias("account_1", anon)],
      [of({ $session_id: "s" }), alias("account_1", anon, { $session_id: "s" })],
      [of({ $session_id: "s", invocation_id: "i" }), alias("account_1", anon, { $session_id: "t", invocation_id: "i" })]
    ],
    [
      [alias("account_1", anon), {}],
      [personless(anon), alias("account_1", anon)],
      // Of another device, and of this one before a logout.
      [of({ $session_id: "s" }), alias("account_1", anon, { $session_id: "t" })],
      [alias("account_1", anon), {}, alias("account_1", "device")]
    ]
  ],
  "illegal-id": [
    [
      [{ distinct_id: "undefined" }],
      [{ distinct_id: "x".repeat(201) }],
      [{ distinct_id: "\ud800" }],
      [alias("account_1", "null")],
      [alias("account_1", "")]
    ],
    [[{ distinct_id: "x".repeat(200) }, alias("account_1", anon)]]
  ],
  "two-principals": [
    [
      [alias("account_1", anon), alias("account_2", anon)],
      // PostHog refuses the last one too: one fault is one finding.
      [alias("account_2", "device"), alias("account_1", anon), alias("account_2", anon)]
    ],
    [[alias("account_1", anon), alias("account_1", anon), alias("account_1", "device"), alias("account_2", "device_2")]]
  ],
  "merge-refused": [
    [[
      alias("account_1", "device"),
      { ...of({ $session_id: "s" }), distinct_id: "account_2" },
      alias("account_2", "account_1", { $session_id: "t" })
    ]],
    [[{ distinct_id: "device" }, alias("account_1", "device")]]
  ],
  "uuid-missing": [[[{ uuid: "" }]], [[{}]]],
  "uuid-repeated": [[twice, [{ ...same, request: 0 }, { ...same, request: 0 }]], [[same, same], [{}, {}]]],
  "sequence-gap": [
    [numbered("i", 0, 2), numbered("i", 1), [...numbered("i", 0, 1, 3), ...numbered("j", 0, 1)]],
    [[...numbered("i", 1, 0, 2), ...numbered("j", 0)], [{}, {}]]
  ],
  "flow-end": [
    [
      flow("i", "Started"),
      flow("i", "Started", "Completed", "Failed"),
      [...flow("i", "Started"), ...flow("j", "Started", "Aborted")]
    ],
    [
      flow("i", "Started", "Aborted"),
      flow("i", "Started", "Failed", "Started", "Completed"),
      [...flow("i", "Started"), ...flow("j", "Started", "Failed"), ...flow("i", "Completed")],
      // An event of another kind.
      flow("i", "Failed")
    ]
  ],
  "undeclared-event": [[[{ event: "walked" }, { event: "walked" }]], [[{ event: "ran" }]]],
  email: [
    [
      ...["jane.doe@acme.test", "jane%40acme.test", "jane@acme.xn--p1ai", "ivan@почта.рф"].map((by) => [of({ by })]),
      [of({ flag_values: { to: ["x", "mail jane@acme.co.uk, please"] } })],
      [of({ counts: { "jane@acme.test": 1 } })],
      [of({ "jane@acme.test": true })],
      [of({ $groups: { "jane@acme.test": "x" } })],
      [of({ command_name: "mail jane@acme.test" })],
      [of({ alias: "jane@acme.test" })],
      [{ $set: { by: "jane@acme.test" } }],
      [{ $set_once: { by: "jane@acme.test" } }]
    ],
    [[of({ package: "@acme/cli@1.2.3", at: "a @ b.c" }), { distinct_id: "jane@acme.test" }]]
  ],
  path: [
    [
      "/home/jane/shop",
      "~/shop",
      "../shop",
      "./a.ts",
      "C:\\Users\\jane",
      "\\\\server\\share",
      "ENOENT: open '/etc/x'",
      "at deploy (file:///home/jane/shop.ts:1:2)",
      "file:///home/jane",
      "[/home/jane/shop]",
      "</home/jane>",
      "|/home/jane/flags",
      "/домой/иван",
      "~jane/shop",
      "$HOME/shop",
      "%USERPROFILE%\\shop"
    ].map((file) => [of({ file })]).concat([[of({ counts: { "/home/jane": 1 } })]]),
    [[of({
      template: "eu/us",
      type: "application/json",
      ratio: "1/2",
      command: "deploy.now",
      range: "~1/2",
      cost: "$5",
      error: "Unexpected closing tag </div>, expected {/if}",
      import: "import from '@/components/Button'",
      names: "name|/alias"
    })]]
  ],
  token: [
    [
      "sk-do-not-tell",
      "ghp_abcdefghijkl",
      "Bearer abcdefgh",
      "AKIAIOSFODNN7EXAMPLE",
      "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0",
      "token_1234567890",
      "q7Zk2LmP0xRt5VbN8sWd",
      "key:9f86d081884c7d659a2feaa0c55ad015",
      "[9f86d081884c7d659a2feaa0c55ad015]",
      "sbp_a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
      "Basic dXNlcjpwYXNzd29yZA==",
      "-----BEGIN PRIVATE KEY-----"
    ].map((value) => [of({ value })]).concat(
      // A host that gives its credential to `login`.
      ["sk-do-not-tell", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0", "Bearer abcdefgh"].map((id) => [
        alias(id, anon),
        { distinct_id: id }
      ])
    ),
    [["key_1234567890", "q7Zk2LmP0xRt5VbN8sWd"].map((distinct_id) => ({ distinct_id })), [of({
      id: anon,
      template: "nextjs-14-starter-with-tailwind",
      store: "key-value-store",
      name: "TheQuickBrownFoxJumpsOver",
      os_release: "6.1.0-13-cloud-amd64",
      plan: "basic subscription-12m",
      certificate: "-----BEGIN CERTIFICATE-----",
      npm_version_10: 1,
      key_rotation_v2: true,
      numberOfS3Buckets2Delete: 1
    })]]
  ],
  address: [
    [
      "10.1.2.3",
      "root@10.1.2.3",
      "10.1.2.3/24",
      "10.1.2.3:8080/x",
      "at 10.1.2.3:8080",
      "fe80::1",
      "[::1]:80",
      "https://intern.acme.test/x",
      "postgres://db"
    ]
      .map((host) => [of({ host })]),
    [[of({
      version: "24.21.0",
      at: "12:30:45",
      ratio: "1:2",
      scope: "Std::fs",
      browser: "Chrome/131.0.0.0",
      module: "std/a::b"
    })]]
  ]
}

const ends = ["Started", "Completed", "Aborted", "Failed"].map((end) => `CLI Auth ${end}`)
const declared = new Set(["ran", "$create_alias", "$identify", "a", "b", ...ends])

const rulesOf = (sent: ReadonlyArray<Sent>) => Check.check(received(sent), declared).map(({ rule }) => rule)

for (const [rule, [bad, good]] of Object.entries(table)) {
  it(`The rule ${rule} is found once in messages that break it, and no other rule is`, () => {
    for (const sent of bad) assert.deepStrictEqual(rulesOf(sent), [rule], JSON.stringify(sent))
  })

  it(`The rule ${rule} is not found in messages that only resemble such a fault`, () => {
    for (const sent of good) assert.deepStrictEqual(rulesOf(sent), [], JSON.stringify(sent))
  })
}

it("Every rule of sink --check has an advice and a row here, but for those about the run", () => {
  const ofRun = ["command-failed-to-start", "command-did-not-end", "nothing-sent", "refused"]
  assert.sameMembers(Object.keys(Check.advice), [...ofRun, ...Object.keys(table)])
})

it("A finding names the message and the property, and never a value", () => {
  assert.deepStrictEqual(Check.check(received([of({ flag_values: { to: ["jane@acme.test"] } })])), [{
    rule: "email",
    problem: "flag_values.to looks like an e-mail address",
    uuid: "00000000-0000-4000-8000-000000000000",
    event: "ran",
    distinct_id: "account_1"
  }])
})

it("A property of an event with a sensitive value is found once, however many messages have it", () => {
  const path = of({ path: "/home/jane" })
  const other = of({ path: "/home/jane" }, "a")
  assert.deepStrictEqual(rulesOf([path, path, other]), ["path", "path"])
})

it("An event whose name ends in Started is a flow unless the dictionary has no ends of it", () => {
  const started = received([{ event: "Server Started" }])
  const ends = ["Server Completed", "Server Aborted", "Server Failed"]
  assert.deepStrictEqual(Check.check(started).map(({ rule }) => rule), ["flow-end"])
  assert.deepStrictEqual(Check.check(started, new Set(["Server Started", "Server Failed"])), [])
  assert.deepStrictEqual(Check.check(started, new Set(["Server Started", ...ends])).map(({ rule }) => rule), [
    "flow-end"
  ])
})

it("Any event may be sent where no dictionary is given, and every event has its own properties", () => {
  const os_release = "/home/jane@acme.test"
  assert.deepStrictEqual(Check.check(received([{ event: "walked", properties: { os_release } }])), [])
})
