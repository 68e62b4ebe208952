/**
 * A command stops before its k-th step on the disk, for every k; the next command must find what the design says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as Claim from "../../src/domain/Claim.ts"
import * as Message from "../../src/domain/Message.ts"
import { CommandSucceeded } from "../../src/domain/UsageEvent.ts"
import * as Device from "../fixtures/Device.ts"

const succeeded = { duration_ms: 1, exit_code: 0, flags_used: [] }
const secret = "key"
const key = Device.stored(secret)

// From the given step on, the disk hears nothing of this process any more.
const stoppingAt = (step: number) => {
  let steps = 0
  const fileSystem = Device.interposed(({ method, path }) =>
    Effect.suspend(() => {
      steps += 1
      return steps > step ? Effect.fail(Device.errno("EIO", method, path)) : Effect.void
    })
  )
  return { fileSystem, hasStopped: () => steps > step }
}

interface Scenario {
  /** What the device was before. */
  readonly before: (device: Device.Device) => Effect.Effect<void>
  /** The command that is stopped. */
  readonly command: (process: Device.Process) => Effect.Effect<void>
  /** The credential that the command finds, and the one that the next finds. */
  readonly credentials: readonly [during: boolean, after: boolean]
  /** What must hold, whatever the step; `isOver` where the command came to its end. */
  readonly after: (device: Device.Device, api: Device.Api, isOver: boolean) => Effect.Effect<void, never, Scope.Scope>
}

// Every file that another process may read is whole.
const assertWhole = (device: Device.Device) => {
  for (const [name, text] of Object.entries(device.snapshot())) {
    if (/^usage\/claims\/.*\.json$/.test(name)) assert.isTrue(Option.isSome(Claim.decode(text)), name)
    else if (/\/events\/.+/.test(name)) assert.isTrue(Option.isSome(Message.decode(text)), name)
    else if (name.endsWith(".json")) assert.doesNotThrow(() => JSON.parse(text), name)
  }
}

/** Runs a scenario with a stop at every step; gives how many steps it has. */
const matrix = (scenario: Scenario) =>
  Effect.gen(function*() {
    for (let step = 0; step < 500; step++) {
      const isOver = yield* Effect.scoped(Effect.gen(function*() {
        const device = yield* Device.make
        yield* scenario.before(device)
        const [during, after] = scenario.credentials
        const api = yield* Device.makeApi({ credential: during ? key : undefined, accounts: { [secret]: Device.P } })
        const { fileSystem, hasStopped } = stoppingAt(step)
        const process = yield* device.start({ fileSystem, resolver: api.layer })
        yield* scenario.command(process)
        yield* process.end
        assertWhole(device)
        yield* Ref.set(api.credential, after ? key : undefined)
        yield* scenario.after(device, api, !hasStopped())
        assertWhole(device)
        return !hasStopped()
      }))
      if (isOver) return step
    }
    return assert.fail("the command never came to its end")
  })

const event = (process: Device.Process) => process.capture.capture(CommandSucceeded, succeeded)

const aliasOf = (device: Device.Device) => {
  const claim = device.claim(Device.anon.a)
  return claim === undefined || claim.alias === null ? undefined : Message.encode(claim.alias)
}

describe("a command that stops at any step", () => {
  it.effect("while it makes the identity leaves none or one, and the next command has one that stays", () =>
    Effect.gen(function*() {
      const steps = yield* matrix({
        before: () => Effect.void,
        command: event,
        credentials: [false, false],
        after: Effect.fnUntraced(function*(device) {
          const left = device.text("usage.json") === undefined ? undefined : device.pointer()["anon_id"]
          const first = yield* (yield* device.start()).store.get
          const second = yield* (yield* device.start()).store.get
          assert.isTrue(first.durable)
          if (left !== undefined) assert.strictEqual(first.anonId, left)
          assert.strictEqual(second.anonId, first.anonId)
          assert.deepStrictEqual(device.claimed(), [])
        })
      })
      assert.isAbove(steps, 8)
    }))

  it.effect("while it claims leaves no claim or the whole one, and there is one alias, whose bytes never change", () =>
    Effect.gen(function*() {
      const steps = yield* matrix({
        before: (device) => device.seed(Device.anon.a),
        command: (process) => Effect.andThen(process.stitch.observe(Device.P), event(process)),
        credentials: [true, true],
        after: Effect.fnUntraced(function*(device, api) {
          const left = aliasOf(device)
          const next = yield* device.start({ resolver: api.layer })
          yield* next.stitch.observe(Device.P)
          yield* event(next)
          const { anonId, claim } = yield* next.store.get
          assert.strictEqual(anonId, Device.anon.a)
          assert.deepInclude(claim, { principal_id: Device.P })
          assert.deepStrictEqual(device.claimed(), [Device.anon.a])
          assert.deepStrictEqual(device.pointer(), { anon_id: anonId, linked_principal_id: Device.P })
          if (left !== undefined) assert.strictEqual(aliasOf(device), left)
          assert.strictEqual(device.events().at(-1)?.distinct_id, Device.P)
        })
      })
      assert.isAbove(steps, 15)
    }))

  it.effect("while it logs out never leaves the account collecting events", () =>
    Effect.gen(function*() {
      const steps = yield* matrix({
        before: (device) =>
          device.seed(Device.anon.a, Device.claimOf(Device.anon.a, Device.P, { credential: "stored" })),
        // The host has removed the credential before it calls `logout`.
        command: (process) => process.stitch.logout,
        credentials: [false, false],
        after: Effect.fnUntraced(function*(device, api) {
          const next = yield* device.start({ resolver: api.layer })
          yield* event(next)
          const { anonId, claim } = yield* next.store.get
          assert.notStrictEqual(anonId, Device.anon.a)
          assert.isUndefined(claim)
          assert.strictEqual(device.events().at(-1)?.distinct_id, anonId)
          // And it stays so.
          const later = yield* (yield* device.start({ resolver: api.layer })).store.get
          assert.strictEqual(later.anonId, anonId)
        })
      })
      assert.isAbove(steps, 5)
    }))

  it.effect("while it adopts another tool's link leaves it to the next, without an alias", () =>
    Effect.gen(function*() {
      const steps = yield* matrix({
        before: (device) =>
          device.write(
            "usage.json",
            JSON.stringify({ anon_id: Device.anon.a, linked_principal_id: Device.P, theirs: true })
          ),
        command: event,
        credentials: [false, false],
        after: Effect.fnUntraced(function*(device) {
          const next = yield* device.start()
          const { anonId, claim } = yield* next.store.get
          assert.strictEqual(anonId, Device.anon.a)
          assert.deepInclude(claim, { principal_id: Device.P, alias: null, learned_by: "adopted" })
          assert.deepInclude(device.pointer(), { anon_id: anonId, linked_principal_id: Device.P, theirs: true })
        })
      })
      assert.isAbove(steps, 8)
    }))

  it.effect("while it disables leaves everything or the opt-out, and disabling again leaves the opt-out alone", () =>
    Effect.gen(function*() {
      const steps = yield* matrix({
        before: (device) =>
          Effect.gen(function*() {
            yield* device.seed(Device.anon.a, Device.claimOf(Device.anon.a, Device.P, { credential: "none" }))
            const process = yield* device.start()
            yield* event(process)
            yield* process.end
          }).pipe(Effect.scoped),
        command: (process) => Effect.ignore(process.optOut.publish),
        credentials: [false, false],
        after: Effect.fnUntraced(function*(device, _, isOver) {
          const isOptedOut = device.text("usage/opt-out") !== undefined
          if (isOver) assert.isTrue(isOptedOut)
          if (!isOptedOut) {
            assert.strictEqual(device.pointer()["anon_id"], Device.anon.a)
            assert.deepStrictEqual(device.claimed(), [Device.anon.a])
            assert.lengthOf(device.events(), 1)
          }
          const consent = Device.environmentConsent(device)
          const before = device.tree()
          yield* event(yield* device.start({ consent }))
          if (isOptedOut) assert.deepStrictEqual(device.tree(), before)
          yield* Effect.orDie((yield* device.start({ consent })).optOut.publish)
          assert.deepStrictEqual(device.tree(), ["usage/opt-out"])
        })
      })
      assert.isAbove(steps, 6)
    }))
})
