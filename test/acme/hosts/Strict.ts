/**
 * A host with a part of its own, and with inferred types in its declarations: whatever they name must be exported.
 */
import {
  AnonId,
  CaptureWorker,
  Claims,
  Consent,
  Credential,
  IdentityStitch,
  IdentityStore,
  Invocation,
  OptOut,
  type OptOutError,
  Outbox,
  PrincipalCache,
  PrincipalId,
  PrincipalResolver,
  Usage,
  UsageCapture,
  UsageContext,
  UsageEvent,
  UsageSettings,
  WorkerLease
} from "effect-cli-usage"
import { FileIdentityStore, FileOutbox, HybridIdentityStitch, StderrNotice } from "effect-cli-usage/layers"
import { PostHogSink, TestUsage } from "effect-cli-usage/testing"
import { isWorker } from "effect-cli-usage/worker"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const token: Credential.Credential = { source: "stored", secret: Redacted.make("token") }

export const isUsable = Credential.isKnown(token)

export const principals = Layer.succeed(
  PrincipalResolver,
  PrincipalResolver.of({
    credential: Effect.succeed(token),
    resolve: () => Effect.succeed(Result.getOrUndefined(PrincipalId.decode("account_1")))
  })
)

export const cli = Command.make("strict").pipe(Usage.track)

export const layer = Usage.layer({ name: "strict", version: "1.0.0", posthog: { key: "phc_strict" }, principals })

export const Deployed = UsageEvent.make("Deployed", {
  description: "a deploy ended",
  properties: Schema.Struct({ files: Schema.Finite })
})

export const deployed = Effect.gen(function*() {
  const usage = yield* UsageCapture
  yield* usage.capture(Deployed, { files: 1 })
}).pipe(Effect.provideService(UsageContext, { groups: { project: "project_1" } }))

export const disable = Effect.gen(function*() {
  const optOut = yield* OptOut
  yield* optOut.publish
})

export const disableOr = (handle: (error: OptOutError) => Effect.Effect<void>) => Effect.catch(disable, handle)

const anonId = Option.getOrThrow(AnonId.decode("7f0a3c1e-5f0b-4e43-9d0c-0f6f2c0b7a10"))

// What each service answers with.
export const answers = {
  flush: Effect.flatMap(CaptureWorker, (worker) => worker.flush),
  claim: Effect.flatMap(Claims, (claims) => claims.find(anonId)),
  publish: Effect.map(Claims, (claims) => claims.publish),
  attribution: Effect.flatMap(IdentityStitch, (stitch) => stitch.attribution),
  identity: Effect.flatMap(IdentityStore, (store) => store.get),
  rotate: Effect.flatMap(IdentityStore, (store) => store.rotate),
  record: Effect.map(Invocation, (invocation) => invocation.record),
  entries: Effect.flatMap(Outbox, (outbox) => outbox.entries),
  status: Effect.flatMap(Outbox, (outbox) => outbox.status),
  recall: Effect.flatMap(PrincipalCache, (cache) => cache.recall(token)),
  bounds: Effect.map(UsageSettings, (settings) => settings.bounds),
  acquire: Effect.flatMap(WorkerLease, (lease) => lease.acquire(1000)),
  decision: Effect.flatMap(Consent, (consent) => consent.decision),
  destination: Effect.map(UsageSettings, (settings) => settings.destination),
  codec: Effect.map(UsageSettings, (settings) => settings.codec),
  context: UsageContext
}

export const parts = {
  identity: FileIdentityStore.make,
  outbox: FileOutbox.layer,
  stitch: HybridIdentityStitch.layer,
  notice: StderrNotice.layer("This program records what it is used for."),
  test: TestUsage.layer,
  messages: TestUsage.messages,
  sink: PostHogSink.make()
}

export const command = Usage.telemetryCommand

export const worker = () => (isWorker() ? import("effect-cli-usage/worker/main") : import("./Installed.ts"))
