/**
 * The parts of the module that most commands do not need.
 *
 * @since 0.1.0
 */
export * as Delivery from "./Delivery.ts"
export * as FileOutbox from "./FileOutbox.ts"
export * as HttpPrincipal from "./HttpPrincipal.ts"
export * as MemoryDisk from "./MemoryDisk.ts"
export * as OptOutFiles from "./OptOutFiles.ts"
export * as Whole from "./Whole.ts"
