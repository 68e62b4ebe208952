/**
 * The disk in memory, for tests and dry runs.
 *
 * @since 0.1.0
 */
import { maxFileBytes } from "../domain/StateHome.ts"
import { type Disk, type Entry, type Errno, isAbsent, isRefused, type Read, refusedRead } from "../services/Disk.ts"

/**
 * The options of a disk in memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The disk to read if this disk has no entry. A dry run reads the real disk and writes to memory. */
  readonly below?: Disk | undefined
  /** The owner of what is created here. Default: undefined. */
  readonly uid?: number | undefined
  /** Returns the time of a change, in milliseconds since 1970. Default: 0. */
  readonly now?: (() => number) | undefined
}

/**
 * A disk in memory, with its entries.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryDisk extends Disk {
  /**
   * Returns the paths that this disk holds, sorted, with the text of each file and undefined for a folder.
   *
   * The root folder and the entries of the lower disk are left out.
   */
  readonly entries: () => ReadonlyMap<string, string | undefined>
}

interface Inode {
  /** Undefined for a folder. */
  readonly text: string | undefined
  modifiedAt: number
}

// A dry run has Windows paths on Windows.
const separatorOf = (path: string): string => path.startsWith("/") ? "/" : "\\"

// The parent of a root is the root.
const parentOf = (path: string): string => {
  const separator = separatorOf(path)
  const end = path.lastIndexOf(separator)
  return path.slice(0, path.indexOf(separator) === end ? end + 1 : end)
}

// The path of each descendant begins with this prefix.
const prefixOf = (folder: string): string => {
  const separator = separatorOf(folder)
  return folder.endsWith(separator) ? folder : `${folder}${separator}`
}

// Thrown within this module only.
class Refusal {
  readonly code: Errno
  constructor(code: Errno) {
    this.code = code
  }
}

const unwrap = <A extends object>(answer: A | Errno): A => {
  if (isRefused(answer)) throw new Refusal(answer)
  return answer
}

const throwIfRefused = (code: Errno | undefined): void => {
  if (code !== undefined) throw new Refusal(code)
}

const attempt = <A>(evaluate: () => A): A | Errno => {
  try {
    return evaluate()
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
}

/**
 * Creates a disk in memory.
 *
 * **Details**
 *
 * Links, renames and removals follow POSIX, with the codes of Linux. There are no symbolic links, and no size limit
 * except that of `read`. Each operation is atomic.
 *
 * Without `below`, the disk has one root folder, `/`. With `below`, a path that this disk neither holds nor has removed
 * is read there. A folder that was made here hides the lower folder of the same path. A change needs write access to
 * the lower folder, as the real change would, but nothing is written there.
 *
 * **Gotchas**
 *
 * `rename` and `link` copy what is only below, and fail if it cannot be read: a link with `ELOOP`, for example. A
 * path that leads through a link below and the path of its target are two paths here.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): MemoryDisk => {
  const { below, now = () => 0, uid } = options

  // Undefined for a path that was removed here and may exist below.
  const inodes = new Map<string, Inode | undefined>()
  if (below === undefined) inodes.set("/", { text: undefined, modifiedAt: 0 })

  /** Returns `own` of the inode of a path, or runs `lower` if this disk neither holds nor has removed the path. */
  const query = <A>(path: string, own: (inode: Inode) => A, lower: (disk: Disk) => A): A => {
    let at = path
    while (!inodes.has(at) && parentOf(at) !== at) at = parentOf(at)
    const inode = inodes.get(at)
    if (inode !== undefined && at === path) return own(inode)
    if (below !== undefined && !inodes.has(at)) return lower(below)
    throw new Refusal(inode?.text === undefined ? "ENOENT" : "ENOTDIR")
  }

  const describe = ({ modifiedAt, text }: Inode): Entry =>
    text === undefined
      ? { type: "Directory", uid, mode: 0o700, modifiedAt }
      : { type: "File", uid, mode: 0o600, modifiedAt }

  const look = (path: string): Entry => query(path, describe, (disk) => unwrap(disk.look(path)))
  const follow = (path: string): Entry => query(path, describe, (disk) => unwrap(disk.follow(path)))

  const typeAt = (path: string): Entry["type"] | undefined => {
    try {
      return look(path).type
    } catch (cause) {
      if (cause instanceof Refusal && isAbsent(cause.code)) return undefined
      throw cause
    }
  }

  const list = (folder: string): ReadonlyArray<string> => {
    const lower = query<ReadonlyArray<string>>(folder, ({ text }) => {
      if (text !== undefined) throw new Refusal("ENOTDIR")
      return []
    }, (disk) => unwrap(disk.list(folder)))
    const names = new Set(lower)
    for (const [path, inode] of inodes) {
      if (path === folder || parentOf(path) !== folder) continue
      const name = path.slice(prefixOf(folder).length)
      if (inode === undefined) names.delete(name)
      else names.add(name)
    }
    return [...names].toSorted()
  }

  const requireParent = (path: string): void => {
    if (follow(parentOf(path)).type !== "Directory") throw new Refusal("ENOTDIR")
  }

  const requireVacant = (path: string): void => {
    requireParent(path)
    if (typeAt(path) !== undefined) throw new Refusal("EEXIST")
  }

  /** Sets the time of the parent of a path. Fails if the parent is below and cannot be written to. */
  const touchParent = (path: string): void => {
    const folder = parentOf(path)
    query(folder, (inode) => void (inode.modifiedAt = now()), (disk) => throwIfRefused(disk.access(folder)))
  }

  /** Returns the inode of a path, copied from the lower disk if this disk has none. */
  const copyUp = (path: string): Inode =>
    query(path, (inode) => inode, (disk) => {
      const { modifiedAt, type } = unwrap(disk.look(path))
      if (type === "Directory") { for (const name of list(path)) copyUp(`${prefixOf(path)}${name}`) }
      const file = type === "Directory" ? undefined : disk.read(path)
      if (file?._tag === "Missing") throw new Refusal("ENOENT")
      if (file?._tag === "Unreadable") throw new Refusal(file.code)
      const inode: Inode = { text: file?.text, modifiedAt }
      inodes.set(path, inode)
      return inode
    })

  const descendantsOf = (folder: string): ReadonlyArray<readonly [string, Inode | undefined]> =>
    [...inodes].filter(([path]) => path === folder || path.startsWith(prefixOf(folder)))

  const erase = (path: string): void => {
    for (const [inside] of descendantsOf(path)) inodes.delete(inside)
    if (below !== undefined) inodes.set(path, undefined)
  }

  const add = (path: string, inode: Inode): void => {
    touchParent(path)
    inodes.set(path, inode)
  }

  const create = (path: string, text: string | undefined): void => {
    requireVacant(path)
    add(path, { text, modifiedAt: now() })
  }

  const removeEntry = (path: string): void => {
    touchParent(path)
    erase(path)
  }

  const read: Disk["read"] = (path, options) =>
    query<Read>(path, ({ text }) => {
      if (text === undefined) return refusedRead("EFTYPE")
      if (uid !== undefined && options?.owner !== undefined && options.owner !== uid) return refusedRead("EPERM")
      return new TextEncoder().encode(text).length > maxFileBytes ? refusedRead("EFBIG") : { _tag: "Text", text }
    }, (disk) => disk.read(path, options))

  const link = (from: string, to: string): void => {
    const { type } = look(from)
    requireVacant(to)
    if (type === "Directory") throw new Refusal("EPERM")
    add(to, copyUp(from))
  }

  // The checks are in the order of Linux.
  const rename = (from: string, to: string): void => {
    requireParent(from)
    requireParent(to)
    const isFolder = look(from).type === "Directory"
    if (to.startsWith(prefixOf(from))) throw new Refusal("EINVAL")
    if (from.startsWith(prefixOf(to))) throw new Refusal("ENOTEMPTY")
    const target = typeAt(to)
    // POSIX keeps both names of one file.
    if (from === to || (target !== undefined && inodes.get(from) === inodes.get(to) && inodes.has(from))) return
    if (target === "Directory" && !isFolder) throw new Refusal("EISDIR")
    if (target === "Directory" && list(to).length > 0) throw new Refusal("ENOTEMPTY")
    if (target !== undefined && target !== "Directory" && isFolder) throw new Refusal("ENOTDIR")
    touchParent(from)
    touchParent(to)
    copyUp(from)
    const moved = descendantsOf(from)
    erase(from)
    for (const [path, inode] of moved) inodes.set(`${to}${path.slice(from.length)}`, inode)
  }

  const remove = (path: string): void => {
    if (look(path).type === "Directory") throw new Refusal("EISDIR")
    removeEntry(path)
  }

  const removeFolder = (path: string): void => {
    if (path === parentOf(path)) throw new Refusal("EBUSY")
    if (look(path).type !== "Directory") throw new Refusal("ENOTDIR")
    if (list(path).length > 0) throw new Refusal("ENOTEMPTY")
    removeEntry(path)
  }

  const change = (evaluate: () => void): Errno | undefined => attempt(evaluate) ?? undefined

  return {
    read: (path, options) => {
      const answer = attempt(() => read(path, options))
      return isRefused(answer) ? refusedRead(answer) : answer
    },
    look: (path) => attempt(() => look(path)),
    follow: (path) => attempt(() => follow(path)),
    list: (folder) => attempt(() => list(folder)),
    // UTF-8 has no lone surrogates.
    create: (path, text) => change(() => create(path, text.toWellFormed())),
    link: (from, to) => change(() => link(from, to)),
    rename: (from, to) => change(() => rename(from, to)),
    remove: (path) => change(() => remove(path)),
    makeFolder: (path) => change(() => create(path, undefined)),
    removeFolder: (path) => change(() => removeFolder(path)),
    access: (path) => change(() => query(path, () => {}, (disk) => throwIfRefused(disk.access(path)))),
    entries: () =>
      new Map(
        [...inodes]
          .flatMap(([path, inode]) => inode === undefined || path === "/" ? [] : [[path, inode.text] as const])
          .toSorted(([a], [b]) => a < b ? -1 : 1)
      )
  }
}
