/**
 * For a host's own tests: layers that touch nothing, and a PostHog on loopback.
 *
 * @since 0.1.0
 */
export * as FixedConsent from "../layers/FixedConsent.ts"
export * as FixedPrincipalResolver from "../layers/FixedPrincipalResolver.ts"
export * as MemoryClaims from "../layers/MemoryClaims.ts"
export * as MemoryIdentityStore from "../layers/MemoryIdentityStore.ts"
export * as MemoryOptOut from "../layers/MemoryOptOut.ts"
export * as MemoryOutbox from "../layers/MemoryOutbox.ts"
export * as MemoryPrincipalCache from "../layers/MemoryPrincipalCache.ts"
export * as MemorySessionStore from "../layers/MemorySessionStore.ts"
export * as NoopUsageCapture from "../layers/NoopUsageCapture.ts"
export * as RecordingUsageCapture from "../layers/RecordingUsageCapture.ts"
export * as Persons from "./Persons.ts"
export * as PostHogSink from "./PostHogSink.ts"
export * as TestUsage from "./TestUsage.ts"
