/**
 * The steady path while something happens: other processes at each of its steps, the end of its process, and the
 * handover to the whole path.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import * as NFS from "node:fs"
import * as OptOutFiles from "../../src/layers/OptOutFiles.ts"
import { HostRuntime } from "../../src/services/HostRuntime.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { machineOf } from "../fixtures/Files.ts"
import { test } from "../fixtures/Tests.ts"
import {
  account,
  device,
  disturbed,
  found,
  identityFiles,
  loaded,
  own,
  type Owner,
  ownerOf,
  type Scene,
  scene,
  steady,
  Used
} from "../stitch/Command.ts"

const { anon, P, Q } = Device

const consent = Device.environmentConsent()

/** `telemetry disable` and `telemetry enable` of another process. */
const optOut = (home: Device.Device) =>
  Effect.map(
    Effect.provide(OptOutFiles.make, machineOf(home)),
    ({ allow, deny }) => ({ allow: Effect.orDie(allow), deny: Effect.orDie(deny) })
  )

interface Interference {
  readonly all: Scene
  /** What the other process does. */
  readonly act: Effect.Effect<void>
  /** Who an event may belong to: its owners before and after. */
  readonly owners: () => ReadonlyArray<Owner>
}

const interferences: Record<string, Effect.Effect<Interference, never, Scope.Scope>> = {
  "logs in on a device without an account": Effect.gen(function*() {
    const all = yield* scene(steady)
    const { stitch } = yield* all.start({ cold: loaded })
    const act = Effect.andThen(all.api.set(Device.stored("other")), stitch.login(Q))
    return { all, act, owners: () => [device(anon.a), account(Q)] }
  }),
  "logs in as another account": Effect.gen(function*() {
    const all = yield* scene(steady, { loggedIn: P })
    const { stitch } = yield* all.start({ cold: loaded })
    const act = Effect.andThen(all.api.set(Device.stored("other")), stitch.login(Q))
    return { all, act, owners: () => [account(P), account(Q)] }
  }),
  "logs out": Effect.gen(function*() {
    const all = yield* scene(steady, { loggedIn: P })
    const { stitch } = yield* all.start({ cold: loaded })
    const act = Effect.andThen(all.api.set(undefined), stitch.logout)
    return { all, act, owners: () => [account(P), device(String(all.home.pointer()["anon_id"]))] }
  }),
  "is another tool that links the device": Effect.gen(function*() {
    const all = yield* scene(steady)
    const act = all.home.write("usage.json", Device.pointerText(anon.a, Q))
    return { all, act, owners: () => [device(anon.a), account(Q)] }
  }),
  "is another tool that replaces the anon id": Effect.gen(function*() {
    const all = yield* scene(steady)
    const act = all.home.write("usage.json", Device.pointerText(anon.b))
    return { all, act, owners: () => [device(anon.a), device(anon.b)] }
  })
}

/** Lets another process act just before the k-th disk operation of a command with two events, for each k. */
const atEveryStep = Effect.fnUntraced(function*<R>(
  prepare: Effect.Effect<Interference, never, R>,
  check: (interference: Interference, step: number, hasActed: boolean, lookedAt: number) => Effect.Effect<void>
) {
  for (let step = 0; step < 500; step++) {
    const hasActed = yield* Effect.scoped(Effect.gen(function*() {
      const interference = yield* prepare
      let calls = 0
      // The step of the first look at the consent that the command began with.
      let lookedAt = Infinity
      const isMoment = ({ path }: FaultyDisk.Call) => {
        if (lookedAt === Infinity && path.endsWith("/usage/enabled")) lookedAt = calls
        return calls++ === step
      }
      const { disk, hasActed } = yield* disturbed(isMoment, interference.act)
      const { begin, end, record } = yield* interference.all.start({ disk, consent, cold: loaded })
      yield* begin
      yield* record
      yield* record
      yield* end
      yield* check(interference, step, hasActed(), lookedAt)
      return hasActed()
    }))
    if (!hasActed) return assert.isAbove(step, 25)
  }
})

describe("interleavings with another process", () => {
  it.effect.each(Object.entries(interferences))(
    "A command records both its events, under the owner before or after another process acts: it %s",
    ([, prepare]) =>
      atEveryStep(prepare, ({ all, owners }, step) =>
        Effect.sync(() => {
          const events = all.home.events()
          assert.deepStrictEqual(events.map(({ properties }) => properties["sequence"]), [0, 1], `step ${step}`)
          const allowed = owners().map((owner) => JSON.stringify(owner))
          for (const event of events) assert.include(allowed, JSON.stringify(ownerOf(event)), `step ${step}`)
        }))
  )

  it.effect.each([
    { what: "disables telemetry without a claim", claim: undefined, isEnabled: false },
    { what: "disables telemetry with a claim", claim: P, isEnabled: false },
    { what: "disables and enables telemetry without a claim", claim: undefined, isEnabled: true },
    { what: "disables and enables telemetry with a claim", claim: P, isEnabled: true }
  ])("A command leaves nothing that consent denies when another process $what", (given) => {
    const prepare = Effect.gen(function*() {
      const all = yield* given.claim === undefined ? scene(steady) : scene(steady, { loggedIn: given.claim })
      const { allow, deny } = yield* optOut(all.home)
      return { all, act: given.isEnabled ? Effect.andThen(deny, allow) : deny, owners: () => [] }
    })
    return atEveryStep(prepare, ({ all: { home } }, step, hasActed, lookedAt) =>
      Effect.sync(() => {
        // Where the step was the making of a folder, an empty one may be left.
        const files = home.tree().filter((name) => !name.endsWith("/"))
        // A command that looked at consent after both is as any other.
        if (given.isEnabled && step <= lookedAt) assert.lengthOf(home.events(), 2)
        else if (hasActed) {
          assert.deepStrictEqual(files, [given.isEnabled ? "usage/enabled" : "usage/opt-out"], `step ${step}`)
        } else assert.lengthOf(home.events(), 2)
      }))
  })

  test("A command looks at consent when it begins, after it writes an event, and after it publishes the event", function*() {
    const { start } = yield* scene(steady, { loggedIn: P })
    const steps: Array<string> = []
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      const step = `${operation} ${path.replace(/.*\/home\//, "").replace(/[^/]{36,}$/, "*")}`
      if (/opt-out|enabled|create|rename/.test(step)) steps.push(step)
    })
    const { begin, record } = yield* start({ consent, disk })
    yield* begin
    yield* record
    const looks = ["look usage/opt-out", "look usage/enabled"]
    const events = `rename usage/outbox/${Device.destinationId}/events/*`
    assert.deepStrictEqual(steps, ["look usage/enabled", ...looks, "create usage/tmp/*", ...looks, events, ...looks])
  })

  test("A command keeps a published event when the opt-out cannot be read any more", function*() {
    const { home, start } = yield* scene(steady, { loggedIn: P })
    let isPublished = false
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      isPublished ||= operation === "rename" && path.includes("/events/")
      return isPublished && path.endsWith("/opt-out") ? "EIO" : undefined
    })
    const { capture } = yield* start({ consent, disk })
    yield* capture.capture(Used, {})
    assert.deepStrictEqual(home.events().map(ownerOf), [account(P)])
  })
})

describe("long-running commands", () => {
  test("A command that runs long records nothing after its identity was deleted", function*() {
    const { home, start } = yield* scene(steady, { loggedIn: P })
    const { record } = yield* start({ consent })
    assert.isDefined(yield* record)
    NFS.rmSync(home.at("usage.json"))
    const before = home.snapshot()
    assert.isUndefined(yield* record)
    assert.deepStrictEqual(home.snapshot(), before)
  })

  test("A command that runs long follows the anon id that another tool gave the device", function*() {
    const { home, start } = yield* scene(steady)
    const { owner } = yield* start()
    assert.deepStrictEqual(yield* owner, device(anon.a))
    yield* home.write("usage.json", Device.pointerText(anon.b))
    assert.deepStrictEqual(yield* owner, device(anon.b))
  })

  test("A command that runs long begins a new session after 30 minutes of silence and stays steady", function*() {
    const { start } = yield* scene(steady, { loggedIn: P })
    const { loads, record } = yield* start()
    const first = yield* record
    yield* TestClock.adjust("30 minutes")
    assert.notStrictEqual((yield* record)?.properties["$session_id"], first?.properties["$session_id"])
    assert.strictEqual(yield* loads, 0)
  })
})

describe("loading of the full stitch", () => {
  test("A handover happens once, with any number of concurrent responses and events", function*() {
    const { home, start } = yield* scene(steady)
    const { capture, loads, record, stitch } = yield* start()
    yield* record
    const all = Array.from({ length: 16 }, (_, n) => n % 2 === 0 ? capture.capture(Used, {}) : stitch.observe(P))
    yield* Effect.all(all, { concurrency: "unbounded" })
    assert.strictEqual(yield* loads, 1)
    const sequences = home.events().map(({ properties }) => Number(properties["sequence"]))
    const alias = Number(home.claim(anon.a)?.alias?.properties["sequence"])
    assert.deepStrictEqual([...sequences, alias].toSorted((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const ids = [...home.events(), home.claim(anon.a)?.alias].flatMap((message) =>
      message?.properties["invocation_id"] ?? []
    )
    assert.lengthOf(new Set(ids), 1)
  })

  test("A handover begins as soon as the start is seen not to be steady", function*() {
    const { start } = yield* scene(steady, { credential: Device.stored("key") })
    const { begin, loads } = yield* start({ cold: loaded })
    yield* begin
    yield* TestClock.adjust(0)
    assert.strictEqual(yield* loads, 1)
  })

  test("A handover keeps the credential that the command began with, which the host has removed since", function*() {
    const { api, home, start } = yield* scene(steady, { loggedIn: P })
    const { begin, stitch } = yield* start()
    yield* begin
    yield* api.set(undefined)
    yield* stitch.logout
    assert.deepStrictEqual(home.events().map(ownerOf), [account(P)])
  })
})

test("A logout elsewhere while the rest of the module loads leaves the command the credential that it began with", function*() {
  const { anonId, api, home, start } = yield* scene(steady, { credential: Device.stored("key"), answer: Effect.never })
  const gate = yield* Deferred.make<void>()
  const command = yield* start({ cold: Effect.andThen(Deferred.await(gate), loaded) })
  yield* command.begin
  yield* TestClock.adjust(0)
  yield* api.set(undefined)
  yield* Deferred.succeed(gate, undefined)
  yield* TestClock.adjust(0)
  // The response is about that credential, so it claims nothing for an account that may be gone.
  yield* command.stitch.observe(P, "Bearer key")
  assert.deepStrictEqual(yield* command.owner, account(P))
  const { anonId: left, claim } = yield* found(home)
  assert.deepStrictEqual([left, claim], [anonId, undefined])
})

describe("process.exit", () => {
  /** A runtime whose process exits when the test says so. */
  const exiting = () => {
    let isExiting = false
    return {
      runtime: { ...Device.persistent, isExiting: Effect.sync(() => isExiting) },
      exit: () => {
        isExiting = true
      }
    }
  }
  const cases: ReadonlyArray<{
    readonly what: string
    readonly all: Effect.Effect<Scene, never, Scope.Scope>
    readonly owner: Owner | undefined
    readonly options?: Device.ProcessOptions
  }> = [
    { what: "the account of a steady one", all: scene(steady, { loggedIn: P }), owner: account(P) },
    {
      what: "the command itself, where nothing is steady",
      all: scene(steady, { credential: Device.stored("key") }),
      owner: own
    },
    { what: "the command itself on a first run", all: scene(steady, { isNew: true }), owner: own },
    {
      what: "nobody before the notice was shown",
      all: scene(steady, { isNew: true }),
      owner: undefined,
      options: { settings: { notice: "This CLI records its use." } }
    },
    {
      what: "no account without consent",
      all: scene(steady, { credential: Device.stored("key") }),
      owner: undefined,
      options: { consent: Device.consentOf(Device.denied) }
    }
  ]

  test.each(cases)(
    "A process that exits records at once, or not at all, an event that belongs to $what",
    function*({ all, options, owner }) {
      const { home, start } = yield* all
      const { exit, runtime } = exiting()
      // Nothing is loaded before the process exits.
      const gate = yield* Deferred.make<void>()
      const cold = Effect.andThen(Deferred.await(gate), loaded)
      const { begin, capture } = yield* start({ runtime, cold, ...options })
      yield* begin
      // What is not steady begins to load here.
      yield* TestClock.adjust(0)
      const before = home.tree()
      exit()
      Effect.runSyncWith(yield* Effect.context<never>())(capture.capture(Used, {}))
      assert.deepStrictEqual(home.events().map(ownerOf), owner === undefined ? [] : [owner])
      if (owner === undefined) assert.deepStrictEqual(home.tree(), before)
      yield* Deferred.succeed(gate, undefined)
    }
  )

  test("A notice that is due is shown by a command that only records at the exit of its process", function*() {
    const { home, start } = yield* scene(steady, { isNew: true })
    const { exit, runtime } = exiting()
    const notice = "This CLI records its use."
    const { begin, capture } = yield* start({ runtime, cold: loaded, settings: { notice } })
    yield* begin
    yield* TestClock.adjust(0)
    exit()
    Effect.runSyncWith(yield* Effect.context<never>())(capture.capture(Used, {}))
    assert.deepStrictEqual(home.events().map(ownerOf), [device((yield* found(home)).anonId)])
    assert.deepStrictEqual(yield* TestConsole.errorLines, [notice])
  })

  const kept: ReadonlyArray<
    { readonly what: string; readonly file?: string; readonly runtime: HostRuntime["Service"] }
  > = [
    { what: "in CI", runtime: Device.runtimes.ci },
    { what: "over that of a former format", file: "telemetry.json", runtime: Device.persistent }
  ]
  test.each(kept)("A process that exits makes no identity $what", function*({ file, runtime }) {
    const { home, start } = yield* scene(steady, { isNew: true })
    if (file !== undefined) yield* home.write(file, JSON.stringify({ device_id: anon.b, enabled: true }))
    const { begin, capture } = yield* start({
      runtime: { ...runtime, isExiting: Effect.succeed(true) },
      cold: Effect.never
    })
    yield* begin
    Effect.runSyncWith(yield* Effect.context<never>())(capture.capture(Used, {}))
    assert.deepStrictEqual(home.events().map(ownerOf), [own])
    assert.isUndefined(home.text("usage.json"))
  })

  test("A process that exits while an event waits for a keychain records that event, and its command", function*() {
    const { home, start } = yield* scene(steady, { loggedIn: P })
    const { exit, runtime } = exiting()
    const gate = yield* Deferred.make<void>()
    let reads = 0
    const keychain = Layer.succeed(PrincipalResolver, {
      input: undefined,
      credential: Effect.suspend(() =>
        Effect.as(++reads === 1 ? Effect.void : Deferred.await(gate), Device.stored("key"))
      ),
      resolve: () => Effect.succeed(P)
    })
    const { begin, capture, record } = yield* start({ runtime, resolver: keychain, cold: loaded })
    yield* begin
    yield* Effect.forkDetach(record)
    // What waits for the gate is not interruptible.
    yield* Effect.addFinalizer(() => Deferred.succeed(gate, undefined))
    yield* TestClock.adjust(0)
    assert.deepStrictEqual([reads, home.events()], [2, []])
    // Less than the time limit of a credential.
    yield* TestClock.adjust("500 millis")
    exit()
    Effect.runSyncWith(yield* Effect.context<never>())(capture.capture(Used, {}))
    assert.deepStrictEqual(home.events().map(ownerOf), [own, own])
    assert.deepStrictEqual(home.events().map(({ properties }) => properties["sequence"]), [0, 1])
    const [waited = 0, last = 0] = home.events().map(({ timestamp }) => Date.parse(timestamp))
    assert.strictEqual(last - waited, 500)
  })

  test("A process that exits after another one has logged out sends nothing with the former session", function*() {
    const { home, start } = yield* scene(steady, { loggedIn: P })
    const { exit, runtime } = exiting()
    const { begin, capture, record } = yield* start({ runtime, cold: Effect.never })
    yield* begin
    const first = yield* record
    const other = yield* start({ cold: loaded })
    yield* Effect.andThen(other.begin, other.stitch.logout)
    exit()
    Effect.runSyncWith(yield* Effect.context<never>())(capture.capture(Used, {}))
    const last = home.events().at(-1)
    assert.isDefined(last?.properties["$session_id"])
    assert.notStrictEqual(last?.properties["$session_id"], first?.properties["$session_id"])
  })

  test("A process that exits records an event that waits for the rest of the module, and no second time", function*() {
    const { home, start } = yield* scene(steady, { credential: Device.stored("key") })
    const listeners: Array<() => void> = []
    const { exit, runtime } = exiting()
    const onExit = (listener: (code: number, error: unknown) => void) =>
      Effect.sync(() => void listeners.push(() => listener(0, undefined)))
    const gate = yield* Deferred.make<void>()
    const cold = Effect.andThen(Deferred.await(gate), loaded)
    const { begin, record } = yield* start({ runtime: { ...runtime, onExit }, cold })
    yield* begin
    yield* Effect.forkDetach(record)
    // What waits for the gate is not interruptible.
    yield* Effect.addFinalizer(() => Deferred.succeed(gate, undefined))
    yield* TestClock.adjust(0)
    assert.deepStrictEqual(home.events(), [])
    exit()
    for (const listener of listeners) listener()
    for (const listener of listeners) listener()
    assert.deepStrictEqual(home.events().map(ownerOf), [own])
  })

  const asynchronous = Effect.as(Effect.promise(() => Promise.resolve()), Device.stored("key"))
  const ofHost = Layer.succeed(PrincipalResolver, {
    input: undefined,
    credential: asynchronous,
    resolve: () => Effect.never
  })
  const resolvers: ReadonlyArray<{ readonly what: string; readonly options: Device.ProcessOptions }> = [
    { what: "a file, by a parser that is loaded", options: {} },
    { what: "a resolver of the host that takes its time", options: { resolver: ofHost } }
  ]
  test.each(resolvers)("A process that exits reads no credential again: it is read from $what", function*({ options }) {
    const { anonId, home, start } = yield* scene(steady, { credential: Device.stored("key"), answer: Effect.never })
    const { exit, runtime } = exiting()
    const cold = Effect.promise(async () => Effect.runSync(loaded))
    const { begin, capture } = yield* start({ runtime, cold, ...options })
    yield* begin
    yield* TestClock.adjust(0)
    exit()
    const exited = Effect.runSyncExitWith(yield* Effect.context<never>())(capture.capture(Used, {}))
    assert.isTrue(Exit.isSuccess(exited))
    assert.deepStrictEqual(home.events().map(ownerOf), [device(anonId)])
  })

  test("A process that exits leaves the session of the device as it is", function*() {
    const { api, home, start } = yield* scene(steady, { loggedIn: P })
    const session = (yield* (yield* start()).record)?.properties["$session_id"]
    yield* api.set(Device.stored("other"))
    const { exit, runtime } = exiting()
    const { owner } = yield* start({ runtime, cold: Effect.never })
    exit()
    assert.deepStrictEqual(yield* owner, own)
    const sessions = [...home.events(), yield* (yield* start()).record].map((event) => event?.properties["$session_id"])
    assert.deepStrictEqual(sessions, [session, session, session])
  })
})

describe("load failures", () => {
  const missing = Effect.die(new Error("Cannot find module './Cold.js'"))

  test("A command that cannot load the rest of the module records personless events and stitches nothing", function*() {
    const { home, start } = yield* scene(steady, { credential: Device.stored("key"), accounts: { key: P } })
    const before = identityFiles(home)
    const { begin, end, owner, settle, slot, stitch } = yield* start({ cold: missing })
    yield* begin
    yield* settle
    assert.deepStrictEqual(yield* owner, own)
    yield* stitch.observe(P)
    yield* stitch.login(P)
    assert.isUndefined(yield* slot.get)
    assert.deepStrictEqual(yield* owner, own)
    yield* end
    assert.deepStrictEqual(identityFiles(home), before)
  })

  test.each([{ isExiting: false }, { isExiting: true }])(
    "A command that cannot load the rest of the module records no account after its logout; process exits: $isExiting",
    function*({ isExiting }) {
      const { api, home, start } = yield* scene(steady, { loggedIn: P })
      let exits = false
      const runtime = { ...Device.persistent, isExiting: Effect.sync(() => exits) }
      const { begin, owner, slot, stitch } = yield* start({ cold: missing, runtime })
      yield* begin
      assert.deepStrictEqual(yield* owner, account(P))
      yield* api.set(undefined)
      yield* stitch.logout
      assert.isUndefined(yield* slot.get)
      exits = isExiting
      assert.deepStrictEqual(yield* owner, own)
      assert.lengthOf(home.events(), 2)
    }
  )
})
