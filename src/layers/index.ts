/**
 * The parts that a host puts together itself.
 *
 * @since 0.1.0
 */
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
