import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { Consent } from "../../src/services/Consent.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import type { Command, Scene } from "./Command.ts"
import { account, device, disturbed, found, lateAnswer, loaded, modes, over, ownerOf } from "./Command.ts"

const { anon, P, Q } = Device

/** What a host does: its command begins, it removes the credential, and it reports the logout. */
const logOut = ({ api }: Scene, { begin, stitch }: Command) =>
  Effect.andThen(begin, Effect.andThen(api.set(undefined), stitch.logout))

describe.each(modes)("claimed devices over $mode", (mode) => {
  const test = over(mode, { loggedIn: P })

  test.each([false, true])("A logout is recorded under its account; an event before it: %s", function*(given, isUsed) {
    const { command, home } = given
    if (isUsed) assert.deepStrictEqual(yield* command.owner, account(P))
    yield* logOut(given, command)
    assert.deepStrictEqual(home.events().map(({ event }) => event), isUsed ? ["Used", "Succeeded"] : ["Succeeded"])
    assert.deepStrictEqual(home.events().map(ownerOf), home.events().map(() => account(P)))
    // A second logout records nothing more under the account.
    yield* command.stitch.logout
    assert.lengthOf(home.events(), isUsed ? 2 : 1)
  })

  test(
    "Events after a logout have a new anon id and a new session, in its command and in later ones",
    function*(given) {
      const { anonId, command, home, start } = given
      yield* logOut(given, command)
      const after = yield* command.record
      const { anonId: fresh, claim } = yield* command.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.isUndefined(claim)
      assert.deepStrictEqual(home.pointer(), { anon_id: fresh, linked_principal_id: null })
      assert.deepInclude(yield* found(home), { anonId: fresh, claim: undefined })
      assert.deepStrictEqual(after && ownerOf(after), device(fresh))
      const [before] = home.events()
      assert.notStrictEqual(after?.properties["$session_id"], before?.properties["$session_id"])
      for (const former of [P, anonId]) assert.notInclude(JSON.stringify(after), former)
      const next = yield* start()
      assert.deepStrictEqual(yield* next.owner, device(fresh))
      assert.strictEqual(yield* next.isSteady, mode.isSteady)
    }
  )

  test.each([P, Q])(
    "A logout that a concurrent logout and a login as %s overtake leaves its command without an account",
    function*(given, next) {
      const { anonId, home, start } = given
      const another = yield* start({ cold: loaded })
      const { disk, hasActed } = yield* disturbed(
        ({ operation, path }) => operation === "link" && path.includes("/successors/"),
        // The host of the other process keeps its credential elsewhere.
        Effect.andThen(another.stitch.logout, another.stitch.login(next))
      )
      const command = yield* start({ disk })
      assert.deepStrictEqual(yield* command.owner, account(P))
      yield* logOut(given, command)
      assert.isTrue(hasActed())
      const { distinctId, personless } = yield* command.owner
      assert.isTrue(personless)
      const { anonId: fresh } = yield* command.store.get
      assert.strictEqual(home.claim(fresh)?.principal_id, next)
      assert.notInclude([P, Q, anonId, fresh], distinctId)
    }
  )

  test("A logout on a disk that refuses writes continues with another anon id in memory", function*(given) {
    const { anonId, start } = given
    const command = yield* start({ disk: FaultyDisk.eventsOnly })
    yield* logOut(given, command)
    for (const { owner } of [command, yield* start({ disk: FaultyDisk.eventsOnly })]) {
      const { distinctId, personless } = yield* owner
      assert.isTrue(personless)
      assert.notInclude([anonId, P], distinctId)
    }
  })

  test("A logout in an ephemeral runtime rotates the anon id on the disk", function*(given) {
    yield* logOut(given, yield* given.start({ runtime: "ci" }))
    const { anonId, claim } = yield* found(given.home)
    assert.notStrictEqual(anonId, given.anonId)
    assert.isUndefined(claim)
  })
})

describe.each(modes)("unclaimed devices over $mode", (mode) => {
  const withCredential = over(mode, { credential: Device.stored("key") })
  const withClaim = over(mode, { claim: { principal_id: P, credential: "environment" } })
  const withNeither = over(mode)

  withClaim("A logout rotates a device with a claim and no credential", function*({ command, home }) {
    yield* command.stitch.logout
    assert.notStrictEqual((yield* command.store.get).anonId, anon.a)
    assert.isUndefined((yield* found(home)).claim)
  })

  withCredential("A logout rotates a device with a credential without an answer and no claim", function*(given) {
    const { command, home } = given
    yield* command.begin
    yield* command.settle
    yield* logOut(given, command)
    assert.notStrictEqual((yield* found(home)).anonId, anon.a)
  })

  withNeither("A logout changes nothing on a device with neither a credential nor a claim", function*(given) {
    const { command, home } = given
    const before = home.snapshot()
    yield* logOut(given, command)
    assert.strictEqual((yield* command.store.get).anonId, anon.a)
    assert.deepStrictEqual(home.snapshot(), before)
  })

  withNeither("A logout rotates the anon id that another command claimed meanwhile", function*(given) {
    const { command, home, start } = given
    yield* command.record
    yield* (yield* start()).stitch.login(P)
    yield* command.stitch.logout
    const { anonId, claim } = yield* found(home)
    assert.notStrictEqual(anonId, anon.a)
    assert.isUndefined(claim)
  })

  withCredential("A logout ends the stitching, for a response and for a late answer of the resolver", function*(given) {
    const { api, command, home } = given
    const answer = yield* lateAnswer(api, "key")
    yield* command.begin
    yield* command.record
    yield* logOut(given, command)
    const { anonId } = yield* command.store.get
    yield* Deferred.succeed(answer, P)
    yield* command.settle
    yield* command.stitch.observe(P)
    assert.deepStrictEqual(yield* command.owner, device(anonId))
    assert.deepStrictEqual(home.claimed(), [])
  })

  const withVariable = over(mode, { credential: Device.environment("key") })
  withVariable("A logout waits for a response that is being stitched, and reverts its effect", function*(given) {
    const { api, home, start } = given
    const [reached, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const credential = Deferred.succeed(reached, undefined).pipe(
      Effect.andThen(Deferred.await(gate)),
      Effect.as(Device.environment("key"))
    )
    const input = api.input && { ...api.input(), parse: () => credential }
    const resolver = { input, credential, resolve: () => Effect.succeed(undefined) }
    const command = yield* start({ resolver: Layer.succeed(PrincipalResolver, resolver) })
    const observe = yield* Effect.forkChild(command.stitch.observe(P))
    yield* Deferred.await(reached)
    yield* api.set(undefined)
    const logout = yield* Effect.forkChild(command.stitch.logout)
    yield* Effect.repeat(Effect.yieldNow, { times: 100 })
    assert.deepStrictEqual(home.claimed(), [])
    yield* Deferred.succeed(gate, undefined)
    yield* Effect.forEach([observe, logout], Fiber.join)
    assert.deepStrictEqual(home.claimed(), [anon.a])
    const { anonId, claim } = yield* command.store.get
    assert.notStrictEqual(anonId, anon.a)
    assert.isUndefined(claim)
    for (const { owner } of [command, yield* start()]) assert.deepStrictEqual(yield* owner, device(anonId))
  })

  withCredential("A logout rotates if consent could not be read when the command began", function*(given) {
    const { home, start } = given
    // A capture asks first, then the opening.
    const answers = yield* Ref.make([Device.given, Device.denied])
    const decision = Ref.modify(answers, ([next = Device.given, ...rest]) => [next, rest])
    const consent = Consent.of({
      begin: Effect.void,
      decision,
      stillGiven: Effect.succeed(true),
      deny: Effect.void,
      allow: Effect.void
    })
    const command = yield* start({ consent: Layer.succeed(Consent, consent) })
    assert.isUndefined(yield* command.record)
    assert.isUndefined(yield* command.record)
    yield* logOut(given, command)
    for (const { anonId } of [yield* command.store.get, yield* found(home)]) assert.notStrictEqual(anonId, anon.a)
  })

  withNeither("A logout in CI ends the account of a login in the same command", function*({ start }) {
    const command = yield* start({ runtime: "ci" })
    yield* command.stitch.login(P)
    assert.deepStrictEqual(yield* command.owner, account(P))
    yield* command.stitch.logout
    assert.isTrue((yield* command.owner).personless)
  })
})
