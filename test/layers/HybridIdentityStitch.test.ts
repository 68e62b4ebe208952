import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import * as NFS from "node:fs"
import type * as Attribution from "../../src/domain/Attribution.ts"
import * as Claim from "../../src/domain/Claim.ts"
import type { ConsentDecision } from "../../src/domain/ConsentDecision.ts"
import type { Credential } from "../../src/domain/Credential.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as Debug from "../../src/layers/Debug.ts"
import * as HttpPrincipalResolver from "../../src/layers/HttpPrincipalResolver.ts"
import * as NodeHttpClient from "../../src/layers/NodeHttpClient.ts"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"
import { Consent } from "../../src/services/Consent.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, claimOf, P, Q } = Device

const Used = UsageEvent.make("Used", { description: "Something was used", properties: Schema.Struct({}) })

/** Who an event belongs to that is recorded now. */
const to = (process: Device.Process): Effect.Effect<Attribution.Attribution> =>
  Effect.map(process.stitch.attribution, (attribution) => {
    assert(attribution)
    return attribution.to
  })

const account = (principal: PrincipalId): Attribution.Attribution => ({ distinctId: principal, personless: false })
const nobody = (id: string): Attribution.Attribution => ({ distinctId: id, personless: true })

const now = Date.parse("2026-01-01T00:00:00Z")

/** A later command on the device, which changes nothing: what it finds. */
const found = (device: Device.Device) =>
  Effect.map(Effect.flatMap(device.start(), ({ store }) => store.peek), (identity) => identity ?? assert.fail("none"))

const principalOf = (claim: Claim.Claim | Claim.UnreadableClaim | undefined) =>
  claim === undefined ? undefined : Claim.principalOf(claim)

/** An earlier command learned whose a credential is. */
const known = (device: Device.Device, credential: Credential, principal: PrincipalId) =>
  Effect.flatMap(device.start(), ({ cache }) => cache.remember(credential, principal))

/** A device that an account logged in on, in an earlier command, with the credential that is still stored. */
const loggedIn = (principal: PrincipalId, secret: string) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(now)
    const device = yield* Device.make
    const api = yield* Device.makeApi({ credential: Device.stored(secret), accounts: { [secret]: principal } })
    const process = yield* device.start({ resolver: api.layer })
    yield* process.stitch.login(principal)
    const { anonId } = yield* process.store.get
    yield* process.end
    return { device, api, anonId }
  })

describe("Arcade's principal", () => {
  it.effect("linked principal wins without a call", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(P, "key")
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), account(P))
      assert.deepStrictEqual(api.calls, [])
    }))

  it.effect("principal from the API when none is linked", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key"), accounts: { key: P } })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), account(P))
      assert.deepStrictEqual(api.calls, ["key"])
    }))

  it.effect("anon id when not authenticated", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const process = yield* device.start()
      const { anonId } = yield* process.store.get
      assert.deepStrictEqual(yield* to(process), nobody(anonId))
    }))

  it.effect("alias needed when authenticated and unlinked", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key"), accounts: { key: P } })
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      yield* process.stitch.settle
      const alias = device.claim(anon.a)?.alias
      assert.deepInclude(alias, { event: "$create_alias", distinct_id: P })
      assert.deepInclude(alias?.properties, { distinct_id: P, alias: anon.a, invocation_id: process.invocation.id })
      assert.notProperty(alias?.properties, "$process_person_profile")
      assert.strictEqual(device.claim(anon.a)?.destination, Device.destinationId)
      assert.lengthOf(yield* process.claims.undelivered(Device.destinationId), 1)
    }))

  it.effect("alias not needed when linked", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(P, "key")
      const before = device.snapshot()
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* to(process)
      yield* process.stitch.observe(P)
      yield* process.stitch.settle
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("alias not needed when unauthenticated", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const process = yield* device.start()
      yield* process.stitch.begin
      yield* to(process)
      yield* process.stitch.settle
      assert.deepStrictEqual(device.claimed(), [])
    }))

  it.effect("reset makes a new anon id, clears the link, persists", () =>
    Effect.gen(function*() {
      const { anonId, api, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const { anonId: fresh, claim } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.isUndefined(claim)
      assert.deepStrictEqual(device.pointer(), { anon_id: fresh, linked_principal_id: null })
      assert.deepInclude(yield* found(device), { anonId: fresh, claim: undefined })
    }))

  it.effect("linking updates, persists, updates the cache", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.login(P)
      assert.strictEqual(yield* process.slot.get, P)
      assert.strictEqual(principalOf((yield* process.store.get).claim), P)
      assert.deepInclude(device.claim(anon.a), { principal_id: P, learned_by: "login", credential: "stored" })
      assert.deepStrictEqual(device.pointer(), { anon_id: anon.a, linked_principal_id: P })
      const next = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* next.cache.recall(Device.stored("key")), { _tag: "Principal", principal: P })
    }))
})

// == 4.3

type SeenBy = "login" | "observe" | "resolver"

/** Shows a principal to a process, in one of the three ways. */
const see = (process: Device.Process, seenBy: SeenBy, principal: PrincipalId) => {
  switch (seenBy) {
    case "login":
      return process.stitch.login(principal)
    case "observe":
      return process.stitch.observe(principal)
    case "resolver":
      return Effect.andThen(process.stitch.attribution, process.stitch.settle)
  }
}

const sources: Record<string, Credential | undefined> = {
  "a stored credential": Device.stored("new"),
  "an environment credential": Device.environment("new"),
  "no credential": undefined
}

const claims = { none: undefined, P, Q }

interface Row {
  readonly seenBy: ReadonlyArray<SeenBy>
  readonly claim: keyof typeof claims
  readonly under: ReadonlyArray<string>
  readonly runtimes: ReadonlyArray<Device.RuntimeName>
  readonly outcome: "claims with an alias" | "stamps" | "switches"
}

const everybody: ReadonlyArray<SeenBy> = ["login", "observe", "resolver"]
const anyCredential = Object.keys(sources)
const lasting: ReadonlyArray<Device.RuntimeName> = ["persistent", "no terminal", "container with a terminal"]
const ephemeral: ReadonlyArray<Device.RuntimeName> = ["ci", "ci with a terminal", "container"]

const table: ReadonlyArray<Row> = [
  { seenBy: everybody, claim: "none", under: anyCredential, runtimes: lasting, outcome: "claims with an alias" },
  { seenBy: everybody, claim: "none", under: anyCredential, runtimes: ephemeral, outcome: "stamps" },
  { seenBy: everybody, claim: "P", under: anyCredential, runtimes: [...lasting, ...ephemeral], outcome: "stamps" },
  {
    seenBy: ["observe", "resolver"],
    claim: "Q",
    under: ["an environment credential"],
    runtimes: [...lasting, ...ephemeral],
    outcome: "stamps"
  },
  { seenBy: ["login"], claim: "Q", under: anyCredential, runtimes: lasting, outcome: "switches" },
  {
    seenBy: ["observe", "resolver"],
    claim: "Q",
    under: ["a stored credential"],
    runtimes: lasting,
    outcome: "switches"
  },
  { seenBy: ["login"], claim: "Q", under: anyCredential, runtimes: ephemeral, outcome: "stamps" },
  {
    seenBy: ["observe", "resolver"],
    claim: "Q",
    under: ["a stored credential"],
    runtimes: ephemeral,
    outcome: "stamps"
  }
]

/** The part of the disk that says whose the device is. */
// That a claim is of a stored credential may be added to it; the claim itself stays as it is.
const identityFiles = (device: Device.Device) =>
  Object.fromEntries(
    Object.entries(device.snapshot()).filter(([name]) =>
      /^usage\.json|usage\/(claims|successors)\//.test(name) && !name.endsWith(".stored")
    )
  )

describe("a principal is seen", () => {
  for (const row of table) {
    for (const seenBy of row.seenBy) {
      for (const under of row.under) {
        const credential = sources[under]
        if (seenBy === "resolver" && credential === undefined) continue
        for (const runtime of row.runtimes) {
          const title = `${row.outcome}: by ${seenBy} under ${under}, claim ${row.claim}, ${runtime}`
          it.effect(title, () =>
            Effect.gen(function*() {
              yield* TestClock.setTime(now)
              const device = yield* Device.make
              const held = claims[row.claim]
              // Not from a stored credential, or its absence would mean that the user signed out elsewhere.
              yield* device.seed(anon.a, held && claimOf(anon.a, held, { credential: "environment" }))
              const before = identityFiles(device)
              const api = yield* Device.makeApi({
                credential,
                accounts: seenBy === "resolver" ? { new: P } : {}
              })
              const process = yield* device.start({ resolver: api.layer, runtime })
              yield* see(process, seenBy, P)
              yield* process.stitch.settle

              assert.strictEqual(yield* process.slot.get, P)
              assert.deepStrictEqual(yield* to(process), account(P))
              const { anonId, claim } = yield* process.store.get
              if (row.outcome === "stamps") {
                assert.deepStrictEqual(identityFiles(device), before)
                assert.strictEqual(anonId, anon.a)
                assert.strictEqual(principalOf(claim), held)
                return
              }
              assert.strictEqual(principalOf(claim), P)
              assert.deepStrictEqual(device.claim(anonId), claim)
              assert.deepInclude(claim, {
                learned_by: seenBy,
                credential: credential === undefined
                  ? "none"
                  : seenBy === "login"
                  ? "stored"
                  : credential.source
              })
              assert.deepStrictEqual(device.pointer(), { anon_id: anonId, linked_principal_id: P })
              if (row.outcome === "claims with an alias") {
                assert.strictEqual(anonId, anon.a)
                assert.deepInclude(device.claim(anonId)?.alias?.properties, { alias: anon.a, distinct_id: P })
              } else {
                assert.notStrictEqual(anonId, anon.a)
                assert.deepInclude(device.claim(anonId), { alias: null, destination: null })
                assert.strictEqual(device.claim(anon.a)?.principal_id, Q)
              }
              const later = yield* found(device)
              assert.deepStrictEqual([later.anonId, principalOf(later.claim)], [anonId, P])
              // A login says whose the stored credential is, not the variable's.
              if (credential === undefined || (credential.source === "environment" && seenBy === "login")) return
              yield* process.end
              const next = yield* device.start()
              assert.deepStrictEqual(yield* next.cache.recall(credential), { _tag: "Principal", principal: P })
            }))
        }
      }
    }
  }

  for (const seenBy of everybody) {
    it.effect(`stamps and makes nothing on a first run without a terminal: by ${seenBy}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const api = yield* Device.makeApi({ credential: Device.stored("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer, runtime: "no terminal" })
        yield* see(process, seenBy, P)
        assert.deepStrictEqual(yield* to(process), account(P))
        assert.deepStrictEqual(device.claimed(), [])
        // The second run is not a first run.
        const next = yield* device.start({ resolver: api.layer, runtime: "no terminal" })
        yield* next.stitch.observe(P)
        assert.lengthOf(device.claimed(), 1)
      }))

    for (const runtime of ephemeral) {
      it.effect(`stamps and makes no identity where nothing is kept: by ${seenBy}, ${runtime}`, () =>
        Effect.gen(function*() {
          const device = yield* Device.make
          const api = yield* Device.makeApi({ credential: Device.environment("new"), accounts: { new: P } })
          const process = yield* device.start({ resolver: api.layer, runtime })
          yield* see(process, seenBy, P)
          assert.deepStrictEqual(yield* to(process), account(P))
          assert.deepStrictEqual(device.tree(), [])
        }))
    }

    it.effect(`stamps and makes nothing where nothing can be written: by ${seenBy}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const api = yield* Device.makeApi({ credential: Device.stored("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer, fileSystem: Device.full })
        yield* see(process, seenBy, P)
        assert.deepStrictEqual(yield* to(process), account(P))
        assert.deepStrictEqual(device.tree(), [])
      }))

    it.effect(`does nothing at all without consent: by ${seenBy}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const before = device.snapshot()
        const api = yield* Device.makeApi({ credential: Device.stored("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer, consent: Device.consentOf(Device.denied) })
        yield* process.stitch.begin
        yield* see(process, seenBy, P)
        assert.isUndefined(yield* process.slot.get)
        assert.deepStrictEqual(api.calls, [])
        assert.deepStrictEqual(device.snapshot(), before)
      }))

    it.effect(`switches where the claim cannot be read, and aliases nothing: by ${seenBy}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        yield* device.write(`usage/claims/${anon.a}.json`, "")
        const api = yield* Device.makeApi({ credential: Device.stored("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer })
        yield* see(process, seenBy, P)
        const { anonId } = yield* process.store.get
        assert.notStrictEqual(anonId, anon.a)
        assert.deepInclude(device.claim(anonId), { principal_id: P, alias: null })
        assert.strictEqual(device.text(`usage/claims/${anon.a}.json`), "")
        assert.deepStrictEqual(yield* process.claims.undelivered(Device.destinationId), [])
      }))
  }

  it.effect("does nothing where the slot is set: by observe", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.observe(P)
      const before = device.snapshot()
      yield* process.stitch.observe(Q)
      assert.strictEqual(yield* process.slot.get, P)
      assert.strictEqual((yield* process.store.get).anonId, anonId)
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("does nothing where the slot is set: by the resolver", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const answer = yield* Deferred.make<PrincipalId>()
      api.accounts.set("key", Deferred.await(answer))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.observe(P)
      const before = identityFiles(device)
      yield* Deferred.succeed(answer, Q)
      yield* process.stitch.settle
      assert.strictEqual(yield* process.slot.get, P)
      assert.deepStrictEqual(identityFiles(device), before)
    }))

  it.effect("keeps the stored credential's account where it is known: by observe under it", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(Q, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.observe(P)
      assert.strictEqual(yield* process.slot.get, Q)
      assert.deepStrictEqual(device.claimed(), [anonId])
      // A login that validates another key must not make the stored one that account's.
      assert.deepStrictEqual(yield* process.cache.recall(Device.stored("key")), { _tag: "Principal", principal: Q })
    }))
})

describe("login", () => {
  it.effect("is not swallowed by an observe before it: the device is claimed once", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi()
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.observe(P)
      yield* Ref.set(api.credential, Device.stored("key"))
      const before = identityFiles(device)
      yield* process.stitch.login(P)
      assert.deepStrictEqual(identityFiles(device), before)
      assert.lengthOf(device.claimed(), 1)
      const next = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(next), account(P))
      assert.deepStrictEqual(api.calls, [])
    }))

  it.effect("does the disk part of its row after an observe that only stamped", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, Q, { credential: "environment" }))
      const api = yield* Device.makeApi({ credential: Device.environment("env") })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.observe(P)
      assert.deepStrictEqual(device.claimed(), [anon.a])
      yield* process.stitch.login(P)
      const { anonId, claim } = yield* process.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.deepInclude(claim, { principal_id: P, alias: null, credential: "stored" })
    }))

  it.effect("as another account switches the device, whoever the slot holds", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(Q, "old")
      const process = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(process), account(Q))
      yield* Ref.set(api.credential, Device.stored("new"))
      yield* process.stitch.login(P)
      assert.deepStrictEqual(yield* to(process), account(P))
      const { anonId: fresh, claim } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.deepInclude(claim, { principal_id: P, alias: null })
    }))

  it.effect("again as the same account changes nothing", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(P, "key")
      const before = identityFiles(device)
      const process = yield* device.start({ resolver: api.layer })
      yield* Ref.set(api.credential, Device.stored("another key"))
      yield* process.stitch.login(P)
      assert.deepStrictEqual(identityFiles(device), before)
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), account(P))
      assert.deepStrictEqual(api.calls, [])
    }))

  it.effect("sees the claim that another command made since this one began", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi()
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      const other = yield* device.start({ resolver: api.layer })
      yield* other.stitch.login(Q)
      yield* Ref.set(api.credential, Device.stored("key"))
      yield* process.stitch.login(P)
      const { anonId } = yield* process.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.strictEqual(device.claim(anon.a)?.principal_id, Q)
      assert.deepInclude(device.claim(anonId), { principal_id: P, alias: null })
    }))

  it.effect("that was learned by the validating response is signed out when its credential is gone", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi()
      const process = yield* device.start({ resolver: api.layer })
      // The host asks whose the key is before it stores it.
      yield* process.stitch.begin
      yield* process.stitch.observe(P)
      yield* Ref.set(api.credential, Device.stored("key"))
      yield* process.stitch.login(P)
      yield* process.end
      yield* Ref.set(api.credential, undefined)
      const next = yield* device.start({ resolver: api.layer })
      const attribution = yield* to(next)
      const { anonId } = yield* next.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.deepStrictEqual(attribution, nobody(anonId))
    }))
})

// == 4.2

describe("an event belongs to", () => {
  it.effect("1. the slot's principal, whatever the claim says", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(Q, "key")
      yield* Ref.set(api.credential, Device.environment("env"))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.observe(P)
      assert.deepStrictEqual(yield* to(process), account(P))
      assert.strictEqual(principalOf((yield* process.store.get).claim), Q)
    }))

  it.effect("2. the claim's principal, where the credential at hand is known to be that principal's", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      yield* known(device, Device.stored("key"), P)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), account(P))
      assert.deepStrictEqual(api.calls, [])
    }))

  for (const credential of ["environment", "none"] as const) {
    it.effect(`2. the claim's principal, where there is no credential and the claim came from: ${credential}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a, claimOf(anon.a, P, { credential }))
        const process = yield* device.start()
        assert.deepStrictEqual(yield* to(process), account(P))
        assert.strictEqual((yield* process.store.get).anonId, anon.a)
      }))
  }

  for (const credential of [Device.stored("new"), Device.environment("new")]) {
    it.effect(`3. nobody, by an id of the command, under another credential: ${credential.source}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a, claimOf(anon.a, P))
        const api = yield* Device.makeApi({ credential })
        const process = yield* device.start({ resolver: api.layer })
        assert.deepStrictEqual(yield* to(process), nobody(process.invocation.id))
        yield* process.stitch.settle
        assert.deepStrictEqual(yield* to(process), nobody(process.invocation.id))
        assert.strictEqual((yield* process.store.get).anonId, anon.a)
      }))
  }

  it.effect("3. nobody, by an id of the command, where the claim cannot be read", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      yield* device.write(`usage/claims/${anon.a}.json`, "")
      const process = yield* device.start()
      assert.deepStrictEqual(yield* to(process), nobody(process.invocation.id))
    }))

  it.effect("4. the anon id, where nobody claimed it and nobody answers for the credential", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("new") })
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), nobody(anon.a))
    }))
})

describe("a race for a claim", () => {
  /** Another process claims between this one's look and its publication. */
  const overtaken = (device: Device.Device, winner: PrincipalId) => {
    let once = true
    return (claims: Parameters<NonNullable<Device.ProcessOptions["claims"]>>[0]): typeof claims => ({
      ...claims,
      publish: (claim) =>
        Effect.suspend(() => {
          if (!once) return claims.publish(claim)
          once = false
          return Effect.andThen(
            device.write(`usage/claims/${claim.anon_id}.json`, Claim.encode(claimOf(claim.anon_id, winner))),
            claims.publish(claim)
          )
        })
    })
  }

  for (const seenBy of everybody) {
    it.effect(`that the same principal won, stamps: by ${seenBy}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const api = yield* Device.makeApi({ credential: Device.stored("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer, claims: overtaken(device, P) })
        yield* see(process, seenBy, P)
        assert.strictEqual(yield* process.slot.get, P)
        assert.deepStrictEqual(device.claim(anon.a), claimOf(anon.a, P))
        assert.deepStrictEqual(device.claimed(), [anon.a])
        yield* process.capture.capture(Used, {})
        assert.deepStrictEqual(device.events().map(({ properties }) => properties["sequence"]), [0])
      }))

    it.effect(`that another won, is as if that claim had been there: ${seenBy} under a new stored one switches`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const api = yield* Device.makeApi({ credential: Device.stored("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer, claims: overtaken(device, Q) })
        yield* see(process, seenBy, P)
        const { anonId } = yield* process.store.get
        assert.notStrictEqual(anonId, anon.a)
        assert.strictEqual(yield* process.slot.get, P)
        assert.deepStrictEqual(device.claim(anon.a), claimOf(anon.a, Q))
        assert.deepInclude(device.claim(anonId), { principal_id: P, alias: null })
      }))
  }

  for (const seenBy of ["observe", "resolver"] as const) {
    it.effect(`that another won, is as if that claim had been there: ${seenBy} in a variable's name stamps`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const api = yield* Device.makeApi({ credential: Device.environment("new"), accounts: { new: P } })
        const process = yield* device.start({ resolver: api.layer, claims: overtaken(device, Q) })
        yield* see(process, seenBy, P)
        assert.strictEqual((yield* process.store.get).anonId, anon.a)
        assert.strictEqual(yield* process.slot.get, P)
        assert.deepStrictEqual(device.claim(anon.a), claimOf(anon.a, Q))
        assert.deepStrictEqual(device.claimed(), [anon.a])
      }))
  }

  it.effect("for the new anon id of a switch that another lost too, ends", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, Q))
      const api = yield* Device.makeApi({ credential: Device.stored("new") })
      // Whatever is claimed, somebody else was faster.
      const process = yield* device.start({
        resolver: api.layer,
        claims: (claims) => ({
          ...claims,
          publish: (claim) =>
            Effect.andThen(
              device.write(`usage/claims/${claim.anon_id}.json`, Claim.encode(claimOf(claim.anon_id, Q))),
              claims.publish(claim)
            )
        })
      })
      yield* process.stitch.login(P)
      assert.strictEqual(yield* process.slot.get, P)
      for (const anonId of device.claimed()) assert.strictEqual(device.claim(Device.anonId(anonId))?.principal_id, Q)
    }))

  it.effect("of many observes at once: one stitches", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const published: Array<Claim.Claim> = []
      const process = yield* device.start({
        claims: (claims) => ({
          ...claims,
          publish: (claim) =>
            Effect.suspend(() => {
              published.push(claim)
              return Effect.andThen(Effect.yieldNow, claims.publish(claim))
            })
        })
      })
      yield* Effect.all(Array.from({ length: 32 }, () => process.stitch.observe(P)), { concurrency: "unbounded" })
      assert.lengthOf(published, 1)
      assert.strictEqual(yield* process.slot.get, P)
    }))

  it.effect("of many observes at once, of different accounts: one stitches", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* device.start()
      yield* Effect.all([P, Q, P, Q].map((principal) => process.stitch.observe(principal)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(device.claimed(), [anon.a])
      assert.strictEqual(yield* process.slot.get, device.claim(anon.a)?.principal_id)
    }))

  it.effect("of 16 processes: one claims, and every one stamps", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const processes = yield* Effect.forEach(Array.from({ length: 16 }), () => device.start({ resolver: api.layer }))
      yield* Effect.forEach(processes, ({ stitch }) => stitch.observe(P), { concurrency: "unbounded" })
      assert.deepStrictEqual(device.claimed(), [anon.a])
      for (const process of processes) assert.deepStrictEqual(yield* to(process), account(P))
    }))
})

describe("a claim that cannot be written", () => {
  const refusing = Effect.gen(function*() {
    const isFull = yield* Ref.make(true)
    const fileSystem = Device.interposed(({ method, path }) =>
      Effect.flatMap(
        Ref.get(isFull),
        (isFull) =>
          isFull && method === "link"
            ? Effect.fail(Device.errno("ENOSPC", method, path))
            : Effect.void
      )
    )
    return { isFull, fileSystem }
  })

  it.effect("takes the stamp back, and the attempt may be made again", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { fileSystem, isFull } = yield* refusing
      const process = yield* device.start({ fileSystem })
      yield* process.stitch.observe(P)
      assert.isUndefined(yield* process.slot.get)
      assert.deepStrictEqual(yield* to(process), nobody(anon.a))
      yield* Ref.set(isFull, false)
      yield* process.stitch.observe(P)
      assert.strictEqual(yield* process.slot.get, P)
      assert.strictEqual(device.claim(anon.a)?.principal_id, P)
      assert.strictEqual(device.claim(anon.a)?.alias?.properties["sequence"], 0)
    }))

  it.effect("takes the stamp back, and the attempt may be made again: where the rotation failed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, Q))
      const api = yield* Device.makeApi({ credential: Device.stored("new") })
      const { fileSystem, isFull } = yield* refusing
      const process = yield* device.start({ fileSystem, resolver: api.layer })
      yield* process.stitch.observe(P)
      assert.isUndefined(yield* process.slot.get)
      assert.deepStrictEqual(yield* to(process), nobody(process.invocation.id))
      yield* Ref.set(isFull, false)
      yield* process.stitch.observe(P)
      assert.strictEqual(yield* process.slot.get, P)
      const { anonId } = yield* process.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.deepInclude(device.claim(anonId), { principal_id: P, alias: null })
    }))

  it.effect("because consent was withdrawn meanwhile, leaves neither claim nor stamp", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const decision = yield* Ref.make<ConsentDecision>(Device.given)
      const process = yield* device.start({
        consent: Device.consentOfRef(decision),
        fileSystem: Device.interposed(({ method, path }) =>
          method === "link" && path.includes("/claims/") ? Ref.set(decision, Device.denied) : Effect.void
        )
      })
      yield* process.stitch.observe(P)
      assert.isUndefined(yield* process.slot.get)
      assert.deepStrictEqual(device.claimed(), [])
    }))
})

describe("consent that is withdrawn while a command runs", () => {
  it.effect("ends the stitching: nothing is made or changed any more", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const decision = yield* Ref.make<ConsentDecision>(Device.given)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const answer = yield* Deferred.make<PrincipalId>()
      api.accounts.set("key", Deferred.await(answer))
      const process = yield* device.start({ consent: Device.consentOfRef(decision), resolver: api.layer })
      yield* process.stitch.begin
      yield* to(process)
      const before = device.snapshot()
      yield* Ref.set(decision, Device.denied)
      yield* Deferred.succeed(answer, P)
      yield* process.stitch.settle
      yield* process.stitch.observe(P)
      yield* process.stitch.login(P)
      yield* process.stitch.logout
      assert.isUndefined(yield* process.slot.get)
      assert.deepStrictEqual(device.snapshot(), before)
    }))
})

// == logout

describe("consent that cannot be read at the moment when a command opens", () => {
  it.effect("leaves nobody under the claim's name, and a logout still rotates", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      // A capture asks, then the opening does.
      const answers = yield* Ref.make([Device.given, Device.denied])
      const decision = Ref.modify(answers, ([next = Device.given, ...rest]) => [next, rest])
      const process = yield* device.start({
        consent: Layer.succeed(Consent, Consent.of({ decision })),
        resolver: api.layer
      })
      yield* process.capture.capture(Used, {})
      yield* process.capture.capture(Used, {})
      assert.deepStrictEqual(device.events(), [])
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      assert.notStrictEqual((yield* process.store.get).anonId, anon.a)
      assert.notStrictEqual((yield* found(device)).anonId, anon.a)
    }))
})

describe("logout", () => {
  it.effect("that another process overtakes, which then logs in as somebody else, is nobody's from there on", () =>
    Effect.gen(function*() {
      const { anonId, api, device } = yield* loggedIn(P, "key")
      const another = yield* device.start({ resolver: api.layer })
      const overtakes = yield* Ref.make(true)
      const process = yield* device.start({
        resolver: api.layer,
        fileSystem: Device.interposed(({ method, path }) =>
          Effect.gen(function*() {
            if (method !== "link" || !path.includes("/successors/") || !(yield* Ref.getAndSet(overtakes, false))) return
            yield* another.stitch.logout
            // Its host keeps the credential elsewhere.
            yield* another.stitch.login(Q)
          })
        )
      })
      yield* process.stitch.begin
      assert.deepStrictEqual(yield* to(process), account(P))
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const { distinctId, personless } = yield* to(process)
      assert.isFalse(yield* Ref.get(overtakes))
      assert.isTrue(personless)
      const { anonId: fresh } = yield* process.store.get
      assert.strictEqual(device.claim(fresh)?.principal_id, Q)
      assert.notInclude([P, Q, anonId, fresh], distinctId)
    }))

  it.effect("gives its own success to the account, and what comes after it to a new anon id and session", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.beforeLogout(process.capture.capture(Used, {}))
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      yield* process.capture.capture(Used, {})
      const { anonId: fresh } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      const [before, after] = device.events()
      assert.strictEqual(before?.distinct_id, P)
      assert.notProperty(before?.properties, "$process_person_profile")
      assert.strictEqual(after?.distinct_id, fresh)
      assert.strictEqual(after?.properties["$process_person_profile"], false)
      assert.notStrictEqual(after?.properties["$session_id"], before?.properties["$session_id"])
      assert.notInclude(JSON.stringify(after), P)
      assert.notInclude(JSON.stringify(after), anonId)
    }))

  it.effect("gives its own success to the account, also where something was recorded before", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.capture.capture(Used, {})
      yield* process.stitch.beforeLogout(process.capture.capture(Used, {}))
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      assert.deepStrictEqual(device.events().map((event) => event.distinct_id), [P, P])
    }))

  it.effect("is over for later commands too", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const { anonId } = yield* process.store.get
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), nobody(anonId))
    }))

  it.effect("rotates where there is a claim and no credential", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P, { credential: "environment" }))
      const process = yield* device.start()
      yield* process.stitch.logout
      assert.notStrictEqual((yield* process.store.get).anonId, anon.a)
      assert.isUndefined((yield* found(device)).claim)
    }))

  it.effect("rotates where there was a credential that nobody answered for, and no claim", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.settle
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const { anonId } = yield* found(device)
      assert.notStrictEqual(anonId, anon.a)
    }))

  it.effect("changes nothing where there was neither credential nor claim", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const before = device.snapshot()
      const process = yield* device.start()
      yield* process.stitch.begin
      yield* process.stitch.logout
      assert.strictEqual((yield* process.store.get).anonId, anon.a)
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("rotates the anon id that another command claimed since this one began", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* device.start()
      yield* to(process)
      yield* (yield* device.start()).stitch.login(P)
      yield* process.stitch.logout
      assert.notStrictEqual((yield* found(device)).anonId, anon.a)
      assert.isUndefined((yield* found(device)).claim)
    }))

  it.effect("ends the stitching of its command: neither a response nor the resolver's late answer counts", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const answer = yield* Deferred.make<PrincipalId>()
      api.accounts.set("key", Deferred.await(answer))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* to(process)
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const { anonId } = yield* process.store.get
      yield* Deferred.succeed(answer, P)
      yield* process.stitch.settle
      yield* process.stitch.observe(P)
      assert.deepStrictEqual(yield* to(process), nobody(anonId))
      assert.deepStrictEqual(device.claimed(), [])
    }))

  it.effect("that a login follows, leaves the device to that login", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      yield* Ref.set(api.credential, Device.stored("other"))
      yield* process.stitch.login(Q)
      assert.deepStrictEqual(yield* to(process), account(Q))
      const { anonId: fresh, claim } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.strictEqual(principalOf(claim), Q)
      assert.strictEqual(device.claim(anonId)?.principal_id, P)
    }))

  it.effect("waits for a response that is just being stitched, so that nothing of it comes after the logout", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.environment("key") })
      const [reached, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const process = yield* device.start({
        resolver: api.layer,
        // A message that is being written holds up the alias.
        outbox: (outbox) => ({
          ...outbox,
          add: (message) =>
            Deferred.succeed(reached, undefined).pipe(
              Effect.andThen(Deferred.await(gate)),
              Effect.andThen(outbox.add(message))
            )
        })
      })
      const event = yield* Effect.forkChild(process.capture.capture(Used, {}))
      yield* Deferred.await(reached)
      const observe = yield* Effect.forkChild(process.stitch.observe(P))
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
      yield* Ref.set(api.credential, undefined)
      const logout = yield* Effect.forkChild(process.stitch.logout)
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach([event, observe, logout], Fiber.join)
      const { anonId, claim } = yield* process.store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.isUndefined(claim)
      assert.deepStrictEqual(yield* to(process), nobody(anonId))
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), nobody(anonId))
    }))

  it.effect("that another command's logout and login overtook, leaves nobody's account to what comes after it", () =>
    Effect.gen(function*() {
      const { api, device } = yield* loggedIn(P, "key")
      const [process, other] = [
        yield* device.start({ resolver: api.layer }),
        yield* device.start({ resolver: api.layer })
      ]
      yield* to(process)
      yield* to(other)
      yield* process.stitch.beforeLogout(Effect.andThen(other.stitch.logout, other.stitch.login(P)))
      yield* process.stitch.logout
      const { anonId } = yield* found(device)
      assert.strictEqual(device.claim(anonId)?.principal_id, P)
      const after = yield* to(process)
      assert.isTrue(after.personless)
      assert.notInclude([P, anonId], after.distinctId)
    }))

  it.effect("goes on in memory where the disk refuses: the account's anon id is not used again", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer, fileSystem: Device.full })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const attribution = yield* to(process)
      assert.isTrue(attribution.personless)
      assert.notInclude([anonId, P], attribution.distinctId)
      const next = yield* device.start({ resolver: api.layer, fileSystem: Device.full })
      const later = yield* to(next)
      assert.isTrue(later.personless)
      assert.notInclude([anonId, P], later.distinctId)
    }))

  it.effect("rotates on the disk in an ephemeral runtime too, or the next command would be the account's", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: api.layer, runtime: "ci" })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, undefined)
      yield* process.stitch.logout
      const { anonId: fresh, claim } = yield* found(device)
      assert.notStrictEqual(fresh, anonId)
      assert.isUndefined(claim)
    }))
})

// == credentials that change without the host's login

describe("a stored credential", () => {
  it.effect("that is gone means that the user signed out elsewhere: the command starts with a new anon id", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      yield* Ref.set(api.credential, undefined)
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      const attribution = yield* to(process)
      const { anonId: fresh } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.deepStrictEqual(attribution, nobody(fresh))
      assert.deepStrictEqual(device.pointer(), { anon_id: fresh, linked_principal_id: null })
      // A resolver that looks in the wrong place costs each device its id: its author is to hear of it.
      const lines = (yield* TestConsole.errorLines).map(String).filter((line) => line.startsWith("usage: "))
      assert.deepStrictEqual(lines, [
        "usage: no credential was found",
        "usage: the device gets a new id: its account's stored credential is gone"
      ])
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), nobody(fresh))
    }).pipe(Effect.provideService(Debug.IsShown, true)))

  for (
    const [what, credential] of [["another tool linked", "none"], [
      "a variable's credential claimed",
      "environment"
    ]] as const
  ) {
    it.effect(`that is gone signs out a device that ${what}, once it was known to be that account's`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a, claimOf(anon.a, P, { credential }))
        const api = yield* Device.makeApi({ credential: Device.stored("key"), accounts: { key: P } })
        yield* known(device, Device.stored("key"), P)
        const process = yield* device.start({ resolver: api.layer })
        assert.deepStrictEqual(yield* to(process), account(P))
        yield* process.end
        yield* Ref.set(api.credential, undefined)
        const next = yield* device.start({ resolver: api.layer })
        assert.deepStrictEqual(yield* to(next), nobody((yield* next.store.get).anonId))
        assert.notStrictEqual((yield* next.store.get).anonId, anon.a)
      }))
  }

  it.effect("is not taken for the one that a request carried", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key-of-q"), accounts: { "key-of-q": Q } })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.observe(P, "Bearer key-of-p")
      assert.deepStrictEqual(yield* to(process), account(P))
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), account(P))
      yield* process.end
      assert.deepStrictEqual(device.claimed(), [])
      const next = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(next), account(Q))
      assert.strictEqual(device.claim(anon.a)?.principal_id, Q)
    }))

  it.effect("claims the device where a request carried it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key-of-p") })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.observe(P, "Bearer key-of-p")
      assert.deepStrictEqual(yield* to(process), account(P))
      assert.strictEqual(device.claim(anon.a)?.principal_id, P)
    }))

  for (
    const [what, file, authorization, claims] of [
      ["carried", "key: sk-1", "Bearer sk-1", true],
      ["carried no more than the beginning of", "key: sk-12", "Bearer sk-1", false],
      ["carried more than", "key: sk-1", "Bearer sk-12", false],
      ["may have carried, where it cannot be read,", "{", "Bearer sk-1", false]
    ] as const
  ) {
    it.effect(`of a file: a request that ${what} it ${claims ? "claims" : "stamps, and no more"}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        yield* device.write("credentials.yaml", file)
        const resolver = HttpPrincipalResolver.layer({
          file: device.at("credentials.yaml"),
          forms: [{ key: "key", base: "http://127.0.0.1:9", path: "/whoami", principal: ["id"] }]
        }).pipe(Layer.provide([SyncNodeFileSystem.layer, NodeHttpClient.layer]))
        const process = yield* device.start({ resolver })
        yield* process.stitch.begin
        yield* process.stitch.observe(P, authorization)
        assert.deepStrictEqual(yield* to(process), account(P))
        assert.deepStrictEqual(device.claimed(), claims ? [anon.a] : [])
      }))
  }

  it.effect("that is asked about does not keep a command that is interrupted", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.never)
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      const ending = yield* Effect.forkChild(Effect.uninterruptible(process.stitch.settle), { startImmediately: true })
      assert.isUndefined(ending.pollUnsafe())
      yield* Fiber.interrupt(ending)
      assert.isDefined(ending.pollUnsafe())
    }))

  it.effect("that is gone, on a disk that cannot be written: the account's anon id is not used", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      yield* Ref.set(api.credential, undefined)
      const process = yield* device.start({ resolver: api.layer, fileSystem: Device.full })
      const attribution = yield* to(process)
      const { anonId: fresh } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.deepStrictEqual(attribution, nobody(fresh))
    }))

  it.effect("that was changed outside a login switches the device to its account", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(Q, "old")
      yield* Ref.set(api.credential, Device.stored("new"))
      api.accounts.set("new", Effect.succeed(P))
      const process = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(process), nobody(process.invocation.id))
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), account(P))
      const { anonId: fresh, claim } = yield* process.store.get
      assert.notStrictEqual(fresh, anonId)
      assert.deepInclude(claim, { principal_id: P, alias: null, learned_by: "resolver" })
      const later = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(later), account(P))
      assert.deepStrictEqual(api.calls, ["new"])
    }))

  it.effect("that was changed to one known from before switches the device without a call", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(Q, "old")
      yield* known(device, Device.stored("new"), P)
      yield* Ref.set(api.credential, Device.stored("new"))
      const process = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(process), account(P))
      assert.notStrictEqual((yield* process.store.get).anonId, anonId)
      assert.deepStrictEqual(api.calls, [])
    }))

  it.effect("of the same account, renewed, leaves the device as it is", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "old")
      yield* Ref.set(api.credential, Device.stored("new"))
      api.accounts.set("new", Effect.succeed(P))
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), account(P))
      assert.deepStrictEqual(device.claimed(), [anonId])
    }))

  it.effect("that was replaced while the API was asked about it, stamps nobody and is not taken for the new one", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("first") })
      const answer = yield* Deferred.make<PrincipalId>()
      api.accounts.set("first", Deferred.await(answer))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, Device.stored("second"))
      yield* to(process)
      yield* Deferred.succeed(answer, P)
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), nobody(anon.a))
      assert.deepStrictEqual(device.claimed(), [])
      const recalled = yield* process.cache.recall(Device.stored("second"))
      assert.notDeepEqual(recalled, { _tag: "Principal", principal: P })
    }))

  for (const later of [undefined, Device.stored("second")]) {
    const what = later === undefined ? "removed" : "replaced"
    it.effect(`that was ${what} while a request was under way: the response stamps, and the device is left alone`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const before = identityFiles(device)
        const api = yield* Device.makeApi({ credential: Device.stored("first") })
        const process = yield* device.start({ resolver: api.layer })
        yield* process.stitch.begin
        yield* Ref.set(api.credential, later)
        yield* process.stitch.observe(P)
        assert.deepStrictEqual(yield* to(process), account(P))
        yield* process.end
        assert.deepStrictEqual(identityFiles(device), before)
        // A command that begins after that is nobody's.
        assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), nobody(anon.a))
      }))
  }

  for (const next of [undefined, Device.stored("other")]) {
    const what = next === undefined ? "out" : "out, and in as somebody else"
    it.effect(`whose account was known stamps a command in which another process logs ${what}`, () =>
      Effect.gen(function*() {
        const { api, device } = yield* loggedIn(P, "key")
        api.accounts.set("other", Effect.succeed(Q))
        const process = yield* device.start({ resolver: api.layer })
        yield* process.stitch.begin
        const another = yield* device.start({ resolver: api.layer })
        yield* Ref.set(api.credential, undefined)
        yield* another.stitch.logout
        if (next !== undefined) {
          yield* Ref.set(api.credential, next)
          yield* another.stitch.login(Q)
        }
        yield* another.end
        const before = identityFiles(device)
        assert.deepStrictEqual(yield* to(process), account(P))
        yield* process.end
        assert.deepStrictEqual(identityFiles(device), before)
        const after = yield* to(yield* device.start({ resolver: api.layer }))
        assert.deepStrictEqual(after.distinctId === Q, next !== undefined)
        assert.notStrictEqual(after.distinctId, P)
      }))
  }

  it.effect("that was removed while the API was asked about it, stamps nobody", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const answer = yield* Deferred.make<PrincipalId>()
      api.accounts.set("key", Deferred.await(answer))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Ref.set(api.credential, undefined)
      yield* to(process)
      yield* Deferred.succeed(answer, P)
      yield* process.stitch.settle
      assert.deepStrictEqual(device.claimed(), [])
      assert.deepStrictEqual(yield* to(process), nobody(anon.a))
    }))
})

describe("a host's own resolver that dies", () => {
  const died = (): never => {
    throw new Error("the keychain is locked")
  }

  it.effect("while it reads the credential: the command goes on, and nobody seems to have signed out", () =>
    Effect.gen(function*() {
      const { anonId, device } = yield* loggedIn(P, "key")
      const dying = Layer.succeed(
        PrincipalResolver,
        PrincipalResolver.of({ credential: Effect.sync(died), resolve: died })
      )
      const process = yield* device.start({ resolver: dying })
      yield* process.stitch.begin
      const { distinctId, personless } = yield* to(process)
      assert.isTrue(personless)
      assert.notInclude([P, anonId], distinctId)
      assert.strictEqual((yield* process.store.get).anonId, anonId)
      yield* process.stitch.login(Q)
      yield* process.stitch.settle
      yield* process.stitch.logout
      yield* process.end
    }))

  it.effect("while it asks: nobody has answered", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const credential = Effect.succeed(Device.stored("key"))
      const dying = Layer.succeed(PrincipalResolver, PrincipalResolver.of({ credential, resolve: died }))
      const process = yield* device.start({ resolver: dying })
      yield* process.stitch.begin
      assert.deepStrictEqual(yield* to(process), nobody(anon.a))
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* process.cache.recall(Device.stored("key")), { _tag: "NoAnswer" })
    }))
})

describe("an identity file in which another tool keeps what cannot be written again", () => {
  it.effect("ends no login and no logout", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`
      yield* device.write("usage.json", `{"anon_id":"${anon.a}","linked_principal_id":null,"theirs":${deep}}`)
      const process = yield* device.start()
      yield* process.stitch.login(P)
      yield* process.stitch.observe(Q)
      yield* process.stitch.logout
      yield* process.end
      assert.deepStrictEqual(device.claimed(), [anon.a])
    }))
})

describe("a defect of this module", () => {
  it.effect("ends no command of the host's", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const dying = Effect.die(new Error("a mistake of ours"))
      for (const what of ["observe", "login", "logout"] as const) {
        const process = yield* device.start({ claims: (claims) => ({ ...claims, find: () => dying }) })
        yield* what === "logout" ? process.stitch.logout : process.stitch[what](P)
      }
      const undecided = yield* device.start({ consent: Layer.succeed(Consent, Consent.of({ decision: dying })) })
      yield* undecided.stitch.begin
    }))
})

// A keychain that hangs while it is opened cannot be interrupted.
const never = { "": Effect.never, ", nor can be interrupted": Effect.uninterruptible(Effect.never) }

describe.each(Object.entries(never))("a host's own resolver whose credential never comes%s", (_, credential) => {
  const hanging = Layer.succeed(
    PrincipalResolver,
    PrincipalResolver.of({ credential, resolve: () => Effect.succeed(P) })
  )

  it.effect("is waited for once, for a second; nobody seems to have signed out", () =>
    Effect.gen(function*() {
      const { anonId, device } = yield* loggedIn(P, "key")
      const process = yield* device.start({ resolver: hanging })
      const begun = yield* Effect.forkChild(process.stitch.begin)
      yield* TestClock.adjust(999)
      assert.isUndefined(begun.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(begun)))
      const { distinctId, personless } = yield* to(process)
      assert.isTrue(personless)
      assert.notInclude([P, anonId], distinctId)
      yield* process.stitch.login(Q)
      yield* process.stitch.settle
      yield* process.stitch.logout
      yield* process.end
    }))

  it.effect("does not hold a command that is recorded when it ends", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* device.start({ resolver: hanging })
      const recorded = yield* Effect.forkChild(process.capture.capture(Used, {}))
      yield* TestClock.adjust(1000)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(recorded)))
      assert.deepStrictEqual(device.events().map((event) => event.distinct_id), [anon.a])
    }))
})

describe.each(Object.entries(never))("a host's own resolver whose answer never comes%s", (_, answer) => {
  const hanging = Layer.succeed(
    PrincipalResolver,
    PrincipalResolver.of({ credential: Effect.succeed(Device.stored("key")), resolve: () => answer })
  )

  it.effect("is waited for until 2 s after it was asked", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* device.start({ resolver: hanging })
      yield* process.stitch.begin
      yield* to(process)
      yield* TestClock.adjust(1500)
      const settled = yield* Effect.forkChild(process.stitch.settle)
      yield* TestClock.adjust(499)
      assert.isUndefined(settled.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(settled)))
      yield* process.end
    }))

  it.effect("does not hold a command that is interrupted", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const process = yield* device.start({ resolver: hanging })
      yield* process.stitch.begin
      yield* process.end
    }))
})

describe("a credential from the environment", () => {
  it.effect("never switches the device: its events are its account's, the device stays the other's", () =>
    Effect.gen(function*() {
      const { api, anonId, device } = yield* loggedIn(P, "key")
      yield* Ref.set(api.credential, Device.environment("env"))
      api.accounts.set("env", Effect.succeed(Q))
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      yield* process.stitch.settle
      assert.deepStrictEqual(yield* to(process), account(Q))
      const again = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(again), account(Q))
      assert.deepStrictEqual(device.claimed(), [anonId])
      assert.strictEqual(device.claim(anonId)?.principal_id, P)
      yield* Ref.set(api.credential, Device.stored("key"))
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), account(P))
      assert.deepStrictEqual(api.calls, ["env"])
    }))

  it.effect("claims a device that nobody claimed, and its absence is no logout", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.environment("env"), accounts: { env: P } })
      const process = yield* device.start({ resolver: api.layer })
      yield* to(process)
      yield* process.stitch.settle
      assert.deepInclude(device.claim(anon.a), { principal_id: P, credential: "environment" })
      yield* Ref.set(api.credential, undefined)
      const next = yield* device.start({ resolver: api.layer })
      assert.deepStrictEqual(yield* to(next), account(P))
      assert.strictEqual((yield* next.store.get).anonId, anon.a)
    }))
})

describe("an illegal principal", () => {
  const illegal = ["", " ", "undefined", "NULL\0", "null", "[object Object]", "'anonymous'", "x".repeat(201), "\ud800"]

  for (const id of illegal) {
    it.effect(`is no answer: ${JSON.stringify(id).slice(0, 40)}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const before = device.snapshot()
        const process = yield* device.start()
        yield* process.stitch.observe(id)
        yield* process.stitch.login(id)
        assert.isUndefined(yield* process.slot.get)
        assert.deepStrictEqual(device.snapshot(), before)
        // The attempt was not used up.
        yield* process.stitch.observe(P)
        assert.strictEqual(device.claim(anon.a)?.principal_id, P)
      }))
  }
})

// == 4.4

describe("the resolver", () => {
  it.effect("is asked about a new credential only", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("one"), accounts: { one: P, two: P } })
      const command = Effect.gen(function*() {
        const process = yield* device.start({ resolver: api.layer })
        yield* process.stitch.begin
        yield* to(process)
        yield* process.stitch.settle
        yield* process.end
      })
      yield* command
      yield* command
      assert.deepStrictEqual(api.calls, ["one"])
      yield* Ref.set(api.credential, Device.stored("two"))
      yield* command
      yield* command
      yield* Ref.set(api.credential, Device.stored("one"))
      yield* command
      assert.deepStrictEqual(api.calls, ["one", "two"])
    }))

  it.effect("is asked once by a command, however often it records", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.never)
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Effect.all([to(process), to(process), process.stitch.begin], { concurrency: "unbounded" })
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
      assert.deepStrictEqual(api.calls, ["key"])
    }))

  it.effect("that has no answer is not asked again for an hour", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const command = Effect.gen(function*() {
        const process = yield* device.start({ resolver: api.layer })
        yield* process.stitch.begin
        yield* to(process)
        yield* process.stitch.settle
        yield* process.end
      })
      yield* command
      yield* TestClock.adjust("59 minutes")
      yield* command
      assert.lengthOf(api.calls, 1)
      yield* TestClock.adjust("1 minute")
      yield* command
      assert.lengthOf(api.calls, 2)
    }))

  it.effect("that has no answer does not undo what a response said of the same credential", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const silence = yield* Deferred.make<PrincipalId | undefined>()
      api.accounts.set("key", Deferred.await(silence))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.observe(P)
      yield* Deferred.succeed(silence, undefined)
      yield* process.stitch.settle
      yield* process.end
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), account(P))
    }))

  it.effect("that hangs does not undo what a response said of the same credential", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.never)
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.observe(P)
      const settle = yield* Effect.forkChild(process.stitch.settle)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(settle)
      yield* process.end
      assert.deepStrictEqual(yield* to(yield* device.start({ resolver: api.layer })), account(P))
    }))

  it.effect("is waited for at the end no longer than 2 s", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.never)
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      const settle = yield* Effect.forkChild(process.stitch.settle)
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(settle.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(settle)
    }))

  it.effect("is waited for only what is left of the 2 s", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.never)
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* TestClock.adjust("1500 millis")
      yield* to(process)
      const settle = yield* Effect.forkChild(process.stitch.settle)
      yield* TestClock.adjust("499 millis")
      assert.isUndefined(settle.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(settle)
    }))

  it.effect("is not waited for after a long command, nor where nothing was asked", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.never)
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* TestClock.adjust("1 minute")
      yield* process.stitch.settle
      yield* (yield* device.start()).stitch.settle
    }))

  it.effect("that answers in time is heard at the end", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      api.accounts.set("key", Effect.as(Effect.sleep("1 second"), P))
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* to(process)
      const settle = yield* Effect.forkChild(process.stitch.settle)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(settle)
      assert.deepStrictEqual(yield* to(process), account(P))
    }))

  it.effect("that answers before anything is recorded is waited with: no identity is made for it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key"), accounts: { key: P } })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.settle
      yield* process.end
      assert.deepStrictEqual(device.tree(), [])
    }))

  it.effect("that has no answer makes no identity either", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const api = yield* Device.makeApi({ credential: Device.stored("key") })
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* process.stitch.settle
      yield* process.end
      assert.isFalse(NFS.existsSync(device.at("usage.json")))
      assert.deepStrictEqual(device.claimed(), [])
    }))
})

describe("a logout in CI, in a host without a resolver", () => {
  it.effect("ends the account that a login of the same command began", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const process = yield* device.start({ runtime: Device.runtimes.ci })
      yield* process.stitch.login(P)
      assert.deepStrictEqual(yield* to(process), account(P))
      yield* process.stitch.logout
      assert.isTrue((yield* to(process)).personless)
    }))
})

describe("a login while the API is asked about the credential before it", () => {
  it.effect("waits for no answer", () =>
    Effect.gen(function*() {
      const api = yield* Device.makeApi({ credential: Device.stored("old") })
      api.accounts.set("old", Effect.never)
      const device = yield* Device.make
      const process = yield* device.start({ resolver: api.layer })
      yield* process.stitch.begin
      yield* Effect.yieldNow
      assert.deepStrictEqual(api.calls, ["old"])
      yield* Ref.set(api.credential, Device.stored("new"))
      yield* process.stitch.login(P)
      const settled = yield* Effect.forkChild(process.stitch.settle)
      yield* TestClock.adjust(0)
      assert.isDefined(settled.pollUnsafe())
    }))
})
