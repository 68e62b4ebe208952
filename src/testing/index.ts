/**
 * For a host's own tests: layers that touch nothing, and a PostHog on loopback.
 *
 * @since 0.1.0
 */
export * as FixedConsent from "../layers/FixedConsent.ts"
export * as FixedPrincipalResolver from "../layers/FixedPrincipalResolver.ts"
export * as MemoryDisk from "../layers/MemoryDisk.ts"
export * as RecordingUsageCapture from "../layers/RecordingUsageCapture.ts"
export * as Persons from "./Persons.ts"
export * as PostHogSink from "./PostHogSink.ts"
export * as TestUsage from "./TestUsage.ts"
