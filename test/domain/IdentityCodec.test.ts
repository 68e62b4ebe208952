import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { arcade, codecs, type IdentityCodec, keysOf, supabase } from "../../src/domain/IdentityCodec.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import * as Device from "../fixtures/Device.ts"
import { jsonObject } from "../fixtures/Json.ts"

const { anon, P } = Device

const decoded = (codec: IdentityCodec, text: string) =>
  Option.getOrThrowWith(codec.decode(text), () => new Error("not usable"))

const optionalPrincipal = Schema.Literals(["acct_1", "user@example.com", "none at all"])

const linkOf = (name: string): PrincipalId | undefined => name === "none at all" ? undefined : Device.principalId(name)

const anonIds = Schema.Literals(Object.values(anon))

const ownKeys: Record<string, ReadonlyArray<string>> = {
  arcade: ["anon_id", "linked_principal_id"],
  supabase: ["device_id", "distinct_id", "schema_version"]
}

const without = (document: Schema.JsonObject, keys: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(document).filter(([key]) => !keys.includes(key)))

for (const codec of codecs) {
  describe(`${codec.name}'s format`, () => {
    it.prop(
      "gives back what it was given, and keeps every key that it does not know",
      { anonId: anonIds, link: optionalPrincipal, document: jsonObject },
      ({ anonId, document, link }) => {
        const linkedPrincipal = linkOf(link)
        const text = codec.encode({ anonId, linkedPrincipal }, document)
        const pointer = decoded(codec, text)
        assert.strictEqual(pointer.anonId, anonId)
        assert.strictEqual(pointer.linkedPrincipal, linkedPrincipal)
        const own = ownKeys[codec.name] ?? []
        assert.deepStrictEqual(
          without(keysOf(text), own),
          JSON.parse(JSON.stringify(without(document, own)))
        )
      },
      { arbitrary: { runs: 200, size: 30 } }
    )

    it.prop(
      "changes nothing when it is written over itself",
      { anonId: anonIds, link: optionalPrincipal, document: jsonObject },
      ({ anonId, document, link }) => {
        const text = codec.encode({ anonId, linkedPrincipal: linkOf(link) }, document)
        const pointer = decoded(codec, text)
        assert.deepStrictEqual(JSON.parse(codec.encode(pointer, keysOf(text))), JSON.parse(text))
      },
      { arbitrary: { runs: 200, size: 30 } }
    )

    it.prop(
      "does not break on any text",
      { text: Schema.String },
      ({ text }) => {
        const pointer = codec.decode(text)
        assert.isTrue(Option.isNone(pointer))
        assert.isBoolean(codec.denies(text))
      },
      { arbitrary: { runs: 300, size: 60 } }
    )

    it("is two-space JSON with a line break at its end", () => {
      const text = codec.encode({ anonId: anon.a, linkedPrincipal: P }, { theirs: [1] })
      assert.strictEqual(text, `${JSON.stringify(JSON.parse(text), null, 2)}\n`)
    })

    it("reads past a byte order mark", () => {
      const text = codec.encode({ anonId: anon.a, linkedPrincipal: P }, {})
      assert.deepStrictEqual(codec.decode(`\ufeff${text}`), codec.decode(text))
    })

    for (const link of ["undefined", "", "x".repeat(201), 7, null, {}]) {
      it(`has no link where it is no account: ${JSON.stringify(link).slice(0, 20)}`, () => {
        const [anonKey = "", linkKey = ""] = ownKeys[codec.name] ?? []
        const pointer = decoded(codec, JSON.stringify({ [anonKey]: anon.a, [linkKey]: link }))
        assert.strictEqual(pointer.anonId, anon.a)
        assert.isUndefined(pointer.linkedPrincipal)
      })
    }
  })
}

describe("a host that changes its format", () => {
  it.prop(
    "keeps the ids, there and back",
    { anonId: anonIds, link: optionalPrincipal },
    ({ anonId, link }) => {
      const linkedPrincipal = linkOf(link)
      const first = arcade.encode({ anonId, linkedPrincipal }, {})
      const second = supabase.encode(decoded(arcade, first), {})
      assert.strictEqual(arcade.encode(decoded(supabase, second), {}), first)
    },
    { arbitrary: { runs: 50 } }
  )

  it("is not read by the other's format", () => {
    const pointer = { anonId: anon.a, linkedPrincipal: P }
    assert.isTrue(Option.isNone(arcade.decode(supabase.encode(pointer, {}))))
    assert.isTrue(Option.isNone(supabase.decode(arcade.encode(pointer, {}))))
  })
})

describe("Arcade's format", () => {
  it("is as Arcade writes it", () => {
    assert.strictEqual(
      arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {}),
      `{\n  "anon_id": "${anon.a}",\n  "linked_principal_id": null\n}\n`
    )
  })

  it("never denies consent", () => {
    for (const text of ["", "{", "{ \"enabled\": false }"]) assert.isFalse(arcade.denies(text))
    assert.isUndefined(arcade.withConsent)
  })
})

describe("Supabase's format", () => {
  it("has the link only where there is one, and a schema version that it does not lower", () => {
    assert.deepStrictEqual(
      JSON.parse(supabase.encode({ anonId: anon.a, linkedPrincipal: undefined }, { distinct_id: "old", x: 1 })),
      { x: 1, device_id: anon.a, schema_version: 1 }
    )
    assert.deepStrictEqual(
      JSON.parse(supabase.encode({ anonId: anon.a, linkedPrincipal: P }, { schema_version: 3 })),
      { schema_version: 3, device_id: anon.a, distinct_id: P }
    )
  })

  it("takes the ids with a denial, and keeps the rest", () => {
    const text = supabase.encode(
      { anonId: anon.a, linkedPrincipal: P },
      { session_id: "s", session_last_active: "2026-01-01T00:00:00Z", mine: 1 }
    )
    const denied = supabase.withConsent?.(text, false) ?? assert.fail()
    assert.deepStrictEqual(JSON.parse(denied), {
      mine: 1,
      schema_version: 1,
      enabled: false,
      consent: "denied"
    })
    assert.isTrue(supabase.denies(denied))
    assert.isFalse(supabase.denies(supabase.withConsent?.(denied, true) ?? ""))
  })

  it("names nobody where both ids are the device's", () => {
    for (const codec of [supabase, arcade]) {
      const text = codec.encode({ anonId: anon.a, linkedPrincipal: Device.principalId(anon.a) }, {})
      assert.deepStrictEqual(Option.getOrUndefined(codec.decode(text)), { anonId: anon.a, linkedPrincipal: undefined })
    }
  })

  it("can be denied where there is no file, or one that cannot be read", () => {
    for (const text of [undefined, "", "{"]) {
      assert.isTrue(supabase.denies(supabase.withConsent?.(text, false) ?? "{}"))
    }
  })
})
