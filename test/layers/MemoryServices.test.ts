/**
 * What a host's tests run on does what its users' machines do: any program leaves the same in memory and on disk.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Path from "node:path"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import type { Entry, Outbox } from "../../src/services/Outbox.ts"
import * as Device from "../fixtures/Device.ts"
import { start, Used } from "../stitch/Command.ts"

const { anon, P, Q } = Device

type Step = typeof Step.Type
const Step = Schema.Struct({
  what: Schema.Literals([
    "backOff",
    "deliver",
    "disable",
    "enable",
    "forget",
    "login",
    "logout",
    "next",
    "observe",
    "record",
    "setAside",
    "switch credential",
    "wait"
  ]),
  n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
})

const credentials = [undefined, Device.stored("one"), Device.environment("two"), Device.stored("")]
const minutes = [1, 10, 31, 45, 61, 60 * 24 * 8]
const bounds = { messages: 6 }

/** An empty home in memory. */
const inMemory = (home: string): Disk => {
  const disk = MemoryDisk.make()
  const above = (path: string): ReadonlyArray<string> => path === "/" ? [] : [...above(Path.dirname(path)), path]
  for (const folder of above(home)) disk.makeFolder(folder)
  return disk
}

/** What waits: aliases, then events, by their time. The order of several aliases on a disk is that of their random ids. */
const waiting = (outbox: Outbox["Service"]) =>
  Effect.map(outbox.entries, (entries) => entries.toSorted((a, b) => keyOf(a) < keyOf(b) ? -1 : 1))

const keyOf = ({ _tag, message: { properties, timestamp } }: Entry) =>
  `${_tag} ${timestamp} ${String(properties["sequence"]).padStart(4, "0")}`

/** Names each id and hash by the order in which it appears, so that two devices can be compared. */
const named = () => {
  const names = new Map<string, string>()
  return (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value ?? null).replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}/g, (id) => {
        names.set(id, names.get(id) ?? `#${names.size}`)
        return names.get(id) ?? ""
      })
    )
}

/** A device whose commands run one after the other. */
const side = Effect.fnUntraced(function*(disk: (home: string) => Disk) {
  const home = yield* Device.make
  const api = yield* Device.makeApi({ accounts: { one: P } })
  const at = disk(home.home)
  at.create(home.at("usage.json"), arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {}))
  const next = start(home, {
    resolver: api.layer,
    disk: at,
    consent: Device.environmentConsent(),
    settings: { bounds }
  })
  let command = yield* next
  const name = named()

  const perform = Effect.fnUntraced(function*({ n, what }: Step): Effect.fn.Return<unknown, unknown> {
    const principal = n % 2 === 0 ? P : Q
    const { consent, outbox, stitch, store } = command
    switch (what) {
      case "backOff":
        return yield* outbox.backOff(`status ${500 + n}`)
      case "deliver":
        return yield* outbox.delivered((yield* waiting(outbox)).slice(0, n))
      case "disable":
        return n === 0 ? yield* consent.deny : undefined
      case "enable":
        return yield* consent.allow
      case "forget":
        return n === 0 ? yield* Effect.asVoid(store.forget) : undefined
      case "login":
        return yield* stitch.login(principal)
      case "logout":
        return yield* stitch.logout
      case "observe":
        return yield* stitch.observe(principal)
      case "record":
        return yield* command.capture.capture(Used, {})
      case "setAside": {
        const entry = (yield* waiting(outbox))[n]
        return entry === undefined ? undefined : yield* outbox.setAside(entry)
      }
      case "switch credential":
        return yield* api.set(credentials[n % 4])
    }
  })

  return Effect.fnUntraced(function*(step: Step) {
    if (step.what === "next") {
      yield* command.end
      command = yield* next
      yield* command.begin
    }
    const result = yield* Effect.exit(perform(step))
    const { outbox, store } = command
    return name([
      result._tag,
      yield* store.peek,
      yield* store.check,
      (yield* waiting(outbox)).map(({ message }) => message),
      yield* outbox.isEmpty,
      yield* outbox.backedOffUntil,
      yield* outbox.status,
      yield* command.consent.decision
    ])
  })
})

it.effect.prop(
  "The services in memory do the same as those on disk in each step of a program",
  { steps: Schema.Array(Step) },
  ({ steps }) =>
    Effect.gen(function*() {
      const sides = [yield* side(() => NodeDisk.disk), yield* side(inMemory)]
      for (const step of steps) {
        // Each command has times of its own.
        if (step.what === "next") yield* TestClock.adjust(1)
        if (step.what === "wait") yield* TestClock.adjust(`${minutes[step.n] ?? 1} minutes`)
        const [real, memory] = yield* Effect.forEach(sides, (perform) => perform(step))
        assert.deepStrictEqual(memory, real, JSON.stringify(step))
      }
    }),
  { arbitrary: { runs: 100, size: 30 } }
)
