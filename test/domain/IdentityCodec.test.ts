import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  arcade,
  byName,
  codecs,
  formers,
  type IdentityCodec,
  isForeign,
  isName,
  keysOf,
  supabase
} from "../../src/domain/IdentityCodec.ts"
import * as Device from "../fixtures/Device.ts"
import { jsonObject } from "../fixtures/Json.ts"
import * as Arbitraries from "./Arbitraries.ts"

const { anon, P } = Device

const decoded = (codec: IdentityCodec, text: string) =>
  Option.getOrThrowWith(codec.decode(text), () => new Error("not usable"))

const pointers = Arbitrary.all({
  anonId: Arbitraries.anonIds,
  linkedPrincipal: Arbitrary.map(
    Arbitrary.all({ isLinked: Arbitrary.schema(Schema.Boolean), principal: Arbitraries.principalIds }),
    ({ isLinked, principal }) => isLinked ? principal : undefined
  )
})

const keys: Readonly<Record<string, readonly [anonId: string, link: string, ...more: ReadonlyArray<string>]>> = {
  arcade: ["anon_id", "linked_principal_id"],
  supabase: ["device_id", "distinct_id", "schema_version"]
}

const without = (document: Schema.JsonObject, keys: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(document).filter(([key]) => !keys.includes(key)))

for (const codec of codecs) {
  const own = keys[codec.name] ?? assert.fail(codec.name)

  describe(`${codec.name}'s format`, () => {
    it.prop(
      `${codec.name}: a pointer comes back as it was written, over every key that the format does not know`,
      { pointer: pointers, document: jsonObject },
      ({ document, pointer }) => {
        const text = codec.encode(pointer, document)
        assert.deepStrictEqual(decoded(codec, text), pointer)
        assert.deepStrictEqual(without(keysOf(text), own), JSON.parse(JSON.stringify(without(document, own))))
        // Written over itself it changes nothing, and another program may have put a byte order mark in front of it.
        assert.deepStrictEqual(JSON.parse(codec.encode(pointer, keysOf(text))), JSON.parse(text))
        assert.deepStrictEqual(decoded(codec, `\ufeff${text}`), pointer)
        // As the tools that share the file write it.
        assert.strictEqual(text, `${JSON.stringify(JSON.parse(text), null, 2)}\n`)
      },
      { arbitrary: { runs: 200, size: 30 } }
    )

    it.prop(
      `${codec.name}: a text or an object without a usable id has no pointer, and nothing breaks`,
      { text: Schema.String, document: jsonObject },
      ({ document, text }) => {
        for (const one of [text, JSON.stringify(document), JSON.stringify({ ...document, [own[0]]: "1" })]) {
          assert.isTrue(Option.isNone(codec.decode(one)))
          assert.isBoolean(codec.denies(one))
        }
      },
      { arbitrary: { runs: 100, size: 40 } }
    )

    it(`${codec.name}: a link that is no account, or is the device's own id, counts as none`, () => {
      for (const link of ["undefined", "", "x".repeat(201), 7, null, {}, anon.a]) {
        assert.deepStrictEqual(decoded(codec, JSON.stringify({ [own[0]]: anon.a, [own[1]]: link })), {
          anonId: anon.a,
          linkedPrincipal: undefined
        })
      }
    })
  })
}

describe("the formats", () => {
  it.prop(
    "A host that changes its format keeps the ids, there and back, and neither format reads the other's file",
    { pointer: pointers },
    ({ pointer }) => {
      const first = arcade.encode(pointer, {})
      const second = supabase.encode(decoded(arcade, first), {})
      assert.strictEqual(arcade.encode(decoded(supabase, second), {}), first)
      assert.isTrue(Option.isNone(arcade.decode(second)))
      assert.isTrue(Option.isNone(supabase.decode(first)))
    }
  )

  it("A format is found by its name, and the other formats are those that a host may have had before", () => {
    for (const codec of codecs) {
      assert.isTrue(isName(codec.name))
      assert.strictEqual(byName(codec.name), codec)
      assert.deepStrictEqual(formers(codec), codecs.filter((other) => other !== codec))
    }
    for (const name of ["", "Arcade", "toString", undefined, 1]) assert.isFalse(isName(name))
  })

  it("A JSON file of the same name is foreign where it has neither an id nor a consent; other text is not certain to be", () => {
    const pointer = supabase.encode({ anonId: anon.a, linkedPrincipal: P }, {})
    const texts = [
      "{ \"theme\": \"dark\" }",
      "[]",
      "1",
      pointer,
      "{ \"enabled\": false }",
      "{ \"consent\": \"x\" }",
      "",
      "{"
    ]
    assert.deepStrictEqual(texts.filter((text) => isForeign(supabase, text)), texts.slice(0, 3))
  })
})

describe("Arcade's format", () => {
  it("Arcade's file is as Arcade writes it, and never denies consent", () => {
    assert.strictEqual(
      arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {}),
      `{\n  "anon_id": "${anon.a}",\n  "linked_principal_id": null\n}\n`
    )
    for (const text of ["", "{", "{ \"enabled\": false }"]) assert.isFalse(arcade.denies(text))
    assert.isUndefined(arcade.withConsent)
  })
})

describe("Supabase's format", () => {
  it("Supabase's file has a link only where there is one, and a schema version that is not lowered", () => {
    for (
      const [linkedPrincipal, document, expected] of [
        [undefined, { distinct_id: "old", x: 1 }, { x: 1, device_id: anon.a, schema_version: 1 }],
        [P, { schema_version: 3 }, { schema_version: 3, device_id: anon.a, distinct_id: P }]
      ] as const
    ) {
      assert.deepStrictEqual(JSON.parse(supabase.encode({ anonId: anon.a, linkedPrincipal }, document)), expected)
    }
  })

  it("A denial in Supabase's file takes the ids with it, keeps the rest, and can be withdrawn", () => {
    const text = supabase.encode(
      { anonId: anon.a, linkedPrincipal: P },
      { session_id: "s", session_last_active: "2026-01-01T00:00:00Z", mine: 1 }
    )
    const denied = supabase.withConsent?.(text, false) ?? assert.fail()
    assert.deepStrictEqual(JSON.parse(denied), { mine: 1, schema_version: 1, enabled: false, consent: "denied" })
    assert.isTrue(supabase.denies(denied))
    assert.isFalse(supabase.denies(supabase.withConsent?.(denied, true) ?? assert.fail()))
    for (const one of ["{ \"enabled\": false }", "{ \"consent\": \"denied\" }", "", "{", "[]"]) {
      assert.isTrue(supabase.denies(one), one)
    }
    // It can be written where there is no file, or one that cannot be read.
    for (const none of [undefined, "", "{"]) {
      assert.isTrue(supabase.denies(supabase.withConsent?.(none, false) ?? assert.fail()))
    }
  })
})
