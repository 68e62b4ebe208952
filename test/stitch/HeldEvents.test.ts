/**
 * Events that are recorded in a runtime that keeps nothing, before the API has answered whose they are.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import type { HostRuntime } from "../../src/services/HostRuntime.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { account, type Command, lateAnswer, loaded, modes, now, over, own, ownerOf, Used } from "./Command.ts"

const { P, Q } = Device

const Upgraded = UsageEvent.make("Upgraded", {
  description: "It has a property of a person",
  properties: Schema.Struct({ $set: Schema.Struct({ plan: Schema.String }) })
})

/** What a later process finds: owner, number and time of each event, in the order of the outbox. */
const found = (home: Device.Device) =>
  home.events().map((message) => ({
    ...ownerOf(message),
    sequence: message.properties["sequence"],
    millis: Date.parse(message.timestamp) - now
  }))

const record = ({ capture }: Command) => capture.capture(Used, {})

/** Begins a command, which records at once and 100 ms later. */
const recordTwice = Effect.fnUntraced(function*(command: Command) {
  yield* command.begin
  yield* record(command)
  yield* TestClock.adjust(100)
  yield* record(command)
})

/** A process that its test ends. */
const mortal = () => {
  const exits: Array<() => void> = []
  const signals = new Set<() => void>()
  let isExiting = false
  const runtime: HostRuntime["Service"] = {
    ...Device.runtimes.ci,
    onExit: (listener) => Effect.sync(() => void exits.unshift(() => listener(0, undefined))),
    onSignal: (listener) => {
      signals.add(listener)
      return () => void signals.delete(listener)
    },
    isExiting: Effect.sync(() => isExiting)
  }
  return {
    runtime,
    /** Runs the exit listeners, the last one first, between those of commands. */
    exit: (before: () => void, after = () => {}) => {
      isExiting = true
      for (const listener of [before, ...exits, after]) listener()
    },
    signal: () => signals.forEach((listener) => listener()),
    isListening: () => signals.size > 0
  }
}

const forgetful: ReadonlyArray<{ readonly runtime: Device.RuntimeName; readonly disk?: typeof FaultyDisk.eventsOnly }> =
  [
    { runtime: "ci" },
    { runtime: "ci with a terminal" },
    { runtime: "container" },
    { runtime: "no terminal" },
    { runtime: "persistent", disk: FaultyDisk.eventsOnly }
  ]

const key = Device.stored("key")

describe.each(modes)("stateless runtimes over $mode", (mode) => {
  const inCI = { process: { cold: loaded, runtime: "ci" }, credential: key, claim: { principal_id: Q } } as const
  const test = over(mode, inCI)

  over(mode, { isNew: true, credential: key }).each(
    forgetful,
    (process) => ({ process: { cold: loaded, ...process } })
  )(
    "An event in a runtime that keeps nothing waits for the answer and gets its account, sequence and time: $runtime",
    function*({ api, command, home }) {
      const answer = yield* lateAnswer(api, "key")
      yield* recordTwice(command)
      assert.deepStrictEqual(home.events(), [])
      yield* TestClock.adjust(1000)
      yield* Deferred.succeed(answer, P)
      yield* command.settle
      yield* record(command)
      assert.deepStrictEqual(found(home), [
        { ...account(P), sequence: 0, millis: 0 },
        { ...account(P), sequence: 1, millis: 100 },
        { ...account(P), sequence: 2, millis: 1100 }
      ])
    }
  )

  const unanswered = { ...own, sequence: 0, millis: 0 }
  const two = [unanswered, { ...unanswered, sequence: 1, millis: 100 }]

  test.each([{ what: "there is none" }, { what: "its time is over" }])(
    "An event in a runtime that keeps nothing is personless as soon as it is certain that $what",
    function*({ api, command, home }, { what }) {
      const answer = yield* lateAnswer(api, "key")
      yield* recordTwice(command)
      if (what === "there is none") yield* Deferred.succeed(answer, undefined)
      else yield* TestClock.adjust(1900)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(found(home), two)
      assert.isDefined(yield* command.record)
    }
  )

  over(mode, { ...inCI, answer: Effect.never }).each([{ what: "its wait is interrupted" }, {
    what: "it is cancelled"
  }])("An event that waits for an answer is personless if the command ends before: $what", function*(given, { what }) {
    const { command, home } = given
    yield* recordTwice(command)
    if (what === "its wait is interrupted") {
      const ending = yield* Effect.forkChild(Effect.uninterruptible(command.settle), { startImmediately: true })
      yield* Fiber.interrupt(ending)
      assert.deepStrictEqual(found(home), two)
    }
    // As the event of a cancelled command, which waits for nothing.
    yield* record(command)
    yield* command.end
    assert.deepStrictEqual(found(home), [...two, { ...unanswered, sequence: 2, millis: 100 }])
  })

  over(mode, { ...inCI, answer: Effect.never }).each([{ more: 0 }, { more: 1 }])(
    "An event that waits for an answer is recorded as personless at the exit of the process, before later events: $more",
    function*({ home, start }, { more }) {
      const { exit, runtime } = mortal()
      const command = yield* start({ runtime })
      yield* recordTwice(command)
      assert.deepStrictEqual(found(home), [])
      exit(() => more === 1 ? Effect.runSync(record(command)) : undefined)
      assert.deepStrictEqual(found(home).map(({ sequence }) => sequence), more === 0 ? [0, 1] : [0, 1, 2])
      assert.deepStrictEqual(found(home).slice(0, 2), two)
    }
  )

  over(mode, { process: inCI.process, answer: Effect.never })(
    "An event is recorded at the exit of a process that sends its request only then",
    function*({ api, home, start }) {
      const { exit, runtime } = mortal()
      const command = yield* start({ runtime })
      yield* command.begin
      yield* api.set(key)
      exit(() => {}, () => Effect.runSync(record(command)))
      assert.lengthOf(home.events(), 1)
    }
  )

  test(
    "An event that waits for an answer is recorded as personless at a signal, and no later event waits",
    function*({ api, home, start }) {
      const answer = yield* lateAnswer(api, "key")
      const { isListening, runtime, signal } = mortal()
      const command = yield* start({ runtime })
      yield* command.begin
      assert.isFalse(isListening())
      yield* record(command)
      yield* TestClock.adjust(100)
      yield* record(command)
      signal()
      assert.deepStrictEqual(found(home), two)
      assert.isFalse(isListening())
      yield* record(command)
      assert.deepStrictEqual(found(home).map(ownersOnly), [own, own, own])
      // The host goes on, and so does the question.
      yield* Deferred.succeed(answer, P)
      yield* command.settle
      yield* record(command)
      assert.deepStrictEqual(found(home).map(ownersOnly), [own, own, own, account(P)])
    }
  )

  test("A recorded event leaves no listener to signals", function*({ api, start }) {
    const answer = yield* lateAnswer(api, "key")
    const { isListening, runtime } = mortal()
    const command = yield* start({ runtime })
    yield* recordTwice(command)
    assert.isTrue(isListening())
    yield* Deferred.succeed(answer, P)
    yield* command.settle
    assert.isFalse(isListening())
  })

  test("An event that waits for an answer belongs to the account of an earlier response", function*(given) {
    const { api, command, home } = given
    const answer = yield* lateAnswer(api, "key")
    yield* recordTwice(command)
    yield* command.stitch.observe(P, "Bearer key")
    assert.deepStrictEqual(found(home).map(ownersOnly), [account(P), account(P)])
    assert.deepStrictEqual(yield* command.owner, account(P))
    yield* Deferred.succeed(answer, undefined)
    yield* command.settle
    assert.deepStrictEqual(found(home).map(ownersOnly), [account(P), account(P), account(P)])
  })

  test(
    "An event that waits for an answer does not get the account of a response about another credential",
    function*({ api, command, home }) {
      const answer = yield* lateAnswer(api, "key")
      yield* recordTwice(command)
      yield* command.stitch.observe(Q, "Bearer other")
      yield* record(command)
      assert.deepStrictEqual(found(home), [])
      yield* Deferred.succeed(answer, P)
      yield* command.settle
      assert.deepStrictEqual(found(home).map(({ sequence, ...owner }) => [sequence, ownersOnly(owner)]), [
        [0, account(P)],
        [1, account(P)],
        [2, account(Q)]
      ])
    }
  )

  over(mode, { ...inCI, answer: Effect.never }).each([{ what: "login" }, { what: "logout" }] as const)(
    "An event that waits for an answer is personless if a $what cancels the request",
    function*({ api, command, home }, { what }) {
      yield* recordTwice(command)
      yield* api.set(what === "login" ? Device.stored("other") : undefined)
      yield* what === "login" ? command.stitch.login(Q) : command.stitch.logout
      assert.deepStrictEqual(found(home).slice(0, 2), two)
      const before = home.events().length
      yield* record(command)
      assert.lengthOf(home.events(), before + 1)
    }
  )

  test("An event does not wait for an answer about a credential that was replaced", function*({ api, command, home }) {
    yield* lateAnswer(api, "key")
    yield* command.begin
    yield* TestClock.adjust(0)
    assert.deepStrictEqual(api.calls, ["key"])
    yield* api.set(Device.stored("other"))
    yield* record(command)
    assert.deepStrictEqual(found(home), [unanswered])
  })

  test(
    "An event that waits for an answer is not recorded if the user opts out before",
    function*({ api, home, start }) {
      const decision = yield* Ref.make(Device.given)
      const answer = yield* lateAnswer(api, "key")
      const command = yield* start({ consent: Device.consentOfRef(decision) })
      yield* recordTwice(command)
      yield* Ref.set(decision, Device.denied)
      yield* Deferred.succeed(answer, P)
      yield* command.settle
      yield* command.end
      assert.deepStrictEqual(found(home), [])
    }
  )

  test("An event that waits for an answer keeps the session in which it was recorded", function*(given) {
    const { api, command, home, start } = given
    const answer = yield* lateAnswer(api, "key")
    yield* recordTwice(command)
    // Another process begins a session of the device.
    const other = yield* start({ runtime: "persistent" })
    yield* other.capture.capture(Used, {})
    yield* Deferred.succeed(answer, P)
    yield* command.settle
    yield* record(command)
    const sessions = home.events().map(({ properties }) => properties["$session_id"])
    assert.lengthOf(sessions, 4)
    assert.lengthOf(new Set(sessions), 2)
    assert.lengthOf(sessions.filter((session) => session === sessions[0]), 3)
  })

  test("An event that waits for an answer keeps the properties of its person", function*({ api, command, home }) {
    const answer = yield* lateAnswer(api, "key")
    yield* command.begin
    yield* command.capture.capture(Upgraded, { $set: { plan: "pro" } })
    yield* Deferred.succeed(answer, P)
    yield* command.settle
    assert.deepStrictEqual(home.events().map(({ properties }) => properties["$set"]), [{ plan: "pro" }])
  })
})

const ownersOnly = ({ distinctId, personless }: ReturnType<typeof ownerOf>) => ({ distinctId, personless })

describe.each(modes)("persistent runtimes over $mode", (mode) => {
  over(mode, { isNew: true, credential: key, answer: Effect.never }).each(
    (["persistent", "container with a terminal"] as const).map((runtime) => ({ runtime })),
    ({ runtime }) => ({ process: { cold: loaded, runtime } })
  )("An event in a runtime that keeps the credential belongs to the device at once: $runtime", function*(given) {
    const { command, home } = given
    yield* recordTwice(command)
    const { anon_id } = home.pointer()
    assert.deepStrictEqual(home.events().map(({ distinct_id }) => distinct_id), [anon_id, anon_id])
  })
})
