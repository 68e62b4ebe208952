/** Publishes claims and the facts beside them. */
import { type AnonId, isAnonId } from "../domain/AnonId.ts"
import * as Claim from "../domain/Claim.ts"
import type { Message } from "../domain/Message.ts"
import { type Disk, isIrregular, isRefused } from "../services/Disk.ts"
import type { Publication } from "../services/IdentityStore.ts"
import type { Entry } from "../services/Outbox.ts"
import * as ClaimFiles from "./ClaimFiles.ts"
import type { StateFiles } from "./StateFiles.ts"

/** Publishes a claim, or returns the existing claim. */
export const publish = (files: StateFiles, claim: Claim.Claim): Publication => {
  const code = files.publish(ClaimFiles.path(files, claim.anon_id, "json"), Claim.encode(claim))
  if (code === undefined) return { _tag: "Published" }
  if (code === "EEXIST") {
    const held = ClaimFiles.read(files, claim.anon_id) ?? Claim.unreadable
    return held === "Unknown" ? { _tag: "Unwritable" } : { _tag: "Held", claim: held }
  }
  files.notes.add(`could not publish a claim: ${code}`)
  return { _tag: "Unwritable" }
}

/** Records a fact beside a claim, once. */
export const recordFact = (files: StateFiles, anonId: AnonId, fact: "stored" | "delivered" | "set-aside"): void => {
  const code = files.publish(ClaimFiles.path(files, anonId, fact), "")
  if (code !== undefined && code !== "EEXIST") files.notes.add(`could not note that a claim is ${fact}: ${code}`)
}

/** Returns the anon id of a claim, given the name of its file; undefined for any other name. */
export const anonIdOf = (name: string): AnonId | undefined => {
  const anonId = name.slice(0, -".json".length)
  return name.endsWith(".json") && isAnonId(anonId) ? anonId : undefined
}

/** The undelivered aliases of a destination. */
export interface Undelivered {
  readonly aliases: ReadonlyArray<Extract<Entry, { readonly _tag: "Alias" }>>
  /** Whether a claim, or the folder of claims, cannot be read now: the alias of any principal may be in it. */
  readonly isUncertain: boolean
}

// Returns the aliases of a destination, filtered by the facts beside their claims. An entry that can never be read, such
// as a folder or a link, has no claim.
const aliasesOf = (
  files: StateFiles,
  disk: Disk,
  destination: string,
  isWanted: (has: (fact: "delivered" | "set-aside") => boolean) => boolean
): Undelivered => {
  const listed = files.list(files.home.claims)
  if (isRefused(listed)) return { aliases: [], isUncertain: true }
  const names = new Set(listed)
  let isUncertain = false
  const aliases = listed.flatMap((name): Undelivered["aliases"] => {
    const anonId = anonIdOf(name)
    if (anonId === undefined || !isWanted((fact) => names.has(`${anonId}.${fact}`))) return []
    const path = ClaimFiles.path(files, anonId, "json")
    const read = files.read(path)
    if (read._tag === "Unreadable" && !isIrregular(disk, path, read.code)) isUncertain = true
    const claim = ClaimFiles.decode(read, anonId)
    if (claim === undefined || claim.destination !== destination || claim.alias === null) return []
    return [{ _tag: "Alias", anonId, message: claim.alias }]
  })
  return { aliases, isUncertain }
}

/** Returns the aliases that were not sent to a destination yet. */
export const undelivered = (files: StateFiles, disk: Disk, destination: string): Undelivered =>
  aliasesOf(files, disk, destination, (has) => !has("delivered") && !has("set-aside"))

/** Returns the aliases that a destination accepted. */
export const delivered = (files: StateFiles, disk: Disk, destination: string): ReadonlyArray<Message> =>
  aliasesOf(files, disk, destination, (has) => has("delivered")).aliases.map(({ message }) => message)
