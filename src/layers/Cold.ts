/** The parts of the module that most commands do not need. */
export * as Delivery from "./Delivery.ts"
export * as FileOutbox from "./FileOutbox.ts"
export * as HttpPrincipal from "./HttpPrincipal.ts"
export * as MemoryDisk from "./MemoryDisk.ts"
export * as OptOutFiles from "./OptOutFiles.ts"
export * as Whole from "./Whole.ts"
