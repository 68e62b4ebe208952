/**
 * What a mutation is: `tsc` finds a name in it that a rename in src has missed.
 */
import * as Effect from "effect/Effect"
import type { StateFiles } from "../../src/layers/StateFiles.ts"
import type { Disk } from "../../src/services/Disk.ts"
import type { IdentityStore } from "../../src/services/IdentityStore.ts"

/** The modules that are replaced. */
interface Modules {
  readonly "domain/Attribution.ts": typeof import("../../src/domain/Attribution.ts")
  readonly "domain/Credential.ts": typeof import("../../src/domain/Credential.ts")
  readonly "domain/IdentityCodec.ts": typeof import("../../src/domain/IdentityCodec.ts")
  readonly "domain/Known.ts": typeof import("../../src/domain/Known.ts")
  readonly "domain/Session.ts": typeof import("../../src/domain/Session.ts")
  readonly "domain/StitchState.ts": typeof import("../../src/domain/StitchState.ts")
  readonly "layers/ClaimFiles.ts": typeof import("../../src/layers/ClaimFiles.ts")
  readonly "layers/ClaimWriter.ts": typeof import("../../src/layers/ClaimWriter.ts")
  readonly "layers/CredentialText.ts": typeof import("../../src/layers/CredentialText.ts")
  readonly "layers/EnvironmentConsent.ts": typeof import("../../src/layers/EnvironmentConsent.ts")
  readonly "layers/FileIdentityStore.ts": typeof import("../../src/layers/FileIdentityStore.ts")
  readonly "layers/FileOutbox.ts": typeof import("../../src/layers/FileOutbox.ts")
  readonly "layers/ForeignFile.ts": typeof import("../../src/layers/ForeignFile.ts")
  readonly "layers/FullStitch.ts": typeof import("../../src/layers/FullStitch.ts")
  readonly "layers/KnownFile.ts": typeof import("../../src/layers/KnownFile.ts")
  readonly "layers/Lease.ts": typeof import("../../src/layers/Lease.ts")
  readonly "layers/PointerFile.ts": typeof import("../../src/layers/PointerFile.ts")
  readonly "layers/Recorder.ts": typeof import("../../src/layers/Recorder.ts")
  readonly "layers/StateFiles.ts": typeof import("../../src/layers/StateFiles.ts")
  readonly "layers/SteadyStitch.ts": typeof import("../../src/layers/SteadyStitch.ts")
  readonly "services/Disk.ts": typeof import("../../src/services/Disk.ts")
  readonly "worker/Worker.ts": typeof import("../../src/worker/Worker.ts")
}

/** One wrong module. */
export interface Wrong {
  readonly module: keyof Modules
  /** The only module that gets the wrong one; all modules, if undefined. */
  readonly importer: string | undefined
  /** Returns the wrong exports of a module. */
  exports(right: object): object
}

/** One mistake, as wrong implementations of exported functions. */
export interface Mutation {
  readonly name: string
  /** What goes wrong, for the reader of the table. */
  readonly why: string
  readonly wrong: ReadonlyArray<Wrong>
}

/** Replaces exports of a module by wrong ones. */
export const wrong = <K extends keyof Modules>(
  module: K,
  exports: (right: Modules[K]) => Partial<Modules[K]>,
  importer?: string
): Wrong => ({ module, importer, exports })

/** Returns a view of an object with some members replaced. Writes go to the object. */
export const overriding = <A extends object>(target: A, own: Partial<A>): A =>
  new Proxy(target, { get: (target, key) => Reflect.get(key in own ? own : target, key) })

type Store = IdentityStore["Service"]

/** Replaces members of every identity store by wrong ones. */
export const wrongStore = (own: (store: Store, files: StateFiles) => Partial<Store>): Wrong =>
  wrong("layers/FileIdentityStore.ts", (right) => ({
    makeWith: (files, initial) =>
      Effect.map(right.makeWith(files, initial), (store) => overriding(store, own(store, files)))
  }))

/** Replaces operations of the disk below all state files by wrong ones. */
export const wrongDisk = (own: (disk: Disk) => Partial<Disk>): Wrong =>
  wrong(
    "layers/StateFiles.ts",
    (right) => ({ make: (options) => right.make(onDisk(options, own(options.runtime.disk))) })
  )

/** Returns options with some operations of their disk replaced. */
export const onDisk = <A extends { readonly runtime: { readonly disk: Disk } }>(options: A, own: Partial<Disk>): A => ({
  ...options,
  runtime: overriding(options.runtime, { disk: overriding(options.runtime.disk, own) })
})

/** Returns files among which no successor is found. */
export const withoutSuccessors = (files: StateFiles): StateFiles =>
  overriding(files, {
    read: (file, owner) => file.startsWith(files.home.successors) ? { _tag: "Missing" } : files.read(file, owner)
  })
