/**
 * The parts that `Usage.layer` is made of, for tests of a host that composes them itself.
 *
 * **Details**
 *
 * The tags that only such tests need are exported here, and their types from `effect-cli-usage`.
 *
 * @since 0.1.0
 */
export { CaptureWorker } from "../services/CaptureWorker.ts"
export { Consent, OptOutError } from "../services/Consent.ts"
export { HostRuntime } from "../services/HostRuntime.ts"
export { IdentitySlot } from "../services/IdentitySlot.ts"
export { Outbox } from "../services/Outbox.ts"
export { UsageSettings } from "../services/UsageSettings.ts"
export * as EnvironmentConsent from "./EnvironmentConsent.ts"
export * as FileIdentityStore from "./FileIdentityStore.ts"
export * as FileOutbox from "./FileOutbox.ts"
export * as FixedConsent from "./FixedConsent.ts"
export * as FixedPrincipalResolver from "./FixedPrincipalResolver.ts"
export * as HttpPrincipalResolver from "./HttpPrincipalResolver.ts"
export * as MemoryDisk from "./MemoryDisk.ts"
export * as NodeDisk from "./NodeDisk.ts"
export * as NodeHostRuntime from "./NodeHostRuntime.ts"
export * as UsageServices from "./UsageServices.ts"
