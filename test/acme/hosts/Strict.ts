/**
 * A host with a part of its own, and with inferred types in its declarations: whatever they name must be exported.
 */
import {
  type AnonId,
  type Claim,
  Credential,
  Flow,
  IdentityStitch,
  IdentityStore,
  PrincipalId,
  PrincipalResolver,
  type UnreadableClaim,
  Usage,
  UsageCapture,
  UsageContext,
  UsageEvent
} from "effect-cli-usage"
import {
  CaptureWorker,
  Consent,
  EnvironmentConsent,
  FileIdentityStore,
  FileOutbox,
  HostRuntime,
  IdentitySlot,
  MemoryDisk,
  NodeHostRuntime,
  type OptOutError,
  Outbox,
  UsageServices,
  UsageSettings
} from "effect-cli-usage/layers"
import {
  IdentityStoreContract,
  OutboxContract,
  PostHogSink,
  PrincipalResolverContract,
  TestUsage
} from "effect-cli-usage/testing"
import { isWorker } from "effect-cli-usage/worker"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const token: Credential.Credential = { source: "stored", secret: Redacted.make("token") }

export const locked = Credential.unreadable

export const principals = Layer.succeed(
  PrincipalResolver,
  PrincipalResolver.of({
    credential: Effect.succeed(token),
    resolve: () => Effect.succeed(Result.getOrUndefined(PrincipalId.decode("account_1")))
  })
)

export const cli = Command.make("strict").pipe(Usage.track)

export const tracking = Usage.track

export const region = Usage.withFlagValues("region")

export const program = Effect.void.pipe(Usage.trackEffect("strict"))

export const layer = Usage.layer({ name: "strict", version: "1.0.0", posthog: { key: "phc_strict" }, principals })

export const Deployed = UsageEvent.make("Deployed", {
  description: "a deploy ended",
  properties: Schema.Struct({ files: Schema.Finite })
})

export const Setup = Flow.make("Setup", {
  description: "a project is set up",
  properties: Schema.Struct({ template: Schema.Literals(["blank", "blog"]) }),
  steps: ["questions", "install"]
})

export const catalog = [Deployed, ...Setup.events]

export const deployed = Effect.gen(function*() {
  const usage = yield* UsageCapture
  yield* usage.capture(Deployed, { files: 1 })
}).pipe(Effect.provideService(UsageContext, { groups: { project: "project_1" } }))

export const disable = Effect.gen(function*() {
  const consent = yield* Consent
  yield* consent.deny
})

export const disableOr = (handle: (error: OptOutError) => Effect.Effect<void>) => Effect.catch(disable, handle)

/** Returns the anon id of a claim that is understood. */
export const claimedBy = (claim: Claim | UnreadableClaim): AnonId | undefined =>
  "anon_id" in claim ? claim.anon_id : undefined

// What each service answers with.
export const answers = {
  flush: Effect.flatMap(CaptureWorker, (worker) => worker.flush),
  decision: Effect.flatMap(Consent, (consent) => consent.decision),
  stillGiven: Effect.flatMap(Consent, (consent) => consent.stillGiven),
  disk: Effect.map(HostRuntime, (runtime) => runtime.disk),
  onExit: Effect.map(HostRuntime, (runtime) => runtime.onExit),
  slot: Effect.flatMap(IdentitySlot, (slot) => slot.get),
  logout: Effect.flatMap(IdentityStitch, (stitch) => stitch.logout),
  identity: Effect.flatMap(IdentityStore, (store) => store.get),
  claim: Effect.map(IdentityStore, (store) => store.claim),
  rotate: Effect.flatMap(IdentityStore, (store) => store.rotate),
  entries: Effect.flatMap(Outbox, (outbox) => outbox.entries),
  status: Effect.flatMap(Outbox, (outbox) => outbox.status),
  input: Effect.map(PrincipalResolver, (resolver) => resolver.input),
  follow: Effect.map(UsageCapture, (usage) => usage.follow),
  bounds: Effect.map(UsageSettings, (settings) => settings.bounds),
  destination: Effect.map(UsageSettings, (settings) => settings.destination),
  codec: Effect.map(UsageSettings, (settings) => settings.codec),
  context: UsageContext
}

export const parts = {
  consent: EnvironmentConsent.layer,
  disk: MemoryDisk.make(),
  identity: FileIdentityStore.layer,
  outbox: FileOutbox.layer,
  runtime: NodeHostRuntime.layer,
  services: UsageServices.layer(),
  test: TestUsage.layer(TestUsage.ci),
  recorded: TestUsage.recorded,
  contracts: [IdentityStoreContract.suite, OutboxContract.suite, PrincipalResolverContract.suite] as const,
  sink: PostHogSink.make()
}

export const command = Usage.telemetryCommand

export const worker = () => (isWorker() ? import("effect-cli-usage/worker/main") : import("./Installed.ts"))
