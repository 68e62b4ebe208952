/**
 * What a host's tests run on does what its users' machines do: any program leaves the same behind, in memory and on disk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Path from "node:path"
import * as Claim from "../../src/domain/Claim.ts"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as MemoryClaims from "../../src/layers/MemoryClaims.ts"
import * as MemoryIdentityStore from "../../src/layers/MemoryIdentityStore.ts"
import * as MemoryOutbox from "../../src/layers/MemoryOutbox.ts"
import * as MemoryPrincipalCache from "../../src/layers/MemoryPrincipalCache.ts"
import * as MemorySessionStore from "../../src/layers/MemorySessionStore.ts"
import { Claims } from "../../src/services/Claims.ts"
import { IdentityStore } from "../../src/services/IdentityStore.ts"
import { type Entry, Outbox } from "../../src/services/Outbox.ts"
import { PrincipalCache } from "../../src/services/PrincipalCache.ts"
import { SessionStore } from "../../src/services/SessionStore.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import * as Device from "../fixtures/Device.ts"
import { aliasOf, event } from "../worker/RealWorker.ts"

const { anon, claimOf, destinationId, P, Q } = Device

type Kept = Pick<Device.Process, "cache" | "claims" | "outbox" | "session" | "store">

const settings = UsageSettings.of({
  name: "acme",
  version: "1.2.3",
  variables: "ACME",
  home: StateHome.make(Path, "/nowhere"),
  destination: undefined,
  destinationId,
  codec: arcade
})

const inMemory = Effect.gen(function*() {
  const context = yield* Layer.build(Layer.fresh(
    Layer.mergeAll(
      MemoryIdentityStore.layer,
      MemoryOutbox.layer,
      MemoryPrincipalCache.layer,
      MemorySessionStore.layer
    ).pipe(
      Layer.provideMerge(MemoryClaims.layer),
      Layer.provide([Layer.succeed(UsageSettings, settings), SecureRandom.layerWebCrypto])
    )
  ))
  return {
    cache: Context.get(context, PrincipalCache),
    claims: Context.get(context, Claims),
    outbox: Context.get(context, Outbox),
    session: Context.get(context, SessionStore),
    store: Context.get(context, IdentityStore)
  }
})

const onDisk = Effect.gen(function*() {
  const device = yield* Device.make
  yield* device.seed(anon.a)
  return yield* device.start()
})

/** Gives each id that a device made up a name, so that those of two devices can be compared. */
const makeNames = () => {
  const known = new Map<string, string>()
  return (id: string): string => {
    const name = known.get(id) ?? `#${known.size}`
    known.set(id, name)
    return name
  }
}

const step = Schema.Struct({
  what: Schema.Literals([
    "add",
    "backOff",
    "claim",
    "claimFormer",
    "confirmStored",
    "deliver",
    "forget",
    "refresh",
    "remember",
    "rotate",
    "setAside",
    "touch",
    "wait"
  ]),
  n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
})
type Step = Schema.Schema.Type<typeof step>

const credentials = [Device.stored("one"), Device.environment("two"), Device.stored("")]
const waits = [10, 10, 31, 45, 45, 61].map((minutes) => minutes * 60_000)

/** What waits. Of several aliases it is nobody's business which comes first. */
const entriesOf = (outbox: Outbox["Service"]) =>
  Effect.map(outbox.entries, (entries) => {
    const firstEvent = entries.findIndex(({ _tag }) => _tag === "Event")
    const aliases = firstEvent < 0 ? entries : entries.slice(0, firstEvent)
    return [
      ...aliases.toSorted((a, b) => a.message.uuid.localeCompare(b.message.uuid)),
      ...entries.slice(aliases.length)
    ]
  })

/** Does a step, and tells what came of it. */
const perform = Effect.fnUntraced(function*(
  kept: Kept,
  { n, what }: Step,
  number: number,
  former: string,
  name: (id: string) => string
): Effect.fn.Return<unknown> {
  const { cache, outbox, session, store } = kept
  const principal = n % 2 === 0 ? P : Q
  const claim = (anonId: string) =>
    claimOf(Device.anonId(anonId), principal, {
      learned_by: "observe",
      credential: n < 2 ? "none" : n < 4 ? "environment" : "stored",
      ...(n === 5
        ? {}
        : { destination: n === 4 ? "another" : destinationId, alias: aliasOf(number, anonId, principal) })
    })
  const { anonId } = yield* store.get
  switch (what) {
    case "add":
      return yield* outbox.add(event(number))
    case "backOff":
      return yield* outbox.backOff(`status ${500 + n}`)
    case "claim":
      return tagOf(yield* store.claim(claim(anonId)))
    case "claimFormer":
      return tagOf(yield* store.claim(claim(former)))
    case "confirmStored":
      return yield* store.confirmStored
    case "deliver":
      return yield* outbox.delivered((yield* entriesOf(outbox)).slice(0, n))
    case "forget":
      return name((yield* store.forget).anonId)
    case "refresh":
      return name((yield* store.refresh).anonId)
    case "remember":
      return yield* cache.remember(credentials[n % 3] ?? Device.stored("one"), number % 2 === 0 ? undefined : principal)
    case "rotate":
      return tagOf(yield* store.rotate)
    case "setAside": {
      const entry = (yield* entriesOf(outbox))[n]
      if (entry === undefined) return
      yield* outbox.setAside(entry)
      // Two workers may refuse the same message.
      return entry._tag === "Event" ? yield* outbox.setAside(entry) : undefined
    }
    case "touch":
      return name(yield* session.touch(anonId))
    case "wait":
      return
  }
})

const tagOf = ({ _tag }: { readonly _tag: string }) => _tag

/** Everything that can be seen of a device. */
const observe = Effect.fnUntraced(function*(kept: Kept, former: string, name: (id: string) => string) {
  const { cache, claims, outbox, store } = kept
  const told = (claim: Claim.Claim | Claim.UnreadableClaim | undefined) =>
    claim === undefined || !Claim.isReadable(claim) ? claim : {
      ...claim,
      anon_id: name(claim.anon_id),
      alias: claim.alias?.uuid
    }
  const identity = yield* store.get
  const peeked = yield* store.peek
  const entry = (entry: Entry) =>
    entry._tag === "Alias" ? [name(entry.anonId), entry.message.uuid] : [entry.name, entry.message.uuid]
  const known = []
  for (const credential of credentials) known.push(yield* cache.recall(credential))
  return {
    identity: { ...identity, anonId: name(identity.anonId), claim: told(identity.claim) },
    stands: yield* store.stands,
    // What the next command would find; whether the file was there when this one began is no question of it.
    peeked: peeked === undefined ? undefined : [name(peeked.anonId), told(peeked.claim), peeked.durable],
    claim: told(yield* claims.find(identity.anonId)),
    former: told(yield* claims.find(Device.anonId(former))),
    entries: (yield* entriesOf(outbox)).map(entry),
    isEmpty: yield* outbox.isEmpty,
    has: yield* outbox.has("11111111-1111-4111-8111-000000000000"),
    backedOffUntil: yield* outbox.backedOffUntil,
    status: yield* outbox.status,
    known
  }
})

describe("in memory and on disk", () => {
  it.effect.prop(
    "the same program leaves the same behind",
    { steps: Schema.Array(step) },
    ({ steps }) =>
      Effect.gen(function*() {
        const sides = []
        for (const kept of [yield* onDisk, yield* inMemory]) {
          sides.push({ kept, name: makeNames(), former: (yield* kept.store.get).anonId })
        }
        for (const [number, step] of steps.entries()) {
          if (step.what === "wait") yield* TestClock.adjust(waits[step.n] ?? 0)
          const seen: Array<unknown> = []
          for (const side of sides) {
            const before = (yield* side.kept.store.get).anonId
            const result = yield* perform(side.kept, step, number, side.former, side.name)
            if ((yield* side.kept.store.get).anonId !== before) side.former = before
            seen.push([step, result, yield* observe(side.kept, side.former, side.name)])
          }
          assert.deepStrictEqual(seen[1], seen[0])
        }
      }),
    { arbitrary: { runs: 200, size: 30 } }
  )

  it.effect("the oldest messages make room", () =>
    Effect.gen(function*() {
      const bounded = UsageSettings.of({ ...settings, bounds: { messages: 2, bytes: 1024 * 1024, ageMillis: 1000 } })
      const outbox = yield* Effect.provide(
        MemoryOutbox.make,
        Layer.provideMerge(MemoryClaims.layer, Layer.succeed(UsageSettings, bounded))
      )
      const waiting = Effect.map(outbox.entries, (entries) => entries.map(({ message }) => message.properties["n"]))
      for (const n of [0, 1, 2]) yield* outbox.add(event(n))
      assert.deepStrictEqual(yield* waiting, [1, 2])
      yield* TestClock.adjust(1001)
      yield* outbox.add(event(3))
      assert.deepStrictEqual(yield* waiting, [3])
    }))
})
