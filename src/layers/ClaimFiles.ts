/**
 * Reads claims, which are write-once files: `usage/claims/<anon id>.json`.
 *
 * Empty files beside a claim record later facts: `<anon id>.stored` (its credential is stored), `<anon id>.delivered`
 * and `<anon id>.set-aside` (the result of its alias).
 */
import type { AnonId } from "../domain/AnonId.ts"
import * as Claim from "../domain/Claim.ts"
import type { Read } from "../services/Disk.ts"
import type { StateFiles } from "./StateFiles.ts"

/** Returns the path of a claim, or of a fact beside it. */
export const path = (
  files: StateFiles,
  anonId: AnonId,
  ending: "json" | "stored" | "delivered" | "set-aside"
): string => `${files.home.claims}/${anonId}.${ending}`

/** Decodes the claim of an anon id; undefined if the file has no claim of it. */
export const decode = (read: Read, anonId: AnonId): Claim.Claim | undefined => {
  const claim = read._tag === "Text" ? Claim.decode(read.text) : undefined
  return claim?.anon_id === anonId ? claim : undefined
}

/**
 * Returns the claim of an anon id: unreadable if its file is invalid, and `Unknown` if the file, or the fact that its
 * credential is stored, cannot be read now.
 */
export const read = (
  files: StateFiles,
  anonId: AnonId
): Claim.Claim | Claim.UnreadableClaim | "Unknown" | undefined => {
  const read = files.read(path(files, anonId, "json"))
  if (read._tag === "Missing") return undefined
  if (read._tag === "Unreadable") return "Unknown"
  const claim = decode(read, anonId)
  if (claim === undefined) return Claim.unreadable
  if (claim.credential === "stored") return claim
  const stored = files.read(path(files, anonId, "stored"))
  if (stored._tag === "Unreadable") return "Unknown"
  return stored._tag === "Text" ? { ...claim, credential: "stored" } : claim
}
