import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Device from "../fixtures/Device.ts"
import { account, freshOwner, identityFiles, loaded, modes, over } from "./Command.ts"

const { anon, P, Q } = Device

const key = Device.stored("key")

describe.each(modes)("IdentityStitch.login over $mode", (mode) => {
  const test = over(mode)
  const stored = over(mode, { credential: Device.stored("key") })
  const loggedIn = over(mode, { loggedIn: P })
  const loggedInAsQ = over(mode, { loggedIn: Q })

  test("A login after an observation of its account claims the device once", function*(given) {
    const { api, command, home, start } = given
    yield* command.stitch.observe(P)
    yield* api.set(key)
    const before = identityFiles(home)
    yield* command.stitch.login(P)
    assert.deepStrictEqual(identityFiles(home), before)
    assert.deepStrictEqual(home.claimed(), [anon.a])
    yield* command.record
    const next = yield* start()
    assert.deepStrictEqual(yield* next.owner, account(P))
    assert.strictEqual(yield* next.isSteady, mode.isSteady)
    assert.deepStrictEqual(api.calls, [])
  })

  const ofVariable = {
    claim: { principal_id: Q, credential: "environment" },
    credential: Device.environment("env")
  } as const
  over(mode, ofVariable)("A login switches the device after an observation that did not claim", function*(given) {
    const { command, home } = given
    const { stitch, store } = command
    yield* stitch.observe(P)
    assert.deepStrictEqual(home.claimed(), [anon.a])
    yield* stitch.login(P)
    const { anonId, claim } = yield* store.get
    assert.notStrictEqual(anonId, anon.a)
    assert.deepInclude(claim, { principal_id: P, alias: null, credential: "stored" })
  })

  loggedInAsQ("A login as another account switches the device, whatever the slot holds", function*(given) {
    const { anonId, api, command } = given
    assert.deepStrictEqual(yield* command.owner, account(Q))
    yield* api.set(Device.stored("new"))
    yield* command.stitch.login(P)
    assert.deepStrictEqual(yield* command.owner, account(P))
    const { anonId: fresh, claim } = yield* command.store.get
    assert.notStrictEqual(fresh, anonId)
    assert.deepInclude(claim, { principal_id: P, alias: null })
  })

  loggedIn("A login as the same account changes nothing", function*({ api, command, home, start }) {
    const before = identityFiles(home)
    yield* api.set(Device.stored("another key"))
    yield* command.stitch.login(P)
    assert.deepStrictEqual(identityFiles(home), before)
    assert.deepStrictEqual(yield* (yield* start()).owner, account(P))
    assert.deepStrictEqual(api.calls, [])
  })

  test("A login finds the claim that another command made since its own command began", function*(given) {
    const { api, command, home, start } = given
    yield* command.record
    yield* (yield* start()).stitch.login(Q)
    yield* api.set(key)
    yield* command.stitch.login(P)
    const { anonId } = yield* command.store.get
    assert.notStrictEqual(anonId, anon.a)
    assert.strictEqual(home.claim(anon.a)?.principal_id, Q)
    assert.deepInclude(home.claim(anonId), { principal_id: P, alias: null })
  })

  test(
    "A login that was validated before the credential was stored ends when the credential is gone",
    function*(given) {
      const { api, command, start } = given
      yield* command.begin
      yield* command.stitch.observe(P)
      yield* api.set(key)
      yield* command.stitch.login(P)
      yield* command.end
      yield* api.set(undefined)
      yield* freshOwner(yield* start(), anon.a)
    }
  )

  over(mode, { loggedIn: P })("A login as another account with the same credential lasts", function*(given) {
    const { command, home, start } = given
    yield* command.begin
    yield* command.stitch.login(Q)
    yield* command.end
    assert.deepStrictEqual(yield* (yield* start()).owner, account(Q))
    assert.lengthOf(home.claimed(), 2)
  })

  test("A login does not name the account of a credential that another login has stored since", function*(given) {
    const { api, command, home, start } = given
    const second = Device.stored("second")
    yield* command.begin
    yield* api.set(second)
    const another = yield* start()
    yield* another.stitch.login(Q)
    yield* another.end
    yield* command.stitch.login(P)
    yield* command.end
    assert.strictEqual(yield* home.recall(second), Q)
    assert.deepStrictEqual(yield* (yield* start()).owner, account(Q))
  })

  stored("A login does not wait for an answer about the former credential", function*({ api, start }) {
    api.accounts.set("key", Effect.never)
    const command = yield* start({ cold: loaded })
    yield* command.begin
    yield* TestClock.adjust(0)
    assert.deepStrictEqual(api.calls, ["key"])
    yield* api.set(Device.stored("new"))
    yield* command.stitch.login(P)
    const settled = yield* Effect.forkChild(command.settle)
    yield* TestClock.adjust(0)
    assert.isDefined(settled.pollUnsafe())
  })

  test("A login and a logout succeed with an identity file that cannot be encoded again", function*({ command, home }) {
    const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`
    yield* home.write("usage.json", `{"anon_id":"${anon.a}","linked_principal_id":null,"theirs":${deep}}`)
    yield* command.stitch.login(P)
    yield* command.stitch.observe(Q)
    yield* command.stitch.logout
    yield* command.end
    assert.deepStrictEqual(home.claimed(), [anon.a])
  })
})
