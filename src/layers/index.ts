/**
 * The parts that a host puts together itself.
 *
 * @since 0.1.0
 */
export * as CommandInvocation from "./CommandInvocation.ts"
export * as DetachedCaptureWorker from "./DetachedCaptureWorker.ts"
export * as DryStateFiles from "./DryStateFiles.ts"
export * as EnvironmentConsent from "./EnvironmentConsent.ts"
export * as FileClaims from "./FileClaims.ts"
export * as FileIdentityStore from "./FileIdentityStore.ts"
export * as FileOptOut from "./FileOptOut.ts"
export * as FileOutbox from "./FileOutbox.ts"
export * as FilePrincipalCache from "./FilePrincipalCache.ts"
export * as FileSessionStore from "./FileSessionStore.ts"
export * as FileWorkerLease from "./FileWorkerLease.ts"
export * as FixedPrincipalResolver from "./FixedPrincipalResolver.ts"
export * as HttpPrincipalResolver from "./HttpPrincipalResolver.ts"
export * as HybridIdentityStitch from "./HybridIdentityStitch.ts"
export * as MemoryIdentitySlot from "./MemoryIdentitySlot.ts"
export * as NodeHttpClient from "./NodeHttpClient.ts"
export * as NodeProcess from "./NodeProcess.ts"
export * as NodeRuntimeEnvironment from "./NodeRuntimeEnvironment.ts"
export * as NoopUsageCapture from "./NoopUsageCapture.ts"
export * as OutboxUsageCapture from "./OutboxUsageCapture.ts"
export * as StateFiles from "./StateFiles.ts"
export * as StderrNotice from "./StderrNotice.ts"
export * as SyncNodeChildProcessSpawner from "./SyncNodeChildProcessSpawner.ts"
export * as SyncNodeFileSystem from "./SyncNodeFileSystem.ts"
