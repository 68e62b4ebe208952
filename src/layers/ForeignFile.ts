/** Files that the user, the administrator or another tool writes. */
import { type Disk, isRefused, type Read, unread } from "../services/Disk.ts"

/**
 * Reads a file and follows links; what is no regular file, is above 1 MiB, or is a link to nowhere cannot be read now.
 */
export const read = (disk: Disk, file: string): Read => {
  const entry = disk.look(file)
  if (isRefused(entry)) return unread(entry)
  const found = disk.read(file, { follow: true })
  // A link to nowhere, as to a disk that is not mounted.
  return found._tag === "Missing" && entry.type === "Link" ? { _tag: "Unreadable", code: "ENOENT" } : found
}
