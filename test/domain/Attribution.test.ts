import { assert, describe, it } from "@effect/vitest"
import type { ClaimFacts, CredentialFacts } from "../../src/domain/Attribution.ts"
import { attribute, consequenceOf, isSignedOutElsewhere } from "../../src/domain/Attribution.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, P, Q } = Device

const invocationId = "11111111-1111-4111-8111-111111111111"

const sources = ["stored", "environment", "none"] as const

const claimOf = (principal: PrincipalId | undefined, credential: ClaimFacts["credential"]): ClaimFacts => ({
  principal_id: principal,
  credential
})

const at = (source: CredentialFacts["source"], principal?: PrincipalId): CredentialFacts => ({ source, principal })

/** Every credential, with what is known of it. */
const credentials = [
  at("none"),
  ...(["stored", "environment"] as const).flatMap((source) => [undefined, P, Q].map((known) => at(source, known)))
]

const claims = {
  none: undefined,
  P: claimOf(P, "stored"),
  Q: claimOf(Q, "stored"),
  unreadable: claimOf(undefined, "none")
}

describe("attribute", () => {
  const owner = (facts: {
    readonly slot?: PrincipalId
    readonly claim?: ClaimFacts | undefined
    readonly credential: CredentialFacts
  }) => attribute({ slot: facts.slot, claim: facts.claim, credential: facts.credential, anonId: anon.a, invocationId })

  const account = (distinctId: PrincipalId) => ({ distinctId, personless: false })
  const device = { distinctId: anon.a, personless: true }
  const command = { distinctId: invocationId, personless: true }

  it("An event belongs to the principal of the slot, whatever else is known", () => {
    for (const claim of [undefined, claimOf(P, "stored"), claimOf(Q, "none"), claims.unreadable]) {
      for (const credential of credentials) assert.deepStrictEqual(owner({ slot: P, claim, credential }), account(P))
    }
  })

  for (const from of sources) {
    it(`An event belongs to the principal of the claim or to the command only; the credential of the claim: ${from}`, () => {
      for (const credential of credentials) {
        const isClaims = credential.source === "none" ? from !== "stored" : credential.principal === P
        assert.deepStrictEqual(
          owner({ claim: claimOf(P, from), credential }),
          isClaims ? account(P) : command,
          JSON.stringify(credential)
        )
      }
    })
  }

  it("An event belongs to the command only if the claim cannot be read", () => {
    for (const credential of credentials) {
      assert.deepStrictEqual(owner({ claim: claims.unreadable, credential }), command)
    }
  })

  it("An event belongs to the device if there is no claim", () => {
    for (const credential of credentials) assert.deepStrictEqual(owner({ credential }), device)
  })
})

describe("consequenceOf", () => {
  type SeenBy = Parameters<typeof consequenceOf>[0]["seenBy"]

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
    return row.claim === "Q" && row.credential.principal === Q ? "Stamp" : "Switch"
  }

  for (const seenBy of ["login", "observe", "resolver"] as const) {
    for (const claim of ["none", "P", "Q", "unreadable"] as const) {
      it(`A sighting has the consequence of the design's table: seen by ${seenBy}, claim ${claim}`, () => {
        for (const ephemeral of [false, true]) {
          for (const slot of [undefined, P, Q]) {
            for (const credential of credentials) {
              assert.deepStrictEqual(
                consequenceOf({ principal: P, seenBy, slot, claim: claims[claim], credential, ephemeral }),
                expected({ seenBy, slot, claim, credential, ephemeral }),
                JSON.stringify({ slot, credential, ephemeral })
              )
            }
          }
        }
      })
    }
  }
})

describe("isSignedOutElsewhere", () => {
  it("A user has signed out elsewhere exactly where a stored credential is gone that the claim was learned with", () => {
    for (const { source } of credentials) {
      for (const from of sources) {
        assert.strictEqual(
          isSignedOutElsewhere({ claim: claimOf(P, from), credential: at(source) }),
          from === "stored" && source === "none",
          `${from}, ${source}`
        )
      }
      assert.isFalse(isSignedOutElsewhere({ claim: undefined, credential: at(source) }))
    }
  })
})
