/**
 * For a host's own tests: telemetry in memory, contracts of the services, and a PostHog on loopback.
 *
 * @since 0.1.0
 */
export * as Persons from "./Persons.ts"
export * as PostHogSink from "./PostHogSink.ts"
export * as TestUsage from "./TestUsage.ts"
