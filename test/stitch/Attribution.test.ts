/**
 * Who an event belongs to: the slot, the claim, the command itself, or the anon id.
 */
import { assert, describe } from "@effect/vitest"
import * as Device from "../fixtures/Device.ts"
import { account, device, identityFiles, modes, over, own, principalOf } from "./Command.ts"

const { anon, P, Q } = Device

const key = Device.stored("key")

describe.each(modes)("Arcade's rules over $mode", (mode) => {
  const loggedIn = over(mode, { loggedIn: P })
  const isNew = over(mode, { isNew: true })

  loggedIn("The linked principal is used without a request and needs no alias", function*(given) {
    const { api, command, home } = given
    const before = identityFiles(home)
    yield* command.begin
    assert.deepStrictEqual(yield* command.owner, account(P))
    yield* command.stitch.observe(P)
    yield* command.settle
    assert.deepStrictEqual(api.calls, [])
    assert.deepStrictEqual(identityFiles(home), before)
    assert.strictEqual(yield* command.isSteady, mode.isSteady)
  })

  const isAnswered = { credential: key, accounts: { key: P } }
  over(mode, isAnswered)("The principal of an unlinked device comes from the API and needs an alias", function*(given) {
    const { api, command, home } = given
    yield* command.begin
    yield* command.settle
    const message = yield* command.record
    assert.strictEqual(message?.distinct_id, P)
    assert.deepStrictEqual(api.calls, ["key"])
    const { alias, destination } = home.claim(anon.a) ?? {}
    const invocation_id = message?.properties["invocation_id"]
    assert.deepInclude(alias, { event: "$create_alias", distinct_id: P })
    assert.deepInclude(alias?.properties, { distinct_id: P, alias: anon.a, invocation_id })
    assert.notProperty(alias?.properties, "$process_person_profile")
    assert.strictEqual(destination, Device.destinationId)
    assert.lengthOf((yield* command.outbox.entries).filter(({ _tag }) => _tag === "Alias"), 1)
  })

  isNew("An unauthenticated command has the anon id and needs no alias", function*({ command, home }) {
    yield* command.begin
    const owner = yield* command.owner
    yield* command.settle
    assert.deepStrictEqual(owner, device((yield* command.store.get).anonId))
    assert.deepStrictEqual(home.claimed(), [])
  })
})

describe.each(modes)("event owners over $mode", (mode) => {
  const test = over(mode)
  const stored = over(mode, { credential: Device.stored("key") })
  const loggedInAsQ = over(mode, { loggedIn: Q })

  loggedInAsQ("An event belongs to the principal of the slot, whatever the claim says", function*({ api, start }) {
    yield* api.set(Device.environment("env"))
    const command = yield* start()
    yield* command.stitch.observe(P)
    assert.deepStrictEqual(yield* command.owner, account(P))
    assert.strictEqual(principalOf((yield* command.store.get).claim), Q)
  })

  const claim = { principal_id: P }
  test.each(["environment", "none"] as const, (credential) => ({ claim: { ...claim, credential } }))(
    "An event without a credential belongs to the principal of the claim, if the claim came from: %s",
    function*({ command }) {
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.strictEqual(yield* command.isSteady, mode.isSteady)
      assert.strictEqual((yield* command.store.get).anonId, anon.a)
    }
  )

  test.each([Device.stored("new"), Device.environment("new")], (credential) => ({ claim, credential }))(
    "An event with another credential belongs to the command only: $source",
    function*({ command, start }) {
      yield* command.begin
      assert.deepStrictEqual(yield* command.owner, own)
      yield* command.settle
      assert.deepStrictEqual(yield* command.owner, own)
      assert.strictEqual((yield* command.store.get).anonId, anon.a)
      yield* command.end
      // A later command remembers that there was no answer.
      const later = yield* start()
      assert.deepStrictEqual(yield* later.owner, own)
      assert.strictEqual(yield* later.isSteady, mode.isSteady)
    }
  )

  test("An event with a claim that cannot be read belongs to the command only", function*({ command, home }) {
    yield* home.write(`usage/claims/${anon.a}.json`, "")
    assert.deepStrictEqual(yield* command.owner, own)
  })

  const unanswered = "An event belongs to the anon id, if there is no claim and no answer about the credential"
  stored(unanswered, function*({ command }) {
    yield* command.begin
    assert.deepStrictEqual(yield* command.owner, device(anon.a))
    yield* command.settle
    assert.deepStrictEqual(yield* command.owner, device(anon.a))
  })
})
