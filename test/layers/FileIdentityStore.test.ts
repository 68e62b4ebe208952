import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { execFileSync } from "node:child_process"
import * as NFS from "node:fs"
import * as Path from "node:path"
import * as AnonId from "../../src/domain/AnonId.ts"
import * as Claim from "../../src/domain/Claim.ts"
import { arcade, supabase } from "../../src/domain/IdentityCodec.ts"
import type { Identity } from "../../src/services/IdentityStore.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, claimOf, P, Q } = Device

const isWindows = process.platform === "win32"

const permissions = (path: string): number => NFS.statSync(path).mode & 0o777

const isAnonId = (value: unknown): boolean => Option.isSome(AnonId.decode(value))

const principalOf = ({ claim }: Identity) => claim === undefined ? undefined : Claim.principalOf(claim)

/** What a first command finds, and a second one after it. */
const twice = (device: Device.Device, options?: Device.ProcessOptions) =>
  Effect.gen(function*() {
    const first = yield* (yield* device.start(options)).store.get
    const second = yield* (yield* device.start(options)).store.get
    return { first, second }
  })

/** A file that is not usable is followed by one new identity, which the next command finds again. */
const isSucceeded = (content: string) =>
  Effect.gen(function*() {
    const device = yield* Device.make
    yield* device.write("usage.json", content)
    const { first, second } = yield* twice(device)
    assert.isTrue(isAnonId(first.anonId))
    assert.notInclude(content, first.anonId)
    assert.isTrue(first.durable)
    assert.isUndefined(first.claim)
    assert.strictEqual(second.anonId, first.anonId)
    assert.deepStrictEqual(device.pointer(), { anon_id: first.anonId, linked_principal_id: null })
  })

describe("Arcade's identity", () => {
  it.effect("creates a new file", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { store } = yield* device.start()
      const identity = yield* store.get
      assert.deepStrictEqual(device.pointer(), { anon_id: identity.anonId, linked_principal_id: null })
      assert.isTrue(isAnonId(identity.anonId))
      assert.deepInclude(identity, { claim: undefined, durable: true, firstRun: true, published: true })
      // It stays this process's own when it is looked at again.
      assert.deepStrictEqual(yield* store.refresh, { ...identity, firstRun: true })
    }))

  it.effect("loads an existing one", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const identity = yield* (yield* device.start()).store.get
      assert.strictEqual(identity.anonId, anon.a)
      assert.strictEqual(principalOf(identity), P)
      assert.deepInclude(identity, { durable: true, firstRun: false, published: false })
    }))

  it.effect("caches after the first load", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { store } = yield* device.start()
      const first = yield* store.get
      yield* device.seed(anon.b)
      assert.strictEqual(yield* store.get, first)
      assert.strictEqual((yield* store.refresh).anonId, anon.b)
    }))

  it.effect("new identity on corrupt JSON", () => isSucceeded(`{ "anon_id": "${anon.a}"`))

  it.effect("new identity on missing `anon_id`", () => isSucceeded("{ \"linked_principal_id\": \"acct_p\" }"))

  it.effect("new identity on JSON that is no object", () => isSucceeded(`["${anon.a}"]`))

  it.effect("writes what it was given", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { store } = yield* device.start()
      yield* store.get
      const claim = claimOf(anon.a, P)
      assert.deepStrictEqual(yield* store.claim(claim), { _tag: "Published" })
      assert.deepStrictEqual(device.claim(anon.a), claim)
      assert.deepStrictEqual(device.pointer(), { anon_id: anon.a, linked_principal_id: P })
    }))

  for (const method of ["link", "rename", "writeFileString"]) {
    it.effect(`leaves no temp file behind when a write fails: ${method}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        const { store } = yield* device.start({
          fileSystem: Device.failing((call) => call.method === method ? "ENOSPC" : undefined)
        })
        yield* store.get
        yield* store.claim(claimOf(anon.a, P))
        yield* store.rotate
        assert.deepStrictEqual(device.tree().filter((name) => /tmp\/./.test(name)), [])
      }))
  }

  it.effect("leaves no temp file behind when a write fails: half of it was on the disk", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { store } = yield* device.start({
        fileSystem: Device.interposed(({ method, path }) =>
          method === "writeFileString"
            ? Effect.andThen(
              Effect.sync(() => NFS.existsSync(Path.dirname(path)) && NFS.writeFileSync(path, "{ \"ano")),
              Effect.fail(Device.errno(NFS.existsSync(Path.dirname(path)) ? "ENOSPC" : "ENOENT", method, path))
            )
            : Effect.void
        )
      })
      assert.isFalse((yield* store.get).durable)
      assert.deepStrictEqual(device.tree(), ["usage/tmp/"])
    }))
})

describe("the identity file", () => {
  it.effect("is two-space JSON with Arcade's keys in Arcade's order", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { store } = yield* device.start()
      const { anonId } = yield* store.get
      assert.strictEqual(
        device.text("usage.json"),
        `{\n  "anon_id": "${anonId}",\n  "linked_principal_id": null\n}\n`
      )
      yield* store.claim(claimOf(anonId, P))
      assert.strictEqual(
        device.text("usage.json"),
        `{\n  "anon_id": "${anonId}",\n  "linked_principal_id": "acct_p"\n}\n`
      )
    }))

  it.effect.skipIf(isWindows)("and all beside it are the user's alone", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      NFS.rmSync(device.home, { recursive: true })
      const umask = process.umask(0)
      yield* Effect.gen(function*() {
        const { store } = yield* device.start()
        const { anonId } = yield* store.get
        yield* store.claim(claimOf(anonId, P))
        yield* store.rotate
      }).pipe(Effect.ensuring(Effect.sync(() => process.umask(umask))))
      const files = device.tree().filter((name) => !name.endsWith("/"))
      assert.lengthOf(files, 3)
      for (const name of files) assert.strictEqual(permissions(device.at(name)), 0o600, name)
      for (const name of ["", "usage", "usage/claims", "usage/successors", "usage/tmp"]) {
        assert.strictEqual(permissions(device.at(name)), 0o700, name)
      }
    }))

  it.effect("keeps keys that this module does not know, from creation over a claim to a rotation", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const extra = { first: [1, { deep: null }], "ключ": "✓", last: false }
      yield* device.seed(anon.a, undefined, extra)
      const { store } = yield* device.start()
      yield* store.get
      yield* store.claim(claimOf(anon.a, P))
      assert.deepStrictEqual(device.pointer(), { ...extra, anon_id: anon.a, linked_principal_id: P })
      const rotation = yield* store.rotate
      assert.strictEqual(rotation._tag, "Rotated")
      const { anonId } = yield* store.get
      assert.deepStrictEqual(device.pointer(), { ...extra, anon_id: anonId, linked_principal_id: null })
    }))

  it.effect("keeps a key that another tool added while this command ran", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { store } = yield* device.start()
      const { anonId } = yield* store.get
      yield* device.seed(anonId, undefined, { theirs: 1 })
      yield* store.claim(claimOf(anonId, P))
      assert.deepStrictEqual(device.pointer(), { theirs: 1, anon_id: anonId, linked_principal_id: P })
    }))

  it.effect("stays deleted when the user deletes it while a command runs, and the next command starts afresh", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { store } = yield* device.start()
      yield* store.get
      NFS.rmSync(device.at("usage.json"))
      yield* store.claim(claimOf(anon.a, P))
      assert.isUndefined(device.text("usage.json"))
      const next = yield* (yield* device.start()).store.get
      assert.notStrictEqual(next.anonId, anon.a)
      assert.isUndefined(next.claim)
    }))

  it.effect("is a fresh identity when it is missing, whatever claims are there", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      NFS.rmSync(device.at("usage.json"))
      const identity = yield* (yield* device.start()).store.get
      assert.notStrictEqual(identity.anonId, anon.a)
      assert.deepInclude(identity, { claim: undefined, firstRun: true, published: true })
    }))

  it.effect("is repaired when it lags behind its claim", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P), { theirs: 1 })
      yield* device.write("usage.json", arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, { theirs: 1 }))
      assert.strictEqual(principalOf(yield* (yield* device.start()).store.get), P)
      assert.deepStrictEqual(device.pointer(), { theirs: 1, anon_id: anon.a, linked_principal_id: P })
    }))

  it.effect("names the claim's principal again when it names another", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      yield* device.write("usage.json", arcade.encode({ anonId: anon.a, linkedPrincipal: Q }, {}))
      assert.strictEqual(principalOf(yield* (yield* device.start()).store.get), P)
      assert.deepStrictEqual(device.pointer(), { anon_id: anon.a, linked_principal_id: P })
      assert.strictEqual(device.claim(anon.a)?.principal_id, P)
    }))

  it.effect("in Supabase's format keeps the ids and the keys of a CLI that has users", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const theirs = { enabled: true, device_id: anon.a, session_id: "s", session_last_active: 1, schema_version: 1 }
      yield* device.write("telemetry.json", JSON.stringify(theirs))
      const { store } = yield* device.start({ codec: supabase })
      assert.strictEqual((yield* store.get).anonId, anon.a)
      yield* store.claim(claimOf(anon.a, P))
      assert.deepStrictEqual(JSON.parse(device.text("telemetry.json") ?? ""), { ...theirs, distinct_id: P })
    }))
})

describe("a host that changes its format", () => {
  const former = Effect.gen(function*() {
    const device = yield* Device.make
    yield* device.write("telemetry.json", supabase.encode({ anonId: anon.a, linkedPrincipal: P }, { theirs: 1 }))
    return device
  })

  it.effect("keeps its devices' ids and links, and leaves the old file as it is", () =>
    Effect.gen(function*() {
      const device = yield* former
      const before = device.text("telemetry.json")
      const { first, second } = yield* twice(device)
      for (const identity of [first, second]) {
        assert.strictEqual(identity.anonId, anon.a)
        assert.strictEqual(principalOf(identity), P)
        assert.deepInclude(identity, { firstRun: false, published: false })
      }
      assert.deepStrictEqual(device.pointer(), { anon_id: anon.a, linked_principal_id: P })
      assert.strictEqual(device.text("telemetry.json"), before)
    }))

  it.effect("keeps them once: who deletes the new file means that", () =>
    Effect.gen(function*() {
      const device = yield* former
      yield* (yield* device.start()).store.get
      NFS.rmSync(device.at("usage.json"))
      const identity = yield* (yield* device.start()).store.get
      assert.notStrictEqual(identity.anonId, anon.a)
      assert.isUndefined(identity.claim)
    }))

  it.effect("does not give a device back what it rotated away", () =>
    Effect.gen(function*() {
      const device = yield* former
      const { store } = yield* device.start()
      yield* store.rotate
      const { anonId } = yield* store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.strictEqual((yield* (yield* device.start()).store.get).anonId, anonId)
    }))

  it.effect("and back again, is not given an id that was claimed meanwhile, however long ago", () =>
    Effect.gen(function*() {
      const device = yield* former
      const { store } = yield* device.start()
      yield* store.claim(claimOf(anon.a, P))
      yield* store.rotate
      for (const name of device.tree()) NFS.utimesSync(device.at(name), 1, 1)
      yield* TestClock.setTime(Date.now())
      yield* (yield* device.start()).store.rotate
      const back = yield* (yield* device.start({ codec: supabase })).store.get
      assert.notStrictEqual(back.anonId, anon.a)
    }))

  it.effect("has a new identity where the old file is not usable", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("telemetry.json", "{ \"device_id\": 1 }")
      assert.deepInclude(yield* (yield* device.start()).store.get, { firstRun: true, published: true })
    }))

  for (const runtime of ["ci", "container"] as const) {
    it.effect(`makes nothing where nothing lasts: ${runtime}`, () =>
      Effect.gen(function*() {
        const device = yield* former
        yield* (yield* device.start({ runtime })).store.get
        assert.deepStrictEqual(device.tree(), ["telemetry.json"])
      }))
  }

  it.effect("makes nothing by a look", () =>
    Effect.gen(function*() {
      const device = yield* former
      yield* (yield* device.start()).store.peek
      assert.deepStrictEqual(device.tree(), ["telemetry.json"])
    }))
})

describe("successors", () => {
  it.effect("one anon id comes after another, for this command and for those after it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const { store } = yield* device.start()
      const rotation = yield* store.rotate
      const identity = yield* store.get
      assert.deepStrictEqual(rotation, { _tag: "Rotated", identity })
      assert.notStrictEqual(identity.anonId, anon.a)
      assert.isUndefined(identity.claim)
      const next = yield* (yield* device.start()).store.get
      assert.strictEqual(next.anonId, identity.anonId)
      assert.isUndefined(next.claim)
      assert.deepStrictEqual(device.claim(anon.a), claimOf(anon.a, P))
    }))

  it.effect("a second rotation of the same anon id takes what the first put in its place", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const [one, two] = [yield* device.start(), yield* device.start()]
      yield* Effect.all([one.store.get, two.store.get])
      yield* one.store.rotate
      const winner = yield* one.store.get
      yield* one.store.claim(claimOf(winner.anonId, Q))
      const overtaken = yield* two.store.rotate
      assert.strictEqual(overtaken._tag, "Overtaken")
      const loser = yield* two.store.get
      assert.strictEqual(loser.anonId, winner.anonId)
      assert.strictEqual(principalOf(loser), Q)
    }))

  it.effect("are followed to the end from an old pointer, and a late rewrite of it changes nothing", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const old = device.text("usage.json") ?? ""
      const { store } = yield* device.start()
      yield* store.rotate
      yield* store.rotate
      const { anonId } = yield* store.get
      yield* device.write("usage.json", old)
      const late = yield* (yield* device.start()).store.get
      assert.strictEqual(late.anonId, anonId)
      assert.isUndefined(late.claim)
      assert.deepStrictEqual(device.pointer(), { anon_id: anonId, linked_principal_id: null })
    }))

  it.effect("of a corrupt file are one and the same for all who saw it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const corrupt = "{ \"anon_id\": 1"
      yield* device.write("usage.json", corrupt)
      const seen = yield* Effect.forEach(Array.from({ length: 8 }), () =>
        Effect.gen(function*() {
          const identity = yield* (yield* device.start()).store.get
          // Another process saw it before it was mended.
          yield* device.write("usage.json", corrupt)
          return identity.anonId
        }))
      assert.lengthOf([...new Set(seen)], 1)
    }))

  it.effect("of files that are corrupt in different ways differ", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json", "{")
      const one = yield* (yield* device.start()).store.get
      yield* device.write("usage.json", "[")
      const two = yield* (yield* device.start()).store.get
      assert.notStrictEqual(one.anonId, two.anonId)
    }))

  it.effect("that cannot be understood are succeeded themselves, the same for all", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      yield* device.write(`usage/successors/${anon.a}.json`, "torn")
      const [one, two] = [yield* device.start(), yield* device.start()]
      const first = yield* one.store.get
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const second = yield* two.store.get
      assert.notStrictEqual(first.anonId, anon.a)
      assert.strictEqual(second.anonId, first.anonId)
      assert.isUndefined(second.claim)
    }))

  it.effect("that lead in a circle are not followed for ever", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      yield* device.write(`usage/successors/${anon.a}.json`, JSON.stringify({ version: 1, anon_id: anon.b }))
      yield* device.write(`usage/successors/${anon.b}.json`, JSON.stringify({ version: 1, anon_id: anon.a }))
      const before = device.snapshot()
      const identity = yield* (yield* device.start()).store.get
      assert.isFalse(identity.durable)
      assert.notInclude([anon.a, anon.b], identity.anonId)
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("cannot be written: the rotation says so, and the identity is as it was", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const { store } = yield* device.start({ fileSystem: Device.full })
      const before = yield* store.get
      assert.deepStrictEqual(yield* store.rotate, { _tag: "Unwritable" })
      assert.strictEqual(yield* store.get, before)
      const memory = yield* store.forget
      assert.notStrictEqual(memory.anonId, anon.a)
      assert.deepInclude(memory, { claim: undefined, durable: false })
      assert.strictEqual(yield* store.get, memory)
    }))
})

describe("old facts", () => {
  const days = (n: number) => n * 24 * 60 * 60 * 1000
  const now = Date.parse("2026-01-01T00:00:00Z")

  const age = (device: Device.Device, name: string, millis: number) =>
    Effect.sync(() => NFS.utimesSync(device.at(name), new Date(now - millis), new Date(now - millis)))

  const old = Effect.gen(function*() {
    yield* TestClock.setTime(now)
    const device = yield* Device.make
    const [one, two] = [yield* device.start(), yield* device.start()]
    yield* device.seed(anon.a, claimOf(anon.a, P))
    yield* device.write(`usage/claims/${anon.a}.delivered`, "")
    yield* device.write(`usage/claims/${anon.a}.stored`, "")
    const first = yield* one.store.rotate
    assert.strictEqual(first._tag, "Rotated")
    for (const name of [`successors/${anon.a}.json`, `claims/${anon.a}.json`, `claims/${anon.a}.delivered`]) {
      yield* age(device, `usage/${name}`, days(91))
    }
    return { device, process: two }
  })

  it.effect("go when nothing can lead to them any more", () =>
    Effect.gen(function*() {
      const { device, process } = yield* old
      yield* process.store.rotate
      assert.deepStrictEqual(device.tree().filter((name) => name.includes(anon.a)), [])
    }))

  it.effect("stay for 90 days", () =>
    Effect.gen(function*() {
      const { device, process } = yield* old
      yield* age(device, `usage/successors/${anon.a}.json`, days(89))
      yield* age(device, `usage/claims/${anon.a}.json`, days(89))
      yield* process.store.rotate
      assert.isDefined(device.claim(anon.a))
      assert.isDefined(device.text(`usage/successors/${anon.a}.json`))
    }))

  it.effect("stay while an alias waits to be delivered", () =>
    Effect.gen(function*() {
      const { device, process } = yield* old
      const alias = {
        event: "$create_alias",
        properties: {},
        timestamp: "2025-01-01T00:00:00.000Z",
        uuid: anon.c,
        distinct_id: P
      }
      yield* device.write(
        `usage/claims/${anon.b}.json`,
        Claim.encode(claimOf(anon.b, P, { alias, destination: Device.destinationId }))
      )
      yield* age(device, `usage/claims/${anon.b}.json`, days(91))
      yield* process.store.rotate
      assert.isDefined(device.claim(anon.b))
    }))

  it.effect("stay where the pointer could not be rewritten, because it leads to them", () =>
    Effect.gen(function*() {
      const { device } = yield* old
      // The pointer is where it was a year ago: its folder refuses a renaming.
      const former = arcade.encode({ anonId: anon.a, linkedPrincipal: P }, {})
      yield* device.write("usage.json", former)
      const { store } = yield* device.start({
        fileSystem: Device.failing(({ method, path }) =>
          method === "rename" && path.endsWith("usage.json") ? "EACCES" : undefined
        )
      })
      yield* store.rotate
      const { anonId } = yield* store.get
      assert.strictEqual(device.text("usage.json"), former)
      const next = yield* (yield* device.start()).store.get
      assert.strictEqual(next.anonId, anonId)
    }))
})

describe("a link that another tool wrote", () => {
  const linked = (principal: unknown) =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json", JSON.stringify({ anon_id: anon.a, linked_principal_id: principal }))
      return device
    })

  it.effect("is adopted as a claim without an alias", () =>
    Effect.gen(function*() {
      const device = yield* linked(P)
      const { store } = yield* device.start()
      const adopted = claimOf(anon.a, P, { learned_by: "adopted", credential: "none" })
      assert.deepStrictEqual((yield* store.get).claim, adopted)
      assert.deepStrictEqual(device.claim(anon.a), adopted)
    }))

  for (const runtime of ["ci", "ci with a terminal", "container"] as const) {
    it.effect(`counts but is not adopted in an ephemeral runtime: ${runtime}`, () =>
      Effect.gen(function*() {
        const device = yield* linked(P)
        const before = device.snapshot()
        const { store } = yield* device.start({ runtime })
        assert.strictEqual(principalOf(yield* store.get), P)
        assert.deepStrictEqual(device.snapshot(), before)
      }))
  }

  it.effect("counts but is not adopted by a look that changes nothing", () =>
    Effect.gen(function*() {
      const device = yield* linked(P)
      const before = device.snapshot()
      const { store } = yield* device.start()
      const seen = yield* store.peek
      assert.isDefined(seen)
      assert.strictEqual(seen && principalOf(seen), P)
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  for (const illegal of ["undefined", "", "null", 7, null]) {
    it.effect(`is none where it is no account: ${JSON.stringify(illegal)}`, () =>
      Effect.gen(function*() {
        const device = yield* linked(illegal)
        const { store } = yield* device.start()
        const identity = yield* store.get
        assert.strictEqual(identity.anonId, anon.a)
        assert.isUndefined(identity.claim)
        assert.deepStrictEqual(device.claimed(), [])
      }))
  }

  it.effect("does not follow the anon id to its successor", () =>
    Effect.gen(function*() {
      const device = yield* linked(P)
      yield* device.write(`usage/successors/${anon.a}.json`, JSON.stringify({ version: 1, anon_id: anon.b }))
      const identity = yield* (yield* device.start()).store.get
      assert.strictEqual(identity.anonId, anon.b)
      assert.isUndefined(identity.claim)
      assert.deepStrictEqual(device.claimed(), [])
    }))

  it.effect("yields to the claim that another process makes at the same moment", () =>
    Effect.gen(function*() {
      const device = yield* linked(P)
      const { store } = yield* device.start({
        claims: (claims) => ({
          ...claims,
          publish: (claim) =>
            Effect.andThen(
              device.write(`usage/claims/${anon.a}.json`, Claim.encode(claimOf(anon.a, Q))),
              claims.publish(claim)
            )
        })
      })
      assert.strictEqual(principalOf(yield* store.get), Q)
      assert.strictEqual(device.claim(anon.a)?.principal_id, Q)
    }))
})

describe("a claim", () => {
  it.effect("is published once, and who comes second is told what stands", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const [one, two] = [yield* device.start(), yield* device.start()]
      yield* Effect.all([one.store.get, two.store.get])
      const first = claimOf(anon.a, P)
      assert.deepStrictEqual(yield* one.store.claim(first), { _tag: "Published" })
      assert.deepStrictEqual(yield* two.store.claim(claimOf(anon.a, Q)), { _tag: "Held", claim: first })
      assert.deepStrictEqual((yield* two.store.get).claim, first)
      assert.deepStrictEqual(device.claim(anon.a), first)
    }))

  it.effect("that cannot be written is not known to the process either", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { store } = yield* device.start({ fileSystem: Device.full })
      yield* store.get
      assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Unwritable" })
      assert.isUndefined((yield* store.get).claim)
      assert.deepStrictEqual(device.claimed(), [])
    }))

  it.effect("of the anon id before does not become the new one's", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { store } = yield* device.start()
      yield* store.rotate
      yield* store.claim(claimOf(anon.a, P))
      const { anonId, claim } = yield* store.get
      assert.notStrictEqual(anonId, anon.a)
      assert.isUndefined(claim)
      assert.deepStrictEqual(device.pointer(), { anon_id: anonId, linked_principal_id: null })
    }))

  for (
    const [what, content] of [
      ["empty", ""],
      ["torn", "{ \"version\": 1, \"anon"],
      ["another anon id's", Claim.encode(claimOf(anon.b, Q))],
      ["of a newer version", JSON.stringify({ ...claimOf(anon.a, Q), version: 2 })]
    ] as const
  ) {
    it.effect(`file that is ${what} claims, for nobody that is known`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a)
        yield* device.write(`usage/claims/${anon.a}.json`, content)
        const { claims, store } = yield* device.start()
        assert.deepStrictEqual((yield* store.get).claim, Claim.unreadable)
        assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Held", claim: Claim.unreadable })
        assert.strictEqual(device.text(`usage/claims/${anon.a}.json`), content)
        assert.deepStrictEqual(yield* claims.undelivered(Device.destinationId), [])
      }))
  }
})

describe("a place that is not as it should be", () => {
  /** The identity lives in memory, and everything on the disk is as it was. */
  const inMemory = (device: Device.Device, options?: Device.ProcessOptions) =>
    Effect.gen(function*() {
      const before = device.snapshot()
      const { store } = yield* device.start(options)
      const identity = yield* store.get
      assert.isTrue(isAnonId(identity.anonId))
      assert.deepInclude(identity, { claim: undefined, durable: false, published: false })
      assert.strictEqual(yield* store.get, identity)
      assert.strictEqual(yield* store.refresh, identity)
      yield* store.rotate
      assert.notStrictEqual((yield* store.get).anonId, identity.anonId)
      assert.deepStrictEqual(device.snapshot(), before)
      return identity
    })

  it.effect("a folder in the place of the identity file: in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json/theirs", "kept")
      yield* inMemory(device)
    }))

  it.effect("a symbolic link: not followed, in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const target = arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {})
      yield* device.write("target", target)
      NFS.symlinkSync(device.at("target"), device.at("usage.json"))
      const identity = yield* inMemory(device)
      assert.notStrictEqual(identity.anonId, anon.a)
      assert.isTrue(NFS.lstatSync(device.at("usage.json")).isSymbolicLink())
    }))

  it.effect("a symbolic link to nowhere: in memory, nothing made where it points", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      NFS.symlinkSync(device.at("nowhere"), device.at("usage.json"))
      yield* inMemory(device)
      assert.isFalse(NFS.existsSync(device.at("nowhere")))
    }))

  it.effect.skipIf(isWindows)("a FIFO: not waited for, in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      execFileSync("mkfifo", [device.at("usage.json")])
      yield* inMemory(device, {
        fileSystem: Device.interposed(({ method, path }) =>
          method === "open" && path.endsWith("usage.json") ? Effect.die(new Error("opened")) : Effect.void
        )
      })
    }))

  for (
    const [what, put] of [
      ["a symbolic link", (file: string, target: string) => NFS.symlinkSync(target, file)],
      ["a FIFO", (file: string) => void execFileSync("mkfifo", [file])]
    ] as const
  ) {
    it.effect.skipIf(isWindows)(
      `${what} that takes the file's place after the look at it: not read`,
      () =>
        Effect.gen(function*() {
          const device = yield* Device.make
          yield* device.seed(anon.a)
          yield* device.write("target", arcade.encode({ anonId: anon.b, linkedPrincipal: undefined }, {}))
          const { store } = yield* device.start({
            fileSystem: Device.interposed(({ method, path }) =>
              Effect.sync(() => {
                if (method !== "open" || !path.endsWith("usage.json")) return
                NFS.rmSync(path)
                put(path, device.at("target"))
              })
            )
          })
          const identity = yield* store.get
          assert.isFalse(identity.durable)
          assert.notStrictEqual(identity.anonId, anon.b)
        })
    )
  }

  it.effect("a file that must not be read: in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const identity = yield* inMemory(device, {
        fileSystem: Device.failing(({ method, path }) =>
          method === "open" && path.endsWith("usage.json") ? "EACCES" : undefined
        )
      })
      assert.notStrictEqual(identity.anonId, anon.a)
    }))

  it.effect("a file of 10 MB: in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json", `{ "anon_id": "${anon.a}", "x": "${"x".repeat(10_000_000)}" }`)
      const identity = yield* inMemory(device)
      assert.notStrictEqual(identity.anonId, anon.a)
    }))

  it.effect("a file in the place of the module's folder: in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage", "theirs")
      yield* inMemory(device)
    }))

  it.effect("a file in the place of the home: in memory, nothing harmed", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      NFS.rmdirSync(device.home)
      NFS.writeFileSync(device.home, "theirs")
      const { store } = yield* device.start()
      assert.isFalse((yield* store.get).durable)
      assert.strictEqual(NFS.readFileSync(device.home, "utf8"), "theirs")
    }))

  it.effect("a byte order mark is no harm", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json", `\ufeff{ "anon_id": "${anon.a}", "linked_principal_id": null }`)
      assert.strictEqual((yield* (yield* device.start()).store.get).anonId, anon.a)
    }))

  for (
    const [what, content] of [
      ["an empty file", ""],
      ["a file of nothing but zeros", "\0".repeat(64)],
      ["the nil UUID", "{ \"anon_id\": \"00000000-0000-0000-0000-000000000000\" }"],
      ["the max UUID", "{ \"anon_id\": \"ffffffff-ffff-ffff-ffff-ffffffffffff\" }"],
      ["an anon id that leads out of the folder", "{ \"anon_id\": \"../../../../tmp/x\" }"]
    ] as const
  ) {
    it.effect(`${what} has one successor`, () => isSucceeded(content))
  }

  for (const code of ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]) {
    it.effect(`a disk without hard links (${code}): files are made only once all the same`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const fileSystem = Device.failing(({ method }) => method === "link" ? code : undefined)
        const [one, two] = [yield* device.start({ fileSystem }), yield* device.start({ fileSystem })]
        const { anonId, published } = yield* one.store.get
        assert.isTrue(published)
        assert.strictEqual((yield* two.store.get).anonId, anonId)
        assert.deepStrictEqual(yield* one.store.claim(claimOf(anonId, P)), { _tag: "Published" })
        assert.deepStrictEqual(yield* two.store.claim(claimOf(anonId, Q)), {
          _tag: "Held",
          claim: claimOf(anonId, P)
        })
        assert.strictEqual((yield* two.store.rotate)._tag, "Rotated")
        assert.strictEqual((yield* one.store.rotate)._tag, "Overtaken")
        assert.strictEqual((yield* one.store.get).anonId, (yield* two.store.get).anonId)
        if (!isWindows) assert.strictEqual(permissions(device.at("usage.json")), 0o600)
      }))
  }

  it.effect("a full disk: in memory, and nothing is left on it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const identity = yield* inMemory(device, { fileSystem: Device.full })
      assert.isTrue(identity.firstRun)
      assert.deepStrictEqual(device.tree(), [])
    }))

  it.effect("a full disk: an identity that is there already is used as it is", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const before = device.snapshot()
      const identity = yield* (yield* device.start({ fileSystem: Device.full })).store.get
      assert.strictEqual(identity.anonId, anon.a)
      assert.strictEqual(principalOf(identity), P)
      assert.deepStrictEqual(device.snapshot(), before)
    }))
})

describe("a runtime", () => {
  for (const runtime of ["ci", "ci with a terminal", "container"] as const) {
    it.effect(`that is ephemeral makes no identity: ${runtime}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const identity = yield* (yield* device.start({ runtime })).store.get
        assert.deepInclude(identity, { durable: false, firstRun: true, published: false })
        assert.deepStrictEqual(device.tree(), [])
      }))

    it.effect(`that is ephemeral reads one, and mends nothing: ${runtime}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.seed(anon.a, claimOf(anon.a, P))
        yield* device.write("usage.json", arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {}))
        const before = device.snapshot()
        const identity = yield* (yield* device.start({ runtime })).store.get
        assert.strictEqual(principalOf(identity), P)
        assert.deepStrictEqual(device.snapshot(), before)
      }))

    it.effect(`that is ephemeral puts nothing in the place of a corrupt file: ${runtime}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* device.write("usage.json", "{")
        const identity = yield* (yield* device.start({ runtime })).store.get
        assert.isFalse(identity.durable)
        assert.deepStrictEqual(device.tree(), ["usage.json"])
      }))
  }

  for (const runtime of ["no terminal", "container with a terminal"] as const) {
    it.effect(`that may last makes an identity, so that its second run is no first run: ${runtime}`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        const { first, second } = yield* twice(device, { runtime })
        assert.isTrue(first.firstRun)
        assert.isFalse(second.firstRun)
        assert.strictEqual(second.anonId, first.anonId)
      }))
  }

  it.effect("without consent makes nothing", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const identity = yield* (yield* device.start({ consent: Device.consentOf(Device.denied) })).store.get
      assert.isFalse(identity.durable)
      assert.deepStrictEqual(device.tree(), [])
    }))
})

describe("a look", () => {
  it.effect("makes nothing where there is nothing", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      assert.isUndefined(yield* (yield* device.start()).store.peek)
      assert.deepStrictEqual(device.tree(), [])
    }))

  it.effect("mends nothing", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      yield* device.write("usage.json", arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {}))
      const before = device.snapshot()
      const seen = yield* (yield* device.start()).store.peek
      assert.strictEqual(seen?.anonId, anon.a)
      assert.strictEqual(seen && principalOf(seen), P)
      assert.deepStrictEqual(device.snapshot(), before)
    }))

  it.effect("puts nothing in the place of a corrupt file, but finds what another command put there", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.write("usage.json", "{")
      const { store } = yield* device.start()
      assert.isUndefined(yield* store.peek)
      assert.deepStrictEqual(device.tree(), ["usage.json"])
      const { anonId } = yield* (yield* device.start()).store.get
      yield* device.write("usage.json", "{")
      assert.strictEqual((yield* store.peek)?.anonId, anonId)
    }))
})

describe("many at once", () => {
  it.effect("64 processes on an empty home agree on one anon id, and one of them made it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      // Each stands right before it publishes, when the gate opens.
      const gate = yield* Deferred.make<void>()
      const ready: Array<Deferred.Deferred<void>> = []
      const fibers = yield* Effect.forEach(Array.from({ length: 64 }), () =>
        Effect.gen(function*() {
          const arrived = yield* Deferred.make<void>()
          ready.push(arrived)
          const { store } = yield* device.start({
            fileSystem: Device.interposed(({ method }) =>
              method === "link"
                ? Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(gate))
                : Effect.void
            )
          })
          return yield* Effect.forkChild(store.get)
        }))
      yield* Effect.forEach(ready, Deferred.await)
      yield* Deferred.succeed(gate, undefined)
      const identities = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        new Set(identities.map((identity) => identity.anonId)),
        new Set([device.pointer()["anon_id"]])
      )
      assert.lengthOf(identities.filter((identity) => identity.published), 1)
      assert.isTrue(identities.every((identity) => identity.firstRun && identity.durable))
    }))

  it.effect("64 fibers of one process read once", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const { store } = yield* device.start()
      const identities = yield* Effect.all(Array.from({ length: 64 }, () => store.get), { concurrency: "unbounded" })
      assert.lengthOf([...new Set(identities)], 1)
    }))

  it.effect("16 processes that rotate the same anon id agree on what comes after it", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      const processes = yield* Effect.forEach(Array.from({ length: 16 }), () => device.start())
      yield* Effect.forEach(processes, ({ store }) => store.get)
      const rotations = yield* Effect.forEach(processes, ({ store }) => store.rotate, { concurrency: "unbounded" })
      assert.lengthOf(rotations.filter((rotation) => rotation._tag === "Rotated"), 1)
      assert.lengthOf(rotations.filter((rotation) => rotation._tag === "Overtaken"), 15)
      const after = yield* Effect.forEach(processes, ({ store }) => Effect.map(store.get, ({ anonId }) => anonId))
      assert.deepStrictEqual(new Set(after), new Set([device.pointer()["anon_id"]]))
    }))
})
