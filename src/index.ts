/**
 * Usage telemetry for CLIs written with Effect.
 *
 * **Gotchas**
 *
 * A host that emits declarations has this module's types named in them by their own paths (`effect-cli-usage/domain/*`,
 * `effect-cli-usage/layers/*`), which is why those are exported.
 *
 * @since 0.1.0
 */
export * as DataDictionary from "./cli/DataDictionary.ts"
export * as Flow from "./cli/Flow.ts"
export * as Usage from "./cli/Usage.ts"
export * as AnonId from "./domain/AnonId.ts"
export * as Claim from "./domain/Claim.ts"
export * as Credential from "./domain/Credential.ts"
export * as PrincipalId from "./domain/PrincipalId.ts"
export * as UsageEvent from "./domain/UsageEvent.ts"
export * as HttpPrincipalResolver from "./layers/HttpPrincipalResolver.ts"
export * as ObservedHttpClient from "./layers/ObservedHttpClient.ts"
export * from "./services/CaptureWorker.ts"
export * from "./services/Consent.ts"
export * from "./services/CurrentCommand.ts"
export type { Disk, Errno, Read } from "./services/Disk.ts"
export * from "./services/HostRuntime.ts"
export * from "./services/IdentitySlot.ts"
export * from "./services/IdentityStitch.ts"
export * from "./services/IdentityStore.ts"
export * from "./services/Outbox.ts"
export * from "./services/PrincipalResolver.ts"
export * from "./services/UsageCapture.ts"
export * from "./services/UsageContext.ts"
export * from "./services/UsageSettings.ts"
