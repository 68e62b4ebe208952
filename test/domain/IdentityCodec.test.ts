import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import {
  arcade,
  byName,
  formerOf,
  type IdentityCodec,
  isForeign,
  isName,
  keysOf,
  supabase
} from "../../src/domain/IdentityCodec.ts"
import * as Device from "../fixtures/Device.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"
import { jsonObject } from "../fixtures/Json.ts"
import * as SupabaseTool from "../fixtures/SupabaseTool.ts"
import * as Arbitraries from "./Arbitraries.ts"

const { anon, P } = Device
const codecs: ReadonlyArray<IdentityCodec> = [arcade, supabase]

const decoded = (codec: IdentityCodec, text: string) => codec.decode(text) ?? assert.fail("the text is not usable")

const pointers = Arbitrary.all({
  anonId: Arbitraries.anonIds,
  linkedPrincipal: Arbitrary.map(
    Arbitrary.all({ isLinked: Arbitrary.schema(Schema.Boolean), principal: Arbitraries.principalIds }),
    ({ isLinked, principal }) => isLinked ? principal : undefined
  )
})

const keys: Readonly<Record<string, readonly [anonId: string, link: string, ...more: ReadonlyArray<string>]>> = {
  arcade: ["anon_id", "linked_principal_id"],
  supabase: ["device_id", "distinct_id", "schema_version", "session_id", "session_last_active", "enabled", "consent"]
}

const without = (document: Schema.JsonObject, keys: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(document).filter(([key]) => !keys.includes(key)))

for (const codec of codecs) {
  const own = keys[codec.name] ?? assert.fail(codec.name)

  describe(`round trips of ${codec.name}`, () => {
    it.prop(
      `In the format ${codec.name} a pointer comes back as it was written, over every key that the format does not know`,
      { pointer: pointers, document: jsonObject },
      ({ document, pointer }) => {
        const text = codec.encode(pointer, document, randomUUID)
        assert.deepStrictEqual(decoded(codec, text), pointer)
        assert.deepStrictEqual(without(keysOf(text), own), JSON.parse(JSON.stringify(without(document, own))))
        // Written over itself it changes nothing, and another program may have put a byte order mark in front of it.
        assert.deepStrictEqual(JSON.parse(codec.encode(pointer, keysOf(text), randomUUID)), JSON.parse(text))
        assert.deepStrictEqual(decoded(codec, `\ufeff${text}`), pointer)
        // As the tools that share the file write it.
        assert.strictEqual(text, `${JSON.stringify(JSON.parse(text), null, 2)}\n`)
      },
      { arbitrary: { runs: 200, size: 30 } }
    )

    it.prop(
      `In the format ${codec.name} a text or an object without a usable id has no pointer, and nothing breaks`,
      { text: Schema.String, document: jsonObject },
      ({ document, text }) => {
        for (const one of [text, JSON.stringify(document), JSON.stringify({ ...document, [own[0]]: "1" })]) {
          assert.isUndefined(codec.decode(one))
          assert.isBoolean(codec.denies(one))
        }
      },
      { arbitrary: { runs: 100, size: 40 } }
    )

    it.prop(
      `In the format ${codec.name} a file of any bytes has a pointer and a session that come back, or none`,
      { pointer: pointers, document: jsonObject, bytes: Fuzz.bytes, mutation: Fuzz.mutations },
      ({ bytes, document, mutation, pointer }) => {
        for (const text of [bytes.toString(), Fuzz.mutate(codec.encode(pointer, document, randomUUID), mutation)]) {
          const [read, session] = [codec.decode(text), codec.session?.(text)]
          Fuzz.assertSafe([read, session])
          if (read !== undefined) {
            const again = codec.encode(read, keysOf(text), randomUUID, session)
            assert.deepStrictEqual(decoded(codec, again), read)
            if (session !== undefined) assert.deepStrictEqual(codec.session?.(again), session)
          }
          for (const given of codec.withConsent === undefined ? [] : [false, true]) {
            assert.strictEqual(codec.denies(codec.withConsent?.(text, given, randomUUID) ?? ""), !given)
          }
        }
      },
      { arbitrary: { runs: 150, size: 30 } }
    )

    it(`In the format ${codec.name} a link is ignored if it is not an account or is the device's own id`, () => {
      for (const link of ["undefined", "", "x".repeat(201), 7, null, {}, anon.a]) {
        assert.deepStrictEqual(decoded(codec, JSON.stringify({ [own[0]]: anon.a, [own[1]]: link })), {
          anonId: anon.a,
          linkedPrincipal: undefined
        })
      }
    })
  })
}

describe("lookup and conversion", () => {
  it.prop(
    "A host that changes its format keeps the ids, there and back, and neither format reads the other's file",
    { pointer: pointers },
    ({ pointer }) => {
      const first = arcade.encode(pointer, {})
      const second = supabase.encode(decoded(arcade, first), {}, randomUUID)
      assert.strictEqual(arcade.encode(decoded(supabase, second), {}), first)
      assert.isUndefined(arcade.decode(second))
      assert.isUndefined(supabase.decode(first))
    }
  )

  it("A format is found by its name, and the other format is the one that a host may have had before", () => {
    for (const codec of codecs) {
      assert.isTrue(isName(codec.name))
      assert.strictEqual(byName(codec.name), codec)
      assert.strictEqual(formerOf(codec), codec === arcade ? supabase : arcade)
    }
    for (const name of ["", "Arcade", "toString", undefined, 1]) assert.isFalse(isName(name))
  })

  it("A file of the same name is foreign where it has neither an id nor a consent, and is no beginning of one that may", () => {
    const pointer = supabase.encode({ anonId: anon.a, linkedPrincipal: P }, {}, randomUUID)
    const texts = [
      "{ \"theme\": \"dark\" }",
      "[]",
      "1",
      "time,size\n1,2\n",
      "{ \"span\": [1] }\n{ \"span\": [2] }\n",
      "\n{\"span\":1}\n{\"enabled\":true,",
      pointer,
      "\0\0\0\0",
      Buffer.from("\ufeff{\"enabled\":false}", "utf16le").toString(),
      "// off\n{ \"enabled\": false }",
      "enabled: false",
      `{"enabled":false}\n"}`,
      `{"device_id":"${anon.a}"}\n{}`,
      "{ \"span\": [1],",
      "{ \"enabled\": false }",
      "{ \"consent\": \"x\" }",
      "",
      "{"
    ]
    assert.deepStrictEqual(texts.filter((text) => isForeign(supabase, text)), texts.slice(0, 6))
  })
})

describe("arcade", () => {
  it("Arcade's file holds no consent and no session", () => {
    const { denies, session, withConsent }: IdentityCodec = arcade
    for (const text of ["", "{", "{ \"enabled\": false }"]) assert.isFalse(denies(text))
    assert.deepStrictEqual([session, withConsent], [undefined, undefined])
  })
})

describe("supabase", () => {
  const session = "5e551010-0000-4000-8000-000000000000"
  const at = "2026-01-01T00:00:00.123Z"
  const whole = { enabled: true, device_id: anon.a, session_id: session, session_last_active: at, schema_version: 1 }
  const fields = keys["supabase"] ?? assert.fail("no keys")
  const fieldValues = [undefined, true, false, "granted", "denied", anon.a, session, at, 7, 1.5, 1e300, null, "x", ""]

  it.prop(
    "Supabase's CLI takes every file that is written, over whatever was there, with its id and its consent",
    {
      pointer: pointers,
      document: jsonObject,
      values: Arbitrary.array(Arbitrary.schema(Schema.Literals(fieldValues.map((_, index) => index))), {
        minLength: fields.length,
        maxLength: fields.length
      })
    },
    ({ document, pointer, values }) => {
      const before = Object.fromEntries(fields.map((field, index) => [field, fieldValues[values[index] ?? 0]]))
      const text = JSON.stringify({ ...document, ...before })
      const state = SupabaseTool.read(supabase.encode(pointer, keysOf(text), randomUUID))
      assert.strictEqual(state.deviceId, pointer.anonId)
      assert.strictEqual(state.distinctId, pointer.linkedPrincipal)
      assert.strictEqual(state.isGiven, !supabase.denies(text))
      for (const given of [true, false]) {
        const changed = supabase.withConsent(text, given, randomUUID)
        assert.strictEqual(SupabaseTool.read(changed).isGiven, given)
        assert.strictEqual(supabase.denies(changed), !given)
        for (const id of [anon.a, session]) assert.notInclude(JSON.stringify(SupabaseTool.read(changed)), id)
      }
    },
    { arbitrary: { runs: 500, size: 10 } }
  )

  it("A file keeps its session and its form under the same id, and has a new session under another one", () => {
    const { enabled: _, ...rest } = whole
    const forms = [
      whole,
      { ...rest, consent: "granted", session_last_active: Date.parse(at) },
      { ...whole, consent: "granted" }
    ]
    for (const form of forms) {
      const text = JSON.stringify({ ...form, distinct_id: "old", theirs: 1 })
      assert.deepStrictEqual(supabase.session(text), {
        anon_id: anon.a,
        session_id: session,
        last_active: Date.parse(at)
      })
      const encode = (anonId: typeof anon.a) =>
        JSON.parse(supabase.encode({ anonId, linkedPrincipal: undefined }, keysOf(text), () => "new"))
      assert.deepStrictEqual(encode(anon.a), { ...form, schema_version: 1, theirs: 1 })
      const { session_last_active, ...others } = encode(anon.b)
      assert.deepInclude(others, { device_id: anon.b, session_id: "new" })
      assert.strictEqual(new Date(session_last_active).getTime(), 0)
      assert.strictEqual(typeof session_last_active, typeof form.session_last_active)
      const touched = { anon_id: anon.a, session_id: "touched", last_active: 60_000 }
      const pointer = { anonId: anon.a, linkedPrincipal: P }
      assert.deepStrictEqual(
        SupabaseTool.read(supabase.encode(pointer, keysOf(text), randomUUID, touched)),
        { isGiven: true, deviceId: anon.a, distinctId: P, sessionId: "touched", lastActive: 60_000 }
      )
    }
  })

  it("A session is that of a file which Supabase's CLI takes, and its id is a UUID", () => {
    const wrong = [
      { session_id: "me@example.com" },
      { session_id: undefined },
      { device_id: "1" },
      { enabled: undefined },
      { enabled: "true" },
      { session_last_active: "yesterday" },
      { session_last_active: Date.parse(at) },
      { session_last_active: null },
      { enabled: undefined, consent: "granted" },
      { consent: "granted", session_last_active: 1e300 },
      { consent: "maybe", session_last_active: Date.parse(at) }
    ]
    for (const keys of wrong) {
      assert.isUndefined(supabase.session(JSON.stringify({ ...whole, ...keys })), JSON.stringify(keys))
    }
    for (const text of ["", "{", "[]", "null"]) assert.isUndefined(supabase.session(text), text)
  })

  it("A schema version is not lowered", () => {
    const text = supabase.encode({ anonId: anon.a, linkedPrincipal: undefined }, { schema_version: 3 }, randomUUID)
    assert.deepInclude(JSON.parse(text), { schema_version: 3 })
  })
})
