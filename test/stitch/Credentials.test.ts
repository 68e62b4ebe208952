/**
 * Credentials that change without the host's login or logout.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import * as Credential from "../../src/domain/Credential.ts"
import * as HttpPrincipalResolver from "../../src/layers/HttpPrincipalResolver.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import { account, device, freshOwner, identityFiles, lateAnswer, loaded, modes, over, own, start } from "./Command.ts"

const { anon, P, Q } = Device

const key = Device.stored("key")

describe.each(modes)("sign-outs elsewhere over $mode", (mode) => {
  const test = over(mode, { loggedIn: P })

  test.inDebugMode(
    "A command that finds no stored credential for its claim starts with a new anon id",
    function*(given) {
      const { anonId, api, home, start } = given
      yield* api.set(undefined)
      const command = yield* start()
      yield* command.begin
      const fresh = yield* freshOwner(command, anonId)
      assert.deepStrictEqual(home.pointer(), { anon_id: fresh, linked_principal_id: null })
      // A resolver that looks in the wrong place costs each device its id, so its author is told.
      const lines = (yield* TestConsole.errorLines).map(String).filter((line) => line.startsWith("usage: "))
      assert.deepStrictEqual([...new Set(lines)], [
        `usage: no credential was found${mode.isSteady ? ` in ${home.at("..", "credentials")} or ACME_API_KEY` : ""}`,
        "usage: the device gets a new anon id: its stored credential was removed"
      ])
      assert.deepStrictEqual(yield* (yield* start()).owner, device(fresh))
    }
  )

  over(mode, { credential: key }).each(
    ["none", "environment"] as const,
    (credential) => ({ claim: { principal_id: P, credential } })
  )(
    "A stored credential that is gone signs out a device with a claim of the same account, learned with: %s",
    function*(given) {
      const { api, command, home, start } = given
      yield* home.remember(key, P, api)
      assert.deepStrictEqual(yield* command.owner, account(P))
      yield* command.end
      yield* api.set(undefined)
      yield* freshOwner(yield* start(), anon.a)
    }
  )

  test(
    "A command that finds no stored credential has an anon id in memory if the disk cannot be written",
    function*({ anonId, api, start }) {
      yield* api.set(undefined)
      yield* freshOwner(yield* start({ disk: FaultyDisk.eventsOnly }), anonId)
    }
  )

  test.each(["ci", "container"] as const)(
    "A command without the stored credential of its device changes nothing on the disk of a runtime that keeps nothing: %s",
    function*({ anonId, api, home, start }, runtime) {
      yield* api.set(undefined)
      const before = identityFiles(home)
      const command = yield* start({ runtime })
      yield* command.begin
      yield* freshOwner(command, anonId)
      yield* command.end
      assert.deepStrictEqual(identityFiles(home), before)
    }
  )

  test.each([{ what: "logs out", next: undefined }, { what: "logs out, then in as another account", next: Q }])(
    "A command without its credential keeps its account when another process $what",
    function*(given, { next }) {
      const { api, command, home, start } = given
      api.accounts.set("other", Effect.succeed(Q))
      yield* command.begin
      const another = yield* start()
      yield* api.set(undefined)
      yield* another.stitch.logout
      if (next !== undefined) {
        yield* api.set(Device.stored("other"))
        yield* another.stitch.login(next)
      }
      yield* another.end
      const before = identityFiles(home)
      assert.deepStrictEqual(yield* command.owner, account(P))
      yield* command.end
      assert.deepStrictEqual(identityFiles(home), before)
      const { distinctId } = yield* (yield* start()).owner
      assert.strictEqual(distinctId === Q, next === Q)
      assert.notStrictEqual(distinctId, P)
    }
  )
})

describe.each(modes)("stored credentials over $mode", (mode) => {
  const test = over(mode, { credential: key })

  test("A stored credential that a request carried claims the device", function*({ command, home }) {
    yield* command.begin
    yield* command.stitch.observe(P, "Bearer key")
    assert.deepStrictEqual(yield* command.owner, account(P))
    assert.strictEqual(home.claim(anon.a)?.principal_id, P)
  })

  test("A stored credential does not get the account of a request with another credential", function*(given) {
    const { api, command, home, start } = given
    api.accounts.set("key", Effect.succeed(Q))
    yield* command.begin
    yield* command.stitch.observe(P, "Bearer key-of-p")
    assert.deepStrictEqual(yield* command.owner, account(P))
    yield* command.settle
    assert.deepStrictEqual(yield* command.owner, account(P))
    yield* command.end
    assert.deepStrictEqual(home.claimed(), [])
    const next = yield* start()
    yield* next.begin
    yield* next.settle
    assert.deepStrictEqual(yield* next.owner, account(Q))
    assert.strictEqual(home.claim(anon.a)?.principal_id, Q)
  })

  over(mode, { loggedIn: P })("A credential that could not be read at first names the account", function*(given) {
    const { api, start } = given
    yield* api.set(Credential.unreadable)
    const command = yield* start({ cold: loaded })
    yield* command.begin
    yield* api.set(key)
    assert.deepStrictEqual(yield* command.owner, account(P))
  })

  over(mode, { credential: key, process: { cold: loaded } }).each([
    { what: "was answered", answer: Effect.succeed(P), owner: account(P) },
    { what: "was not answered", answer: Effect.never, owner: own }
  ])(
    "A command whose first credential $what is no command of the account that another process logs in as",
    function*({ api, command, start }, { answer, owner }) {
      api.accounts.set("key", answer)
      yield* command.begin
      yield* TestClock.adjust(0)
      yield* api.set(Device.stored("second"))
      const another = yield* start()
      yield* another.stitch.login(Q)
      yield* another.end
      assert.deepStrictEqual(yield* command.owner, owner)
      assert.deepStrictEqual(yield* (yield* start()).owner, account(Q))
    }
  )

  const replacements = [{ what: "removed", second: undefined }, { what: "replaced", second: Device.stored("second") }]

  test.each(replacements)(
    "A stored credential that is $what before its answer gets no account from the answer",
    function*(given, { second }) {
      const { api, command, home } = given
      const answer = yield* lateAnswer(api, "key")
      yield* command.begin
      yield* api.set(second)
      yield* command.record
      yield* Deferred.succeed(answer, P)
      yield* command.settle
      assert.deepStrictEqual(yield* command.owner, device(anon.a))
      assert.deepStrictEqual(home.claimed(), [])
      assert.notStrictEqual(yield* home.recall(Device.stored("second")), P)
    }
  )

  test.each(replacements)(
    "A stored credential that is $what before a response claims nothing, and its events belong to the account",
    function*(given, { second }) {
      const { api, command, home, start } = given
      const before = identityFiles(home)
      yield* command.begin
      yield* api.set(second)
      yield* command.stitch.observe(P)
      assert.deepStrictEqual(yield* command.owner, account(P))
      yield* command.end
      assert.deepStrictEqual(identityFiles(home), before)
      assert.deepStrictEqual(yield* (yield* start()).owner, device(anon.a))
    }
  )
})

describe("credential files", () => {
  /** A device with a credentials file, and the resolver of its host. */
  const deviceWith = Effect.fnUntraced(function*(text: string) {
    const home = yield* Device.make
    yield* home.seed(anon.a)
    yield* home.write("credentials.yaml", text)
    const resolver = HttpPrincipalResolver.layer({
      file: home.at("credentials.yaml"),
      forms: [{ key: "key", base: "http://127.0.0.1:9", path: "/whoami", principal: ["id"] }]
    })
    return { home, resolver }
  })

  test.each([
    { what: "all of it", file: "key: sk-1", authorization: "Bearer sk-1", claims: true },
    { what: "no more than its beginning", file: "key: sk-12", authorization: "Bearer sk-1", claims: false },
    { what: "more than it", file: "key: sk-1", authorization: "Bearer sk-12", claims: false },
    { what: "what cannot be read", file: "{", authorization: "Bearer sk-1", claims: false }
  ])("A credential of a file claims the device only if the request carried it: a request with $what", function*(given) {
    const { home, resolver } = yield* deviceWith(given.file)
    const command = yield* start(home, { resolver })
    yield* command.begin
    yield* command.stitch.observe(P, given.authorization)
    assert.deepStrictEqual(yield* command.owner, account(P))
    assert.deepStrictEqual(home.claimed(), given.claims ? [anon.a] : [])
  })

  test("A file without a credential leaves the events of a command to the device, and is parsed once", function*() {
    const { home, resolver } = yield* deviceWith("region: eu")
    const loads = yield* Effect.forEach([1, 2], () =>
      Effect.scoped(Effect.gen(function*() {
        const command = yield* start(home, { resolver })
        yield* command.begin
        assert.deepStrictEqual(yield* command.owner, device(anon.a))
        yield* command.end
        return yield* command.loads
      })))
    assert.deepStrictEqual(loads, [1, 0])
  })
})

describe.each(modes)("replaced credentials over $mode", (mode) => {
  const test = over(mode, { loggedIn: Q, accounts: { new: P } })

  test(
    "A stored credential that was changed outside a login switches the device to its account, and is asked about once",
    function*({ anonId, api, command, start }) {
      yield* api.set(Device.stored("new"))
      assert.deepStrictEqual(yield* command.owner, own)
      yield* command.begin
      yield* command.settle
      assert.deepStrictEqual(yield* command.owner, account(P))
      const { anonId: fresh, claim } = yield* command.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.deepInclude(claim, { principal_id: P, alias: null, learned_by: "resolver" })
      const later = yield* start()
      assert.deepStrictEqual(yield* later.owner, account(P))
      assert.strictEqual(yield* later.isSteady, mode.isSteady)
      assert.deepStrictEqual(api.calls, ["new"])
    }
  )

  test(
    "A stored credential that was changed outside a login switches the device without a call, if it is known from before",
    function*({ anonId, api, command, home }) {
      yield* home.remember(Device.stored("new"), P)
      yield* api.set(Device.stored("new"))
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.notStrictEqual((yield* command.store.get).anonId, anonId)
      assert.deepStrictEqual(api.calls, [])
    }
  )

  test(
    "A stored credential that was changed outside a login leaves the device as it is, if it is of the same account",
    function*({ anonId, api, command, home }) {
      yield* api.set(Device.stored("new"))
      api.accounts.set("new", Effect.succeed(Q))
      yield* command.begin
      yield* command.settle
      assert.deepStrictEqual(yield* command.owner, account(Q))
      assert.deepStrictEqual(home.claimed(), [anonId])
    }
  )
})

describe.each(modes)("environment credentials over $mode", (mode) => {
  over(mode, { loggedIn: P, accounts: { env: Q } })(
    "A credential from the environment never switches the device",
    function*(given) {
      const { anonId, api, home, start } = given
      yield* api.set(Device.environment("env"))
      const command = yield* start()
      yield* command.begin
      yield* command.settle
      assert.deepStrictEqual(yield* command.owner, account(Q))
      const again = yield* start()
      assert.deepStrictEqual(yield* again.owner, account(Q))
      assert.strictEqual(yield* again.isSteady, mode.isSteady)
      assert.deepStrictEqual(home.claimed(), [anonId])
      yield* api.set(key)
      assert.deepStrictEqual(yield* (yield* start()).owner, account(P))
      assert.deepStrictEqual(api.calls, ["env"])
    }
  )

  const ofVariable = { credential: Device.environment("env"), accounts: { env: P } }
  over(mode, ofVariable)(
    "A credential from the environment claims an unclaimed device, and its absence is no logout",
    function*(given) {
      const { api, command, home, start } = given
      yield* command.begin
      yield* command.record
      yield* command.settle
      assert.deepInclude(home.claim(anon.a), { principal_id: P, credential: "environment" })
      yield* api.set(undefined)
      const next = yield* start()
      assert.deepStrictEqual(yield* next.owner, account(P))
      assert.strictEqual(yield* next.isSteady, mode.isSteady)
      assert.strictEqual((yield* next.store.get).anonId, anon.a)
    }
  )
})
