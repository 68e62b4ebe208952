/** The file operations of this package, all synchronous. */

/**
 * The errno code of a refused operation.
 *
 * **Details**
 *
 * Two codes have a meaning of their own: `EFTYPE` is something that is not a regular file, and `EFBIG` is a file above
 * the size limit of `read`.
 *
 * @category models
 * @since 0.1.0
 */
export type Errno = string

/**
 * The result of reading a file: its text, or that it is absent, or that it cannot be read now.
 *
 * @category models
 * @since 0.1.0
 */
export type Read =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Unreadable"; readonly code: Errno }

/**
 * The description of a path: its type, owner, permission bits and time of modification.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly type: "File" | "Directory" | "Link" | "Other"
  /** The owner; undefined if the platform has none. */
  readonly uid: number | undefined
  /** The permission bits. */
  readonly mode: number
  /** The time of the last modification, in milliseconds since 1970. */
  readonly modifiedAt: number
}

/**
 * Reads and changes files and folders, synchronously.
 *
 * **When to use**
 *
 * Implement it to run the file layers over another storage. `MemoryDisk` does so for tests.
 *
 * **Details**
 *
 * The operations are synchronous, so that an exit listener can run them. Files and folders are small and local. Paths
 * are absolute. No operation throws: an operation that only changes the disk returns the errno code of its refusal, or
 * `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Disk {
  /**
   * Reads a regular file of at most 1 MiB.
   *
   * The last component of the path must not be a link, unless `follow` is set. With `owner`, a file of another user is
   * refused with `EPERM`. Opening never blocks. With `repair`, a file of this user that is refused with `EACCES` is
   * given mode 0600, and read again.
   */
  readonly read: (
    path: string,
    options?: { readonly follow?: boolean; readonly owner?: number | undefined; readonly repair?: boolean }
  ) => Read
  /** Describes a path. It does not follow a link. */
  readonly look: (path: string) => Entry | Errno
  /** Describes the target of a path. It follows links. */
  readonly follow: (path: string) => Entry | Errno
  /** Returns the names in a folder. */
  readonly list: (folder: string) => ReadonlyArray<string> | Errno
  /** Writes a new file with mode 0600. Returns `EEXIST` if the path exists. A refused write leaves no file. */
  readonly create: (path: string, text: string) => Errno | undefined
  /** Creates a hard link. Returns `EEXIST` if the new path exists. */
  readonly link: (from: string, to: string) => Errno | undefined
  /** Renames a file or folder. A file at the target is replaced. */
  readonly rename: (from: string, to: string) => Errno | undefined
  /** Removes a file or link. */
  readonly remove: (path: string) => Errno | undefined
  /** Creates one folder with mode 0700, whatever the umask. Returns `EEXIST` if the path exists. */
  readonly makeFolder: (path: string) => Errno | undefined
  /** Removes an empty folder. */
  readonly removeFolder: (path: string) => Errno | undefined
  /** Returns the code with which a write to the path would be refused, or `undefined`. */
  readonly access: (path: string) => Errno | undefined
}

/**
 * Returns whether a code means that the path does not exist.
 *
 * With every other code the file may exist: it cannot be read now.
 */
export const isAbsent = (code: Errno | undefined): boolean => code === "ENOENT" || code === "ENOTDIR"

/**
 * Returns whether a file can never be read: it is too large, not a regular file, or a file of another user.
 *
 * **Details**
 *
 * Only `EFBIG` is certain. `ELOOP` and `EPERM` may also be the codes of a file that can be read later, so the entry of
 * the path decides.
 */
export const isIrregular = (disk: Disk, path: string, code: Errno, owner?: number): boolean => {
  if (code === "EFBIG") return true
  const entry = disk.look(path)
  if (isRefused(entry)) return false
  const { type, uid = owner } = entry
  return type !== "File" || (owner !== undefined && uid !== owner)
}

/** Returns whether a result is the code of a refused operation. */
export const isRefused = <A extends object>(answer: A | Errno): answer is Errno => typeof answer === "string"

/** Returns the result of a read that was refused with a code. */
export const refusedRead = (code: Errno): Read => isAbsent(code) ? { _tag: "Missing" } : { _tag: "Unreadable", code }
