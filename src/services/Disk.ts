/**
 * The disk as this package uses it: a dozen synchronous operations.
 *
 * @since 0.1.0
 */

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
 * The result of reading a file: its whole text, that it is absent, or that it cannot be read now.
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
  /** The owner; undefined where the platform has none. */
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
 * Files and folders are small and local, so an operation ends before the event loop could turn once, and an exit
 * listener can run it. Paths are absolute. No operation throws: an operation that only changes the disk returns the
 * errno code of its refusal, or `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Disk {
  /**
   * Reads a regular file of at most 1 MiB.
   *
   * The last component of the path must not be a link, unless `follow` is set. With `owner`, a file of another user is
   * refused with `EPERM`. Opening never blocks.
   */
  readonly read: (
    path: string,
    options?: { readonly follow?: boolean; readonly owner?: number | undefined }
  ) => Read
  /** Describes a path without following a link. */
  readonly look: (path: string) => Entry | Errno
  /** Describes what a path leads to. */
  readonly follow: (path: string) => Entry | Errno
  /** Returns the names in a folder. */
  readonly list: (folder: string) => ReadonlyArray<string> | Errno
  /** Writes a new file with mode 0600; `EEXIST` where the path exists. A refused write leaves no file. */
  readonly create: (path: string, text: string) => Errno | undefined
  /** Gives a file a second name; `EEXIST` where the path exists. */
  readonly link: (from: string, to: string) => Errno | undefined
  /** Renames a file or folder; a file at the target is replaced. */
  readonly rename: (from: string, to: string) => Errno | undefined
  /** Removes a file or link. */
  readonly remove: (path: string) => Errno | undefined
  /** Makes one folder with mode 0700, whatever the umask; `EEXIST` where the path exists. */
  readonly makeFolder: (path: string) => Errno | undefined
  /** Removes an empty folder. */
  readonly removeFolder: (path: string) => Errno | undefined
  /** Returns why the process may not write to a path. */
  readonly access: (path: string) => Errno | undefined
}

/**
 * Returns whether a code says that the path does not exist.
 *
 * Every other code says nothing about the file: it cannot be read now.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAbsent = (code: Errno | undefined): boolean => code === "ENOENT" || code === "ENOTDIR"

/**
 * Returns whether a file that could not be read never will be: it is too large, no regular file, or not the owner's.
 *
 * **Details**
 *
 * A code does not say so: a link is refused with `ELOOP` and another user's file with `EPERM`, but so may be a file that
 * can be read again later. So the file is looked at.
 *
 * @category guards
 * @since 0.1.0
 */
export const isIrregular = (disk: Disk, path: string, code: Errno, owner?: number): boolean => {
  if (code === "EFBIG") return true
  const entry = disk.look(path)
  if (isRefused(entry)) return false
  const { type, uid = owner } = entry
  return type !== "File" || (owner !== undefined && uid !== owner)
}

/**
 * Returns whether an answer is the code of a refused operation.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRefused = <A extends object>(answer: A | Errno): answer is Errno => typeof answer === "string"

/**
 * Returns what a refused read says.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unread = (code: Errno): Read => isAbsent(code) ? { _tag: "Missing" } : { _tag: "Unreadable", code }
