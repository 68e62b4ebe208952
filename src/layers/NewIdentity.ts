/** New identities of a device, in memory and on disk. */
import { isAnonId } from "../domain/AnonId.ts"
import { formerOf, type IdentityCodec, type Pointer } from "../domain/IdentityCodec.ts"
import type { Errno } from "../services/Disk.ts"
import type { Identity } from "../services/IdentityStore.ts"
import type { StateFiles } from "./StateFiles.ts"

/** Returns a new identity in memory. */
export const inMemory = (uuid: () => string, firstRun: boolean): Identity => {
  const anonId = uuid()
  return isAnonId(anonId)
    ? { anonId, claim: undefined, durable: false, firstRun, published: false }
    : inMemory(uuid, firstRun)
}

/** Returns whether a missing identity file would be replaced by the identity of a former format. */
export const mayImport = (files: StateFiles, codec: IdentityCodec): boolean =>
  files.read(files.home.imported)._tag === "Missing" &&
  files.read(files.home.identityFile(formerOf(codec).fileName))._tag !== "Missing"

/** Publishes an identity file, unless there is one; returns the error. */
export const publish = (
  files: StateFiles,
  codec: IdentityCodec,
  pointer: Pointer,
  uuid: () => string
): Errno | undefined =>
  files.publish(
    files.home.identityFile(codec.fileName),
    codec.encode(pointer, {}, uuid),
    codec.withConsent !== undefined
  )

/** Returns a new identity: on disk, or the error of its file. */
export const create = (files: StateFiles, codec: IdentityCodec, uuid: () => string): Identity | Errno => {
  const identity = inMemory(uuid, true)
  const code = publish(files, codec, { anonId: identity.anonId, linkedPrincipal: undefined }, uuid)
  return code ?? { ...identity, durable: true, published: true }
}
