/**
 * A command of a host, as `Usage.track` runs it, and who its events belong to.
 */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Claim from "../../src/domain/Claim.ts"
import type { Message } from "../../src/domain/Message.ts"
import type { PrincipalId } from "../../src/domain/PrincipalId.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as Cold from "../../src/layers/Cold.ts"
import * as Debug from "../../src/layers/Debug.ts"
import { type CommandRun, CurrentCommand } from "../../src/services/CurrentCommand.ts"
import type { Identity } from "../../src/services/IdentityStore.ts"
import type { Followed } from "../../src/services/UsageCapture.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"

export const now = Date.parse("2026-01-01T00:00:00Z")

export const Used = UsageEvent.make("Used", { description: "Something was used", properties: Schema.Struct({}) })
const Succeeded = UsageEvent.make("Succeeded", { description: "The command succeeded", properties: Schema.Struct({}) })

// == who an event belongs to

export interface Owner {
  readonly distinctId: string
  readonly personless: boolean
}

export const account = (principal: PrincipalId): Owner => ({ distinctId: principal, personless: false })
export const device = (anonId: string): Owner => ({ distinctId: anonId, personless: true })

/** The command's own id, which belongs to no person. */
export const own: Owner = { distinctId: "the command's own", personless: true }

export const ownerOf = ({ distinct_id, properties }: Message): Owner => ({
  distinctId: distinct_id === properties["invocation_id"] ? own.distinctId : distinct_id,
  personless: properties["$process_person_profile"] === false
})

// == a command

export interface Command extends Device.Process {
  /** Begins the command: reads its credential, and asks about a new one. */
  readonly begin: Effect.Effect<void>
  /** Waits for the answer to that question. */
  readonly settle: Effect.Effect<void>
  /** Records an event, and returns who it belongs to. */
  readonly owner: Effect.Effect<Owner>
  /** Whether it has loaded nothing but what each command loads. */
  readonly isSteady: Effect.Effect<boolean>
  /** Records an event, and returns it; undefined where it was not recorded. */
  readonly record: Effect.Effect<Message | undefined>
}

/** A command that runs. */
export const runOf = (name: string): Effect.Effect<CommandRun> =>
  Effect.map(Ref.make({ flagValues: {}, shared: {} }), (annotations) => ({
    name,
    outer: undefined,
    annotations,
    flows: new Set(),
    recordSuccess: Effect.void,
    recordExit: () => Effect.void
  }))

/** Starts a process of a device; its command begins with `begin`, and ends with the process. */
export const start = Effect.fnUntraced(function*(home: Device.Device, options?: Device.ProcessOptions) {
  const process = yield* home.start(options)
  const scope = yield* Scope.fork(yield* Effect.scope)
  const run: CommandRun = {
    ...(yield* runOf("use")),
    recordSuccess: Effect.suspend(() =>
      Effect.provideService(process.capture.capture(Succeeded, {}), CurrentCommand, run)
    )
  }
  const followed = yield* Ref.make<Followed | undefined>(undefined)
  const begin = Effect.gen(function*() {
    yield* Ref.set(followed, yield* Scope.provide(process.capture.follow(run), scope))
  })
  const record = Effect.gen(function*() {
    const before = new Set(home.events().map(({ uuid }) => uuid))
    yield* process.capture.capture(Used, {})
    return home.events().find(({ uuid }) => !before.has(uuid))
  })
  return {
    ...process,
    begin,
    settle: Effect.flatMap(Ref.get(followed), (followed) => followed?.awaitPrincipal ?? assert.fail("has not begun")),
    record,
    isSteady: Effect.map(process.loads, (loads) => loads === 0),
    owner: Effect.map(record, (message) => message === undefined ? assert.fail("not recorded") : ownerOf(message)),
    end: Effect.andThen(Scope.close(scope, Exit.void), process.end)
  } satisfies Command
})

// == other processes

/** The parts that a steady command does not need, at once: what a process does is then over in one synchronous step. */
export const loaded: NonNullable<Device.ProcessOptions["cold"]> = Effect.succeed(Cold)

/** A disk on which another process does something, once, just before the first operation that is selected. */
export const disturbed = Effect.fnUntraced(function*(
  select: (call: FaultyDisk.Call) => boolean,
  act: Effect.Effect<void>
) {
  const context = yield* Effect.context<never>()
  let exit: Exit.Exit<void> | undefined
  const { disk } = FaultyDisk.before(select, () => {
    exit = Effect.runSyncExitWith(context)(act)
  })
  return { disk, hasActed: () => exit !== undefined && Exit.isSuccess(exit) }
})

// == the two ways of a command

export interface Mode {
  readonly mode: string
  /** Whether a command is steady that finds a credential which an earlier command has parsed. */
  readonly isSteady: boolean
  readonly makeApi: (home: Device.Device, options?: Device.ApiOptions) => Effect.Effect<Device.Api>
}

/** A command over a credentials file, which is steady once an earlier one has parsed the file. */
export const steady: Mode = { mode: "a credentials file", isSteady: true, makeApi: Device.makeFileApi }

/** Most tests run over both kinds of resolver; the answer is the same. */
export const modes: ReadonlyArray<Mode> = [
  { mode: "a resolver without an input", isSteady: false, makeApi: (_, options) => Device.makeApi(options) },
  steady
]

// == a device with an API

export interface SceneOptions extends Device.ApiOptions {
  /** Whether the device has no identity yet. */
  readonly isNew?: boolean
  /** The claim of the device's anon id. */
  readonly claim?: Partial<Claim.Claim> & { readonly principal_id: PrincipalId }
  /** The account that logged in on the device in an earlier command, with the stored credential `key`. */
  readonly loggedIn?: PrincipalId
  /** The answer of the API about the credential `key`. */
  readonly answer?: Effect.Effect<PrincipalId | undefined>
  /** What all processes of the device start with. */
  readonly process?: Device.ProcessOptions
}

export interface Scene {
  readonly home: Device.Device
  readonly api: Device.Api
  /** The anon id of the device. */
  readonly anonId: string
  readonly start: (options?: Device.ProcessOptions) => Effect.Effect<Command, never, Scope.Scope>
}

// The events of later commands are the only ones that wait.
const logIn = Effect.fnUntraced(function*({ start }: Scene, principal: PrincipalId) {
  const { end, outbox, record, stitch } = yield* start()
  yield* stitch.login(principal)
  yield* record
  yield* end
  yield* Effect.flatMap(outbox.entries, outbox.remove)
})

/** A device with the anon id `anon.a`, and an API. */
export const scene = Effect.fnUntraced(function*(
  { makeApi }: Mode,
  { answer, claim, isNew = false, loggedIn, process, ...options }: SceneOptions = {}
): Effect.fn.Return<Scene, never, Scope.Scope> {
  yield* TestClock.setTime(now)
  const home = yield* Device.make
  const { anon, claimOf } = Device
  if (!isNew) yield* home.seed(anon.a, claim && claimOf(anon.a, claim.principal_id, claim))
  const api = yield* makeApi(home, loggedIn === undefined ? options : { credential: Device.stored("key"), ...options })
  if (answer !== undefined) api.accounts.set("key", answer)
  const all: Scene = {
    home,
    api,
    anonId: anon.a,
    start: (options) => start(home, { resolver: api.layer, ...process, ...options })
  }
  if (loggedIn !== undefined) yield* logIn(all, loggedIn)
  return all
})

/** A scene with a command that has started. */
export interface Given extends Scene {
  readonly command: Command
}

type Body<Value, E> = (given: Given, value: Value) => Generator<Effect.Effect<unknown, E, Scope.Scope>, void, never>

/** Tests over one kind of resolver: each has a device of its own, as `options` say. */
export const over = (mode: Mode, options: SceneOptions = {}) => {
  const run = <Value, E>(own: SceneOptions, body: Body<Value, E>, value: Value) =>
    Effect.gen(function*() {
      const all = yield* scene(mode, { ...options, ...own })
      const command = yield* all.start()
      yield* Effect.gen(() => body({ ...all, command }, value))
    })
  const each =
    <const Value>(values: ReadonlyArray<Value>, ofValue: (value: Value) => SceneOptions = () => ({})) =>
    <E>(title: string, body: Body<Value, E>) =>
      it.effect.each(values)(title, (value) => run(ofValue(value), body, value))
  const test = <E>(title: string, body: Body<undefined, E>) => it.effect(title, () => run({}, body, undefined))
  const inDebugMode = <E>(title: string, body: Body<undefined, E>) =>
    it.effect(title, () => Effect.provideService(run({}, body, undefined), Debug.IsDebugMode, true))
  return Object.assign(test, { each, inDebugMode })
}

/** The answer of the API about a secret, which the test gives. */
export const lateAnswer = (api: Device.Api, secret: string) =>
  Effect.tap(
    Deferred.make<PrincipalId | undefined>(),
    (answer) => Effect.sync(() => api.accounts.set(secret, Deferred.await(answer)))
  )

export type SeenBy = "login" | "observe" | "resolver"
export const everybody: ReadonlyArray<SeenBy> = ["login", "observe", "resolver"]

/** Begins a command, and shows P to it in one of the three ways. */
export const see = ({ begin, record, settle, stitch }: Command, seenBy: SeenBy) =>
  Effect.andThen(begin, seenBy === "resolver" ? Effect.andThen(record, settle) : stitch[seenBy](Device.P))

/** Begins a command, records an event, waits for the answer, and ends it. */
export const use = Effect.fnUntraced(function*({ start }: Pick<Scene, "start">) {
  const command = yield* start()
  yield* command.begin
  yield* command.record
  yield* command.settle
  yield* command.end
})

/** What a later command finds; it changes nothing. */
export const found = (home: Device.Device): Effect.Effect<Identity, never, Scope.Scope> =>
  Effect.map(Effect.flatMap(home.start(), ({ store }) => store.peek), (identity) => identity ?? assert.fail("none"))

/** Records an event, which belongs to an anon id that the device did not have before; returns the id. */
export const freshOwner = Effect.fnUntraced(function*({ owner, store }: Command, former: string) {
  const recorded = yield* owner
  const { anonId } = yield* store.get
  assert.notStrictEqual(anonId, former)
  assert.deepStrictEqual(recorded, device(anonId))
  return anonId
})

export const principalOf = (claim: Identity["claim"]): PrincipalId | undefined => claim?.principal_id

const isOfIdentity = /^usage\.json|usage\/(claims|successors)\//

/** The files that say who the device belongs to; a claim may be noted as that of a stored credential. */
export const identityFiles = (home: Device.Device) =>
  Object.fromEntries(
    Object.entries(home.snapshot()).filter(([name]) => isOfIdentity.test(name) && !name.endsWith(".stored"))
  )
