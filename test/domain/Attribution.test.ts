import { assert, describe, it } from "@effect/vitest"
import {
  attribute,
  type ClaimFacts,
  type CredentialFacts,
  onSighting,
  signedOutElsewhere
} from "../../src/domain/Attribution.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, P, Q } = Device

const invocationId = "11111111-1111-4111-8111-111111111111"

const sources = ["stored", "environment", "none"] as const

const claimOf = (principal: PrincipalId | undefined, credential: ClaimFacts["credential"]): ClaimFacts => ({
  principal,
  credential
})

const at = (source: CredentialFacts["source"], knownAs?: PrincipalId): CredentialFacts => ({ source, knownAs })

describe("who an event belongs to", () => {
  const belongs = (facts: {
    readonly slot?: PrincipalId
    readonly claim?: ClaimFacts
    readonly credential: CredentialFacts
  }) => attribute({ slot: facts.slot, claim: facts.claim, credential: facts.credential, anonId: anon.a, invocationId })

  const account = (distinctId: PrincipalId) => ({ distinctId, personless: false })
  const nobody = (distinctId: string) => ({ distinctId, personless: true })

  it("1. the slot, whatever else is known", () => {
    for (const claim of [undefined, claimOf(P, "stored"), claimOf(Q, "none"), claimOf(undefined, "none")]) {
      for (const source of sources) {
        for (const knownAs of [undefined, P, Q]) {
          assert.deepStrictEqual(
            belongs({ slot: P, ...(claim && { claim }), credential: at(source, knownAs) }),
            account(P)
          )
        }
      }
    }
  })

  // claim's credential, credential at hand, whose it is known to be, what follows
  const table: ReadonlyArray<
    readonly [
      ClaimFacts["credential"],
      CredentialFacts["source"],
      PrincipalId | undefined,
      "the claim's" | "the command's"
    ]
  > = [
    ["stored", "none", undefined, "the command's"],
    ["environment", "none", undefined, "the claim's"],
    ["none", "none", undefined, "the claim's"],
    ...sources.flatMap((source) => [
      [source, "stored", P, "the claim's"] as const,
      [source, "stored", Q, "the command's"] as const,
      [source, "stored", undefined, "the command's"] as const,
      [source, "environment", P, "the claim's"] as const,
      [source, "environment", Q, "the command's"] as const,
      [source, "environment", undefined, "the command's"] as const
    ])
  ]

  for (const [from, source, knownAs, owner] of table) {
    const title = `claim of P from: ${from}; credential: ${source}, known as ${knownAs ?? "nobody's"}`
    it(`${owner === "the claim's" ? "2. the claim's principal" : "3. an id of the command's own"}: ${title}`, () => {
      assert.deepStrictEqual(
        belongs({ claim: claimOf(P, from), credential: at(source, knownAs) }),
        owner === "the claim's" ? account(P) : nobody(invocationId)
      )
    })
  }

  it("3. an id of the command's own, where the claim cannot be read, whatever the credential", () => {
    for (const source of sources) {
      for (const knownAs of [undefined, P]) {
        assert.deepStrictEqual(
          belongs({ claim: claimOf(undefined, "none"), credential: at(source, knownAs) }),
          nobody(invocationId)
        )
      }
    }
  })

  it("4. the anon id, where there is no claim", () => {
    for (const source of sources) {
      for (const knownAs of [undefined, P]) {
        assert.deepStrictEqual(belongs({ credential: at(source, knownAs) }), nobody(anon.a))
      }
    }
  })
})

describe("what follows from a principal that was seen", () => {
  type SeenBy = Parameters<typeof onSighting>[0]["seenBy"]

  const seenBys: ReadonlyArray<SeenBy> = ["login", "observe", "resolver"]
  const claims = {
    none: undefined,
    P: claimOf(P, "stored"),
    Q: claimOf(Q, "stored"),
    "unreadable": claimOf(undefined, "none")
  }

  /** The table of the design, read aloud. */
  const expected = (row: {
    readonly seenBy: SeenBy
    readonly slot: PrincipalId | undefined
    readonly claim: keyof typeof claims
    readonly credential: CredentialFacts
    readonly ephemeral: boolean
  }) => {
    if (row.slot !== undefined && row.seenBy !== "login") return "Nothing"
    if (row.ephemeral || row.claim === "P") return "Stamp"
    if (row.claim === "none") return "Claim"
    if (row.seenBy === "login") return "Switch"
    if (row.credential.source !== "stored") return "Stamp"
    return row.claim === "Q" && row.credential.knownAs === Q ? "Stamp" : "Switch"
  }

  for (const seenBy of seenBys) {
    for (const claim of ["none", "P", "Q", "unreadable"] as const) {
      for (const ephemeral of [false, true]) {
        it(`by ${seenBy}, claim ${claim}, ${ephemeral ? "ephemeral" : "persistent"}`, () => {
          for (const slot of [undefined, P, Q]) {
            for (const source of sources) {
              for (const knownAs of source === "none" ? [undefined] : [undefined, P, Q]) {
                const credential = at(source, knownAs)
                assert.deepStrictEqual(
                  onSighting({ principal: P, seenBy, slot, claim: claims[claim], credential, ephemeral }),
                  expected({ seenBy, slot, claim, credential, ephemeral }),
                  JSON.stringify({ slot, credential })
                )
              }
            }
          }
        })
      }
    }
  }
})

describe("a user has signed out elsewhere", () => {
  it("where the credential is gone that the claim was learned with, and nowhere else", () => {
    for (const from of sources) {
      for (const source of sources) {
        assert.strictEqual(
          signedOutElsewhere({ claim: claimOf(P, from), credential: at(source) }),
          from === "stored" && source === "none",
          `${from}, ${source}`
        )
      }
    }
    for (const source of sources) {
      assert.isFalse(signedOutElsewhere({ claim: undefined, credential: at(source) }))
    }
  })
})
