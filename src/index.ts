/**
 * Usage telemetry for CLIs written with Effect.
 *
 * **Details**
 *
 * The modules and tags are what the author of a CLI types. The types beside them are what a declaration of the CLI names.
 * Everything that no entry point of the package exports is internal, and changes without notice.
 *
 * @since 0.1.0
 */
export * as DataDictionary from "./cli/DataDictionary.ts"
export * as Flow from "./cli/Flow.ts"
export * as Usage from "./cli/Usage.ts"
export type { AnonId } from "./domain/AnonId.ts"
export type { Claim, CredentialSource, Sighting, UnreadableClaim } from "./domain/Claim.ts"
export type { CommonProperties } from "./domain/CommonProperties.ts"
export type { ConsentDecision, DecidedBy } from "./domain/ConsentDecision.ts"
export * as Credential from "./domain/Credential.ts"
export type { Destination } from "./domain/Destination.ts"
export type { IdentityCodec, Name as IdentityCodecName, Pointer } from "./domain/IdentityCodec.ts"
export type { Message } from "./domain/Message.ts"
export type { Bounds, SomeBounds } from "./domain/OutboxFolder.ts"
export * as PrincipalId from "./domain/PrincipalId.ts"
export type { Session } from "./domain/Session.ts"
export type { Shared } from "./domain/Shared.ts"
export type { StateHome } from "./domain/StateHome.ts"
export * as UsageEvent from "./domain/UsageEvent.ts"
export * as HttpPrincipalResolver from "./layers/HttpPrincipalResolver.ts"
export * as ObservedHttpClient from "./layers/ObservedHttpClient.ts"
export type { CaptureWorker, Flushed, Obstacle } from "./services/CaptureWorker.ts"
export type { Consent, OptOutError } from "./services/Consent.ts"
export type { Annotations, CommandRun } from "./services/CurrentCommand.ts"
export type { Disk, Entry as DiskEntry, Errno, Read } from "./services/Disk.ts"
export type { HostRuntime } from "./services/HostRuntime.ts"
export type { IdentitySlot } from "./services/IdentitySlot.ts"
export { IdentityStitch } from "./services/IdentityStitch.ts"
export { type Identity, IdentityStore, type Publication, type Rotation } from "./services/IdentityStore.ts"
export type { Entry as OutboxEntry, Outbox, OutboxStatus } from "./services/Outbox.ts"
export { type CredentialInput, PrincipalResolver, type ReadInput } from "./services/PrincipalResolver.ts"
export { type Followed, UsageCapture } from "./services/UsageCapture.ts"
export { UsageContext } from "./services/UsageContext.ts"
export type { UsageSettings } from "./services/UsageSettings.ts"
