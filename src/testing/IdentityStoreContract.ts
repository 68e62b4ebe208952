/**
 * The contract of `IdentityStore` as tests, for `FileIdentityStore` over a disk of a host's own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Assert from "node:assert/strict"
import type { AnonId } from "../domain/AnonId.ts"
import type { Claim } from "../domain/Claim.ts"
import * as PrincipalId from "../domain/PrincipalId.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import * as Contract from "./Contract.ts"

type Device = Effect.Effect<IdentityStore["Service"], never, Scope.Scope>

const claimOf = (anon_id: AnonId, principal_id: string, some?: Partial<Claim>): Claim => ({
  version: 1,
  anon_id,
  principal_id: Result.getOrThrow(PrincipalId.decode(principal_id)),
  learned_by: "login",
  credential: "stored",
  destination: null,
  alias: null,
  ...some
})

/** Two processes that have read the identity of a device. */
const pair = (device: Device) =>
  Effect.gen(function*() {
    const [one, two] = [yield* device, yield* device]
    const { anonId } = yield* one.get
    yield* two.get
    return { one, two, anonId }
  })

const later = (device: Device) => Effect.flatMap(device, ({ get }) => get)

const rules: Contract.Rules<Device> = {
  "The first process makes the identity of a device, and reads it once": Effect.fnUntraced(function*(device) {
    const { check, get } = yield* device
    const { anonId, ...identity } = yield* get
    Assert.deepEqual(identity, { claim: undefined, durable: true, firstRun: true, published: true })
    Assert.deepEqual(yield* get, { anonId, ...identity })
    Assert.equal(yield* check, "Current")
  }),

  "A later process has the identity of the first one, and it is no first run": Effect.fnUntraced(function*(device) {
    const { anonId } = yield* later(device)
    Assert.deepEqual(yield* later(device), {
      anonId,
      claim: undefined,
      durable: true,
      firstRun: false,
      published: false
    })
  }),

  "A look at a device makes no identity, and returns one that is there": Effect.fnUntraced(function*(device) {
    const { peek } = yield* device
    Assert.equal(yield* peek, undefined)
    const { anonId, firstRun } = yield* later(device)
    Assert.equal(firstRun, true)
    Assert.equal((yield* peek)?.anonId, anonId)
  }),

  "Of many processes at once one makes the identity, and all have it": Effect.fnUntraced(function*(device) {
    const processes = yield* Effect.all(Array.from({ length: 16 }, () => device))
    const identities = yield* Effect.all(processes.map(({ get }) => get), { concurrency: "unbounded" })
    Assert.equal(new Set(identities.map(({ anonId }) => anonId)).size, 1)
    Assert.equal(identities.filter(({ published }) => published).length, 1)
  }),

  "A claim is published once, and a second process gets the first claim": Effect.fnUntraced(function*(device) {
    const { anonId, one, two } = yield* pair(device)
    const first = claimOf(anonId, "account_1")
    Assert.deepEqual(yield* one.claim(first), { _tag: "Published" })
    Assert.deepEqual((yield* one.get).claim, first)
    Assert.deepEqual(yield* two.claim(claimOf(anonId, "account_2")), { _tag: "Held", claim: first })
    Assert.deepEqual((yield* two.get).claim, first)
    Assert.deepEqual((yield* later(device)).claim, first)
  }),

  "A process reads a claim of another process when it refreshes its identity": Effect.fnUntraced(function*(device) {
    const { anonId, one, two } = yield* pair(device)
    const claim = claimOf(anonId, "account_1")
    yield* one.claim(claim)
    Assert.equal((yield* two.get).claim, undefined)
    Assert.deepEqual((yield* two.refresh).claim, claim)
    Assert.deepEqual((yield* two.get).claim, claim)
  }),

  "A rotation gives the device a new anon id without a claim": Effect.fnUntraced(function*(device) {
    const { anonId, one } = yield* pair(device)
    yield* one.claim(claimOf(anonId, "account_1"))
    const rotation = yield* one.rotate
    const identity = yield* one.get
    Assert.deepEqual(rotation, { _tag: "Rotated", identity })
    Assert.notEqual(identity.anonId, anonId)
    Assert.equal(identity.claim, undefined)
    Assert.equal(yield* one.check, "Current")
    const next = yield* later(device)
    Assert.deepEqual([next.anonId, next.claim], [identity.anonId, undefined])
  }),

  "A process that rotates an anon id after another one continues with the new anon id and its claim": Effect
    .fnUntraced(function*(device) {
      const { one, two } = yield* pair(device)
      yield* one.rotate
      const { anonId } = yield* one.get
      const claim = claimOf(anonId, "account_1")
      yield* one.claim(claim)
      const overtaken = yield* two.rotate
      const identity = yield* two.get
      Assert.deepEqual(overtaken, { _tag: "Overtaken", identity })
      Assert.deepEqual([identity.anonId, identity.claim], [anonId, claim])
    }),

  "The claim of an anon id that was rotated is not that of the new anon id": Effect.fnUntraced(function*(device) {
    const { anonId: former, one } = yield* pair(device)
    yield* one.rotate
    yield* one.claim(claimOf(former, "account_1"))
    const { anonId, claim } = yield* one.get
    Assert.notEqual(anonId, former)
    Assert.equal(claim, undefined)
    Assert.equal((yield* later(device)).claim, undefined)
  }),

  "A claim is that of a stored credential from its confirmation on": Effect.fnUntraced(function*(device) {
    const { anonId, one } = yield* pair(device)
    const claim = claimOf(anonId, "account_1", { credential: "environment" })
    yield* one.claim(claim)
    Assert.deepEqual((yield* later(device)).claim, claim)
    yield* one.confirmStored
    Assert.deepEqual((yield* one.get).claim, { ...claim, credential: "stored" })
    Assert.deepEqual((yield* later(device)).claim, { ...claim, credential: "stored" })
  }),

  "A process that forgets the identity has another one in memory, and the device keeps its own": Effect
    .fnUntraced(function*(device) {
      const { anonId, one } = yield* pair(device)
      const memory = yield* one.forget
      Assert.notEqual(memory.anonId, anonId)
      Assert.deepEqual([memory.claim, memory.durable], [undefined, false])
      Assert.deepEqual(yield* one.get, memory)
      Assert.equal((yield* later(device)).anonId, anonId)
    }),

  "A device whose identity is discarded has another anon id without a claim": Effect.fnUntraced(function*(device) {
    const { anonId, one } = yield* pair(device)
    yield* one.claim(claimOf(anonId, "account_1"))
    const identity = yield* one.discard
    Assert.notEqual(identity.anonId, anonId)
    Assert.equal(identity.claim, undefined)
    Assert.deepEqual(yield* one.get, identity)
    const next = yield* later(device)
    Assert.notEqual(next.anonId, anonId)
    Assert.equal(next.claim, undefined)
  })
}

/**
 * Declares the tests of a store.
 *
 * **Details**
 *
 * The effect makes a device that nothing ran on before, once for each test; each build of its layer is a process on that
 * device.
 *
 * **Example** (Testing a store over another disk)
 *
 * ```ts
 * import { IdentityStoreContract } from "effect-cli-usage/testing"
 * import { describe, it } from "vitest"
 *
 * const device = Effect.map(emptyDisk, (disk) =>
 *   Layer.provide(FileIdentityStore.layer, [TestUsage.layer({ runtime: { disk } }), NodeServices.layer]))
 *
 * IdentityStoreContract.suite("FileIdentityStore over another disk", device, { describe, it })
 * ```
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (
  name: string,
  device: Effect.Effect<Layer.Layer<IdentityStore>, unknown, Scope.Scope>,
  runner: Contract.Runner
): void => Contract.declare(name, runner, Effect.map(device, (layer) => Contract.start(IdentityStore, layer)), rules)
