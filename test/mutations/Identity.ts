/**
 * Mistakes in the identity rules, as wrong implementations of exported functions.
 */
import * as Effect from "effect/Effect"
import { IdentitySlot } from "../../src/services/IdentitySlot.ts"
import { overriding, type Replacement, withoutSuccessors, wrong } from "./Wrong.ts"

const steady = "layers/SteadyStitch.ts"

export const identity: ReadonlyArray<Replacement> = [
  // == sightings
  {
    // Alone it would do no harm: a slot that is set already ends the second response too.
    name: "the guard is never set, and the slot is not looked at",
    why: "of many responses at once, each stitches",
    wrong: [
      wrong("layers/HybridIdentityStitch.ts", (right) => ({
        make: (shared, initial, held) => {
          const set: ProxyHandler<typeof shared>["set"] = (target, key, value) =>
            key === "stitchAttempted" || Reflect.set(target, key, value)
          return right.make(new Proxy(shared, { set }), initial, held)
        }
      })),
      wrong("domain/Attribution.ts", (right) => ({
        consequenceOf: (facts) => right.consequenceOf({ ...facts, slot: undefined })
      }))
    ]
  },
  {
    name: "a switch leaves the device to its former account",
    why: "the next command's events go to the former account",
    wrong: [
      wrong("domain/Attribution.ts", (right) => ({
        consequenceOf: (facts) => {
          const consequence = right.consequenceOf(facts)
          return consequence === "Switch" ? "Stamp" : consequence
        }
      }))
    ]
  },
  {
    name: "an alias that lost the race uses up a sequence number",
    why: "the numbers on the wire have gaps",
    wrong: [
      wrong("layers/Recorder.ts", (right) => ({
        make: (options) => {
          const recorder = right.make(options)
          return overriding(recorder, {
            compose: (draft, identity, now) => {
              const drawn = recorder.compose(draft, identity, now)
              drawn.confirm()
              return drawn
            }
          })
        }
      }))
    ]
  },
  {
    name: "a response to a request with another credential claims the device",
    why: "the stored credential is taken for the other account's for good",
    wrong: [wrong("domain/Credential.ts", () => ({ authorizes: () => true }))]
  },
  {
    name: "a resolver's late answer is about any credential",
    why: "it claims the device of another user",
    wrong: [wrong("domain/StitchState.ts", () => ({ holds: ({ found }) => found !== undefined }))]
  },

  // == logout
  {
    name: "a logout leaves the slot",
    why: "what comes after it goes to the former account",
    wrong: [
      wrong("layers/HybridIdentityStitch.ts", (right) => ({
        make: (shared, initial, held) =>
          Effect.updateService(
            right.make(shared, initial, held),
            IdentitySlot,
            (slot) => overriding(slot, { set: (next) => next === undefined ? Effect.void : slot.set(next) })
          )
      }))
    ]
  },
  {
    name: "a sign-out elsewhere is not noticed",
    why: "the next person's events go to the former account",
    wrong: [wrong("domain/Attribution.ts", () => ({ isSignedOutElsewhere: () => false }))]
  },
  {
    name: "a session goes on under a new anon id",
    why: "it ties the anonymous device to the account that logged out",
    wrong: [
      wrong("domain/Session.ts", (right) => ({
        touch: (before, anonId, now, newId) => right.touch(before && { ...before, anon_id: anonId }, anonId, now, newId)
      }))
    ]
  },

  // == attribution
  {
    name: "an unknown credential is the claim's",
    why: "another account's events go to the one that the device belongs to",
    wrong: [
      wrong("domain/Attribution.ts", (right) => ({
        attribute: (facts) => {
          const { principal } = facts.claim ?? {}
          return right.attribute({ ...facts, slot: facts.slot ?? principal })
        }
      }))
    ]
  },
  {
    name: "an ephemeral runtime claims",
    why: "every CI run leaves a dead id on the person",
    wrong: [
      wrong("domain/Attribution.ts", (right) => ({
        consequenceOf: (facts) => right.consequenceOf({ ...facts, ephemeral: false })
      }))
    ]
  },

  // == the steady path
  {
    name: "a steady command does not look for a successor",
    why: "its event goes to an account that logged out",
    wrong: [
      wrong(steady, (right) => ({
        make: (shared, ...rest) => {
          const stitch = right.make(overriding(shared, { files: withoutSuccessors(shared.files) }), ...rest)
          return overriding(stitch, { handover: () => ({ ...stitch.handover(), shared }) })
        }
      }))
    ]
  },
  {
    name: "a steady command goes on where its credential changed since it began",
    why: "its event goes to the account of the new credential",
    wrong: [
      wrong("layers/CredentialText.ts", (right) => {
        const first = new WeakMap<object, string | undefined>()
        return {
          read: (disk, input) => {
            if (!first.has(input)) first.set(input, right.read(disk, input))
            return first.get(input)
          }
        }
      }, steady)
    ]
  },
  {
    name: "a steady command does not notice a sign-out elsewhere",
    why: "the device keeps the id of the account that left",
    wrong: [wrong("domain/Attribution.ts", () => ({ isSignedOutElsewhere: () => false }), steady)]
  },
  {
    name: "a command that runs long does not look at its identity again",
    why: "its events go to an identity that was rotated or deleted",
    wrong: [
      wrong(steady, (right) => ({
        make: (...args) => {
          const stitch = right.make(...args)
          let first: ReturnType<typeof stitch.attribution>
          return overriding(stitch, { attribution: (now) => first ??= stitch.attribution(now) })
        }
      }))
    ]
  },
  {
    name: "the cache forgets that an answer is about one credential",
    why: "one account's events go to another one",
    wrong: [
      wrong("domain/Known.ts", (right) => ({
        recall: (known, fingerprint, now) =>
          right.recall(known, known.credentials.at(-1)?.fingerprint ?? fingerprint, now)
      }))
    ]
  }
]
