import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import * as Claim from "../../src/domain/Claim.ts"
import type { ConsentDecision } from "../../src/domain/ConsentDecision.ts"
import * as Message from "../../src/domain/Message.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as Debug from "../../src/layers/Debug.ts"
import { CurrentCommand, type Said } from "../../src/services/CurrentCommand.ts"
import { UsageContext } from "../../src/services/UsageContext.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, claimOf, P, Q } = Device

const now = Date.parse("2026-01-01T00:00:00Z")

const Used = UsageEvent.make("Used", {
  description: "Something was used",
  properties: Schema.Struct({ text: Schema.optionalKey(Schema.String) })
})

const Anything = UsageEvent.make("Anything", {
  description: "Whatever an author may declare",
  properties: Schema.Record(Schema.String, Schema.Any)
})

const device = Effect.andThen(TestClock.setTime(now), Device.make)

const sequences = (device: Device.Device) => device.events().map(({ properties }) => properties["sequence"])

describe("an event", () => {
  it.effect("is on the disk, whole, when capture returns", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      const said = yield* Ref.make<Said>({ flagValues: {}, shared: {} })
      yield* process.capture.capture(Used, { text: "x" }).pipe(
        Effect.provideService(CurrentCommand, { name: "project.create", outer: undefined, said })
      )
      const { anonId } = yield* process.store.get
      const [message, ...others] = home.events()
      assert.deepStrictEqual(others, [])
      const { $lib_version: _, $session_id, ...properties } = message?.properties ?? {}
      assert.match(String($session_id), /^[0-9a-f-]{36}$/)
      assert.match(message?.uuid ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.deepStrictEqual([message?.event, message?.distinct_id, message?.timestamp], [
        "Used",
        anonId,
        "2026-01-01T00:00:00.000Z"
      ])
      assert.deepStrictEqual(properties, {
        text: "x",
        invocation_id: process.invocation.id,
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
    }))

  it.effect("says what it runs in", () =>
    Effect.gen(function*() {
      const home = yield* device
      const runtime = { ...Device.runtimes.ci, agent: "claude" }
      yield* (yield* home.start({ runtime })).capture.capture(Used, {})
      assert.deepInclude(home.events()[0]?.properties, {
        agent: "claude",
        is_ci: true,
        is_tty: false,
        is_first_run: false
      })
    }))

  it.effect("is of a first run only in the process that published the identity", () =>
    Effect.gen(function*() {
      const home = yield* device
      const [one, two] = [yield* home.start(), yield* home.start()]
      yield* one.capture.capture(Used, {})
      yield* two.capture.capture(Used, {})
      yield* one.capture.capture(Used, {})
      assert.deepStrictEqual(home.events().map(({ properties }) => properties["is_first_run"]).toSorted(), [
        false,
        true,
        true
      ])
    }))

  it.effect("has its own uuid and time", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Used, {})
      yield* TestClock.adjust("1 second")
      yield* capture.capture(Used, {})
      const [one, two] = home.events()
      assert.notStrictEqual(one?.uuid, two?.uuid)
      assert.strictEqual(two?.timestamp, "2026-01-01T00:00:01.000Z")
    }))

  it.effect("that its schema refuses is dropped, and the command does not notice", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      const Strict = UsageEvent.make("Strict", {
        description: "Takes little",
        properties: Schema.Struct({ text: Schema.String.check(Schema.isMaxLength(1)) })
      })
      yield* capture.capture(Strict, { text: "long" })
      yield* capture.capture(Strict, { text: "x" })
      assert.deepStrictEqual(sequences(home), [0])
    }))

  it.effect("of more than 64 KiB is refused, and one of just that is not", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      // Strings are cut, so it takes many.
      const filled = (last: number) =>
        Object.fromEntries([
          ...Array.from({ length: 7 }, (_, n) => [`p${n}`, "x".repeat(8192)]),
          ["last", "x".repeat(last)]
        ])
      yield* capture.capture(Anything, filled(0))
      const [first] = home.events()
      const room = Message.maxBytes - new TextEncoder().encode(Message.encode(first ?? assert.fail())).length
      assert.isBelow(room, 8192)
      yield* capture.capture(Anything, filled(room + 1))
      assert.lengthOf(home.events(), 1)
      yield* capture.capture(Anything, filled(room))
      assert.deepStrictEqual(sequences(home), [0, 1])
    }))

  it.effect("is measured in bytes, not in characters", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      const filled = Object.fromEntries(Array.from({ length: 4 }, (_, n) => [`p${n}`, "語".repeat(6000)]))
      yield* capture.capture(Anything, filled)
      assert.deepStrictEqual(home.events(), [])
    }))

  it.effect("is nowhere without consent", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start({ consent: Device.consentOf(Device.denied) })
      yield* process.capture.capture(Used, {})
      yield* process.end
      assert.deepStrictEqual(home.tree(), [])
      assert.strictEqual(yield* process.workers, 0)
    }))

  it.effect("does not fail the command where the disk does", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start({ fileSystem: Device.full })
      yield* process.capture.capture(Used, {})
      yield* process.end
      assert.deepStrictEqual(home.tree(), [])
      assert.strictEqual(yield* process.workers, 0)
    }))

  it.effect("does not fail the command where the module itself breaks", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start({
        outbox: (outbox) => ({ ...outbox, add: () => Effect.die(new Error("broken")) })
      })
      yield* capture.capture(Used, {})
    }))

  it.effect("that is being written when the command is interrupted is written to the end", () =>
    Effect.gen(function*() {
      const home = yield* device
      const [reached, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { capture } = yield* home.start({
        outbox: (outbox) => ({
          ...outbox,
          add: (message) =>
            Deferred.succeed(reached, undefined).pipe(
              Effect.andThen(Deferred.await(gate)),
              Effect.andThen(outbox.add(message))
            )
        })
      })
      const fiber = yield* Effect.forkChild(capture.capture(Used, {}))
      yield* Deferred.await(reached)
      const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(interruption)
      assert.deepStrictEqual(sequences(home), [0])
    }))
})

describe("the sequence", () => {
  it.effect("rises by one from 0, also of events recorded at once", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start({
        outbox: (outbox) => ({ ...outbox, add: (message) => Effect.andThen(Effect.yieldNow, outbox.add(message)) })
      })
      yield* Effect.all(Array.from({ length: 50 }, () => capture.capture(Used, {})), { concurrency: "unbounded" })
      assert.deepStrictEqual(sequences(home), Array.from({ length: 50 }, (_, n) => n))
    }))

  it.effect("begins at 0 in each command", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* (yield* home.start()).capture.capture(Used, {})
      yield* (yield* home.start()).capture.capture(Used, {})
      assert.deepStrictEqual(sequences(home), [0, 0])
      assert.lengthOf(new Set(home.events().map(({ properties }) => properties["invocation_id"])), 2)
    }))

  it.effect("counts the alias with the events", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a)
      const process = yield* home.start()
      yield* process.capture.capture(Used, {})
      yield* process.stitch.observe(P)
      yield* process.capture.capture(Used, {})
      assert.deepStrictEqual(sequences(home), [0, 2])
      assert.strictEqual(home.claim(anon.a)?.alias?.properties["sequence"], 1)
    }))

  it.effect("has no gap where a claim's race is lost", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a)
      const process = yield* home.start({
        claims: (claims) => ({
          ...claims,
          publish: (claim) =>
            Effect.andThen(
              home.write(`usage/claims/${claim.anon_id}.json`, Claim.encode(claimOf(claim.anon_id, P))),
              claims.publish(claim)
            )
        })
      })
      yield* process.capture.capture(Used, {})
      yield* process.stitch.observe(P)
      yield* process.capture.capture(Used, {})
      assert.deepStrictEqual(sequences(home), [0, 1])
    }))

  it.effect("has no gap where a message is refused, or cannot be kept", () =>
    Effect.gen(function*() {
      const home = yield* device
      const isFull = yield* Ref.make(false)
      const { capture } = yield* home.start({
        fileSystem: Device.interposed(({ method, path }) =>
          Effect.flatMap(Ref.get(isFull), (isFull) =>
            isFull && method === "rename"
              ? Effect.fail(Device.errno("ENOSPC", method, path))
              : Effect.void)
        )
      })
      yield* capture.capture(Used, {})
      yield* capture.capture(
        Anything,
        Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`p${n}`, "x".repeat(8192)]))
      )
      yield* Ref.set(isFull, true)
      yield* capture.capture(Used, {})
      yield* Ref.set(isFull, false)
      yield* capture.capture(Used, {})
      assert.deepStrictEqual(sequences(home), [0, 1])
    }))

  it.effect("has no gap where consent was withdrawn for a while", () =>
    Effect.gen(function*() {
      const home = yield* device
      const decision = yield* Ref.make<ConsentDecision>(Device.given)
      const { capture } = yield* home.start({ consent: Device.consentOfRef(decision) })
      yield* capture.capture(Used, {})
      yield* Ref.set(decision, Device.denied)
      yield* capture.capture(Used, {})
      yield* Ref.set(decision, Device.given)
      yield* capture.capture(Used, {})
      assert.deepStrictEqual(sequences(home), [0, 1])
    }))
})

describe("a common property", () => {
  const pretended = {
    invocation_id: "pretended",
    parent_invocation_id: "pretended",
    sequence: 99,
    command_name: "pretended",
    cli_version: "pretended",
    runtime_language: "pretended",
    runtime_version: "pretended",
    os_type: "pretended",
    os_release: "pretended",
    arch: "pretended",
    is_ci: "pretended",
    is_tty: "pretended",
    is_first_run: "pretended",
    agent: "pretended",
    ci: "pretended",
    $session_id: "pretended",
    schema_version: 99,
    $lib: "pretended",
    $lib_version: "pretended",
    $ignore_sent_at: "pretended",
    $geoip_disable: "pretended",
    $process_person_profile: "pretended"
  }

  it.effect("cannot be overridden by an event's own", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Anything, { ...pretended, own: 1 })
      const [message] = home.events()
      assert.notInclude(JSON.stringify(message), "pretended")
      assert.deepInclude(message?.properties, { own: 1, sequence: 0, schema_version: 1 })
    }))

  it.effect("cannot be overridden by what the events of a scope share", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Used, {}).pipe(
        Effect.provideService(UsageContext, { properties: { ...pretended, shared: 1 }, groups: {} })
      )
      const [message] = home.events()
      assert.notInclude(JSON.stringify(message), "pretended")
      assert.deepInclude(message?.properties, { shared: 1, sequence: 0, schema_version: 1 })
    }))

  it.effect("cannot be overridden where the event is an account's", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a, claimOf(anon.a, P, { credential: "none" }))
      const { capture } = yield* home.start()
      yield* capture.capture(Anything, { $process_person_profile: false })
      assert.strictEqual(home.events()[0]?.distinct_id, P)
      assert.notProperty(home.events()[0]?.properties, "$process_person_profile")
    }))
})

describe("an event of nobody's", () => {
  it.effect("is personless: of an anon id, and of a command under a credential that nobody answered for", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a)
      yield* (yield* home.start()).capture.capture(Used, {})
      yield* home.seed(anon.a, claimOf(anon.a, Q))
      const api = yield* Device.makeApi({ credential: Device.stored("new") })
      const process = yield* home.start({ resolver: api.layer })
      yield* process.capture.capture(Used, {})
      const messages = new Map(home.events().map((event) => [event.distinct_id, event]))
      for (const id of [anon.a, process.invocation.id]) {
        assert.strictEqual(messages.get(id)?.properties["$process_person_profile"], false, id)
      }
    }))

  it.effect("carries no person property, which would make the later alias a silent no-op", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Anything, {
        $set: { email: "x" },
        $set_once: { first: 1 },
        $unset: ["x"],
        $anon_distinct_id: anon.b,
        own: 1
      })
      const [message] = home.events()
      for (const name of ["$set", "$set_once", "$unset", "$anon_distinct_id"]) {
        assert.notProperty(message?.properties, name)
      }
      assert.deepInclude(message?.properties, { own: 1 })
    }))
})

describe("an event of an account's", () => {
  it.effect("is never personless, and neither is the alias", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a)
      const process = yield* home.start()
      yield* process.stitch.observe(P)
      yield* process.capture.capture(Used, {})
      const [message] = home.events()
      assert.strictEqual(message?.distinct_id, P)
      assert.notProperty(message?.properties, "$process_person_profile")
      assert.notProperty(home.claim(anon.a)?.alias?.properties, "$process_person_profile")
    }))

  it.effect("may say something of its person", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a, claimOf(anon.a, P, { credential: "none" }))
      const { capture } = yield* home.start()
      yield* capture.capture(Anything, { $set: { plan: "pro" } })
      assert.deepInclude(home.events()[0]?.properties, { $set: { plan: "pro" } })
    }))
})

describe("what the events of a scope share", () => {
  it.effect("goes without what could have the whole batch refused", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Used, {}).pipe(
        Effect.provideService(UsageContext, {
          properties: { text: "a\ud800", ["b\ud800"]: 1 },
          groups: { organization: "o\ud800" }
        })
      )
      const { $groups, text, ...rest } = home.events()[0]?.properties ?? {}
      assert.deepStrictEqual([text, $groups], ["a\ufffd", { organization: "o\ufffd" }])
      assert.isTrue(JSON.stringify(Object.keys(rest)).isWellFormed())
      assert.notInclude(JSON.stringify(rest), "\\ud800")
    }))

  it.effect("goes with each of them, under their own", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Used, { text: "own" }).pipe(
        Effect.provideService(UsageContext, {
          properties: { text: "shared", project: "p1" },
          groups: { organization: "org_1" }
        })
      )
      assert.deepInclude(home.events()[0]?.properties, {
        text: "own",
        project: "p1",
        $groups: { organization: "org_1" }
      })
    }))
})

describe("the place of the user's address", () => {
  for (const geoip of [undefined, false, true]) {
    it.effect(`is ${geoip === true ? "" : "not "}derived where the author says ${geoip ?? "nothing"}`, () =>
      Effect.gen(function*() {
        const home = yield* device
        const { capture } = yield* home.start(geoip === undefined ? {} : { geoip })
        yield* capture.capture(Used, {})
        assert.strictEqual(home.events()[0]?.properties["$geoip_disable"], geoip !== true)
      }))
  }
})

describe("an author who reads along", () => {
  it.effect("is told what an event goes without, and what is dropped", () =>
    Effect.gen(function*() {
      const home = yield* device
      const { capture } = yield* home.start()
      yield* capture.capture(Anything, { sequence: 9, big: 1n, $set: { plan: "pro" } }).pipe(
        Effect.provideService(UsageContext, { properties: { agent: "theirs", fine: 1 } })
      )
      yield* capture.capture(Anything, { text: Array.from({ length: 100 }, () => "x".repeat(8000)) })
      const { fine, sequence } = home.events()[0]?.properties ?? {}
      assert.deepStrictEqual([home.events().length, fine, sequence], [1, 1, 0])
      const lines = (yield* TestConsole.errorLines).map(String)
      const [json, reserved, ofPersons, dropped] = lines.filter((line) => line.startsWith("usage: "))
      assert.strictEqual(json, `usage: "${Anything.name}" goes without big: no JSON`)
      assert.strictEqual(reserved, `usage: "${Anything.name}" goes without agent, sequence: every event has its own`)
      assert.strictEqual(ofPersons, `usage: "${Anything.name}" goes without $set: it is nobody's`)
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("{")),
        home.events().map((event) => JSON.stringify(event))
      )
      assert.match(dropped ?? "", /^usage: "[^"]+" is dropped: \d+ bytes are more than 65536$/)
    }).pipe(Effect.provideService(Debug.IsShown, true)))
})

describe("a worker", () => {
  it.effect("is asked for when the command ends, not while it records", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      yield* process.capture.capture(Used, {})
      yield* process.capture.capture(Used, {})
      assert.strictEqual(yield* process.workers, 0)
      yield* process.end
      assert.strictEqual(yield* process.workers, 1)
    }))

  it.effect("is not asked for by a command that recorded nothing", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      yield* process.stitch.begin
      yield* process.end
      assert.strictEqual(yield* process.workers, 0)
    }))

  it.effect("is asked for by a command whose only message is an alias", () =>
    Effect.gen(function*() {
      const home = yield* device
      yield* home.seed(anon.a)
      const process = yield* home.start()
      yield* process.stitch.observe(P)
      yield* process.end
      assert.strictEqual(yield* process.workers, 1)
    }))

  it.effect("is asked for now and then by a command that runs for hours", () =>
    Effect.gen(function*() {
      const home = yield* device
      const process = yield* home.start()
      yield* process.capture.capture(Used, {})
      yield* TestClock.adjust("29 seconds")
      yield* process.capture.capture(Used, {})
      yield* Effect.yieldNow
      assert.strictEqual(yield* process.workers, 0)
      yield* TestClock.adjust("1 second")
      yield* process.capture.capture(Used, {})
      yield* process.capture.capture(Used, {})
      yield* Effect.repeat(Effect.yieldNow, { times: 10 })
      assert.strictEqual(yield* process.workers, 1)
    }))
})
