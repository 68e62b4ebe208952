/**
 * For a host's own tests: telemetry in memory, the contracts of services, and a PostHog on loopback.
 *
 * @since 0.1.0
 */
export type { Runner } from "./Contract.ts"
export * as IdentityStoreContract from "./IdentityStoreContract.ts"
export * as OutboxContract from "./OutboxContract.ts"
export * as Persons from "./Persons.ts"
export * as PostHogSink from "./PostHogSink.ts"
export * as PrincipalResolverContract from "./PrincipalResolverContract.ts"
export * as TestUsage from "./TestUsage.ts"
