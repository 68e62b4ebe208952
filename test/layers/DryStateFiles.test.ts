import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestConsole from "effect/testing/TestConsole"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as Debug from "../../src/layers/Debug.ts"
import * as Device from "../fixtures/Device.ts"

const { anon, claimOf, P, Q } = Device

const Used = UsageEvent.make("Used", { description: "Something was used", properties: Schema.Struct({}) })

/** What a command that does much of everything records; ids of its own by the order of their appearance. */
const recorded = Effect.fnUntraced(function*(device: Device.Device, options: Device.ProcessOptions) {
  const { capture, files, outbox, stitch, store } = yield* device.start(options)
  yield* capture.capture(Used, {})
  yield* stitch.observe(P)
  yield* capture.capture(Used, {})
  yield* stitch.login(Q)
  yield* capture.capture(Used, {})
  yield* stitch.logout
  yield* capture.capture(Used, {})
  const entries = yield* outbox.entries
  const status = yield* outbox.status
  yield* outbox.delivered(entries.slice(0, 2))
  const left = yield* outbox.entries
  const names = new Map<unknown, string>([[P, P], [Q, Q], [anon.a, "a"], [anon.b, "b"]])
  const named = (id: unknown) => {
    if (id !== undefined && !names.has(id)) names.set(id, `id ${names.size}`)
    return names.get(id)
  }
  return {
    messages: entries.map(({ message: { distinct_id, event, properties } }) => ({
      event,
      of: named(distinct_id),
      alias: named(properties["alias"]),
      session: named(properties["$session_id"]),
      sequence: properties["sequence"],
      isFirstRun: properties["is_first_run"]
    })),
    pending: status.pending,
    left: left.length,
    ends: named((yield* store.get).anonId),
    claims: (yield* files.list(files.home.claims)).length
  }
})

const seeds: Readonly<Record<string, (device: Device.Device) => Effect.Effect<void>>> = {
  "that is new": () => Effect.void,
  "that was seen before": (device) => device.seed(anon.a),
  "of an account": (device) => device.seed(anon.a, claimOf(anon.a, P)),
  "of another account": (device) => device.seed(anon.b, claimOf(anon.b, Q)),
  "whose identity file is unusable": (device) => device.write("usage.json", "{")
}

describe("a dry run", () => {
  for (const [what, seed] of Object.entries(seeds)) {
    it.effect(`on a device ${what} records what a real one would, and changes nothing`, () =>
      Effect.gen(function*() {
        const device = yield* Device.make
        yield* seed(device)
        const before = device.snapshot()
        const dry = yield* recorded(device, { dry: true })
        assert.deepStrictEqual(device.snapshot(), before)
        assert.deepStrictEqual(dry, yield* recorded(device, {}))
        assert.notDeepEqual(device.snapshot(), before)
      }))
  }

  it.effect("sees what waits, and what it removes only itself", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const real = yield* device.start()
      yield* real.capture.capture(Used, {})
      const dry = yield* device.start({ dry: true })
      yield* dry.outbox.delivered(yield* dry.outbox.entries)
      assert.isTrue(yield* dry.outbox.isEmpty)
      assert.isFalse(yield* real.outbox.isEmpty)
    }))

  it.effect("says that nothing can be written where nothing can", () =>
    Effect.gen(function*() {
      const device = yield* Device.make
      const fileSystem = Device.failing(({ method }) => method === "access" ? "EROFS" : undefined)
      const { capture, outbox } = yield* device.start({ dry: true, fileSystem })
      yield* capture.capture(Used, {})
      assert.isTrue(yield* outbox.isEmpty)
      const lines = (yield* TestConsole.errorLines).map(String)
      assert.include(lines, "usage: a message could not be kept")
      assert.notInclude(lines.join("\n"), "\"event\":\"Used\"")
    }).pipe(Effect.provideService(Debug.IsShown, true)))
})
