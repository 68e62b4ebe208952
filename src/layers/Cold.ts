/** The modules that most commands do not load. */
export * as AbandonAfter from "./AbandonAfter.ts"
export * as ContinuousIntegration from "./ContinuousIntegration.ts"
export * as Delivery from "./Delivery.ts"
export * as FileOutbox from "./FileOutbox.ts"
export * as FullStitch from "./FullStitch.ts"
export * as HttpPrincipal from "./HttpPrincipal.ts"
export * as MemoryDisk from "./MemoryDisk.ts"
export * as OptOutFiles from "./OptOutFiles.ts"
