/**
 * A command stops before its k-th step on the disk, for every k; the next command must find what the design says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Claim from "../../src/domain/Claim.ts"
import * as Message from "../../src/domain/Message.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import type { Command, Mode, Scene, SceneOptions } from "../stitch/Command.ts"
import { account, freshOwner, modes, own, ownerOf, scene } from "../stitch/Command.ts"

const { anon, P } = Device

const key = Device.stored("key")

interface Scenario {
  /** What the device was before. */
  readonly before: SceneOptions & { readonly and?: (scene: Scene) => Effect.Effect<void, never, Scope.Scope> }
  /** The command that is stopped. */
  readonly command: (command: Command) => Effect.Effect<void>
  /** What must hold, whatever the step; `isOver` where the command came to its end. */
  readonly after: (scene: Scene, isOver: boolean) => Effect.Effect<void, never, Scope.Scope>
  readonly consent?: Device.ProcessOptions["consent"]
}

// Every file that another process may read is whole.
const assertWhole = (home: Device.Device) => {
  for (const [name, text] of Object.entries(home.snapshot())) {
    if (/^usage\/claims\/.*\.json$/.test(name)) assert.isDefined(Claim.decode(text), name)
    else if (/\/events\/.+/.test(name)) assert.isDefined(Message.decode(text), name)
    else if (name.endsWith(".json")) assert.doesNotThrow(() => JSON.parse(text), name)
  }
}

/** Runs a scenario with a stop at every step; fails where it has fewer steps than expected. */
const matrix = Effect.fnUntraced(function*(mode: Mode, atLeast: number, scenario: Scenario) {
  const { before: { and = () => Effect.void, ...options }, consent } = scenario
  for (let step = 0; step < 500; step++) {
    const isOver = yield* Effect.scoped(Effect.gen(function*() {
      const all = yield* scene(mode, { accounts: { key: P }, ...options })
      yield* and(all)
      const { disk, hasStopped } = FaultyDisk.stoppingAt(step)
      const command = yield* all.start({ disk, ...(consent === undefined ? {} : { consent }) })
      yield* scenario.command(command)
      yield* command.end
      assertWhole(all.home)
      yield* scenario.after(all, !hasStopped())
      assertWhole(all.home)
      return !hasStopped()
    }))
    if (isOver) return assert.isAtLeast(step, atLeast)
  }
  return assert.fail("the command never came to its end")
})

const aliasOf = (home: Device.Device) => {
  const alias = home.claim(anon.a)?.alias ?? undefined
  return alias && Message.encode(alias)
}

const used = (process: Scene) =>
  Effect.scoped(Effect.flatMap(process.start(), ({ end, record }) => Effect.andThen(record, end)))

describe.each(modes)("crashes over $mode", (mode) => {
  it.effect("A command that stops while it makes the identity leaves none or one, and the next command has a lasting one", () =>
    matrix(mode, 9, {
      before: { isNew: true },
      command: ({ record }) => record,
      after: Effect.fnUntraced(function*({ home, start }) {
        const left = home.text("usage.json") === undefined ? undefined : home.pointer()["anon_id"]
        const first = yield* (yield* start()).store.get
        const second = yield* (yield* start()).store.get
        assert.isTrue(first.durable)
        if (left !== undefined) assert.strictEqual(first.anonId, left)
        assert.strictEqual(second.anonId, first.anonId)
        assert.deepStrictEqual(home.claimed(), [])
      })
    }))

  it.effect("A command that stops while it claims leaves no claim or the whole claim, with one alias that never changes", () =>
    matrix(mode, 16, {
      before: { credential: key },
      command: ({ record, stitch }) => Effect.andThen(stitch.observe(P), record),
      after: Effect.fnUntraced(function*({ home, start }) {
        const left = aliasOf(home)
        const { owner, stitch, store } = yield* start()
        yield* stitch.observe(P)
        assert.deepStrictEqual(yield* owner, account(P))
        const { anonId, claim } = yield* store.get
        assert.strictEqual(anonId, anon.a)
        assert.deepInclude(claim, { principal_id: P })
        assert.deepStrictEqual(home.claimed(), [anon.a])
        assert.deepStrictEqual(home.pointer(), { anon_id: anonId, linked_principal_id: P })
        if (left !== undefined) assert.strictEqual(aliasOf(home), left)
      })
    }))

  it.effect("A command that stops while it logs out leaves no device that records events under the account", () =>
    matrix(mode, 6, {
      // The host has removed the credential before it calls `logout`.
      before: { claim: { principal_id: P } },
      command: ({ stitch }) => stitch.logout,
      after: Effect.fnUntraced(function*({ start }) {
        const command = yield* start()
        const anonId = yield* freshOwner(command, anon.a)
        assert.isUndefined((yield* command.store.get).claim)
        assert.strictEqual((yield* (yield* start()).store.get).anonId, anonId)
      })
    }))

  it.effect("A command that stops while it adopts the link of another tool leaves the adoption to the next command", () => {
    const theirs = { anon_id: anon.a, linked_principal_id: P, theirs: true }
    return matrix(mode, 9, {
      before: { isNew: true, and: ({ home }) => home.write("usage.json", JSON.stringify(theirs)) },
      command: ({ record }) => record,
      after: Effect.fnUntraced(function*({ home, start }) {
        const { anonId, claim } = yield* (yield* start()).store.get
        assert.strictEqual(anonId, anon.a)
        assert.deepInclude(claim, { principal_id: P, alias: null, learned_by: "adopted" })
        assert.deepInclude(home.pointer(), theirs)
      })
    })
  })

  it.effect("A command that stops while it records leaves the event or none, and the device as it was", () =>
    matrix(mode, 9, {
      before: { claim: { principal_id: P }, credential: key, and: ({ api, home }) => home.remember(key, P, api) },
      command: ({ record }) => record,
      after: Effect.fnUntraced(function*({ home, start }, isOver) {
        const left = home.events().map(ownerOf)
        if (isOver) assert.deepStrictEqual(left, [account(P)])
        // A cache that cannot be read now knows no account.
        else if (left[0] !== undefined) assert.include([P, own.distinctId], left[0].distinctId)
        assert.deepStrictEqual(yield* (yield* start()).owner, account(P))
        assert.deepStrictEqual(home.claimed(), [anon.a])
        assert.isAtMost(home.events().length, 2)
      })
    }))

  it.effect("An opt-out that stops leaves everything or the opt-out file, and a second one leaves only the opt-out file", () => {
    const consent = Device.environmentConsent()
    return matrix(mode, 7, {
      before: { claim: { principal_id: P, credential: "none" }, and: used },
      consent,
      command: (command) => Effect.ignore(command.consent.deny),
      after: Effect.fnUntraced(function*({ home, start }, isOver) {
        const isOptedOut = home.text("usage/opt-out") !== undefined
        if (isOver) assert.isTrue(isOptedOut)
        if (!isOptedOut) {
          assert.strictEqual(home.pointer()["anon_id"], anon.a)
          assert.deepStrictEqual(home.claimed(), [anon.a])
          assert.lengthOf(home.events(), 1)
        }
        const before = home.tree()
        yield* (yield* start({ consent })).record
        if (isOptedOut) assert.deepStrictEqual(home.tree(), before)
        yield* Effect.orDie((yield* start({ consent })).consent.deny)
        assert.deepStrictEqual(home.tree(), ["usage/opt-out"])
      })
    })
  })
})
