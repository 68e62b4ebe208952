/**
 * Telemetry for a host's own tests: in memory, with what was recorded as plain values.
 *
 * No network, no file, no child process, no variable of the process's environment.
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { arcade } from "../domain/IdentityCodec.ts"
import type { Message } from "../domain/Message.ts"
import * as StateHome from "../domain/StateHome.ts"
import * as UsageEvent from "../domain/UsageEvent.ts"
import * as EnvironmentConsent from "../layers/EnvironmentConsent.ts"
import * as FixedPrincipalResolver from "../layers/FixedPrincipalResolver.ts"
import * as MemoryDisk from "../layers/MemoryDisk.ts"
import * as NewIdentity from "../layers/NewIdentity.ts"
import * as UsageServices from "../layers/UsageServices.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import type { Disk } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { Outbox } from "../services/Outbox.ts"
import type { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

export * from "./Assertions.ts"

/**
 * An event as it would be sent.
 *
 * **Details**
 *
 * It goes to `principal`, or without an account to `anonId`, without a person; the other one is undefined.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecordedEvent {
  readonly event: string
  /** The dotted path of the command that it was recorded in; undefined outside of any. */
  readonly command: string | undefined
  readonly principal: string | undefined
  readonly anonId: string | undefined
  /**
   * What the event declares, and what `UsageContext` and `Usage.annotateCommand` add; for a command's own event
   * `exit_code`, `flags_used` and the others.
   */
  readonly properties: Schema.JsonObject
  /** What every event has: `invocation_id`, `sequence`, `is_ci`, …, and the groups under `$groups`. */
  readonly common: Schema.JsonObject
}

/**
 * The alias that joins a device to an account, with everything that was recorded under the anon id.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecordedAlias {
  readonly anonId: string
  readonly principal: string
}

/**
 * An event that was not recorded, because its own schema refuses a value.
 *
 * @category models
 * @since 0.1.0
 */
export interface RefusedEvent {
  readonly event: string
  readonly reason: string
}

/**
 * Everything that was recorded, in its order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorded {
  readonly events: ReadonlyArray<RecordedEvent>
  readonly aliases: ReadonlyArray<RecordedAlias>
  readonly refused: ReadonlyArray<RefusedEvent>
}

/**
 * The recorded events of a test.
 *
 * @category services
 * @since 0.1.0
 */
export class TestUsage extends Context.Service<TestUsage, {
  /** Returns what was recorded so far and would be sent. */
  readonly recorded: Effect.Effect<Recorded>
}>()("effect-cli-usage/testing/TestUsage") {}

/**
 * Returns what was recorded so far and would be sent.
 *
 * **Gotchas**
 *
 * In CI an event of a user with a credential waits for the account: it is there when its command has ended.
 *
 * @category getters
 * @since 0.1.0
 */
export const recorded: Effect.Effect<Recorded, never, TestUsage> = Effect.flatMap(
  TestUsage,
  ({ recorded }) => recorded
)

// == users and machines

/**
 * A user on a machine; what is not said is the developer of `persistent`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether no command ran on the machine before. */
  readonly firstRun?: boolean | undefined
  /** Whether the user has turned telemetry off; the `telemetry` commands change it. */
  readonly optedOut?: boolean | undefined
  /** The account that the user has logged in to. */
  readonly principal?: string | undefined
  /** The host's own resolver, in the place of one that knows `principal`. */
  readonly principals?: Layer.Layer<PrincipalResolver, never, HostRuntime> | undefined
  /** What differs from the developer's terminal of `runtime`. */
  readonly runtime?: Partial<HostRuntime["Service"]> | undefined
}

/**
 * A developer's machine: a terminal, outside of CI, where a command ran before and nobody is logged in. The default.
 *
 * @category users
 * @since 0.1.0
 */
export const persistent: Options = {
  firstRun: false,
  runtime: { ci: undefined, container: false, stdoutIsTerminal: true, stderrIsTerminal: true }
}

/**
 * A job in CI: a fresh machine without a terminal, where nothing is kept.
 *
 * @category users
 * @since 0.1.0
 */
export const ci: Options = {
  firstRun: true,
  runtime: { ci: "GitHub Actions", stdoutIsTerminal: false, stderrIsTerminal: false }
}

/**
 * A machine on which no command ran before.
 *
 * @category users
 * @since 0.1.0
 */
export const firstRun: Options = { firstRun: true }

/**
 * A user who has logged in to an account. An earlier command has joined a persistent machine to it, unless this is the
 * first run.
 *
 * @category users
 * @since 0.1.0
 */
export const loggedIn = (principal: string): Options => ({ principal })

/**
 * A user who has turned telemetry off.
 *
 * @category users
 * @since 0.1.0
 */
export const optedOut: Options = { optedOut: true }

/**
 * Creates the runtime of a developer's terminal over a disk. It starts no process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const runtime = (disk: Disk): HostRuntime["Service"] => ({
  ci: undefined,
  agent: undefined,
  container: false,
  isolated: false,
  stdoutIsTerminal: true,
  stderrIsTerminal: true,
  runtime: { language: "node", version: "0.0.0" },
  os: { type: "Test", release: "0", arch: "none" },
  pid: 2,
  markOf: String,
  isAlive: () => true,
  uid: undefined,
  disk,
  uuid: () => process.getBuiltinModule("node:crypto").randomUUID(),
  sha256: (text) => process.getBuiltinModule("node:crypto").createHash("sha256").update(text).digest("hex"),
  executable: "/nowhere",
  worker: undefined,
  exitCode: Effect.succeed(0),
  setVariable: () => Effect.succeed(0),
  interrupted: Effect.never,
  onSignal: () => () => {},
  onExit: () => Effect.void,
  isExiting: Effect.succeed(false)
})

// == the layer

const settings = Layer.effect(
  UsageSettings,
  Effect.map(Path.Path, (path) =>
    UsageSettings.of({
      name: "test",
      version: "0.0.0",
      variables: "TEST",
      home: StateHome.make(path, "/home/test"),
      destination: { host: "http://127.0.0.1:9", key: "phc_test" },
      destinationId: "test",
      codec: arcade
    }))
)

const noVariables = ConfigProvider.fromEnv({ env: {} })

// The process's own environment is not read; a `ConfigProvider` that the test provides is.
const variablesOfTest = Layer.effect(
  ConfigProvider.ConfigProvider,
  Effect.map(
    ConfigProvider.ConfigProvider,
    (provider) => provider === Context.get(Context.empty(), ConfigProvider.ConfigProvider) ? noVariables : provider
  )
)

// Those of the test deny nothing: it is a test run.
const consentOfUser = Layer.effect(
  Consent,
  Effect.flatMap(EnvironmentConsent.make, EnvironmentConsent.serviceOf)
).pipe(Layer.provide(ConfigProvider.layer(noVariables)))

const noWorker = Effect.succeed(
  CaptureWorker.of({
    ensure: Effect.void,
    flush: Effect.succeed({ delivered: 0, kept: 0 }),
    obstacles: Effect.succeed([])
  })
)

/** One process of the host on a disk. */
const processOn = (disk: Disk, { principal, principals, runtime: differences }: Options) =>
  UsageServices.layer({ worker: noWorker }).pipe(
    Layer.provideMerge(consentOfUser),
    Layer.provideMerge(
      principals ??
        (principal === undefined ? FixedPrincipalResolver.layerNone : FixedPrincipalResolver.layer(principal))
    ),
    Layer.provideMerge(Layer.succeed(HostRuntime, { ...runtime(disk), ...differences })),
    Layer.provideMerge(settings),
    Layer.provide([Path.layer, variablesOfTest]),
    // Within a test of `layer`, its parts are built already.
    Layer.fresh
  )

const Login = UsageEvent.make("Logged in", {
  description: "The earlier command",
  properties: Schema.Struct({})
})

// Joins the device to an account as an earlier command does, whose messages were delivered.
const loginBefore = (principal: string) =>
  Effect.gen(function*() {
    yield* Effect.flatMap(IdentityStitch, (stitch) => stitch.login(principal))
    yield* Effect.flatMap(UsageCapture, (usage) => usage.capture(Login, {}))
    const outbox = yield* Outbox
    yield* outbox.delivered(yield* outbox.entries)
  })

/** A disk with what earlier commands left on it. */
const makeDisk = (options: Options) =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const home = StateHome.make(path, "/home/test")
    const disk = MemoryDisk.make()
    for (const folder of ["/home", home.root]) disk.makeFolder(folder)
    if (options.firstRun !== true) {
      const { anonId } = NewIdentity.inMemory(runtime(disk).uuid, true)
      disk.create(home.identityFile(arcade.fileName), arcade.encode({ anonId, linkedPrincipal: undefined }, {}))
      if (options.principal !== undefined) {
        yield* Effect.provide(loginBefore(options.principal), processOn(disk, options))
      }
    }
    if (options.optedOut === true) {
      disk.makeFolder(home.usage)
      disk.create(home.optOut, "")
    }
    return disk
  }).pipe(Effect.provide(Path.layer))

const isCommon = (name: string): boolean => UsageEvent.isReserved(name) || name === "$groups"

const partOf = (properties: Schema.JsonObject, isWanted: (name: string) => boolean): Schema.JsonObject =>
  Object.fromEntries(Object.entries(properties).filter(([name]) => isWanted(name)))

const eventOf = ({ distinct_id, event, properties }: Message): RecordedEvent => {
  const { $process_person_profile: profile, command_name: command } = properties
  return {
    event,
    command: command === undefined ? undefined : String(command),
    principal: profile === false ? undefined : distinct_id,
    anonId: profile === false ? distinct_id : undefined,
    properties: partOf(properties, (name) => !isCommon(name)),
    common: partOf(properties, isCommon)
  }
}

/** Captures, and keeps what the events' own schemas refuse. */
const observed = Layer.effectContext(Effect.gen(function*() {
  const { capture, follow } = yield* UsageCapture
  const { decision } = yield* Consent
  const outbox = yield* Outbox
  const refused: Array<RefusedEvent> = []
  return Context.make(
    UsageCapture,
    UsageCapture.of({
      follow,
      capture: (event, properties) =>
        Effect.gen(function*() {
          yield* capture(event, properties)
          if (!(yield* decision).enabled) return
          const encoded = UsageEvent.encode(event, properties)
          if (Result.isFailure(encoded)) refused.push({ event: event.name, reason: encoded.failure })
        })
    })
  ).pipe(Context.add(
    TestUsage,
    TestUsage.of({
      recorded: Effect.map(outbox.entries, (entries) => ({
        events: entries.flatMap(({ _tag, message }) => _tag === "Event" ? [eventOf(message)] : []),
        aliases: entries.flatMap((entry) =>
          entry._tag === "Alias" ? [{ anonId: entry.anonId, principal: entry.message.distinct_id }] : []
        ),
        refused: [...refused]
      }))
    })
  ))
}))

/**
 * What `layer` provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = TestUsage | UsageServices.Services | Consent | HostRuntime | PrincipalResolver | UsageSettings

/**
 * Provides what `Usage.layer` provides, in memory, for a user on a machine: `persistent`, `ci`, `firstRun`,
 * `loggedIn(principal)`, `optedOut`, or several of them.
 *
 * **Details**
 *
 * There is no worker and no notice. All that runs while it is built is one invocation, however many commands that are.
 * Of several options the later one counts.
 *
 * **Example** (Testing what a command records)
 *
 * ```ts
 * it.effect("deploy is recorded, for the account that CI has", () =>
 *   Effect.gen(function*() {
 *     yield* Command.runWith(cli, { version: "0" })(["deploy", "x"])
 *     TestUsage.assertEvent(yield* TestUsage.recorded, { command: "deploy", principal: "account_1" })
 *   }).pipe(
 *     Effect.provide([TestUsage.layer(TestUsage.ci, TestUsage.loggedIn("account_1")), NodeServices.layer])
 *   ))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (...options: ReadonlyArray<Options>): Layer.Layer<Services> => {
  const all = options.reduce<Options>(
    (one, other) => ({ ...one, ...other, runtime: { ...one.runtime, ...other.runtime } }),
    persistent
  )
  return Layer.unwrap(
    Effect.map(makeDisk(all), (disk) => Layer.provideMerge(observed, processOn(disk, all)))
  ).pipe(Layer.fresh)
}
