/**
 * What is done when a principal is seen: the table of the design, by everything that can see one.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Credential } from "../../src/domain/Credential.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import {
  account,
  type Command,
  everybody,
  found,
  identityFiles,
  lateAnswer,
  type Mode,
  modes,
  over,
  principalOf,
  type Scene,
  scene,
  see,
  type SeenBy,
  steady
} from "./Command.ts"

const { anon, P, Q } = Device

const sources: Record<string, Credential | undefined> = {
  "a stored credential": Device.stored("new"),
  "an environment credential": Device.environment("new"),
  "no credential": undefined
}

const claims = { none: undefined, P, Q }

interface Row {
  readonly seenBy: ReadonlyArray<SeenBy>
  readonly claim: ReadonlyArray<keyof typeof claims>
  readonly under: ReadonlyArray<string>
  readonly runtimes: ReadonlyArray<Device.RuntimeName>
  readonly outcome: "claims with an alias" | "only stamps" | "switches"
}

const responses: ReadonlyArray<SeenBy> = ["observe", "resolver"]
const anyCredential = Object.keys(sources)
const lasting: ReadonlyArray<Device.RuntimeName> = ["persistent", "no terminal", "container with a terminal"]
const ephemeral: ReadonlyArray<Device.RuntimeName> = ["ci", "ci with a terminal", "container"]
const anywhere = [...lasting, ...ephemeral]
const variable = ["an environment credential"]
const file = ["a stored credential"]

const table: ReadonlyArray<Row> = [
  { seenBy: everybody, claim: ["none"], under: anyCredential, runtimes: lasting, outcome: "claims with an alias" },
  { seenBy: everybody, claim: ["none"], under: anyCredential, runtimes: ephemeral, outcome: "only stamps" },
  { seenBy: everybody, claim: ["P"], under: anyCredential, runtimes: anywhere, outcome: "only stamps" },
  { seenBy: responses, claim: ["Q"], under: variable, runtimes: anywhere, outcome: "only stamps" },
  { seenBy: ["login"], claim: ["Q"], under: anyCredential, runtimes: lasting, outcome: "switches" },
  { seenBy: responses, claim: ["Q"], under: file, runtimes: lasting, outcome: "switches" },
  { seenBy: ["login"], claim: ["Q"], under: anyCredential, runtimes: ephemeral, outcome: "only stamps" },
  { seenBy: responses, claim: ["Q"], under: file, runtimes: ephemeral, outcome: "only stamps" }
]

interface Case {
  readonly title: string
  readonly outcome: Row["outcome"]
  readonly seenBy: SeenBy
  readonly claim: keyof typeof claims
  readonly under: string
  readonly runtime: Device.RuntimeName
}

const cases: ReadonlyArray<Case> = table.flatMap((row) =>
  row.seenBy.flatMap((seenBy) =>
    row.claim.flatMap((claim) =>
      row.under.filter((under) => seenBy !== "resolver" || sources[under] !== undefined).flatMap((under) =>
        row.runtimes.map((runtime) => {
          const title = `P ${row.outcome}: by ${seenBy} under ${under}, with the claim of ${claim}, in ${runtime}`
          return { title, seenBy, claim, under, runtime, outcome: row.outcome }
        })
      )
    )
  )
)

/** What must hold of the device once P was seen. */
const assertOutcome = Effect.fnUntraced(function*(
  { claim: held, outcome, seenBy, under }: Case,
  { home }: Scene,
  command: Command,
  before: Readonly<Record<string, string>>
) {
  const credential = sources[under]
  assert.strictEqual(yield* command.slot.get, P)
  assert.deepStrictEqual(yield* command.owner, account(P))
  const { anonId, claim } = yield* command.store.get
  if (outcome === "only stamps") {
    assert.deepStrictEqual(identityFiles(home), before)
    assert.deepStrictEqual([anonId, principalOf(claim)], [anon.a, claims[held]])
    return
  }
  // A login stores its credential, even where a variable takes precedence in this command.
  const learnedWith = credential === undefined ? "none" : seenBy === "login" ? "stored" : credential.source
  assert.deepStrictEqual(home.claim(anonId), claim)
  assert.deepInclude(claim, { principal_id: P, learned_by: seenBy, credential: learnedWith })
  assert.deepStrictEqual(home.pointer(), { anon_id: anonId, linked_principal_id: P })
  if (outcome === "claims with an alias") {
    assert.strictEqual(anonId, anon.a)
    assert.deepInclude(home.claim(anonId)?.alias?.properties, { alias: anon.a, distinct_id: P })
  } else {
    assert.notStrictEqual(anonId, anon.a)
    assert.deepInclude(home.claim(anonId), { alias: null, destination: null })
    assert.strictEqual(home.claim(anon.a)?.principal_id, Q)
  }
  const later = yield* found(home)
  assert.deepStrictEqual([later.anonId, principalOf(later.claim)], [anonId, P])
  // A login says who the stored credential belongs to, and nothing about a variable.
  if (credential === undefined || (credential.source === "environment" && seenBy === "login")) return
  yield* command.end
  assert.strictEqual(yield* home.recall(credential), P)
})

const sceneOf = (mode: Mode, { claim, seenBy, under }: Case) => {
  const held = claims[claim]
  return scene(mode, {
    credential: sources[under],
    accounts: seenBy === "resolver" ? { new: P } : {},
    // Not from a stored credential, or its absence would mean that the user signed out elsewhere.
    ...(held === undefined ? {} : { claim: { principal_id: held, credential: "environment" as const } })
  })
}

describe.each(modes)("sighting table over $mode", (mode) => {
  test.each(cases)("$title", function*(row) {
    const all = yield* sceneOf(mode, row)
    const before = identityFiles(all.home)
    const command = yield* all.start({ runtime: row.runtime })
    yield* see(command, row.seenBy)
    yield* command.settle
    yield* assertOutcome(row, all, command, before)
  })

  const isNew = over(mode, { isNew: true, credential: Device.environment("new"), accounts: { new: P } })
  const stored = over(mode, { credential: Device.stored("new"), accounts: { new: P } })

  const bare = [
    ...ephemeral.map((runtime) => ({ where: `nothing is kept, as in ${runtime}`, options: { runtime } })),
    { where: "no identity can be written", options: { disk: FaultyDisk.eventsOnly } }
  ]
  const unmade = everybody.flatMap((seenBy) => bare.map((given) => ({ ...given, seenBy })))
  isNew.each(unmade)(
    "A principal that is seen gets the events, and no identity is made, if $where: by $seenBy",
    function*({ home, start }, given) {
      const command = yield* start(given.options)
      yield* see(command, given.seenBy)
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.deepStrictEqual(home.tree().filter((name) => !name.startsWith("usage/outbox/")), ["usage/tmp/"])
    }
  )

  isNew.each(everybody)(
    "A principal that is seen gets the events of a first run without a terminal, and a claim in the second: by %s",
    function*(given, seenBy) {
      const { home, start } = given
      const command = yield* start({ runtime: "no terminal" })
      yield* see(command, seenBy)
      assert.deepStrictEqual(yield* command.owner, account(P))
      assert.deepStrictEqual(home.claimed(), [])
      yield* (yield* start({ runtime: "no terminal" })).stitch.observe(P)
      assert.lengthOf(home.claimed(), 1)
    }
  )

  stored.each(everybody)(
    "A principal that is seen gets no event and no claim without consent: by %s",
    function*({ api, home, start }, seenBy) {
      const before = home.snapshot()
      const command = yield* start({ consent: Device.consentOf(Device.denied) })
      yield* see(command, seenBy)
      assert.isUndefined(yield* command.slot.get)
      assert.deepStrictEqual(api.calls, [])
      assert.deepStrictEqual(home.snapshot(), before)
    }
  )

  over(mode, { loggedIn: P })("A known account gets no event without consent", function*({ start }) {
    const { begin, slot, stitch } = yield* start({ consent: Device.consentOf(Device.denied) })
    yield* begin
    yield* stitch.observe(P)
    assert.isUndefined(yield* slot.get)
  })

  stored.each(everybody)(
    "A principal that is seen switches a device with a torn claim, without an alias: by %s",
    function*(given, seenBy) {
      const { command, home } = given
      yield* home.write(`usage/claims/${anon.a}.json`, "")
      yield* see(command, seenBy)
      const { anonId } = yield* command.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.deepInclude(home.claim(anonId), { principal_id: P, alias: null })
      assert.strictEqual(home.text(`usage/claims/${anon.a}.json`), "")
      assert.isFalse((yield* command.outbox.entries).some(({ _tag }) => _tag === "Alias"))
    }
  )

  over(mode, { loggedIn: P })(
    "A principal that is seen changes nothing if the slot is set: by observe",
    function*({ command, home }) {
      yield* command.stitch.observe(P)
      const before = home.snapshot()
      yield* command.stitch.observe(Q)
      assert.strictEqual(yield* command.slot.get, P)
      assert.deepStrictEqual(home.snapshot(), before)
    }
  )

  stored("A principal that is seen changes nothing if the slot is set: by the resolver", function*(given) {
    const { api, command, home } = given
    const answer = yield* lateAnswer(api, "new")
    yield* command.begin
    yield* command.stitch.observe(P)
    const before = identityFiles(home)
    yield* Deferred.succeed(answer, Q)
    yield* command.settle
    assert.strictEqual(yield* command.slot.get, P)
    assert.deepStrictEqual(identityFiles(home), before)
  })

  // A login that validates another key must not make the stored one that account's.
  over(mode, { loggedIn: Q })(
    "A principal that is seen does not replace the known account of the stored credential",
    function*(given) {
      const { anonId, command, home } = given
      yield* command.stitch.observe(P)
      assert.strictEqual(yield* command.slot.get, Q)
      assert.deepStrictEqual(home.claimed(), [anonId])
      yield* command.end
      assert.strictEqual(yield* home.recall(Device.stored("key")), Q)
    }
  )
})

describe("sightings after a steady event", () => {
  const steadyCases = cases.filter(({ runtime, seenBy }) => seenBy !== "resolver" && lasting.includes(runtime))

  test.each(steadyCases)("$title", function*(row) {
    const all = yield* sceneOf(steady, row)
    const credential = sources[row.under]
    if (credential !== undefined) yield* all.home.remember(credential, undefined, all.api)
    const before = identityFiles(all.home)
    const command = yield* all.start({ runtime: row.runtime })
    yield* command.begin
    const first = yield* command.record
    assert.strictEqual(yield* command.loads, 0)
    yield* row.seenBy === "login" ? command.stitch.login(P) : command.stitch.observe(P)
    yield* assertOutcome(row, all, command, before)
    const last = yield* command.record
    assert.deepInclude(last?.properties, { invocation_id: first?.properties["invocation_id"] })
    const sequences = all.home.events().map(({ properties }) => properties["sequence"])
    assert.deepStrictEqual(sequences, row.outcome === "claims with an alias" ? [0, 2, 3] : [0, 1, 2])
  })
})

describe("principal validation", () => {
  const illegal = ["", " ", "undefined", "NULL\0", "null", "[object Object]", "'anonymous'", "x".repeat(201), "\ud800"]

  test.each(illegal)("An illegal principal is ignored, and the next legal one is claimed: %j", function*(id) {
    const home = yield* Device.make
    yield* home.seed(anon.a)
    const before = home.snapshot()
    const { slot, stitch } = yield* home.start()
    yield* stitch.observe(id)
    yield* stitch.login(id)
    assert.isUndefined(yield* slot.get)
    assert.deepStrictEqual(home.snapshot(), before)
    yield* stitch.observe(P)
    assert.strictEqual(home.claim(anon.a)?.principal_id, P)
  })
})
