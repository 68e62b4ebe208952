/**
 * A host without a resolver: it only reports its logins and logouts, so no later command finds out what one of them could
 * not write.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as NFS from "node:fs"
import { supabase } from "../../src/domain/IdentityCodec.ts"
import * as FixedPrincipalResolver from "../../src/layers/FixedPrincipalResolver.ts"
import type { Errno } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import { account, device, found, loaded, type Mode, own, type Owner, ownerOf, principalOf, scene } from "./Command.ts"

const { anon, claimOf, P, Q } = Device

const mode: Mode = { mode: "no resolver", isSteady: true, makeApi: () => Device.makeApi() }

/** A device on which account `P` logged in. */
const signedIn = (options: Device.ProcessOptions = {}) =>
  scene(mode, {
    loggedIn: P,
    process: { resolver: FixedPrincipalResolver.layerNone, consent: Device.environmentConsent(), ...options }
  })

type Given = Effect.Success<ReturnType<typeof signedIn>>

interface Reported {
  readonly what: string
  readonly report: (process: Device.Process) => Effect.Effect<void>
  /** Whether the owner of a later event is right. */
  readonly isRight: (owner: Owner) => boolean
}

const isDevice = ({ distinctId, personless }: Owner): boolean =>
  personless && ![anon.a, own.distinctId].includes(distinctId)

const logout: Reported = { what: "logout", report: ({ stitch }) => stitch.logout, isRight: isDevice }
const login: Reported = {
  what: "login to another account",
  report: ({ stitch }) => stitch.login(Q),
  isRight: ({ distinctId }) => distinctId === Q
}

/** Runs a command that reports something over a disk that refuses, and returns the owners of its last and of a later event. */
const run = Effect.fnUntraced(function*(
  { start }: Given,
  { report }: Reported,
  before: (call: FaultyDisk.Call) => Errno | undefined
) {
  const command = yield* start({ disk: FaultyDisk.interposed(before) })
  yield* command.begin
  yield* command.record
  yield* report(command)
  const last = yield* command.record
  yield* command.end
  const next = yield* start()
  yield* next.begin
  return { last: last && ownerOf(last), later: yield* next.owner }
})

test.each([logout, login])(
  "A $what counts for later commands, whichever operation of the disk fails for a moment",
  function*({ isRight, ...reported }) {
    let wasReached = true
    for (let at = 0; wasReached; at += 1) {
      const given = yield* signedIn()
      let calls = 0
      let where = ""
      const { last, later } = yield* run(given, { ...reported, isRight }, ({ operation, path }) => {
        if (calls++ !== at) return undefined
        where = `${operation} ${path}`
        return "EIO"
      })
      assert.isTrue(isRight(later), `${where}: the later event belongs to ${later.distinctId}`)
      assert.isTrue(
        last === undefined || last.distinctId !== P,
        `${where}: the event after the report belongs to ${last?.distinctId}`
      )
      wasReached = calls > at
      assert.isBelow(at, 400)
    }
  }
)

test.each([logout, { ...login, isRight: isDevice }])(
  "A $what on a disk that keeps no successor gives the device another anon id, and keeps the keys of other tools",
  function*(reported) {
    const given = yield* signedIn()
    const { home } = given
    yield* home.write("usage.json", JSON.stringify({ ...home.pointer(), theirs: 1 }))
    const isRefused = FaultyDisk.on(["create", "link", "makeFolder"], "/successors")
    const { last, later } = yield* run(given, reported, (call) => isRefused(call) ? "ENOSPC" : undefined)
    const { anonId, claim } = yield* found(home)
    const principal = reported.what === "logout" ? undefined : Q
    assert.deepStrictEqual([principalOf(claim), home.pointer()["theirs"]], [principal, 1])
    assert.notStrictEqual(anonId, anon.a)
    const owner = principal === undefined ? device(anonId) : account(principal)
    assert.deepStrictEqual([last, later], [owner, owner])
  }
)

test.each([logout, { ...login, isRight: isDevice }])(
  "A $what on a full disk removes the identity file, and the next command makes another one",
  function*({ isRight, ...reported }) {
    const given = yield* signedIn()
    const { home } = given
    let isFull = false
    const full: Reported = {
      ...reported,
      isRight,
      report: (process) => Effect.andThen(Effect.sync(() => isFull = true), reported.report(process))
    }
    const { last, later } = yield* run(
      given,
      full,
      ({ operation }) => isFull && FaultyDisk.additions.includes(operation) ? "ENOSPC" : undefined
    )
    assert.isUndefined(last)
    assert.isTrue(isRight(later), later.distinctId)
    assert.deepStrictEqual(home.claimed(), [anon.a])
  }
)

test.each([logout, login])(
  "A $what while consent cannot be read records and writes nothing, and ends the use of the former account",
  function*(reported) {
    const given = yield* signedIn()
    const { home } = given
    let isUnreadable = false
    const isOptOut = ({ path }: FaultyDisk.Call) => path === home.at("usage/opt-out")
    const changes: Array<string> = []
    const { last, later } = yield* run(given, {
      ...reported,
      report: (process) =>
        Effect.sync(() => isUnreadable = true).pipe(
          Effect.andThen(reported.report(process)),
          Effect.andThen(Effect.sync(() => isUnreadable = false))
        )
    }, (call) => {
      if (isUnreadable && call.path.endsWith("usage.json") && call.operation !== "read") changes.push(call.operation)
      return isUnreadable && isOptOut(call) ? "EIO" : undefined
    })
    assert.deepStrictEqual(changes, ["remove"])
    assert.isTrue(isDevice(later), later.distinctId)
    // The command of a login goes on as its account.
    assert.isTrue(reported.what === "logout" ? last && isDevice(last) : last?.distinctId === Q, last?.distinctId)
    assert.deepStrictEqual(home.events().map(({ event }) => event), ["Used", "Used", "Used"])
    assert.deepStrictEqual(home.claimed(), [anon.a])
  }
)

const denials = { DO_NOT_TRACK: "1", ACME_USAGE_TRACKING: "0" }

test.each(
  [logout, login].flatMap((reported) => Object.entries(denials).map(([name, value]) => ({ ...reported, name, value })))
)(
  "A $what with $name=$value records nothing, and ends the use of the former account",
  function*({ name, report, value }) {
    const { home, start } = yield* signedIn()
    const before = home.events().length
    const made: Array<string> = []
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      if (["create", "link", "makeFolder"].includes(operation)) made.push(path)
    })
    const denied = yield* start({ disk, consent: Device.environmentConsent({ env: { [name]: value } }) })
    yield* denied.begin
    yield* report(denied)
    yield* denied.record
    yield* denied.end
    assert.lengthOf(home.events(), before)
    assert.deepStrictEqual([home.text("usage.json"), made], [undefined, []])
    const next = yield* start()
    yield* next.begin
    const owner = yield* next.owner
    assert.isTrue(isDevice(owner), owner.distinctId)
  }
)

test("A logout in a test run changes nothing", function*() {
  const { home, start } = yield* signedIn()
  const before = home.snapshot()
  const consent = Device.environmentConsent({ env: { NODE_ENV: "test" } })
  yield* (yield* start({ consent })).stitch.logout
  assert.deepStrictEqual(home.snapshot(), before)
})

test("A login to the account of the device without consent keeps its identity", function*() {
  const { home, start } = yield* signedIn()
  const before = home.snapshot()
  const denied = yield* start({ consent: Device.environmentConsent({ env: { DO_NOT_TRACK: "1" } }) })
  yield* denied.stitch.login(P)
  assert.deepStrictEqual(home.snapshot(), before)
})

test("A logout in a home that others may write to changes nothing there", function*() {
  const { home, start } = yield* signedIn()
  NFS.chmodSync(home.home, 0o777)
  const before = home.snapshot()
  yield* (yield* start()).stitch.logout
  assert.deepStrictEqual(home.snapshot(), before)
})

test("A login to the account of the device keeps its identity while consent cannot be read", function*() {
  const given = yield* signedIn()
  const command = yield* given.start({ disk: FaultyDisk.refusing("any", "/opt-out") })
  yield* command.stitch.login(P)
  assert.strictEqual((yield* found(given.home)).anonId, anon.a)
  assert.deepStrictEqual(yield* (yield* given.start()).owner, account(P))
})

test.each(["read", "all"] as const)(
  "An identity file that cannot be read stays as it is at a logout: %s",
  function*(extent) {
    const given = yield* signedIn()
    const { home, start } = given
    const before = home.text("usage.json")
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      const isIdentity = path === home.at("usage.json") && (extent === "all" || operation === "read")
      return isIdentity || path.includes("/successors") || path === home.at("usage/opt-out") ? "EIO" : undefined
    })
    const command = yield* start({ disk })
    yield* command.stitch.logout
    assert.strictEqual(home.text("usage.json"), before)
  }
)

test("A file that holds consent is not removed at a logout on a full disk", function*() {
  const given = yield* signedIn({ codec: supabase })
  const { home, start } = given
  const denial = JSON.stringify({ ...JSON.parse(home.text("telemetry.json") ?? ""), enabled: false })
  const command = yield* start({
    disk: FaultyDisk.interposed(({ operation }) => {
      if (!FaultyDisk.additions.includes(operation)) return undefined
      // Another tool writes a denial meanwhile.
      NFS.writeFileSync(home.at("telemetry.json"), denial)
      return "ENOSPC"
    })
  })
  yield* command.stitch.logout
  assert.strictEqual(home.text("telemetry.json"), denial)
})

test("The identity file is not removed if the file of a former format would take its place", function*() {
  const given = yield* signedIn()
  const { home, start } = given
  yield* home.write("telemetry.json", JSON.stringify({ device_id: anon.b, distinct_id: P, enabled: true }))
  yield* (yield* start({ disk: FaultyDisk.full })).stitch.logout
  assert.strictEqual(home.pointer()["anon_id"], anon.a)
  yield* home.write("usage/imported", "")
  yield* (yield* start({ disk: FaultyDisk.full })).stitch.logout
  assert.isUndefined(home.text("usage.json"))
})

test.each(
  [
    { source: "stored", owner: own },
    { source: "environment", owner: own },
    { source: "none", owner: account(P) }
  ] as const
)(
  "A host without a resolver does not end the claim of a version with one, whose credential was $source",
  function*({ owner, source }) {
    for (const isLoaded of [false, true]) {
      const { home, start } = yield* signedIn()
      yield* home.seed(anon.b, { ...claimOf(anon.b, P), credential: source })
      const before = home.text("usage.json")
      const command = yield* start()
      yield* command.begin
      if (isLoaded) yield* command.store.get
      assert.deepStrictEqual(yield* command.owner, owner)
      yield* command.end
      assert.strictEqual(home.text("usage.json"), before)
    }
  }
)

test("Of two logouts at once, of which one can write nothing, the device keeps what the other one wrote", function*() {
  const given = yield* signedIn()
  const { home, start } = given
  const other = yield* start({ cold: loaded })
  const context = yield* Effect.context<never>()
  let exit: Exit.Exit<void> | undefined
  const disk = FaultyDisk.interposed(({ operation, path }) => {
    if (operation !== "link" || !path.includes("/successors/")) return undefined
    exit ??= Effect.runSyncExitWith(context)(other.stitch.logout)
    return "ENOSPC"
  })
  yield* (yield* start({ disk })).stitch.logout
  assert.deepStrictEqual(exit, Exit.void)
  const { anonId } = yield* other.store.get
  assert.deepInclude(yield* found(home), { anonId, claim: undefined })
  assert.notStrictEqual(anonId, anon.a)
})

test.each(["logs out", "replaces the anon id"] as const)(
  "A response of a command that began before another process %s claims nothing for the former account",
  function*(what) {
    for (const when of ["before the first event", "after an event"] as const) {
      const { home, start } = yield* signedIn()
      const other = yield* start({ cold: loaded })
      yield* other.stitch.logout
      const command = yield* start()
      yield* command.begin
      if (when === "after an event") yield* command.record
      if (what === "logs out") yield* Effect.andThen(other.stitch.login(P), other.stitch.logout)
      else yield* home.write("usage.json", Device.pointerText(anon.b))
      yield* command.stitch.observe(P)
      // The command itself was the account's.
      assert.deepStrictEqual(yield* command.owner, account(P), when)
      yield* command.end
      const { anonId, claim } = yield* found(home)
      assert.isUndefined(claim, when)
      assert.deepStrictEqual(yield* (yield* start()).owner, device(anonId), when)
    }
  }
)

test("A response of a first command claims nothing after a login and a logout elsewhere, and else its anon id", function*() {
  for (const isAlone of [false, true]) {
    const { home, start } = yield* scene(mode, {
      isNew: true,
      process: { resolver: FixedPrincipalResolver.layerNone, consent: Device.environmentConsent() }
    })
    const command = yield* start()
    yield* command.begin
    const other = yield* start()
    if (!isAlone) yield* Effect.andThen(other.stitch.login(P), other.stitch.logout)
    yield* command.stitch.observe(P)
    assert.deepStrictEqual(yield* command.owner, account(P))
    assert.strictEqual(principalOf((yield* found(home)).claim), isAlone ? P : undefined)
  }
})
