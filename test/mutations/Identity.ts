/**
 * Mistakes in the identity rules, as wrong implementations of exported functions.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { attribute } from "../../src/domain/Attribution.ts"
import * as Claim from "../../src/domain/Claim.ts"
import * as Credential from "../../src/domain/Credential.ts"
import * as JsonDocument from "../../src/domain/JsonDocument.ts"
import * as StitchState from "../../src/domain/StitchState.ts"
import * as ClaimFiles from "../../src/layers/ClaimFiles.ts"
import type { Record, Recorder } from "../../src/layers/Recorder.ts"
import type { StateFiles } from "../../src/layers/StateFiles.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import { type Mutation, overriding, withoutSuccessors, wrong, wrongStore } from "./Wrong.ts"

const steady = "layers/SteadyStitch.ts"

// For a mutation of two modules, of which only one has the recorder of a process.
const recorders = new WeakMap<StateFiles, Recorder>()

export const identity: ReadonlyArray<Mutation> = [
  // == sightings
  {
    // Alone it would do no harm: a slot that is set already ends the second response too.
    name: "the guard is never set, and the slot is not looked at",
    why: "of many responses at once, each stitches",
    wrong: [
      wrong("layers/FullStitch.ts", (right) => ({
        make: (handover, record) => {
          const set: ProxyHandler<typeof handover.shared>["set"] = (target, key, value) =>
            key === "stitchAttempted" || Reflect.set(target, key, value)
          return right.make({ ...handover, shared: new Proxy(handover.shared, { set }) }, record)
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
    wrong: [wrong("domain/Attribution.ts", (right) => ({
      consequenceOf: (facts) => {
        const consequence = right.consequenceOf(facts)
        return consequence === "Switch" ? "Stamp" : consequence
      }
    }))]
  },
  {
    name: "a switch aliases the new anon id",
    why: "an alias for an id without a history",
    wrong: [
      wrong("layers/FullStitch.ts", (right) => ({
        make: (handover, record) => {
          recorders.set(handover.shared.files, handover.shared.recorder)
          return right.make(handover, record)
        }
      })),
      wrong("layers/FileIdentityStore.ts", (right) => ({
        makeWith: Effect.fnUntraced(function*(files, initial) {
          const store = yield* right.makeWith(files, initial)
          const recorder = recorders.get(files)
          const { destinationId } = yield* UsageSettings
          if (recorder === undefined) return store
          const claimWithAlias = Effect.fnUntraced(function*(claim: Claim.Claim) {
            const draft = {
              event: "$create_alias",
              distinctId: claim.principal_id,
              personless: false,
              properties: { distinct_id: claim.principal_id, alias: claim.anon_id },
              command: undefined
            }
            const { confirm, message } = recorder.compose(draft, yield* store.get, yield* Clock.currentTimeMillis)
            const result = yield* store.claim({ ...claim, destination: destinationId, alias: message })
            if (result._tag === "Published") confirm()
            return result
          })
          return overriding(store, {
            claim: (claim) => claim.alias === null ? claimWithAlias(claim) : store.claim(claim)
          })
        })
      }))
    ]
  },
  {
    name: "a logout that cannot be written ends with its process",
    why: "later commands belong to the former account",
    wrong: [wrongStore((store) => ({ discard: store.forget }))]
  },
  {
    name: "an alias that lost the race uses up a sequence number",
    why: "the numbers on the wire have gaps",
    wrong: [wrong("layers/Recorder.ts", (right) => ({
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
    }))]
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
  {
    name: "a response is taken for one about the current credential",
    why: "a login that validates another key makes the old one its account's",
    wrong: [wrong("layers/FullStitch.ts", (right) => ({
      make: (handover, record) =>
        Effect.map(right.make(handover, record), (stitch) => {
          const { shared } = handover
          const observe = Effect.fnUntraced(function*(principalId: string, authorization?: string) {
            yield* stitch.service.observe(principalId, authorization)
            const { found } = stitch.current()
            const now = yield* Clock.currentTimeMillis
            if (found === undefined || shared.slot !== principalId) return
            if (authorization !== undefined && !Credential.authorizes(found, authorization)) return
            shared.known.remember(found, shared.slot, now)
          })
          return { ...stitch, service: overriding(stitch.service, { observe }) }
        })
    }))]
  },
  {
    // A command with a known principal is stamped before a response, so only the other commands are changed.
    name: "a response to a request that was under way claims the device",
    why: "a logout in another terminal is undone",
    wrong: [wrong("domain/StitchState.ts", (right) => ({
      hasChanged: (state) => typeof state.initial?.known === "string" && right.hasChanged(state)
    }))]
  },

  // == logout
  {
    name: "a logout leaves the slot",
    why: "what comes after it goes to the former account",
    wrong: [wrong("layers/FullStitch.ts", (right) => ({
      make: (handover, record) => {
        const set: ProxyHandler<typeof handover.shared>["set"] = (target, key, value) =>
          (key === "slot" && value === undefined) || Reflect.set(target, key, value)
        return right.make({ ...handover, shared: new Proxy(handover.shared, { set }) }, record)
      }
    }))]
  },
  {
    name: "a sign-out elsewhere is not noticed",
    why: "the next person's events go to the former account",
    wrong: [wrong("domain/Attribution.ts", () => ({ isSignedOutElsewhere: () => false }))]
  },
  {
    name: "a logout ends no stitching",
    why: "a late response brings the account back",
    wrong: [
      wrong("layers/FullStitch.ts", (right) => ({
        make: (handover, record) =>
          Effect.map(right.make(handover, record), (stitch) => {
            const allowStitching = Effect.sync(() => {
              handover.shared.stitchAttempted = false
            })
            const logout = Effect.ensuring(stitch.service.logout, allowStitching)
            return { ...stitch, service: overriding(stitch.service, { logout }) }
          })
      })),
      wrong("domain/StitchState.ts", (right) => ({
        signOut: (state) => ({ ...right.signOut(state), phase: "Active" })
      }))
    ]
  },
  {
    name: "a session goes on under a new anon id",
    why: "it ties the anonymous device to the account that logged out",
    wrong: [wrong("domain/Session.ts", (right) => ({
      touch: (before, anonId, now, newId) => right.touch(before && { ...before, anon_id: anonId }, anonId, now, newId)
    }))]
  },

  // == attribution
  {
    name: "an unknown credential is the claim's",
    why: "another account's events go to the one that the device belongs to",
    wrong: [wrong("domain/Attribution.ts", (right) => ({
      attribute: (facts) => {
        return right.attribute({ ...facts, slot: facts.slot ?? facts.claim?.principal_id })
      }
    }))]
  },
  {
    // Only the rule for a command with a known principal is changed.
    name: "a command is of the account that is logged in at its end",
    why: "another process's login takes its events",
    wrong: [wrong("domain/StitchState.ts", (right) => ({
      hasChanged: (state) => typeof state.initial?.known !== "string" && right.hasChanged(state)
    }))]
  },
  {
    name: "nothing is known of the device, and a command records all the same",
    why: "it passes for one without a credential, under the account that the device belongs to",
    wrong: [wrong("layers/FullStitch.ts", (right) => ({
      make: (handover, record) => {
        const { shared } = handover
        let stitch: Effect.Success<ReturnType<typeof right.make>> | undefined
        const recordAnyway: Record = Effect.fnUntraced(function*(event, owner, now) {
          if (owner !== undefined || stitch === undefined || (yield* stitch.store.check) === "Deleted") {
            return yield* record(event, owner, now)
          }
          const identity = yield* stitch.store.get
          const attribution = attribute({
            slot: shared.slot,
            anonId: identity.anonId,
            claim: identity.claim,
            credential: StitchState.facts(stitch.current(), "none"),
            invocationId: shared.recorder.id
          })
          return yield* record(event, { identity, attribution }, now)
        })
        return Effect.tap(right.make(handover, recordAnyway), (made) =>
          Effect.sync(() => {
            stitch = made
          }))
      }
    }))]
  },
  {
    name: "an ephemeral runtime claims",
    why: "every CI run leaves a dead id on the person",
    wrong: [wrong("domain/Attribution.ts", (right) => ({
      consequenceOf: (facts) => right.consequenceOf({ ...facts, ephemeral: false })
    }))]
  },

  // == the steady path
  {
    name: "a steady command does not look for a successor",
    why: "its event goes to an account that logged out",
    wrong: [wrong(steady, (right) => ({
      make: (shared, ...rest) => {
        const stitch = right.make(overriding(shared, { files: withoutSuccessors(shared.files) }), ...rest)
        return overriding(stitch, { handover: () => ({ ...stitch.handover(), shared }) })
      }
    }))]
  },
  {
    name: "a steady command goes on where its credential changed since it began",
    why: "its event goes to the account of the new credential",
    wrong: [wrong("layers/CredentialText.ts", (right) => {
      const first = new WeakMap<object, string | undefined>()
      return {
        read: (disk, input) => {
          if (!first.has(input)) first.set(input, right.read(disk, input))
          return first.get(input)
        }
      }
    }, steady)]
  },
  {
    name: "a steady command does not notice a sign-out elsewhere",
    why: "the device keeps the id of the account that left",
    wrong: [wrong("domain/Attribution.ts", () => ({ isSignedOutElsewhere: () => false }), steady)]
  },
  {
    name: "a steady command takes another tool's link for a claim",
    why: "the link is never adopted, and the device never claimed",
    wrong: [wrong(steady, (right) => ({
      make: (shared, runtime, settings, input) => {
        const decode: typeof settings.codec.decode = (text) => {
          const pointer = settings.codec.decode(text)
          if (pointer === undefined) return undefined
          const claim = ClaimFiles.read(shared.files, pointer.anonId)
          const isClaim = claim !== undefined && claim !== "Unknown"
          return { ...pointer, linkedPrincipal: isClaim ? claim.principal_id : undefined }
        }
        return right.make(shared, runtime, { ...settings, codec: overriding(settings.codec, { decode }) }, input)
      }
    }))]
  },
  {
    name: "a command that runs long does not look at its identity again",
    why: "its events go to an identity that was rotated or deleted",
    wrong: [wrong(steady, (right) => ({
      make: (...args) => {
        const stitch = right.make(...args)
        let first: ReturnType<typeof stitch.attribution>
        return overriding(stitch, { attribution: (now) => first ??= stitch.attribution(now) })
      }
    }))]
  },
  {
    name: "the cache forgets that an answer is about one credential",
    why: "one account's events go to another one",
    wrong: [wrong("domain/Known.ts", (right) => ({
      recall: (known, fingerprint, now) =>
        right.recall(known, known.credentials.at(-1)?.fingerprint ?? fingerprint, now)
    }))]
  },
  {
    name: "a cache with an invalid part is used all the same",
    why: "an account's id of another tool's making is sent",
    wrong: [wrong("domain/Known.ts", (right) => ({
      decode: (text) => {
        const document = JsonDocument.parse(text)
        if (document === undefined) return undefined
        const { credentials, input, salt, session, version } = document
        const valid = (part: object) => {
          const document = JSON.stringify({ version, salt, credentials: [], ...part })
          return right.decode(document) === undefined ? {} : part
        }
        const entries = Array.isArray(credentials) ? credentials : []
        const part = {
          ...valid({ session }),
          ...valid({ input }),
          credentials: entries.filter((entry) => "credentials" in valid({ credentials: [entry] }))
        }
        return right.decode(JSON.stringify({ version, salt, ...part }))
      }
    }))]
  },
  {
    name: "a command records after the module could not be loaded, under the account",
    why: "an upgrade while a command runs lets its events go to a former account",
    wrong: [wrong(steady, (right) => ({
      make: (...args) => {
        const stitch = right.make(...args)
        const fallback: typeof stitch.fallback = () => {
          const owner = stitch.fallback()
          const principal = stitch.handover().snapshot?.credential.principal
          return owner === undefined || principal === undefined
            ? owner
            : { ...owner, attribution: { distinctId: principal, personless: false } }
        }
        return overriding(stitch, { fallback })
      }
    }))]
  }
]
