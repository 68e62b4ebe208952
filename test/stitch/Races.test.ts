/**
 * Claims that several commands make, claims that cannot be written, and consent that is withdrawn meanwhile.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type { AnonId } from "../../src/domain/AnonId.ts"
import * as Claim from "../../src/domain/Claim.ts"
import type { ConsentDecision } from "../../src/domain/ConsentDecision.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import { Consent } from "../../src/services/Consent.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { account, device, everybody, lateAnswer, modes, over, own, see } from "./Command.ts"

const { anon, claimOf, P, Q } = Device

const isClaim = ({ operation, path }: FaultyDisk.Call) => operation === "link" && /\/claims\/.*\.json$/.test(path)

/** A disk on which another process publishes a claim of each anon id just before this one does. */
const overtaken = (home: Device.Device, winner: PrincipalId) => {
  const publish = (anonId: AnonId) =>
    home.write(`usage/claims/${anonId}.json`, Claim.encode(claimOf(anonId, winner, { credential: "environment" })))
  return (isAlways = false) => {
    let times = 0
    return FaultyDisk.interposed((call) => {
      if (isClaim(call) && (isAlways || times++ === 0)) Effect.runSync(publish(Device.anonId(call.path.slice(-41, -5))))
    })
  }
}

describe.each(modes)("concurrent claims over $mode", (mode) => {
  const stored = over(mode, { credential: Device.stored("new"), accounts: { new: P } })
  const variable = over(mode, { credential: Device.environment("new"), accounts: { new: P } })

  stored.each(everybody)(
    "A race for a claim that the same principal won adds no claim: by %s",
    function*({ home, start }, seenBy) {
      const command = yield* start({ disk: overtaken(home, P)() })
      yield* see(command, seenBy)
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.deepStrictEqual(home.claim(anon.a), claimOf(anon.a, P, { credential: "environment" }))
      assert.deepStrictEqual(home.claimed(), [anon.a])
      yield* command.record
      const sequences = home.events().map(({ properties }) => properties["sequence"])
      assert.deepStrictEqual(sequences, sequences.map((_, n) => n))
    }
  )

  stored.each(everybody)(
    "A race for a claim that another principal won switches the device: by %s",
    function*({ home, start }, seenBy) {
      const command = yield* start({ disk: overtaken(home, Q)() })
      yield* see(command, seenBy)
      const { anonId } = yield* command.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.strictEqual(yield* command.slot.get, P)
      assert.strictEqual(home.claim(anon.a)?.principal_id, Q)
      assert.deepInclude(home.claim(anonId), { principal_id: P, alias: null })
    }
  )

  variable.each(["observe", "resolver"] as const)(
    "A race for a claim that another principal won does not switch under a credential from the environment: by %s",
    function*({ home, start }, seenBy) {
      const command = yield* start({ disk: overtaken(home, Q)() })
      yield* see(command, seenBy)
      assert.strictEqual((yield* command.store.get).anonId, anon.a)
      assert.strictEqual(yield* command.slot.get, P)
      assert.deepStrictEqual(home.claimed(), [anon.a])
      assert.strictEqual(home.claim(anon.a)?.principal_id, Q)
    }
  )

  over(mode, { loggedIn: Q })(
    "A race for a claim ends if another process wins each claim of a switch",
    function*({ home, start }) {
      const { slot, stitch } = yield* start({ disk: overtaken(home, Q)(true) })
      yield* stitch.login(P)
      assert.strictEqual(yield* slot.get, P)
      for (const anonId of home.claimed()) assert.strictEqual(home.claim(Device.anonId(anonId))?.principal_id, Q)
    }
  )

  over(mode).each([{ principals: [P] }, { principals: [P, Q] }])(
    "Many observations at once make one claim: $principals",
    function*({ home, start }, { principals }) {
      let published = 0
      const disk = FaultyDisk.interposed((call) => {
        if (isClaim(call)) published += 1
      })
      const { slot, stitch } = yield* start({ disk })
      const all = Array.from({ length: 32 }, (_, n) => stitch.observe(principals[n % principals.length] ?? P))
      yield* Effect.all(all, { concurrency: "unbounded" })
      assert.strictEqual(published, 1)
      assert.deepStrictEqual(home.claimed(), [anon.a])
      assert.strictEqual(yield* slot.get, home.claim(anon.a)?.principal_id)
    }
  )
})

describe.each(modes)("a rotation by another process over $mode", (mode) => {
  /** A disk on which another process, which logged out, publishes the successor of the anon id just before this one. */
  const rotated = (home: Device.Device) =>
    FaultyDisk.interposed(({ operation, path }) => {
      if (operation === "link" && path.endsWith(`/successors/${anon.a}.json`)) {
        Effect.runSync(home.write(`usage/successors/${anon.a}.json`, Device.successorText(anon.b)))
      }
    })

  over(mode, { loggedIn: Q })(
    "A login that switches the account claims the anon id of another process's rotation",
    function*({ home, start }) {
      const { slot, stitch, store } = yield* start({ disk: rotated(home) })
      yield* stitch.login(P)
      assert.strictEqual((yield* store.get).anonId, anon.b)
      assert.strictEqual(home.claim(anon.b)?.principal_id, P)
      assert.strictEqual(yield* slot.get, P)
    }
  )

  over(mode, { claim: { principal_id: Q }, credential: Device.stored("new"), accounts: { new: P } })(
    "A response that switches the account does not claim the anon id of another process's rotation",
    function*({ home, start }) {
      const { begin, slot, stitch } = yield* start({ disk: rotated(home) })
      yield* begin
      yield* stitch.observe(P)
      assert.include(home.tree(), `usage/successors/${anon.a}.json`)
      assert.isUndefined(home.claim(anon.b))
      assert.strictEqual(yield* slot.get, P)
    }
  )
})

describe.each(modes)("failed claims over $mode", (mode) => {
  const test = over(mode)
  /** A disk that refuses new files, but for events, until it has room again. */
  const filled = () => {
    let isFull = true
    const disk = FaultyDisk.interposed(({ operation, path }) =>
      isFull && (operation === "link" || operation === "create") && !/usage\/(tmp|outbox)\//.test(path)
        ? "ENOSPC"
        : undefined
    )
    return { disk, empty: () => (isFull = false) }
  }

  test.each([{ what: "another claim", held: Q }, { what: "no claim", held: undefined }], ({ held }) => ({
    ...(held === undefined ? {} : { claim: { principal_id: held } }),
    credential: Device.stored("new")
  }))(
    "A claim that cannot be written leaves no account and uses no sequence number, with $what before",
    function*({ home, start }, { held }) {
      const { disk, empty } = filled()
      const { owner, slot, stitch, store } = yield* start({ disk })
      yield* stitch.observe(P)
      assert.isUndefined(yield* slot.get)
      assert.deepStrictEqual(yield* owner, held === undefined ? device(anon.a) : own)
      empty()
      yield* stitch.observe(P)
      assert.strictEqual(yield* slot.get, P)
      const { anonId } = yield* store.get
      assert.strictEqual(anonId === anon.a, held === undefined)
      assert.strictEqual(home.claim(anonId)?.principal_id, P)
      const alias = home.claim(anonId)?.alias
      assert.strictEqual(alias?.properties["sequence"], held === undefined ? 1 : undefined)
    }
  )

  test("A claim that withdrawn consent prevents leaves no account in the command", function*({ home, start }) {
    const decision = yield* Ref.make<ConsentDecision>(Device.given)
    const disk = FaultyDisk.interposed((call) => {
      if (isClaim(call)) Effect.runSync(Ref.set(decision, Device.denied))
    })
    const { slot, stitch } = yield* start({ consent: Device.consentOfRef(decision), disk })
    yield* stitch.observe(P)
    assert.isUndefined(yield* slot.get)
    assert.deepStrictEqual(home.claimed(), [])
  })
})

describe.each(modes)("opt-outs over $mode", (mode) => {
  const stored = over(mode, { credential: Device.stored("key") })
  stored(
    "Consent that is withdrawn while a command runs ends the stitching, and no file changes any more",
    function*({ api, home, start }) {
      const decision = yield* Ref.make<ConsentDecision>(Device.given)
      const answer = yield* lateAnswer(api, "key")
      const { begin, record, settle, slot, stitch } = yield* start({ consent: Device.consentOfRef(decision) })
      yield* begin
      yield* record
      const before = home.snapshot()
      yield* Ref.set(decision, Device.denied)
      yield* Deferred.succeed(answer, P)
      yield* settle
      yield* stitch.observe(P)
      yield* stitch.login(P)
      yield* stitch.logout
      assert.isUndefined(yield* record)
      assert.isUndefined(yield* slot.get)
      assert.deepStrictEqual(home.snapshot(), before)
    }
  )
})

describe.each(modes)("internal defects over $mode", (mode) => {
  const test = over(mode)
  test("A defect of this module ends no command of the host", function*({ start }) {
    const died = (): never => {
      throw new Error("a mistake of ours")
    }
    const disk = FaultyDisk.interposed(({ path }) => path.includes("/claims") ? died() : undefined)
    for (const what of ["observe", "login", "logout", "record"] as const) {
      const command = yield* start({ disk })
      yield* command.begin
      if (what === "record") assert.isUndefined(yield* command.record)
      else yield* what === "logout" ? command.stitch.logout : command.stitch[what](P)
    }
    const dying = Effect.sync(died)
    const consent = Consent.of({ begin: dying, decision: dying, stillGiven: dying, deny: dying, allow: dying })
    const undecided = yield* start({ consent: Layer.succeed(Consent, consent) })
    yield* undecided.begin
    assert.isUndefined(yield* undecided.record)
    yield* undecided.stitch.observe(P)
  })
})
