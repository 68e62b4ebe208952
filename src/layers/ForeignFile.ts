/** Files that the user, the administrator or another tool writes. */
import { type Disk, isRefused, type Read, refusedRead } from "../services/Disk.ts"

/**
 * Reads a file and follows links. A file that is not regular, a file above 1 MiB, and a link without a target are
 * unreadable.
 */
export const read = (disk: Disk, file: string): Read => {
  const entry = disk.look(file)
  if (isRefused(entry)) return refusedRead(entry)
  const found = disk.read(file, { follow: true })
  // A link without a target, such as to a disk that is not mounted.
  return found._tag === "Missing" && entry.type === "Link" ? { _tag: "Unreadable", code: "ENOENT" } : found
}
