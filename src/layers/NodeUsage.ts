/**
 * Everything, for a host on Node.js that needs no assembly.
 *
 * @since 0.1.0
 */
import * as EffectNodeCrypto from "@effect/platform-node/NodeCrypto"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as UserDirectories from "effect/persistence/UserDirectories"
import * as Result from "effect/Result"
import type * as Stdio from "effect/Stdio"
import * as NodeCrypto from "node:crypto"
import * as Destination from "../domain/Destination.ts"
import * as IdentityCodec from "../domain/IdentityCodec.ts"
import type { SomeBounds } from "../domain/OutboxFolder.ts"
import * as StateHome from "../domain/StateHome.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import type { Claims } from "../services/Claims.ts"
import type { Consent } from "../services/Consent.ts"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import type { IdentitySlot } from "../services/IdentitySlot.ts"
import type { IdentityStitch } from "../services/IdentityStitch.ts"
import type { IdentityStore } from "../services/IdentityStore.ts"
import type { Invocation } from "../services/Invocation.ts"
import type { Notice } from "../services/Notice.ts"
import type { OptOut } from "../services/OptOut.ts"
import { Outbox } from "../services/Outbox.ts"
import type { PrincipalCache } from "../services/PrincipalCache.ts"
import type { PrincipalResolver } from "../services/PrincipalResolver.ts"
import type { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import type { SessionStore } from "../services/SessionStore.ts"
import type { UsageCapture } from "../services/UsageCapture.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import type { WorkerLease } from "../services/WorkerLease.ts"
import * as CommandInvocation from "./CommandInvocation.ts"
import { debug, IsShown } from "./Debug.ts"
import * as DetachedCaptureWorker from "./DetachedCaptureWorker.ts"
import * as DryStateFiles from "./DryStateFiles.ts"
import * as EnvironmentConsent from "./EnvironmentConsent.ts"
import * as FileClaims from "./FileClaims.ts"
import * as FileIdentityStore from "./FileIdentityStore.ts"
import * as FileOptOut from "./FileOptOut.ts"
import * as FileOutbox from "./FileOutbox.ts"
import * as FilePrincipalCache from "./FilePrincipalCache.ts"
import * as FileSessionStore from "./FileSessionStore.ts"
import * as FileWorkerLease from "./FileWorkerLease.ts"
import * as FixedPrincipalResolver from "./FixedPrincipalResolver.ts"
import * as HybridIdentityStitch from "./HybridIdentityStitch.ts"
import * as MemoryIdentitySlot from "./MemoryIdentitySlot.ts"
import * as NodeHttpClient from "./NodeHttpClient.ts"
import * as NodeProcess from "./NodeProcess.ts"
import * as NodeRuntimeEnvironment from "./NodeRuntimeEnvironment.ts"
import * as OutboxUsageCapture from "./OutboxUsageCapture.ts"
import * as StateFiles from "./StateFiles.ts"
import * as StderrNotice from "./StderrNotice.ts"
import * as SyncNodeChildProcessSpawner from "./SyncNodeChildProcessSpawner.ts"
import * as SyncNodeFileSystem from "./SyncNodeFileSystem.ts"
import * as Variable from "./Variable.ts"
import * as WorkerMarks from "./WorkerMarks.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

/**
 * What a host's author says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The host's name, as users type it; its variables start with it: `acme` has `ACME_USAGE_TRACKING`. */
  readonly name: string
  /** The host's version, as `--version` prints it. */
  readonly version: string
  /** Where events go; without a key nothing is recorded. The host is `https://us.i.posthog.com` where none is named. */
  readonly posthog: { readonly key: string | undefined; readonly host?: string | undefined }
  /** The folder that the host keeps its state in; the platform's own for the name where none is named. */
  readonly home?: string | undefined
  /** Whose the user's credential is; without it an account is known from a login and from observed responses only. */
  readonly principals?:
    | Layer.Layer<PrincipalResolver, never, FileSystem.FileSystem | HttpClient.HttpClient>
    | undefined
  /** What the user is told, once, on the first command whose stderr is a terminal, before that one is recorded. */
  readonly notice?: string | undefined
  /** How the identity file is written: as Arcade's where none is named. */
  readonly codec?: IdentityCodec.Name | undefined
  /** How much may wait for delivery, oldest out first: 1,000 messages, 1 MiB and 7 days where it is not set. */
  readonly outbox?: SomeBounds | undefined
  /** Whether PostHog may derive a place from the user's address, which is personal data; it may not where it is not set. */
  readonly geoip?: boolean | undefined
  /** How long a command waits for delivery where a worker would die with it: 1 s where it is not set, and at most. */
  readonly deliveryWait?: Duration.Input | undefined
}

/**
 * What the layer gives.
 *
 * @category models
 * @since 0.1.0
 */
export type Usage =
  | CaptureWorker
  | Claims
  | Consent
  | CurrentProcess
  | IdentitySlot
  | IdentityStitch
  | IdentityStore
  | Invocation
  | OptOut
  | Notice
  | Outbox
  | PrincipalCache
  | PrincipalResolver
  | RuntimeEnvironment
  | SessionStore
  | UsageCapture
  | UsageSettings
  | WorkerLease

const defaultHost = "https://us.i.posthog.com"

const variablesOf = (name: string): string => name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")

const settings = Effect.fnUntraced(function*(options: Options) {
  // A host without a key has no telemetry yet; one with a wrong key or host has a mistake that its author is to hear of.
  const destination = options.posthog.key === undefined || options.posthog.key === ""
    ? Result.fail(undefined)
    : Destination.make({ key: options.posthog.key, host: options.posthog.host ?? defaultHost })
  const digest = yield* Digest.Digest
  const path = yield* Path.Path
  const codec = IdentityCodec.byName(options.codec ?? "arcade")
  const root = options.home ?? (yield* Effect.orElseSucceed(UserDirectories.make().state(options.name), () => ""))
  const to = Result.getOrUndefined(destination)
  const id = to === undefined ? "" : `${to.host}\n${to.key}`
  return UsageSettings.of({
    name: options.name,
    version: options.version,
    variables: variablesOf(options.name),
    home: StateHome.make(path, root),
    destination: to,
    destinationProblem: Result.isFailure(destination) ? destination.failure : undefined,
    destinationId: (yield* digest.digestHex(Digest.sha256, new TextEncoder().encode(id))).slice(0, 16),
    codec,
    bounds: options.outbox,
    geoip: options.geoip
  })
})

const onDisk = Layer.mergeAll(
  FileIdentityStore.layer,
  FilePrincipalCache.layer,
  FileSessionStore.layer,
  FileOutbox.layer,
  FileWorkerLease.layer
).pipe(Layer.provideMerge(FileClaims.layer))

// Nothing is sent; but a host that never could is to know.
const noWorker = Layer.effect(
  CaptureWorker,
  Effect.gen(function*() {
    const current = yield* CurrentProcess
    const outbox = yield* Outbox
    return CaptureWorker.of({
      ensure: Effect.suspend(() => current.worker === undefined ? WorkerProcess.tellMissing : Effect.void),
      flush: Effect.map(
        outbox.entries,
        ({ length }) => ({ delivered: 0, kept: length, reason: "nothing is sent while debugging" })
      )
    })
  })
)

const isOn = (value: string | undefined): boolean => /^(1|true|yes|on)$/i.test(value?.trim() ?? "")

const longerThanAWorker = "11 seconds"

// WebCrypto is loaded with its first use, and that would be in every command.
const random = SecureRandom.make((size) => NodeCrypto.randomFillSync(new Uint8Array(size)))

// A host that reads its configuration from elsewhere, or below a prefix, must not hide what its user says: DO_NOT_TRACK
// is the machine's.
const processEnvironment = ConfigProvider.layerAdd(Effect.sync(() => ConfigProvider.fromEnv()))

const machine = Layer.mergeAll(
  SyncNodeFileSystem.layer,
  SyncNodeChildProcessSpawner.layer,
  EffectNodeCrypto.layerDigest,
  NodeHttpClient.layer,
  Layer.succeed(SecureRandom.SecureRandom, random)
)

/**
 * Every service of this module for one host, on disk and over a detached worker.
 *
 * **Details**
 *
 * Building it writes nothing to disk; it sets `<NAME>_USAGE_INVOCATION` for the processes that the host starts. Identity,
 * notice and outbox are touched by the first command that records. `<NAME>_USAGE_DEBUG=1` (or `true`, `yes`, `on`) prints
 * each message to stderr as it is recorded, and why one is not, and keeps nothing.
 *
 * **Example** (A host's layer)
 *
 * ```ts
 * const UsageLive = Usage.layer({ name: "acme", version: "1.2.3", posthog: { key: "phc_…" } })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Usage, never, Path.Path | Stdio.Stdio> =>
  Layer.unwrap(Effect.gen(function*() {
    // A bundler that runs an entry's two dynamic imports, whichever was asked for, runs the host in its worker. There the
    // user's command must not run a second time. The worker ends this process; if none runs in it, it ends by itself.
    if (WorkerMarks.areSet()) return yield* Effect.andThen(Effect.sleep(longerThanAWorker), Effect.interrupt)
    const name = `${variablesOf(options.name)}_USAGE_DEBUG`
    const debugs = isOn(yield* Variable.read(name))
    // A keychain's module may not load here. The host's command does not end by that.
    const principals = Layer.catchCause(
      options.principals ?? FixedPrincipalResolver.layerNone,
      (cause) =>
        Layer.unwrap(Effect.as(debug("`principals` could not be built", cause), FixedPrincipalResolver.layerNone))
    )
    const notice = debugs || options.notice === undefined ? StderrNotice.layerNone : StderrNotice.layer(options.notice)
    const worker = debugs ? noWorker : DetachedCaptureWorker.layer({ deliveryWait: options.deliveryWait })
    const usage = OutboxUsageCapture.layer.pipe(
      Layer.provideMerge(worker),
      Layer.provideMerge(HybridIdentityStitch.layer),
      Layer.provideMerge(Layer.mergeAll(CommandInvocation.layer, MemoryIdentitySlot.layer)),
      Layer.provideMerge(Layer.merge(onDisk, notice)),
      Layer.provide(debugs ? DryStateFiles.layer : StateFiles.layer),
      Layer.provideMerge(Layer.mergeAll(EnvironmentConsent.layer, FileOptOut.layer)),
      Layer.provideMerge(Layer.mergeAll(
        NodeProcess.layer,
        NodeRuntimeEnvironment.layer,
        Layer.effect(UsageSettings, settings(options))
      ))
    )
    // Where another product's `Usage.layer` stands around this one, its parts are built already, and they are that one's.
    return Layer.fresh(usage).pipe(
      Layer.provideMerge(principals),
      Layer.provideMerge(Layer.succeed(IsShown, debugs)),
      Layer.provide(machine)
    )
  })).pipe(Layer.provide(processEnvironment))
