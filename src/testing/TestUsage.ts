/**
 * The services in memory: no file, no process, no network.
 *
 * @since 0.1.0
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Path from "node:path"
import { given } from "../domain/ConsentDecision.ts"
import { arcade } from "../domain/IdentityCodec.ts"
import type { Message } from "../domain/Message.ts"
import * as StateHome from "../domain/StateHome.ts"
import * as CommandInvocation from "../layers/CommandInvocation.ts"
import * as FixedConsent from "../layers/FixedConsent.ts"
import * as FixedPrincipalResolver from "../layers/FixedPrincipalResolver.ts"
import * as HybridIdentityStitch from "../layers/HybridIdentityStitch.ts"
import * as MemoryClaims from "../layers/MemoryClaims.ts"
import * as MemoryIdentitySlot from "../layers/MemoryIdentitySlot.ts"
import * as MemoryIdentityStore from "../layers/MemoryIdentityStore.ts"
import * as MemoryOptOut from "../layers/MemoryOptOut.ts"
import * as MemoryOutbox from "../layers/MemoryOutbox.ts"
import * as MemoryPrincipalCache from "../layers/MemoryPrincipalCache.ts"
import * as MemorySessionStore from "../layers/MemorySessionStore.ts"
import * as OutboxUsageCapture from "../layers/OutboxUsageCapture.ts"
import * as StderrNotice from "../layers/StderrNotice.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import type { Consent } from "../services/Consent.ts"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import { Outbox } from "../services/Outbox.ts"
import type { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

/**
 * A developer's terminal, on no machine in particular.
 *
 * @category layers
 * @since 0.1.0
 */
export const runtime: RuntimeEnvironment["Service"] = {
  ci: undefined,
  agent: undefined,
  container: false,
  stdoutIsTerminal: true,
  stderrIsTerminal: true,
  runtime: { language: "node", version: "0.0.0" },
  os: { type: "Test", release: "0", arch: "none" },
  pid: 2,
  uid: undefined
}

/**
 * A process that nothing happens to, and that starts nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const currentProcess: CurrentProcess["Service"] = {
  executable: "/nowhere",
  worker: undefined,
  exitCode: Effect.succeed(0),
  setVariable: () => Effect.void,
  lowerPriority: () => Effect.void,
  interrupted: Effect.never,
  onExit: () => Effect.void
}

const settings: UsageSettings["Service"] = {
  name: "test",
  version: "0.0.0",
  variables: "TEST",
  home: StateHome.make(Path, "/nowhere"),
  destination: { host: "http://127.0.0.1:9", key: "phc_test" },
  destinationId: "test",
  codec: arcade
}

/**
 * What a test may vary.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The user's decision, by `FixedConsent`; where none is named it is given, and `OptOut` changes it. */
  readonly consent?: Layer.Layer<Consent> | undefined
  /** Who is logged in: `FixedPrincipalResolver.layer("account_1")`; nobody where none is named. */
  readonly principals?: Layer.Layer<PrincipalResolver> | undefined
  /** What differs from the developer's terminal of `runtime`: `{ ci: "GitHub Actions" }`. */
  readonly runtime?: Partial<RuntimeEnvironment["Service"]> | undefined
}

/**
 * `layer`, for another user on another machine.
 *
 * **Example** (A host's own test, of a user who opted out)
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
export const layerWith = (options: Options) =>
  Layer.unwrap(Effect.map(Ref.make(given), (decision) => {
    const usage = OutboxUsageCapture.layer.pipe(
      Layer.provideMerge(HybridIdentityStitch.layer),
      Layer.provideMerge(Layer.mergeAll(
        CommandInvocation.layer,
        MemoryIdentitySlot.layer,
        MemoryOptOut.layer(decision),
        options.consent ?? FixedConsent.layerRef(decision),
        StderrNotice.layerNone
      )),
      Layer.provideMerge(Layer.mergeAll(
        MemoryIdentityStore.layer,
        MemoryPrincipalCache.layer,
        MemorySessionStore.layer,
        MemoryOutbox.layer
      )),
      Layer.provideMerge(Layer.mergeAll(
        MemoryClaims.layer,
        Layer.succeed(
          CaptureWorker,
          CaptureWorker.of({ ensure: Effect.void, flush: Effect.succeed({ delivered: 0, kept: 0 }) })
        ),
        Layer.succeed(CurrentProcess, currentProcess),
        Layer.succeed(RuntimeEnvironment, { ...runtime, ...options.runtime }),
        Layer.succeed(UsageSettings, settings)
      )),
      Layer.provide(SecureRandom.layerWebCrypto)
    )
    // Within a test of `layer`, its parts are built already.
    return Layer.fresh(usage).pipe(Layer.provideMerge(options.principals ?? FixedPrincipalResolver.layerNone))
  }))

/**
 * What `Usage.layer` gives, in memory: a device that was seen before, in a terminal, with nobody logged in. There is no
 * `WorkerLease`, for there is no worker, and no notice. All that runs while it is built is one invocation.
 *
 * **Example** (A host's own test)
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
 * What was recorded and would be sent: aliases first, then events in their order.
 *
 * @category getters
 * @since 0.1.0
 */
export const messages: Effect.Effect<ReadonlyArray<Message>, never, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => Effect.map(outbox.entries, (entries) => entries.map((entry) => entry.message))
)
