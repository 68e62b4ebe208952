/**
 * `usage/known.json`: the session, and what credentials resolved to.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as NFS from "node:fs"
import type { AnonId } from "../../src/domain/AnonId.ts"
import { unreadable } from "../../src/domain/Credential.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import * as Tests from "../fixtures/Tests.ts"
import { modes, now, scene } from "../stitch/Command.ts"

const { anon, P, Q } = Device

const minute = 60_000
const hour = 60 * minute
const key = Device.stored("key")
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

interface Event {
  /** Milliseconds after `now`. */
  readonly at?: number
  readonly anonId?: AnonId
  readonly isDurable?: boolean
}

/** Returns the session of an event, and keeps it; each cache that is not given is that of a new process. */
const session = (
  home: Device.Device,
  { anonId = anon.a, at = 0, isDurable = true }: Event = {},
  known = home.known()
): string => {
  const session = known.sessionOf(anonId, now + at)
  known.save(session, now + at, isDurable)
  return session.session_id
}

const recalled = (home: Device.Device, secret = "key", at = 0) => home.known().recall(Device.stored(secret), now + at)

const remember = (home: Device.Device, principal: PrincipalId | undefined, secret = "key", at = 0) =>
  home.known().remember(Device.stored(secret), principal, now + at)

/** Tells one written file from the next, which may have the same text. */
const file = (home: Device.Device) => NFS.statSync(home.at("usage/known.json")).ino

const test = (title: string, body: (home: Device.Device) => void) =>
  it.effect(title, () => Effect.map(Device.make, body))

// What a process keeps in memory only.
const lost = {
  "in CI": { runtime: "ci" },
  "in a container": { runtime: "container" },
  "on a full disk": { disk: FaultyDisk.full },
  "without consent": { isGiven: false }
} satisfies Record<string, Device.KnownOptions>

const unusable = {
  "empty": "",
  "torn": "{",
  "no object": "[]",
  "of an older version": "{ \"version\": 0, \"salt\": \"x\", \"credentials\": [] }",
  "of a newer version": "{ \"version\": 2, \"salt\": \"x\", \"credentials\": [] }"
}

describe("session lifetime", () => {
  test("A session is a UUID, and is the same for commands with less than 30 minutes between them", (home) => {
    const first = session(home)
    assert.match(first, uuid)
    for (const at of [29, 58]) assert.strictEqual(session(home, { at: at * minute }), first)
    const second = session(home, { at: 88 * minute })
    assert.notStrictEqual(second, first)
    assert.strictEqual(session(home, { at: 88 * minute }), second)
  })

  test("A session continues in a long command that keeps recording, and ends in one that is silent", (home) => {
    const known = home.known()
    const first = session(home, {}, known)
    for (const at of [20, 40, 60, 80, 100]) assert.strictEqual(session(home, { at: at * minute }, known), first)
    assert.strictEqual(session(home, { at: 120 * minute }), first)
    assert.notStrictEqual(session(home, { at: 150 * minute }, known), first)
  })

  test("A session ends with the anon id, in its process and for the next", (home) => {
    const known = home.known()
    const first = session(home, {}, known)
    const second = session(home, { anonId: anon.b }, known)
    assert.notStrictEqual(second, first)
    assert.strictEqual(session(home, { anonId: anon.b }), second)
    assert.notInclude([first, second], session(home))
  })

  test("A long command keeps its session, and does not end that of the anon id that another process has made since", (home) => {
    const known = home.known()
    const former = session(home, {}, known)
    const later = session(home, { anonId: anon.b, at: minute })
    for (const at of [2, 40]) {
      const own = session(home, { at: at * minute }, known)
      assert.strictEqual(own === former, at === 2)
      assert.strictEqual(session(home, { anonId: anon.b, at: at * minute / 2 }), later)
    }
  })

  test("A long command writes its session again if the cache was deleted", (home) => {
    const known = home.known()
    const own = session(home, {}, known)
    NFS.rmSync(home.at("usage/known.json"))
    session(home, { at: minute }, known)
    assert.strictEqual(session(home, { at: minute }), own)
  })

  test("A session of an identity in memory belongs to its process only, and ends no other session", (home) => {
    const first = session(home)
    const known = home.known()
    const own = session(home, { anonId: anon.b, isDurable: false }, known)
    assert.strictEqual(session(home, { anonId: anon.b, isDurable: false, at: minute }, known), own)
    assert.strictEqual(session(home, { at: minute }), first)
  })

  Tests.test.each(modes)("A session is the same for the events of two commands, over $mode", function*(mode) {
    const { start } = yield* scene(mode)
    const first = yield* (yield* start()).record
    yield* TestClock.adjust("29 minutes")
    const second = yield* (yield* start()).record
    yield* TestClock.adjust("30 minutes")
    const third = yield* (yield* start()).record
    const [a, b, c] = [first, second, third].map((message) => message?.properties["$session_id"])
    assert.strictEqual(a, b)
    assert.notStrictEqual(c, b)
  })
})

describe("cached principals", () => {
  test("The principal of a new credential is unknown, and a look at it makes no file", (home) => {
    assert.isUndefined(recalled(home))
    assert.deepStrictEqual(home.tree(), [])
  })

  test("The principal of each credential is kept for later processes, without a limit of time", (home) => {
    remember(home, P, "one")
    remember(home, Q, "two")
    assert.strictEqual(recalled(home, "one", 365 * 24 * hour), P)
    assert.strictEqual(recalled(home, "two"), Q)
    assert.isUndefined(recalled(home, "three"))
  })

  test("The principal of a credential is written once, and the same answer changes nothing", (home) => {
    remember(home, P)
    const before = file(home)
    remember(home, P, "key", hour)
    assert.strictEqual(file(home), before)
  })

  test("The principal of an unreadable credential is not kept", (home) => {
    home.known().remember(unreadable, P, now)
    assert.deepStrictEqual(home.tree(), [])
  })

  test("A missing answer about a credential counts for an hour, and not from the future", (home) => {
    remember(home, undefined)
    const all = [0, hour - 1, 1 - hour, hour, -hour].map((at) => recalled(home, "key", at))
    assert.deepStrictEqual(all, [null, null, null, undefined, undefined])
    remember(home, undefined, "key", 61 * minute)
    assert.isNull(recalled(home, "key", 120 * minute))
  })
})

describe("cached parse results", () => {
  test("The parsed credential is kept with an event, is found by the same input only, and is written once", (home) => {
    const known = home.known()
    const parsed = (text: string) => home.known().recallInput(home.known().read(), text)
    known.noteInput("a text", key)
    assert.deepStrictEqual(home.tree(), [])
    session(home, {}, known)
    assert.deepInclude(parsed("a text"), { source: "stored" })
    assert.isUndefined(parsed("another text"))
    const before = file(home)
    const next = home.known()
    next.noteInput("a text", key)
    session(home, {}, next)
    assert.strictEqual(file(home), before)
    next.noteInput("no credential", undefined)
    session(home, {}, next)
    assert.deepInclude(parsed("no credential"), { source: "none", fingerprint: "" })
    assert.isUndefined(parsed("a text"))
  })
})

describe("contents of usage/known.json", () => {
  Tests.test("No credential is on the disk, and its hash differs between devices", function*() {
    const homes = [yield* Device.make, yield* Device.make]
    const secret = "a very secret key"
    const hashes = homes.flatMap((home) => {
      const known = home.known()
      known.remember(Device.stored(secret), P, now)
      known.noteInput(secret, Device.stored(secret))
      session(home, {}, known)
      assert.notInclude(Object.values(home.snapshot()).join(), secret)
      if (process.platform !== "win32") {
        assert.strictEqual(NFS.statSync(home.at("usage/known.json")).mode & 0o777, 0o600)
      }
      const { credentials, input } = known.read()
      return [credentials[0]?.fingerprint, input?.hash]
    })
    for (const hash of hashes) assert.match(hash ?? "", /^[0-9a-f]{64}$/)
    assert.lengthOf(new Set(hashes), 4)
  })

  for (const [what, text] of Object.entries(unusable)) {
    Tests.test(`A cache file that is ${what} counts as absent and is replaced`, function*() {
      const home = yield* Device.make
      yield* home.write("usage/known.json", text)
      assert.isUndefined(recalled(home))
      remember(home, P)
      assert.strictEqual(recalled(home), P)
      assert.strictEqual(session(home), session(home))
    })
  }

  for (const [where, options] of Object.entries(lost)) {
    test(`Nothing is cached ${where}, and the session lasts as long as its command`, (home) => {
      const known = home.known(options)
      known.remember(key, P, now)
      const first = session(home, {}, known)
      assert.strictEqual(session(home, { at: minute }, known), first)
      assert.notStrictEqual(session(home, {}, home.known(options)), first)
      assert.deepStrictEqual(home.tree().filter((name) => name !== "usage/tmp/"), [])
    })
  }
})
