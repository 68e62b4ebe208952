/**
 * The contracts find what is wrong: each rule fails with a service that breaks it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestConsole from "effect/testing/TestConsole"
import * as Path from "node:path"
import { IsDebugMode } from "../../src/layers/Debug.ts"
import * as FileIdentityStore from "../../src/layers/FileIdentityStore.ts"
import * as FixedConsent from "../../src/layers/FixedConsent.ts"
import * as FixedPrincipalResolver from "../../src/layers/FixedPrincipalResolver.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import * as NoPrincipalResolver from "../../src/layers/NoPrincipalResolver.ts"
import { IdentityStore, type Rotation } from "../../src/services/IdentityStore.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import type { Runner } from "../../src/testing/Contract.ts"
import { IdentityStoreContract, OutboxContract, PrincipalResolverContract } from "../../src/testing/index.ts"
import * as Device from "../fixtures/Device.ts"
import { machineOf } from "../fixtures/Files.ts"
import { run } from "../fixtures/Process.ts"
import { test } from "../fixtures/Tests.ts"

/** The rules of a suite that fail. */
const broken = async (declare: (runner: Runner) => void): Promise<ReadonlyArray<string>> => {
  const tests: Array<readonly [string, () => Promise<void>]> = []
  declare({ describe: (_, body) => body(), it: (title, run) => tests.push([title, run]) })
  const failed: Array<string> = []
  for (const [title, run] of tests) await run().catch(() => failed.push(title))
  return failed
}

/** Every rule of a suite is broken by one of the wrong services at least, which break what they are named for. */
const assertBroken = async (
  wrong: Readonly<Record<string, (runner: Runner) => void>>
): Promise<void> => {
  const all: Array<string> = []
  await broken((runner) => Object.values(wrong)[0]?.({ ...runner, it: (title) => all.push(title) }))
  const found = new Set<string>()
  for (const [what, declare] of Object.entries(wrong)) {
    const failed = await broken(declare)
    assert.isAbove(failed.length, 0, `nothing is wrong with one that ${what}`)
    for (const title of failed) found.add(title)
  }
  assert.deepStrictEqual(all.filter((title) => !found.has(title)), [])
}

/** A device in memory. */
const device = Effect.map(Device.make, (device) => {
  const disk = MemoryDisk.make()
  device.home.split("/").forEach((_, n, names) => disk.makeFolder(names.slice(0, n + 1).join("/")))
  return device.layer({ disk })
})

/** The store of a host that composes its own layers. */
const publicStore = (device: Device.Device, consent = FixedConsent.layer()) =>
  Layer.fresh(Layer.provide(FileIdentityStore.layer, [machineOf(device), consent]))

IdentityStoreContract.suite("FileIdentityStore over a disk in memory", device, { describe, it })
IdentityStoreContract.suite(
  "FileIdentityStore of a host that composes its own layers",
  Effect.map(Device.make, publicStore),
  { describe, it }
)
OutboxContract.suite("FileOutbox over a disk in memory", device, { describe, it })
PrincipalResolverContract.suite(
  "FixedPrincipalResolver",
  Effect.succeed({
    principal: "account_1",
    loggedIn: FixedPrincipalResolver.layer("account_1"),
    loggedOut: FixedPrincipalResolver.layerNone,
    unanswered: FixedPrincipalResolver.layer(undefined)
  }),
  { describe, it }
)

test("FileIdentityStore of a host that composes its own layers writes no file without consent", function*() {
  const device = yield* Device.make
  const denied = FixedConsent.layer({ enabled: false, decidedBy: { _tag: "OptOutFile" } })
  const { get } = yield* Effect.provide(IdentityStore, publicStore(device, denied))
  assert.isFalse((yield* get).durable)
  assert.deepStrictEqual(device.tree(), [])
})

test("FixedPrincipalResolver of a host without accounts has no input, and resolves no credential", function*() {
  const other = yield* Effect.provide(PrincipalResolver, FixedPrincipalResolver.layer("account_1"))
  const credential = (yield* other.credential) ?? assert.fail("there is no credential")
  const { input, resolve } = yield* Effect.provide(PrincipalResolver, FixedPrincipalResolver.layerNone)
  assert.deepInclude(input, { files: [], variables: {} })
  assert.isUndefined(yield* resolve(credential))
})

it.effect("FixedPrincipalResolver resolves no principal from an illegal id, and a debug line says why", () =>
  Effect.gen(function*() {
    const { credential, resolve } = yield* PrincipalResolver
    const found = (yield* credential) ?? assert.fail("there is no credential")
    assert.isUndefined(yield* resolve(found))
    const lines = (yield* TestConsole.errorLines).map(String)
    assert.lengthOf(lines, 1)
    assert.match(lines[0] ?? "", /^usage: a principal was refused: /)
  }).pipe(
    Effect.provide(FixedPrincipalResolver.layer("undefined")),
    Effect.provideService(IsDebugMode, true)
  ))

describe("IdentityStoreContract", () => {
  type Store = IdentityStore["Service"]

  const wrong = (change: (store: Store) => Partial<Store>) => (runner: Runner) =>
    IdentityStoreContract.suite(
      "wrong",
      Effect.map(device, (layer) =>
        Layer.effect(
          IdentityStore,
          Effect.map(IdentityStore, (store) => IdentityStore.of({ ...store, ...change(store) }))
        ).pipe(Layer.provide(layer))),
      runner
    )

  it("Each rule of IdentityStoreContract fails for a store that breaks it", () =>
    assertBroken({
      "makes an identity at a look": wrong(({ get }) => ({ peek: get })),
      "says of every process that it published": wrong(({ get }) => ({
        get: Effect.map(get, (identity) => ({ ...identity, published: true }))
      })),
      "knows no first run": wrong(({ get }) => ({
        get: Effect.map(get, (identity) => ({ ...identity, firstRun: false }))
      })),
      "says that every claim was published": wrong(({ claim }) => ({
        claim: (made) => Effect.as(claim(made), { _tag: "Published" })
      })),
      "reads the identity each time": wrong(({ get, refresh }) => ({ get: Effect.andThen(get, refresh) })),
      "rotates nothing": wrong(({ get }) => ({
        rotate: Effect.map(get, (identity) => ({ _tag: "Rotated", identity }))
      })),
      "says that every rotation was its own": wrong(({ get, rotate }) => ({
        rotate: Effect.andThen(rotate, Effect.map(get, (identity): Rotation => ({ _tag: "Rotated", identity })))
      })),
      "claims the anon id that is there": wrong(({ claim, get }) => ({
        claim: (made) => Effect.flatMap(get, ({ anonId }) => claim({ ...made, anon_id: anonId }))
      })),
      "confirms nothing": wrong(() => ({ confirmStored: Effect.void })),
      "rotates what it is to forget": wrong(({ get, rotate }) => ({ forget: Effect.andThen(rotate, get) })),
      "discards nothing on the device": wrong(({ forget }) => ({ discard: forget }))
    }))
})

describe("OutboxContract", () => {
  type Box = Outbox["Service"]

  const wrong = (change: (outbox: Box) => Partial<Box>) => (runner: Runner) =>
    OutboxContract.suite(
      "wrong",
      Effect.map(device, (layer) =>
        Layer.effect(
          Outbox,
          Effect.map(Outbox, (outbox) => Outbox.of({ ...outbox, ...change(outbox) }))
        ).pipe(
          Layer.provide(layer)
        )),
      runner
    )

  it("Each rule of OutboxContract fails for an outbox that breaks it", () =>
    assertBroken({
      "is never empty": wrong(() => ({ isEmpty: Effect.succeed(false) })),
      "has the last message first": wrong(({ entries }) => ({
        entries: Effect.map(entries, (entries) => entries.toReversed())
      })),
      "finds no invocation": wrong(() => ({ has: () => Effect.succeed(false) })),
      "does not note a delivery": wrong(({ remove }) => ({ delivered: remove })),
      "keeps what was set aside": wrong(() => ({ setAside: () => Effect.void })),
      "takes a removal for a delivery": wrong(({ delivered }) => ({ remove: delivered })),
      "does not back off": wrong(() => ({ backOff: () => Effect.void }))
    }))
})

describe("PrincipalResolverContract", () => {
  type Resolver = PrincipalResolver["Service"]

  const make = (principal: string | undefined) =>
    Effect.map(
      Effect.provide(Effect.service(PrincipalResolver), FixedPrincipalResolver.layer(principal)),
      (resolver): Resolver => resolver
    )
  const wrong = (change: (resolver: Resolver) => Partial<Resolver>) => (runner: Runner) => {
    const changed = (resolver: Effect.Effect<Resolver>) =>
      Layer.effect(PrincipalResolver, Effect.map(resolver, (resolver) => ({ ...resolver, ...change(resolver) })))
    const users = Effect.succeed({
      principal: "account_1",
      loggedIn: changed(make("account_1")),
      loggedOut: changed(Effect.succeed(NoPrincipalResolver.none)),
      unanswered: changed(make(undefined))
    })
    PrincipalResolverContract.suite("wrong", users, runner)
  }

  let asked = 0
  it("Each rule of PrincipalResolverContract fails for a resolver that breaks it", () =>
    assertBroken({
      "refreshes the credential": wrong(() => ({ credential: Effect.sync(() => Device.stored(`secret_${asked++}`)) })),
      "has no answer": wrong(() => ({ resolve: () => Effect.succeed(undefined) })),
      "fails without an answer": wrong(({ resolve }) => ({
        resolve: (credential) =>
          Effect.flatMap(resolve(credential), (answer) => answer ? Effect.succeed(answer) : Effect.die("no answer"))
      })),
      "parses another credential": wrong(() => ({
        input: {
          files: [],
          variables: { KEY: "secret" },
          configuration: "",
          parse: () => Effect.succeed({ source: "stored" as const, secret: Redacted.make("secret") })
        }
      }))
    }))
})

test.live("A contract runs with the functions of another test runner, which reports each rule", function*() {
  const file = Path.join(import.meta.dirname, "hosts/NodeTest.ts")
  const { stdout } = yield* run([process.execPath, "--test-reporter=tap", file], { env: {} })
  assert.match(stdout, /^# pass 9$/m)
  assert.match(stdout, /^# fail 1$/m)
  assert.match(stdout, /not ok 2 - The principal of a credential is the account/)
})
