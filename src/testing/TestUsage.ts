/**
 * The services in memory: no file, no process, no network.
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as AnonId from "../domain/AnonId.ts"
import { arcade } from "../domain/IdentityCodec.ts"
import type { Message } from "../domain/Message.ts"
import * as StateHome from "../domain/StateHome.ts"
import * as EnvironmentConsent from "../layers/EnvironmentConsent.ts"
import * as FixedPrincipalResolver from "../layers/FixedPrincipalResolver.ts"
import * as MemoryDisk from "../layers/MemoryDisk.ts"
import * as UsageServices from "../layers/UsageServices.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import type { Disk } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { Outbox } from "../services/Outbox.ts"
import type { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

/**
 * A developer's terminal on no machine in particular, over a disk: a process that nothing happens to, and that starts
 * nothing.
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
  setVariable: () => Effect.void,
  interrupted: Effect.never,
  onSignal: () => () => {},
  onExit: () => Effect.void,
  isExiting: Effect.succeed(false)
})

const settings = Effect.map(Path.Path, (path) =>
  UsageSettings.of({
    name: "test",
    version: "0.0.0",
    variables: "TEST",
    home: StateHome.make(path, "/home/test"),
    destination: { host: "http://127.0.0.1:9", key: "phc_test" },
    destinationId: "test",
    codec: arcade
  }))

// A device that was seen before.
const makeDisk = Effect.gen(function*() {
  const { home } = yield* UsageSettings
  const disk = MemoryDisk.make()
  for (const folder of ["/home", home.root]) disk.makeFolder(folder)
  const anonId = yield* Effect.fromOption(AnonId.decode(runtime(disk).uuid()))
  disk.create(home.identityFile(arcade.fileName), arcade.encode({ anonId, linkedPrincipal: undefined }, {}))
  return disk
}).pipe(Effect.orDie)

// The variables of the test's own process do not count.
const consentOfUser = Layer.effect(
  Consent,
  Effect.flatMap(EnvironmentConsent.make, EnvironmentConsent.serviceOf)
).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} }))))

const noWorker = Effect.succeed(
  CaptureWorker.of({
    ensure: Effect.void,
    flush: Effect.succeed({ delivered: 0, kept: 0 }),
    obstacles: Effect.succeed([])
  })
)

/**
 * What a test may vary.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The user's decision, by `FixedConsent`; given by default, and the `telemetry` commands change it. */
  readonly consent?: Layer.Layer<Consent> | undefined
  /** Who is logged in: `FixedPrincipalResolver.layer("account_1")`; nobody by default. */
  readonly principals?: Layer.Layer<PrincipalResolver, never, HostRuntime> | undefined
  /** What differs from the developer's terminal of `runtime`: `{ ci: "GitHub Actions" }`. */
  readonly runtime?: Partial<HostRuntime["Service"]> | undefined
}

/**
 * Provides `layer` for another user on another machine.
 *
 * **Example** (Testing a host for a user who opted out)
 *
 * ```ts
 * const optedOut = TestUsage.layerWith({
 *   consent: FixedConsent.layer({ enabled: false, decidedBy: { _tag: "OptOutFile" } })
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (
  options: Options
): Layer.Layer<UsageServices.Services | Consent | HostRuntime | PrincipalResolver | UsageSettings> => {
  const machine = Layer.effect(
    HostRuntime,
    Effect.map(makeDisk, (disk) => HostRuntime.of({ ...runtime(disk), ...options.runtime }))
  )
  return UsageServices.layer({ worker: noWorker }).pipe(
    Layer.provideMerge(options.consent ?? consentOfUser),
    Layer.provideMerge(options.principals ?? FixedPrincipalResolver.layerNone),
    Layer.provideMerge(machine),
    Layer.provideMerge(Layer.effect(UsageSettings, settings)),
    Layer.provide(Path.layer),
    // Within a test of `layer`, its parts are built already.
    Layer.fresh
  )
}

/**
 * Provides what `Usage.layer` provides, in memory: a device that was seen before, in a terminal, with nobody logged in.
 * There is no worker and no notice. All that runs while it is built is one invocation.
 *
 * **Example** (Testing what a host records)
 *
 * ```ts
 * it.effect("records the deployment", () =>
 *   Effect.gen(function*() {
 *     yield* Command.runWith(cli, { version: "0" })(["deploy", "x"])
 *     const [message] = yield* TestUsage.messages
 *     assert.strictEqual(message?.properties["command_name"], "deploy")
 *   }).pipe(Effect.provide([TestUsage.layer, NodeServices.layer])))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = layerWith({})

/**
 * Returns what was recorded and would be sent: aliases first, then events in their order.
 *
 * @category getters
 * @since 0.1.0
 */
export const messages: Effect.Effect<ReadonlyArray<Message>, never, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => Effect.map(outbox.entries, (entries) => entries.map((entry) => entry.message))
)
