/**
 * What a command records: the events, their properties, their sequence, and the worker that is asked for.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import type { ConsentDecision } from "../../src/domain/ConsentDecision.ts"
import * as Message from "../../src/domain/Message.ts"
import type { Shared } from "../../src/domain/Shared.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import { CurrentCommand } from "../../src/services/CurrentCommand.ts"
import { UsageContext } from "../../src/services/UsageContext.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import { account, type Mode, modes, over, ownerOf, runOf, scene, Used } from "../stitch/Command.ts"

const { P } = Device

const Anything = UsageEvent.make("Anything", {
  description: "Whatever an author may declare",
  properties: Schema.Record(Schema.String, Schema.Any)
})

const sequences = (home: Device.Device) => home.events().map(({ properties }) => properties["sequence"])

// Strings are cut, so it takes many to fill a message.
const filled = (count: number, text: string, last = "") =>
  Object.fromEntries([...Array.from({ length: count }, (_, n) => [`p${n}`, text]), ["last", last]])

describe.each(modes)("common properties over $mode", (mode) => {
  const test = over(mode)
  const isNew = over(mode, { isNew: true })

  isNew("An event is on the disk, whole, when capture returns", function*({ command: { capture, store }, home }) {
    const run = yield* runOf("project.create")
    yield* Effect.provideService(capture.capture(Anything, { text: "x" }), CurrentCommand, run)
    const { anonId } = yield* store.get
    const [message, ...others] = home.events()
    assert.deepStrictEqual(others, [])
    const { $lib_version: _, $session_id, invocation_id, ...properties } = message?.properties ?? {}
    for (const id of [$session_id, invocation_id, message?.uuid]) {
      assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }
    assert.deepInclude(message, { event: "Anything", distinct_id: anonId, timestamp: "2026-01-01T00:00:00.000Z" })
    assert.deepStrictEqual(properties, {
      text: "x",
      sequence: 0,
      command_name: "project.create",
      cli_version: "1.2.3",
      runtime_language: "node",
      runtime_version: "24.0.0",
      os_type: "Linux",
      os_release: "6.1.0",
      arch: "x64",
      is_ci: false,
      is_tty: true,
      is_first_run: true,
      schema_version: 1,
      $lib: "effect-cli-usage",
      $ignore_sent_at: true,
      $geoip_disable: true,
      $process_person_profile: false
    })
  })

  test("An event has the runtime of its own process, whatever ran before on the device", function*({ start }) {
    const terminal = { agent: undefined, ci: undefined, is_ci: false, is_first_run: false, is_tty: true }
    const agent = { agent: "claude", is_tty: false }
    for (
      const [runtime, differs] of [
        [{ ...Device.runtimes.ci, agent: "claude" }, { ...agent, is_ci: true, ci: "GitHub Actions" }],
        [Device.persistent, {}],
        [{ ...Device.persistent, agent: "claude", stdoutIsTerminal: false }, agent],
        [Device.persistent, {}]
      ] as const
    ) {
      const message = yield* (yield* start({ runtime })).record
      const { agent, ci, is_ci, is_first_run, is_tty } = message?.properties ?? {}
      assert.deepStrictEqual({ agent, ci, is_ci, is_first_run, is_tty }, { ...terminal, ...differs })
    }
  })

  isNew(
    "An event is of a first run only if its process published the identity, and has its own uuid and time",
    function*(given) {
      const { command, start } = given
      const other = yield* start()
      const all = [yield* command.record]
      yield* TestClock.adjust("1 second")
      all.push(yield* other.record, yield* command.record)
      assert.deepStrictEqual(all.map((message) => message?.properties["is_first_run"]), [true, false, true])
      assert.strictEqual(all[2]?.timestamp, "2026-01-01T00:00:01.000Z")
      assert.lengthOf(new Set(all.map((message) => message?.uuid)), 3)
    }
  )

  test("An event is refused above 64 KiB, counted in bytes, and kept at just that", function*(given) {
    const { command: { capture }, home } = given
    const fill = (last: number) => capture.capture(Anything, filled(7, "x".repeat(8192), "x".repeat(last)))
    yield* fill(0)
    const [first] = home.events()
    const room = Message.maxBytes - new TextEncoder().encode(Message.encode(first ?? assert.fail())).length
    assert.isBelow(room, 8192)
    yield* fill(room + 1)
    yield* capture.capture(Anything, filled(4, "語".repeat(6000)))
    assert.lengthOf(home.events(), 1)
    yield* fill(room)
    assert.deepStrictEqual(sequences(home), [0, 1])
  })

  const broken = (): never => {
    throw new Error("broken")
  }
  const breaking = FaultyDisk.interposed(({ path }) => path.includes("/usage/") ? broken() : undefined)
  isNew.each([
    { where: "without consent", options: { consent: Device.consentOf(Device.denied) } },
    { where: "on a full disk", options: { disk: FaultyDisk.full } },
    { where: "where the module itself breaks", options: { disk: breaking } }
  ])("An event that cannot be kept starts no worker, and the command continues: $where", function*(given, { options }) {
    const { home, start } = given
    const { end, record, workers } = yield* start(options)
    assert.isUndefined(yield* record)
    yield* end
    assert.deepStrictEqual(home.tree(), [])
    assert.strictEqual(yield* workers, 0)
  })

  isNew("An event is recorded completely when the command is interrupted", function*({ command: { capture }, home }) {
    const fiber = yield* Effect.forkChild(capture.capture(Used, {}), { startImmediately: true })
    // The rest of the module is being loaded.
    assert.isUndefined(fiber.pollUnsafe())
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(sequences(home), [0])
  })

  test.each([{}, { geoip: false }, { geoip: true }])(
    "An event lets PostHog derive a place only if the author says so: settings %j",
    function*(given, settings) {
      const message = yield* (yield* given.start({ settings })).record
      assert.strictEqual(message?.properties["$geoip_disable"], settings.geoip !== true)
    }
  )
})

describe.each(modes)("sequence numbers over $mode", (mode) => {
  over(mode, { isNew: true })("The sequence rises by one from 0 in each command, also at once", function*(given) {
    const { home, start } = given
    for (let command = 0; command < 2; command++) {
      const { capture } = yield* start()
      yield* Effect.all(Array.from({ length: 50 }, () => capture.capture(Used, {})), { concurrency: "unbounded" })
    }
    assert.deepStrictEqual(sequences(home), Array.from({ length: 100 }, (_, n) => Math.floor(n / 2)))
    assert.lengthOf(new Set(home.events().map(({ properties }) => properties["invocation_id"])), 2)
  })

  over(mode)(
    "The sequence has no gap after an event that is refused, cannot be kept or has no consent",
    function*({ home, start }) {
      const decision = yield* Ref.make<ConsentDecision>(Device.given)
      let isFull = false
      const disk = FaultyDisk.refusing("rename", "", "ENOSPC", () => isFull)
      const { capture, record } = yield* start({ consent: Device.consentOfRef(decision), disk })
      const Strict = UsageEvent.make("Strict", {
        description: "Takes little",
        properties: Schema.Struct({ text: Schema.String.check(Schema.isMaxLength(1)) })
      })
      yield* record
      yield* capture.capture(Strict, { text: "long" })
      yield* capture.capture(Anything, filled(9, "x".repeat(8192)))
      isFull = true
      assert.isUndefined(yield* record)
      isFull = false
      yield* Ref.set(decision, Device.denied)
      assert.isUndefined(yield* record)
      yield* Ref.set(decision, Device.given)
      yield* capture.capture(Strict, { text: "x" })
      assert.deepStrictEqual(sequences(home), [0, 1])
    }
  )
})

const pretended = {
  ...Object.fromEntries(
    ["invocation_id", "parent_invocation_id", "command_name", "cli_version", "runtime_language", "runtime_version"]
      .concat(["os_type", "os_release", "arch", "is_ci", "is_tty", "is_first_run", "agent", "ci", "$session_id"])
      .concat(["$lib", "$lib_version", "$ignore_sent_at", "$geoip_disable", "$process_person_profile"])
      .map((name) => [name, "pretended"])
  ),
  sequence: 99,
  schema_version: 99
}

/** Captures an event within a scope, and returns it. */
const captured = Effect.fnUntraced(function*(
  mode: Mode,
  properties: Record<string, unknown>,
  context: Shared = {},
  ofAccount = false
) {
  const { home, start } = yield* scene(mode, ofAccount ? { claim: { principal_id: P, credential: "none" } } : {})
  const { capture } = yield* start()
  yield* Effect.provideService(capture.capture(Anything, properties), UsageContext, context)
  const [message] = home.events()
  assert(message)
  return message
})

describe.each(modes)("properties of scopes and persons over $mode", (mode) => {
  const given = over(mode)

  test.each([{ by: "an event's own" }, { by: "the properties of a scope" }])(
    "A common property cannot be overridden by $by",
    function*({ by }) {
      const properties = { ...pretended, own: 1 }
      const message = yield* by === "an event's own" ? captured(mode, properties) : captured(mode, {}, { properties })
      assert.notInclude(JSON.stringify(message), "pretended")
      assert.deepInclude(message.properties, { own: 1, sequence: 0, schema_version: 1 })
    }
  )

  test("A property of a scope goes with each of its events, under the event's own, and is well-formed", function*() {
    const { properties } = yield* captured(mode, { text: "own" }, {
      properties: { text: "shared", project: "p1" },
      groups: { organization: "org_1" }
    })
    assert.deepInclude(properties, { text: "own", project: "p1", $groups: { organization: "org_1" } })
    const torn = yield* captured(mode, {}, {
      properties: { text: "a\ud800", ["b\ud800"]: 1 },
      groups: { organization: "o\ud800" }
    })
    const { $groups, text, ...rest } = torn.properties
    assert.deepStrictEqual([text, $groups], ["a\ufffd", { organization: "o\ufffd" }])
    assert.isTrue(JSON.stringify(Object.keys(rest)).isWellFormed())
    assert.notInclude(JSON.stringify(rest), "\\ud800")
  })

  given("A name of an event or a command is sent without a lone surrogate", function*({ home, start }) {
    const { capture } = yield* start({ settings: { version: "1\ud800" } })
    const torn = UsageEvent.make("a\ud800", { description: "A name that was cut", properties: Schema.Struct({}) })
    yield* Effect.provideService(capture.capture(torn, {}), CurrentCommand, yield* runOf("b\ud800"))
    const [message] = home.events()
    assert.strictEqual(message?.event, "a\ufffd")
    assert.deepInclude(message?.properties, { command_name: "b\ufffd", cli_version: "1\ufffd" })
  })

  // A person property of an anon id would make the later alias a silent no-op.
  test("A property of a person goes with an event of an account, and with no other", function*() {
    const ofPerson = { $set: { email: "x" }, $set_once: { first: 1 }, $unset: ["x"], $anon_distinct_id: "x" }
    const anonymous = yield* captured(mode, { ...ofPerson, own: 1 })
    for (const name of Object.keys(ofPerson)) assert.notProperty(anonymous.properties, name)
    assert.deepInclude(anonymous.properties, { own: 1, $process_person_profile: false })
    const message = yield* captured(mode, { $set: { plan: "pro" }, $process_person_profile: false }, {}, true)
    assert.deepStrictEqual(ownerOf(message), account(P))
    assert.deepInclude(message.properties, { $set: { plan: "pro" } })
    assert.notProperty(message.properties, "$process_person_profile")
  })

  given.inDebugMode(
    "A property that is left out and an event that is dropped are debug lines",
    function*({ command, home }) {
      const { capture } = command
      yield* capture.capture(Anything, { sequence: 9, big: 1n, $set: { plan: "pro" } }).pipe(
        Effect.provideService(UsageContext, { properties: { agent: "theirs", fine: 1 } })
      )
      yield* capture.capture(Anything, filled(9, "x".repeat(8192)))
      assert.deepStrictEqual(sequences(home), [0])
      assert.strictEqual(home.events()[0]?.properties["fine"], 1)
      const lines = (yield* TestConsole.errorLines).map(String)
      const [json, reserved, ofPersons, dropped] = lines.filter((line) => line.startsWith("usage: \"Anything\""))
      assert.strictEqual(json, "usage: \"Anything\" is sent without big: not JSON, or more than 60 KiB")
      assert.strictEqual(reserved, "usage: \"Anything\" is sent without agent, sequence: the name is reserved")
      assert.strictEqual(ofPersons, "usage: \"Anything\" is sent without $set: it is anonymous")
      assert.match(dropped ?? "", /^usage: "Anything" is dropped: \d+ bytes are more than 65536$/)
      const printed = lines.filter((line) => line.startsWith("{"))
      assert.deepStrictEqual(printed, home.events().map((event) => JSON.stringify(event)))
    }
  )

  given.inDebugMode(
    "An event of a dry run on a disk that cannot be written is not kept, and a debug line says why",
    function*({ home, start }) {
      const below = FaultyDisk.refusing("access", "", "EROFS")
      const before = home.snapshot()
      const { outbox, record } = yield* start({ disk: MemoryDisk.make({ below }) })
      assert.isUndefined(yield* record)
      assert.isTrue(yield* outbox.isEmpty)
      assert.deepStrictEqual(home.snapshot(), before)
      const lines = (yield* TestConsole.errorLines).map(String)
      assert.include(lines, "usage: could not keep \"Used\": EROFS")
      assert.notInclude(lines.join("\n"), "\"event\":\"Used\"")
    }
  )
})

describe.each(modes)("CaptureWorker over $mode", (mode) => {
  const test = over(mode)

  test.each([{ what: "events", count: 1 }, { what: "an alias", count: 1 }, { what: "nothing", count: 0 }])(
    "A worker is asked for $count times when a command ends that recorded $what",
    function*({ command: { begin, end, record, stitch, workers } }, { count, what }) {
      yield* begin
      if (what === "events") yield* Effect.andThen(record, record)
      if (what === "an alias") yield* stitch.observe(P)
      assert.strictEqual(yield* workers, 0)
      yield* end
      assert.strictEqual(yield* workers, count)
    }
  )

  test("A worker is asked for every 30 seconds by a command that keeps recording, and at its end", function*(given) {
    const { command: { end, record, workers } } = given
    yield* record
    yield* TestClock.adjust("29 seconds")
    yield* record
    yield* TestClock.adjust(0)
    assert.strictEqual(yield* workers, 0)
    yield* TestClock.adjust("1 second")
    yield* Effect.andThen(record, record)
    yield* TestClock.adjust(0)
    assert.strictEqual(yield* workers, 1)
    yield* end
    assert.strictEqual(yield* workers, 2)
  })
})
