import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Claim from "../../src/domain/Claim.ts"
import * as Message from "../../src/domain/Message.ts"
import * as Device from "../fixtures/Device.ts"
import { jsonObject } from "../fixtures/Json.ts"

const { anon, claimOf, P, Q } = Device

const message: Message.Message = {
  event: "Used",
  properties: { sequence: 0 },
  timestamp: "2026-01-01T00:00:00.000Z",
  uuid: "01234567-89ab-4def-8123-456789abcdef",
  distinct_id: "acct_1"
}

const messages = Arbitrary.flatMap(
  Arbitrary.schema(Message.Message),
  (message) => Arbitrary.map(jsonObject, (properties) => ({ ...message, properties }))
)

describe("a message on the disk", () => {
  it.prop(
    "is the message, whatever is in it",
    { message: messages },
    ({ message }) => {
      const text = Message.encode(message)
      const read = Option.getOrThrow(Message.decode(text))
      // A resend is the same bytes.
      assert.strictEqual(Message.encode(read.message), text)
      assert.deepStrictEqual(read.message, JSON.parse(JSON.stringify(message)))
    },
    { arbitrary: { runs: 200, size: 30 } }
  )

  it("is read whole or not at all: no part of it counts", () => {
    const text = Message.encode(message)
    for (let end = 0; end < text.length; end++) assert.isTrue(Option.isNone(Message.decode(text.slice(0, end))))
    assert.isTrue(Option.isSome(Message.decode(text)))
  })

  for (
    const [what, change] of [
      ["without an event's name", { event: "" }],
      ["without a distinct id, which would cost the whole batch", { distinct_id: "" }],
      ["with a uuid that is none, which would cost the whole batch", { uuid: "1" }],
      ["without a time", { timestamp: undefined }],
      ["whose properties are no object", { properties: [] }]
    ] as const
  ) {
    it(`is not one ${what}`, () => {
      assert.isTrue(Option.isNone(Message.decode(JSON.stringify({ version: 1, message: { ...message, ...change } }))))
    })
  }

  it("of a newer version is left alone", () => {
    assert.isTrue(Option.isNone(Message.decode(JSON.stringify({ version: 2, message }))))
  })
})

describe("a claim on the disk", () => {
  it.prop(
    "is the claim, with every byte of its alias",
    {
      alias: messages,
      isAliased: Schema.Boolean,
      principal: Schema.Literals([P, Q]),
      anonId: Schema.Literals(Object.values(anon)),
      learned_by: Claim.Sighting,
      credential: Claim.CredentialSource
    },
    ({ alias, anonId, credential, isAliased, learned_by, principal }) => {
      const claim = claimOf(anonId, principal, {
        learned_by,
        credential,
        alias: isAliased ? alias : null,
        destination: isAliased ? Device.destinationId : null
      })
      const text = Claim.encode(claim)
      const read = Option.getOrThrow(Claim.decode(text))
      assert.strictEqual(Claim.encode(read), text)
      assert.deepStrictEqual(read, JSON.parse(JSON.stringify(claim)))
      assert.isTrue(Claim.isReadable(read))
      assert.strictEqual(Claim.principalOf(read), principal)
    },
    { arbitrary: { runs: 200, size: 30 } }
  )

  it("is read whole or not at all: no part of it counts", () => {
    const text = Claim.encode(claimOf(anon.a, P, { alias: message, destination: Device.destinationId }))
    for (let end = 0; end < text.length; end++) assert.isTrue(Option.isNone(Claim.decode(text.slice(0, end))))
    assert.isTrue(Option.isSome(Claim.decode(text)))
  })

  for (
    const [what, change] of [
      ["of an illegal principal", { principal_id: "undefined" }],
      ["of an anon id that is none", { anon_id: "1" }],
      ["of a newer version", { version: 2 }],
      ["learned in a way that nobody knows", { learned_by: "guess" }],
      ["with an alias that cannot be sent", { alias: { ...message, distinct_id: "" } }]
    ] as const
  ) {
    it(`is not one ${what}`, () => {
      assert.isTrue(Option.isNone(Claim.decode(JSON.stringify({ ...claimOf(anon.a, P), ...change }))))
    })
  }

  it("that cannot be read belongs to nobody that is known", () => {
    assert.isFalse(Claim.isReadable(Claim.unreadable))
    assert.isUndefined(Claim.principalOf(Claim.unreadable))
  })
})
