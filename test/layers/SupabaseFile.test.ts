/**
 * `telemetry.json`, which a host shares with Supabase's CLI: what that reads of it in every state.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { arcade, supabase } from "../../src/domain/IdentityCodec.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import * as Supabase from "../fixtures/SupabaseTool.ts"
import { test } from "../fixtures/Tests.ts"
import { type Command, disturbed, now, type Scene, scene, steady } from "../stitch/Command.ts"

const { anon, P } = Device

const minute = 60_000

const telemetryJson = "telemetry.json"
const theirSession = "5e551010-0000-4000-8000-000000000000"
/** Nested too deep to be encoded, or indented by too much. */
const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`
const foreign = { theirs: [1, { deep: null }] }

/** A file as each of their two CLIs writes it, with a session that was active two minutes ago. */
const fileOf = (form: "newer" | "older", keys: object = {}): string => {
  const ids = { device_id: anon.a, session_id: theirSession }
  const at = now - 2 * minute
  const ofForm = form === "newer"
    ? { consent: "granted", session_last_active: at }
    : { enabled: true, session_last_active: new Date(at).toISOString(), schema_version: 1 }
  return JSON.stringify({ ...ofForm, ...ids, ...foreign, ...keys })
}

/** A device of a host with this codec; with a file or without one. */
const host = Effect.fnUntraced(function*(text?: string) {
  const all = yield* scene(steady, { isNew: true, process: { codec: supabase, consent: Device.environmentConsent() } })
  if (text !== undefined) yield* all.home.write(telemetryJson, text)
  return all
})

const textOf = ({ home }: Pick<Scene, "home">): string => home.text(telemetryJson) ?? ""
const read = (all: Pick<Scene, "home">): Supabase.State => Supabase.read(textOf(all))

/** Runs a command, and ends it. */
const command = Effect.fnUntraced(function*<A>(
  { start }: Pick<Scene, "start">,
  use: (command: Command) => Effect.Effect<A>,
  options?: Device.ProcessOptions
) {
  const command = yield* start(options)
  yield* command.begin
  const result = yield* use(command)
  yield* command.end
  return result
})

const recordIn = (all: Scene, options?: Device.ProcessOptions) =>
  Effect.map(command(all, ({ record }) => record, options), (message) => message ?? assert.fail("not recorded"))

const disable = (all: Scene) => command(all, ({ consent }) => Effect.orDie(consent.deny))
const enable = (all: Scene) => command(all, ({ consent }) => Effect.orDie(consent.allow))
const logIn = (all: Scene) =>
  command(
    all,
    ({ record, stitch }) => Effect.andThen(all.api.set(Device.stored("key")), Effect.andThen(stitch.login(P), record))
  )
const logOut = (all: Scene) =>
  command(all, ({ record, stitch }) => Effect.andThen(Effect.andThen(record, all.api.set(undefined)), stitch.logout))

describe("file format", () => {
  /** Each state follows the one before it, on one device; whether the id is another one, and what else is read. */
  const states: ReadonlyArray<
    readonly [
      what: string,
      reach: (all: Scene) => Effect.Effect<unknown, never, Scope.Scope>,
      isNewId: boolean,
      Partial<Supabase.State>
    ]
  > = [
    ["a first event", recordIn, false, { isGiven: true, distinctId: undefined, lastActive: now }],
    ["a login", logIn, false, { isGiven: true, distinctId: P }],
    ["a logout", logOut, true, { isGiven: true, distinctId: undefined }],
    ["a denial", disable, true, { isGiven: false }],
    ["a second denial", disable, true, { isGiven: false }],
    ["a consent that is given again", enable, true, { isGiven: true }],
    ["an event after that", recordIn, false, { isGiven: true, lastActive: now }],
    ["a login after that", logIn, false, { isGiven: true, distinctId: P }],
    ["a denial of an account", disable, true, { isGiven: false, distinctId: undefined }]
  ]
  const starts = [
    ["no file", undefined, { enabled: false, consent: undefined }],
    ["a file of its newer CLI", fileOf("newer"), { enabled: undefined, consent: "denied" }],
    ["a file of its older CLI", fileOf("older"), { enabled: false, consent: undefined }],
    ["a file with the keys of both", fileOf("older", { consent: "granted" }), { enabled: false, consent: "denied" }],
    [
      "a file that it would not take",
      JSON.stringify({ device_id: anon.a, schema_version: "1", distinct_id: 1, consent: 1, enabled: 1, ...foreign }),
      { enabled: false, consent: undefined }
    ]
  ] as const
  for (const [start, text, form] of starts) {
    test(`Supabase's CLI accepts the file in every state of a device that began with ${start}`, function*() {
      const all = yield* host(text)
      let former: string | undefined = text === undefined ? undefined : anon.a
      for (const [what, reach, isNewId, expected] of states) {
        yield* reach(all)
        const state = read(all)
        assert.deepInclude(state, expected, what)
        if (former !== undefined) assert.strictEqual(state.deviceId !== former, isNewId, what)
        former = state.deviceId
        const found = yield* command(all, ({ store }) => store.peek)
        assert.strictEqual(found?.anonId, state.isGiven ? former : undefined, what)
        if (text !== undefined) assert.deepInclude(JSON.parse(textOf(all)), foreign, what)
        for (const theirs of [Supabase.byNewer, Supabase.byOlder]) {
          const { lastActive: _, sessionId: __, ...kept } = Supabase.read(theirs(textOf(all), now))
          assert.deepInclude(state, kept, what)
        }
      }
      // In the form that it had at the start.
      const { consent, enabled } = JSON.parse(textOf(all))
      assert.deepStrictEqual({ enabled, consent }, form)
    })
  }

  test("Supabase's CLI accepts the file of a command that was killed before its first event", function*() {
    const all = yield* host()
    const { anonId } = yield* (yield* all.start()).store.get
    assert.deepInclude(read(all), { deviceId: anonId, isGiven: true, distinctId: undefined })
  })

  test("Supabase's CLI accepts the file of a host that had another format before", function*() {
    const all = yield* host()
    yield* all.home.write("usage.json", arcade.encode({ anonId: anon.a, linkedPrincipal: P }, {}))
    yield* recordIn(all)
    assert.deepInclude(read(all), { deviceId: anon.a, isGiven: true, distinctId: P })
  })

  test("Supabase's CLI accepts the denial of a device with no file, a torn one, or one that cannot be encoded again", function*() {
    for (const text of [undefined, "{", "", `{"device_id":"${anon.a}","deep":${deep}}`]) {
      const all = yield* host(text)
      yield* disable(all)
      assert.isFalse(read(all).isGiven)
      assert.notInclude(textOf(all), anon.a)
    }
  })
})

describe("shared sessions", () => {
  for (const form of ["newer", "older"] as const) {
    const theirs = form === "newer" ? Supabase.byNewer : Supabase.byOlder
    test(`A session of Supabase's CLI continues in this module and in that CLI again within 30 minutes: ${form} CLI`, function*() {
      const all = yield* host(fileOf(form))
      for (let n = 0; n < 3; n++) {
        yield* TestClock.adjust("20 minutes")
        assert.strictEqual((yield* recordIn(all)).properties["$session_id"], theirSession)
        const at = now + (n + 1) * 20 * minute
        assert.deepInclude(read(all), { sessionId: theirSession, lastActive: at })
        assert.strictEqual(Supabase.read(theirs(textOf(all), at + 29 * minute)).sessionId, theirSession)
      }
      yield* TestClock.adjust("31 minutes")
      const session = (yield* recordIn(all)).properties["$session_id"]
      assert.notStrictEqual(session, theirSession)
      assert.strictEqual(read(all).sessionId, session)
    })
  }

  test("A session of Supabase's CLI is continued by a command that was silent for more than 30 minutes", function*() {
    const all = yield* host(fileOf("older"))
    const { record } = yield* all.start()
    yield* record
    yield* TestClock.adjust("31 minutes")
    yield* all.home.write(telemetryJson, Supabase.byOlder(textOf(all), now + 31 * minute))
    const { sessionId } = read(all)
    assert.notStrictEqual(sessionId, theirSession)
    assert.strictEqual((yield* record)?.properties["$session_id"], sessionId)
  })

  test("A session of Supabase's CLI is not sent if its id is no UUID, or if it is of another device", function*() {
    for (const session_id of ["me@example.com", "", 7, null]) {
      const all = yield* host(fileOf("older", { session_id }))
      const session = (yield* recordIn(all)).properties["$session_id"]
      assert.notStrictEqual(session, session_id)
      assert.strictEqual(read(all).sessionId, session)
    }
    const all = yield* host(fileOf("older"))
    yield* all.home.write(`usage/successors/${anon.a}.json`, Device.successorText(anon.b))
    assert.notStrictEqual((yield* recordIn(all)).properties["$session_id"], theirSession)
    assert.deepInclude(read(all), { deviceId: anon.b, lastActive: now })
  })

  test("A session of Supabase's CLI ends with a logout, also for what the command records after it", function*() {
    const all = yield* host(fileOf("older"))
    yield* logIn(all)
    const sessions = yield* command(all, ({ record, stitch }) =>
      Effect.gen(function*() {
        const before = yield* record
        yield* all.api.set(undefined)
        yield* stitch.logout
        const between = read(all)
        const after = yield* record
        return [between.sessionId, before?.properties["$session_id"], after?.properties["$session_id"]]
      }))
    assert.strictEqual(sessions[1], theirSession)
    assert.notInclude([sessions[0], sessions[2]], theirSession)
    assert.strictEqual((yield* recordIn(all)).properties["$session_id"], sessions[2])
  })

  test("A steady command touches the session of Supabase's CLI once a minute, writes nothing else and loads nothing", function*() {
    const all = yield* host(fileOf("older", { ...foreign, session_last_active: new Date(now).toISOString() }))
    const written: Array<string> = []
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      if (operation === "rename" || operation === "link") written.push(path.slice(all.home.home.length + 1))
    })
    const use = ({ loads, record }: Command) => Effect.andThen(record, loads)
    const before = textOf(all)
    assert.strictEqual(yield* command(all, use, { disk }), 0)
    assert.strictEqual(textOf(all), before)
    assert.deepStrictEqual(written.splice(0).filter((path) => !path.includes("/events/")), [])
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(yield* command(all, use, { disk }), 0)
    assert.deepStrictEqual(written.filter((path) => !path.includes("/events/")), [telemetryJson])
    const session_last_active = new Date(now + minute).toISOString()
    assert.deepStrictEqual(JSON.parse(textOf(all)), { ...JSON.parse(before), session_last_active })
  })

  const long = `[${"1,".repeat(200_000)}1]`
  for (const [what, value] of [["is nested too deep", deep], ["would be larger than what is read", long]] as const) {
    test(`A session is not touched in a file of Supabase's CLI that ${what} if it were written again`, function*() {
      const all = yield* host(fileOf("older").replace("{", `{"large":${value},`))
      const before = textOf(all)
      assert.strictEqual((yield* recordIn(all)).properties["$session_id"], theirSession)
      // A difference of megabytes would not be shown for minutes.
      assert.isTrue(textOf(all) === before)
    })
  }

  test("A session of Supabase's CLI is not touched in CI, nor in a file that has the id of another device", function*() {
    const ci = yield* host(fileOf("older"))
    const before = textOf(ci)
    assert.strictEqual((yield* recordIn(ci, { runtime: "ci" })).properties["$session_id"], theirSession)
    assert.strictEqual(textOf(ci), before)
    const all = yield* host(fileOf("older"))
    const other = fileOf("older", { device_id: anon.b })
    const { disk, hasActed } = yield* disturbed(
      ({ operation, path }) => operation === "rename" && path.includes("/events/"),
      all.home.write(telemetryJson, other)
    )
    yield* recordIn(all, { disk })
    assert.isTrue(hasActed())
    assert.strictEqual(textOf(all), other)
  })
})

describe("unfinished files", () => {
  const isPublished = ({ operation, path }: FaultyDisk.Call) =>
    (operation === "rename" && path.includes("/events/")) || (operation === "link" && path.includes("/claims/"))

  for (const what of ["an event", "a claim"] as const) {
    test(`The file of ${what} stays while another tool writes ${telemetryJson} in place`, function*() {
      const all = yield* host(fileOf("older"))
      let isWriting = false
      // What a read sees between the truncation and the write of the other tool.
      const disk: Disk = {
        ...FaultyDisk.interposed((call) => {
          isWriting ||= isPublished(call)
        }),
        read: (path, options) =>
          isWriting && path.endsWith(telemetryJson) ? { _tag: "Text", text: "" } : NodeDisk.disk.read(path, options)
      }
      yield* command(all, ({ record, stitch }) => what === "an event" ? record : stitch.login(P), { disk })
      assert.isTrue(isWriting)
      if (what === "an event") assert.lengthOf(all.home.events(), 1)
      else assert.deepStrictEqual(all.home.claimed(), [anon.a])
    })
  }
})

describe("concurrent denials", () => {
  const denial = fileOf("older", { enabled: false, device_id: anon.b })

  // A new file is linked, an older one is replaced; the denial comes just before the last look at consent.
  for (const [what, text] of [["a first run", undefined], ["a session that is touched", fileOf("older")]] as const) {
    test(`A denial that another process wrote into the identity file is not removed by ${what}`, function*() {
      const all = yield* host(text)
      let isPublished = false
      const { disk, hasActed } = yield* disturbed(({ operation, path }) => {
        const wasPublished = isPublished
        isPublished ||= (operation === "rename" || operation === "link") && path.endsWith(telemetryJson)
        return wasPublished
      }, all.home.write(telemetryJson, denial))
      yield* command(all, ({ record }) => record, { disk })
      assert.isTrue(hasActed())
      assert.strictEqual(textOf(all), denial)
    })
  }
})
