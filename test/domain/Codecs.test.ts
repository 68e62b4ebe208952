/**
 * The files and variables that this module reads back. Their decoders are written by hand, so that each is held to the
 * same properties: what was written comes back, and nothing else is accepted.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as BackOff from "../../src/domain/BackOff.ts"
import * as Claim from "../../src/domain/Claim.ts"
import * as JsonDocument from "../../src/domain/JsonDocument.ts"
import * as Known from "../../src/domain/Known.ts"
import * as Message from "../../src/domain/Message.ts"
import * as WorkerJob from "../../src/domain/WorkerJob.ts"
import * as Lease from "../../src/layers/Lease.ts"
import * as Device from "../fixtures/Device.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"
import { jsonObject } from "../fixtures/Json.ts"
import * as Arbitraries from "./Arbitraries.ts"

const { anon, claimOf, P } = Device

const message: Message.Message = {
  event: "Used",
  properties: { sequence: 0 },
  timestamp: "2026-01-01T00:00:00.000Z",
  uuid: "01234567-89ab-4def-8123-456789abcdef",
  distinct_id: "acct_1"
}

/** What takes the place of a part of a document, by name. */
const replacements: Readonly<Record<string, Schema.Json | undefined>> = {
  missing: undefined,
  null: null,
  true: true,
  number: 1.5,
  empty: "",
  words: "two words",
  list: [],
  object: {}
}

interface Case<A> {
  readonly decode: (text: string) => A | undefined
  readonly encode: (value: A) => string
  readonly values: Arbitrary.Arbitrary<A>
  /** A value with each of its parts. */
  readonly example: A
  /** What a part may be replaced by, by its path: any other replacement makes the document invalid. */
  readonly accepts: Readonly<Record<string, ReadonlyArray<string>>>
}

const isObject = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

// The properties of a message are the author's, and are kept as they are.
const isFree = (name: string): boolean => name === "properties"

/** Every document that differs from a given one in one part. */
const changed = (value: Schema.Json): ReadonlyArray<readonly [path: string, name: string, document: Schema.Json]> =>
  (Array.isArray(value) ? [...value.entries()] : isObject(value) ? Object.entries(value) : []).flatMap(
    ([key, part]) => {
      const put = (part: Schema.Json | undefined): Schema.Json =>
        Array.isArray(value) ? value.with(Number(key), part ?? null) : { ...Object(value), [key]: part }
      return [
        ...Object.entries(replacements).map(([name, part]) => [String(key), name, put(part)] as const),
        ...(isFree(String(key)) ? [] : changed(part)).map(([path, name, inner]) =>
          [`${key}.${path}`, name, put(inner)] as const
        )
      ]
    }
  )

/** The document with one more property in each of its objects. */
const extended = (value: Schema.Json): Schema.Json => {
  if (Array.isArray(value)) return value.map(extended)
  if (!isObject(value)) return value
  const parts = Object.entries(value).map(([name, part]) => [name, isFree(name) ? part : extended(part)])
  return { ...Object.fromEntries(parts), surplus: "secret" }
}

const parse = (text: string): Schema.Json => JSON.parse(text)

const valid = <A>(value: A | undefined): A => value ?? assert.fail("the text is not valid")

const suite = <A>(name: string, { accepts, decode, encode, example, values }: Case<A>) =>
  describe(name, () => {
    it.prop(
      `${name} is read as it was written, written again in the same bytes, and read without what is not declared`,
      { value: values },
      ({ value }) => {
        const text = encode(value)
        const read = valid(decode(text))
        assert.strictEqual(encode(read), text)
        assert.deepStrictEqual(parse(JSON.stringify(read)), parse(JSON.stringify(value)))
        const surplus = valid(decode(JSON.stringify(extended(parse(text)))))
        assert.strictEqual(encode(surplus), text)
      },
      { arbitrary: { runs: 150, size: 30 } }
    )

    it.prop(
      `${name} is never read from a text or an object that is none`,
      { text: Schema.String, document: jsonObject },
      ({ document, text }) => {
        assert.isUndefined(decode(text))
        assert.isUndefined(decode(JSON.stringify(document)))
      },
      { arbitrary: { runs: 100, size: 30 } }
    )

    it.prop(
      `${name} of any bytes, or with any mutation, is read as a value that is written and read again, or not at all`,
      { value: values, bytes: Fuzz.bytes, mutation: Fuzz.mutations },
      ({ bytes, mutation, value }) => {
        for (const text of [bytes.toString(), Fuzz.mutate(encode(value), mutation)]) {
          const read = decode(text)
          Fuzz.assertSafe(read)
          if (read !== undefined) assert.strictEqual(encode(valid(decode(encode(read)))), encode(read))
        }
      },
      { arbitrary: { runs: 150, size: 30 } }
    )

    it(`${name} is read whole or not at all: no part of its text counts`, () => {
      const text = encode(example)
      for (let end = 0; end < text.length; end++) assert.isUndefined(decode(text.slice(0, end)), `${end}`)
      assert.isDefined(decode(text))
    })

    it(`${name} is invalid as a whole where one of its parts is`, () => {
      const accepted: Record<string, Array<string>> = {}
      for (const [path, replacement, document] of changed(parse(encode(example)))) {
        if (decode(JSON.stringify(document)) !== undefined) (accepted[path] ??= []).push(replacement)
      }
      assert.deepStrictEqual(accepted, accepts)
    })
  })

const ofMessage = {
  event: ["words"],
  properties: ["object"],
  timestamp: ["words"],
  distinct_id: ["words"]
}

const under = (path: string, accepts: Readonly<Record<string, ReadonlyArray<string>>>) =>
  Object.fromEntries(Object.entries(accepts).map(([name, accepted]) => [`${path}.${name}`, accepted]))

suite<Message.Message>("A message's file", {
  ...Message,
  values: Arbitraries.messages,
  example: message,
  accepts: under("message", ofMessage)
})

suite<Message.Message>("A message as a value", {
  decode: (text) => Message.decodeValue(JsonDocument.parse(text)),
  encode: JSON.stringify,
  values: Arbitraries.messages,
  example: message,
  accepts: ofMessage
})

suite<Claim.Claim>("A claim's file", {
  ...Claim,
  values: Arbitraries.claims,
  example: claimOf(anon.a, P, { alias: message, destination: Device.destinationId }),
  accepts: {
    principal_id: ["words"],
    destination: ["null", "empty", "words"],
    alias: ["null"],
    ...under("alias", ofMessage)
  }
})

suite<Known.Known>("The cache's file", {
  ...Known,
  values: Arbitraries.caches,
  example: {
    salt: "salt",
    session: { anon_id: anon.a, session_id: anon.b, last_active: 1 },
    input: { hash: "hash", source: "stored", fingerprint: "fingerprint" },
    credentials: [{ fingerprint: "fingerprint", principal_id: P, at: 1 }]
  },
  accepts: {
    session: ["missing"],
    "session.last_active": ["number"],
    input: ["missing"],
    "input.fingerprint": ["empty"],
    credentials: ["list"],
    "credentials.0.principal_id": ["null", "words"],
    "credentials.0.at": ["number"]
  }
})

suite<BackOff.BackOff>("The back-off's file", {
  ...BackOff,
  values: Arbitraries.backOffs,
  example: { attempts: 1, until: 1, reason: "status 503" },
  // A reason that is no text is left out: how long to wait counts.
  accepts: { until: ["number"], reason: Object.keys(replacements) }
})

suite<Lease.Lease>("A lease's file", {
  decode: Lease.decode,
  encode: JSON.stringify,
  values: Arbitraries.leases,
  example: { until: 1, id: "3f0e", boots: true, process: "42 1 host" },
  accepts: { until: ["number"], id: ["empty", "words"], boots: ["true"], process: ["empty", "words"] }
})

const job: WorkerJob.WorkerJob = {
  name: "acme",
  home: "/home/me/.acme",
  codec: "arcade",
  destination: { host: "http://127.0.0.1:1", key: "phc_test" },
  destinationId: Device.destinationId,
  lingers: true,
  keepsSent: true,
  maxAgeMillis: 1000,
  id: "3f0e"
}

suite<WorkerJob.WorkerJob>("The variable with a worker's job", {
  ...WorkerJob,
  values: Arbitraries.jobs,
  example: job,
  accepts: {
    name: ["empty", "words"],
    home: ["empty", "words"],
    "destination.host": ["empty", "words"],
    "destination.key": ["empty", "words"],
    destinationId: ["empty", "words"],
    lingers: ["true"],
    // A job of an earlier version does not have it.
    keepsSent: Object.keys(replacements),
    maxAgeMillis: Object.keys(replacements),
    id: ["empty", "words"]
  }
})

it("A worker reads a job with the prefix of the host's variables, as an earlier version of the host writes it", () => {
  const text = JSON.stringify({ version: 1, variables: "ACME", ...job })
  assert.deepStrictEqual(WorkerJob.decode(text), job)
})

describe("Message", () => {
  it("A message of a newer version is not read, and is distinguished from a damaged one", () => {
    const ofVersion = (version: Schema.Json) => JSON.stringify({ version, message })
    assert.isUndefined(Message.decode(ofVersion(2)))
    assert.deepStrictEqual([2, 1, 0, "2", null].map((version) => Message.isNewer(ofVersion(version))), [
      true,
      false,
      false,
      false,
      false
    ])
    for (const text of ["", "{", "null", ofVersion(2).slice(0, -1)]) assert.isFalse(Message.isNewer(text))
  })
})

describe("Claim", () => {
  it("A claim with an illegal principal id is not read", () => {
    for (const principal_id of ["undefined", "0", "null", "x".repeat(201)]) {
      assert.isUndefined(Claim.decode(JSON.stringify({ ...claimOf(anon.a, P), principal_id })))
    }
  })

  it("A claim that cannot be read has an unknown principal", () => {
    assert.isFalse(Claim.isReadable(Claim.unreadable))
    assert.isUndefined(Claim.unreadable.principal_id)
  })
})

describe("Known", () => {
  const empty: Known.Known = { salt: "salt", session: undefined, input: undefined, credentials: [] }
  const hour = 60 * 60 * 1000

  it("A cache with more than 20 credentials, or with an id, a hash or a salt that is none, is not read", () => {
    const resolution = { fingerprint: "f", principal_id: null, at: 0 }
    const known = { version: 1, ...empty, credentials: Array.from({ length: 20 }, () => resolution) }
    assert.isDefined(Known.decode(JSON.stringify(known)))
    for (
      const wrong of [
        { credentials: [...known.credentials, resolution] },
        { credentials: [{ ...resolution, principal_id: "undefined" }] },
        { credentials: [{ ...resolution, fingerprint: "x".repeat(129) }] },
        { salt: "../salt" },
        { session: { anon_id: anon.a, session_id: "session", last_active: 0 } },
        { version: 2 }
      ]
    ) {
      assert.isUndefined(Known.decode(JSON.stringify({ ...known, ...wrong })), JSON.stringify(wrong))
    }
  })

  it.prop(
    "The last answer about a credential is kept without a limit of time, for 20 credentials",
    { cache: Arbitraries.caches, principal: Arbitraries.principalIds, now: Arbitraries.millis },
    ({ cache, now, principal }) => {
      const known = Known.remember(cache, "new", principal, now)
      assert.strictEqual(Known.remember(known, "new", undefined, now + 1), known)
      assert.strictEqual(Known.remember(known, "new", principal, now + 1), known)
      assert.strictEqual(Known.recall(known, "new", now + 1000 * hour), principal)
      assert.deepStrictEqual(known.credentials.slice(0, -1), cache.credentials.slice(-19))
      assert.deepStrictEqual({ ...known, credentials: [] }, { ...cache, credentials: [] })
    }
  )
})

it.prop(
  "The time of a message is written as toISOString writes it",
  {
    millis: Schema.Int.check(Schema.isBetween({ minimum: -8.64e15, maximum: 8.64e15 })),
    now: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4e12 }))
  },
  ({ millis, now }) => {
    for (const time of [millis, now, 0, -30610224000001, -30610224000000, 253402300799999, 253402300800000]) {
      assert.strictEqual(Message.timestampOf(time), new Date(time).toISOString())
    }
  },
  { arbitrary: { runs: 300 } }
)
