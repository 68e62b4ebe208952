/**
 * When the resolver is asked, how long a command waits for it, and what a resolver that dies or hangs does.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import type { Credential } from "../../src/domain/Credential.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import * as Device from "../fixtures/Device.ts"
import type { Command, Scene } from "./Command.ts"
import { account, device, lateAnswer, loaded, modes, over, own, steady, use } from "./Command.ts"

const { anon, P, Q } = Device

const key = Device.stored("key")

/** Waits for the answer: not over before a time, and over at it. */
const settles = Effect.fnUntraced(function*({ settle }: Command, millis: number) {
  const settled = yield* Effect.forkChild(settle)
  yield* TestClock.adjust(millis - 1)
  assert.isUndefined(settled.pollUnsafe())
  yield* TestClock.adjust(1)
  assert.isTrue(Exit.isSuccess(yield* Fiber.await(settled)))
})

const atOnce = { process: { cold: loaded } }

describe.each(modes)("requests over $mode", (mode) => {
  const test = over(mode, { isNew: true, credential: key })

  test("The API is asked about a new credential only", function*(given) {
    const { api } = given
    for (const secret of ["one", "two"]) api.accounts.set(secret, Effect.succeed(P))
    for (const secret of ["one", "one", "two", "two", "one"]) {
      yield* api.set(Device.stored(secret))
      yield* use(given)
    }
    assert.deepStrictEqual(api.calls, ["one", "two"])
  })

  over(mode, { credential: key, answer: Effect.never })("The API is asked once by a command", function*(given) {
    const { api, command } = given
    const { begin, record } = command
    yield* begin
    yield* Effect.all([record, record, begin], { concurrency: "unbounded" })
    yield* Effect.repeat(Effect.yieldNow, { times: 100 })
    assert.deepStrictEqual(api.calls, ["key"])
  })

  test("The API is not asked again for an hour after it gave no answer", function*(given) {
    for (const [minutes, calls] of [[0, 1], [59, 1], [1, 2]] as const) {
      yield* TestClock.adjust(`${minutes} minutes`)
      yield* use(given)
      assert.lengthOf(given.api.calls, calls)
    }
  })

  const answers = [{ what: "a principal", principal: P }, { what: "no principal", principal: undefined }]
  test.each(answers, ({ principal }) => ({ answer: Effect.succeed(principal) }))(
    "An answer of the API makes no identity in a command that records nothing: the answer has $what",
    function*({ command: { begin, end, settle }, home }) {
      yield* begin
      yield* settle
      yield* end
      assert.deepStrictEqual(home.tree(), [])
    }
  )

  over(mode, { ...atOnce, credential: key }).each([{ what: "has no answer" }, { what: "hangs" }])(
    "An API that $what does not remove the account that a response named",
    function*({ api, command, start }, { what }) {
      const answer = yield* lateAnswer(api, "key")
      yield* command.begin
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(api.calls, ["key"])
      yield* command.stitch.observe(P)
      if (what === "hangs") yield* settles(command, 2000)
      else yield* Effect.andThen(Deferred.succeed(answer, undefined), command.settle)
      yield* command.end
      assert.deepStrictEqual(yield* (yield* start()).owner, account(P))
    }
  )
})

// A keychain that hangs while it is opened cannot be interrupted.
const never = [
  { what: "hangs", effect: Effect.never },
  { what: "hangs and cannot be interrupted", effect: Effect.uninterruptible(Effect.never) }
]

describe.each(modes)("time limits over $mode", (mode) => {
  const test = over(mode, { ...atOnce, credential: key, answer: Effect.never })

  test.each(never, ({ effect }) => ({ answer: effect }))(
    "A command waits at most 2 s for the answer to its request: the API $what",
    function*({ command, start }) {
      yield* command.begin
      yield* settles(command, 2000)
      // What passed before the end counts.
      const long = yield* start()
      yield* long.begin
      yield* TestClock.adjust(1500)
      yield* long.record
      yield* settles(long, 500)
      yield* long.end
      // A command that is interrupted does not wait at all.
      const interrupted = yield* start()
      yield* interrupted.begin
      yield* interrupted.end
    }
  )

  test.inDebugMode("A debug line says that the API did not answer in time", function*({ command, start }) {
    yield* command.begin
    yield* settles(command, 2000)
    assert.include(
      yield* TestConsole.errorLines,
      "usage: no principal is known for the credential: no answer in 2 seconds"
    )
    yield* command.record
    yield* command.end
    yield* (yield* start()).begin
    assert.strictEqual(
      (yield* TestConsole.errorLines).at(-1),
      "usage: no principal is known for the credential: there was no answer, and it is asked again after an hour"
    )
  })

  test("A command does not wait for the API a minute after its request, nor without a request", function*(given) {
    const { api, command, start } = given
    yield* command.begin
    yield* TestClock.adjust("1 minute")
    yield* command.settle
    assert.deepStrictEqual(yield* command.owner, device(anon.a))
    yield* api.set(undefined)
    const none = yield* start()
    yield* none.begin
    yield* none.settle
    assert.deepStrictEqual(yield* none.owner, device(anon.a))
    assert.deepStrictEqual(api.calls, ["key"])
  })

  test("A command that is interrupted does not wait for the API", function*({ command: { begin, record, settle } }) {
    yield* begin
    yield* record
    const ending = yield* Effect.forkChild(Effect.uninterruptible(settle), { startImmediately: true })
    assert.isUndefined(ending.pollUnsafe())
    yield* Fiber.interrupt(ending)
    assert.isDefined(ending.pollUnsafe())
  })
})

// == resolvers that die or hang

/** A resolver of the host's own, whose credential is read or parsed by an effect. */
const resolverOf = (
  { api }: Scene,
  credential: Effect.Effect<Credential | undefined>,
  resolve: PrincipalResolver["Service"]["resolve"] = () => Effect.succeed(P)
) => {
  const input = api.input && { ...api.input(), parse: () => credential }
  return Layer.succeed(PrincipalResolver, PrincipalResolver.of({ input, credential, resolve }))
}

over(steady, { ...atOnce, credential: key }).inDebugMode(
  "A debug line says that no credential was found if a file is parsed in vain, now or by an earlier command",
  function*(given) {
    const resolver = resolverOf(given, Effect.succeed(undefined))
    const lines = ["usage: no credential was found"]
    lines.push(`${lines[0]} in ${given.home.at("..", "credentials")} or ACME_API_KEY`)
    for (const count of [1, 2]) {
      const command = yield* given.start({ resolver })
      yield* command.begin
      yield* command.record
      yield* command.end
      const found = (yield* TestConsole.errorLines).filter((line) => String(line).includes("no credential"))
      assert.deepStrictEqual(found, lines.slice(0, count))
    }
  }
)

const died = (): never => {
  throw new Error("the keychain is locked")
}

// A resolver that waits for a fiber of the host, which was interrupted, is interrupted too.
const ended = [
  { what: "dies", effect: Effect.sync(died) },
  { what: "is interrupted", effect: Effect.interrupt },
  {
    what: "interrupts its own fiber",
    effect: Effect.withFiber((fiber) => Effect.andThen(Effect.sync(() => fiber.interruptUnsafe()), Effect.never))
  }
]

describe.each(modes)("resolver failures over $mode", (mode) => {
  const loggedIn = over(mode, { ...atOnce, loggedIn: P })
  const asked = over(mode, { ...atOnce, credential: key })

  loggedIn.each([...ended, ...never])(
    "A command waits once, for a second, for a resolver that fails to read the credential: it $what",
    function*(given, { effect, what }) {
      yield* given.api.set(Device.stored("other"))
      const command = yield* given.start({ resolver: resolverOf(given, effect) })
      const recorded = yield* Effect.forkChild(Effect.andThen(command.begin, command.owner))
      yield* TestClock.adjust(999)
      assert.strictEqual(recorded.pollUnsafe() === undefined, what.startsWith("hangs"))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(recorded), own)
      assert.deepStrictEqual(yield* command.owner, own)
      assert.strictEqual((yield* command.store.get).anonId, given.anonId)
      yield* command.stitch.login(Q)
      yield* command.settle
      yield* command.stitch.logout
      yield* command.end
    }
  )

  asked.each(never)(
    "A resolver that fails does not block a command that records at its end: it $what",
    function*(given, { effect }) {
      const command = yield* given.start({ resolver: resolverOf(given, effect) })
      const recorded = yield* Effect.forkChild(command.owner)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(recorded), device(anon.a))
    }
  )

  asked.each(ended)("A resolver that fails during its request has no answer: it $what", function*(given, { effect }) {
    const command = yield* given.start({ resolver: resolverOf(given, Effect.succeed(key), () => effect) })
    yield* command.begin
    assert.deepStrictEqual(yield* command.owner, device(anon.a))
    yield* command.settle
    assert.isNull(yield* given.home.recall(key))
  })

  // A host in JavaScript, or one that asserts the type of an id, may return any value.
  asked.each(["", "undefined", null, 42])(
    "A resolver that returns an illegal principal has no answer: %j",
    function*(given, id) {
      const resolve = () => Effect.sync(() => JSON.parse(JSON.stringify(id)))
      const command = yield* given.start({ resolver: resolverOf(given, Effect.succeed(key), resolve) })
      yield* command.begin
      assert.deepStrictEqual(yield* command.owner, device(anon.a))
      yield* command.settle
      assert.deepStrictEqual(yield* command.owner, device(anon.a))
      assert.deepStrictEqual(given.home.claimed(), [])
      assert.isNull(yield* given.home.recall(key))
    }
  )

  if (!mode.isSteady) return

  loggedIn.each([...ended, ...never])(
    "A resolver that fails for a known credential is no logout and is not remembered: the parser $what",
    function*(given, { effect }) {
      const { anonId, home, start } = given
      const before = home.text("usage/known.json")
      const command = yield* start({ resolver: resolverOf(given, effect) })
      yield* command.begin
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.isTrue(yield* command.isSteady)
      // What needs the whole path parses the input again.
      const refreshed = yield* Effect.forkChild(command.store.refresh)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(refreshed)).anonId, anonId)
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.strictEqual(home.text("usage/known.json"), before)
    }
  )

  const ofAnother = {
    ...atOnce,
    claim: { principal_id: P, credential: "environment" },
    credential: Device.environment("key")
  } as const
  over(mode, ofAnother)(
    "A resolver that fails for a credential without an answer does not change the account",
    function*(given) {
      const { api, home, start } = given
      yield* home.remember(Device.environment("key"), undefined, api)
      const command = yield* start({ resolver: resolverOf(given, Effect.sync(died)) })
      assert.deepStrictEqual(yield* command.owner, own)
      assert.isTrue(yield* command.isSteady)
      yield* command.store.refresh
      assert.deepStrictEqual(yield* command.owner, own)
    }
  )
})
