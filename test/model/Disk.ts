/**
 * A disk in memory, with what POSIX says of link, rename and open, and a file system over it that asks before each step.
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"

// == the disk

interface Inode {
  readonly type: "File" | "Directory"
  readonly ino: number
  bytes: Uint8Array
  mtime: number
}

/** The codes that this disk, or a fault in it, answers with. */
export type Errno = "ENOENT" | "EEXIST" | "EISDIR" | "ENOTDIR" | "ENOTEMPTY" | "ENOSPC" | "EIO" | "EPERM"

class Refusal extends Error {
  readonly code: Errno
  readonly errno: number
  constructor(code: Errno, path: string) {
    super(`${code}: ${path}`)
    this.code = code
    this.errno = -1
  }
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

/** One change of the disk; `text` is what the file says after it. */
export interface Change {
  readonly method: "create" | "write" | "link" | "rename" | "remove" | "folder"
  readonly path: string
  readonly text: string
}

/** What the disk holds, and what became of it. */
export class Disk {
  readonly entries = new Map<string, Inode>()
  /** Whether files can have a second name; FAT and some network file systems have none. */
  readonly hasLinks: boolean
  private inodes = 0
  private readonly now: () => number
  private readonly onChange: (change: Change) => void
  private readonly onLost: (path: string) => void

  constructor(options: {
    readonly hasLinks: boolean
    readonly now: () => number
    readonly onChange: (change: Change) => void
    /** A file that can be made only once was there already. */
    readonly onLost: (path: string) => void
  }) {
    this.hasLinks = options.hasLinks
    this.now = options.now
    this.onChange = options.onChange
    this.onLost = options.onLost
  }

  /** The text of a file; undefined where there is none. */
  text(path: string): string | undefined {
    const inode = this.entries.get(path)
    return inode?.type === "File" ? new TextDecoder().decode(inode.bytes) : undefined
  }

  has(path: string): boolean {
    return this.entries.has(path)
  }

  /** The names in a folder, sorted. */
  names(folder: string): ReadonlyArray<string> {
    const prefix = `${folder}/`
    const names: Array<string> = []
    for (const path of this.entries.keys()) {
      if (path.startsWith(prefix) && !path.includes("/", prefix.length)) names.push(path.slice(prefix.length))
    }
    return names.toSorted()
  }

  inode(path: string): Inode {
    const inode = this.entries.get(path)
    if (inode !== undefined) return inode
    const parent = this.entries.get(parentOf(path))
    throw new Refusal(parent?.type === "File" ? "ENOTDIR" : "ENOENT", path)
  }

  private parent(path: string): void {
    const parent = parentOf(path)
    if (parent !== "" && this.inode(parent).type !== "Directory") throw new Refusal("ENOTDIR", path)
  }

  private changed(method: Change["method"], path: string): void {
    this.onChange({ method, path, text: this.text(path) ?? "" })
  }

  makeDirectory(path: string, recursive: boolean): void {
    const existing = this.entries.get(path)
    if (existing !== undefined) {
      if (recursive && existing.type === "Directory") return
      throw new Refusal("EEXIST", path)
    }
    const parent = parentOf(path)
    if (recursive && parent !== "" && !this.entries.has(parent)) this.makeDirectory(parent, true)
    this.parent(path)
    this.entries.set(path, { type: "Directory", ino: ++this.inodes, bytes: new Uint8Array(), mtime: this.now() })
    this.changed("folder", path)
  }

  create(path: string, exclusive: boolean): Inode {
    this.parent(path)
    const existing = this.entries.get(path)
    if (existing !== undefined && exclusive) {
      this.onLost(path)
      throw new Refusal("EEXIST", path)
    }
    if (existing?.type === "Directory") throw new Refusal("EISDIR", path)
    const inode: Inode = existing ?? { type: "File", ino: ++this.inodes, bytes: new Uint8Array(), mtime: this.now() }
    inode.bytes = new Uint8Array()
    inode.mtime = this.now()
    this.entries.set(path, inode)
    this.changed("create", path)
    return inode
  }

  write(path: string, inode: Inode, bytes: Uint8Array): void {
    inode.bytes = bytes
    inode.mtime = this.now()
    this.onChange({ method: "write", path, text: new TextDecoder().decode(bytes) })
  }

  link(from: string, to: string): void {
    if (!this.hasLinks) throw new Refusal("EPERM", to)
    const inode = this.inode(from)
    this.parent(to)
    if (this.entries.has(to)) {
      this.onLost(to)
      throw new Refusal("EEXIST", to)
    }
    this.entries.set(to, inode)
    this.changed("link", to)
  }

  rename(from: string, to: string): void {
    const inode = this.inode(from)
    this.parent(to)
    if (this.entries.get(to)?.type === "Directory") throw new Refusal("EISDIR", to)
    // What is in a folder goes with it.
    for (const [path, inside] of this.entries) {
      if (!path.startsWith(`${from}/`)) continue
      this.entries.delete(path)
      this.entries.set(`${to}${path.slice(from.length)}`, inside)
    }
    this.entries.delete(from)
    this.entries.set(to, inode)
    this.changed("rename", to)
  }

  unlink(path: string): void {
    const inode = this.inode(path)
    if (inode.type === "Directory" && this.names(path).length > 0) throw new Refusal("ENOTEMPTY", path)
    this.entries.delete(path)
    this.changed("remove", path)
  }
}

// == the file system of one process

/** A step that a process is about to make. */
export interface Step {
  readonly method: string
  readonly path: string
  /** Whether it changes the disk: only then can the disk be full. */
  readonly changes: boolean
}

/** Waits until the scheduler lets a process make its step; or says how it fails. */
export type Ask = (step: Step) => Effect.Effect<Errno | undefined>

const reasons: Record<Errno, PlatformError.SystemErrorTag> = {
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EISDIR: "BadResource",
  ENOTDIR: "BadResource",
  ENOTEMPTY: "Unknown",
  ENOSPC: "Unknown",
  EIO: "Unknown",
  EPERM: "PermissionDenied"
}

const failure = (method: string, path: string, cause: unknown): PlatformError.PlatformError =>
  cause instanceof Refusal
    ? PlatformError.systemError({
      _tag: reasons[cause.code],
      module: "FileSystem",
      method,
      pathOrDescriptor: path,
      cause
    })
    : PlatformError.badArgument({ module: "FileSystem", method, description: String(cause) })

const info = (inode: Inode): FileSystem.File.Info => ({
  type: inode.type,
  mtime: Option.some(new Date(inode.mtime)),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 1n,
  rdev: Option.none(),
  ino: Option.some(BigInt(inode.ino)),
  mode: inode.type === "File" ? 0o100600 : 0o40700,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  size: ByteSize.bytes(inode.bytes.length),
  blksize: Option.none(),
  blocks: Option.none()
})

const unsupported = (method: string) =>
  Effect.fail(PlatformError.badArgument({ module: "FileSystem", method, description: "not in this disk" }))

/**
 * The file system of one process.
 *
 * A write is two steps, the file and then its bytes, except where nobody else can see it; a recursive removal is a step
 * for each entry.
 */
export const fileSystem = (
  disk: Disk,
  ask: Ask,
  options: { readonly isPrivate: (path: string) => boolean }
): FileSystem.FileSystem => {
  const attempt = <A>(method: string, path: string, evaluate: () => A) =>
    Effect.try({ try: evaluate, catch: (cause) => failure(method, path, cause) })

  const step = <A>(method: string, path: string, changes: boolean, evaluate: () => A) =>
    Effect.flatMap(
      Effect.suspend(() => ask({ method, path, changes })),
      (errno) =>
        errno === undefined
          ? attempt(method, path, evaluate)
          : Effect.fail(failure(method, path, new Refusal(errno, path)))
    )

  const read = (path: string): Uint8Array => {
    const inode = disk.inode(path)
    if (inode.type === "Directory") throw new Refusal("EISDIR", path)
    return inode.bytes
  }

  const writeFile: FileSystem.FileSystem["writeFile"] = (path, data, writing) =>
    Effect.gen(function*() {
      const flag = writing?.flag ?? "w"
      const inode = yield* step("create", path, true, () => disk.create(path, flag.startsWith("wx")))
      const errno = options.isPrivate(path) ? undefined : yield* ask({ method: "write", path, changes: true })
      if (errno === undefined) return disk.write(path, inode, data.slice())
      // A full disk may take a part.
      disk.write(path, inode, data.slice(0, data.length / 2))
      return yield* Effect.fail(failure("writeFile", path, new Refusal(errno, path)))
    })

  const remove = (
    path: string,
    removing: { readonly recursive?: boolean | undefined; readonly force?: boolean | undefined } | undefined
  ): Effect.Effect<void, PlatformError.PlatformError> =>
    Effect.gen(function*() {
      if (removing?.recursive === true && disk.entries.get(path)?.type === "Directory") {
        const names = yield* step("readDirectory", path, false, () => disk.names(path))
        for (const name of names) yield* remove(`${path}/${name}`, { recursive: true, force: true })
      }
      yield* step("remove", path, true, () => {
        if (removing?.force === true && !disk.has(path)) return
        disk.unlink(path)
      })
    })

  const core = FileSystem.makeNoop({
    access: (path) => step("access", path, false, () => void disk.inode(path)),
    lstat: (path) => step("lstat", path, false, () => info(disk.inode(path))),
    stat: (path) => step("stat", path, false, () => info(disk.inode(path))),
    makeDirectory: (path, making) =>
      step("makeDirectory", path, true, () => disk.makeDirectory(path, making?.recursive === true)),
    readDirectory: (path) =>
      step("readDirectory", path, false, () => {
        if (disk.inode(path).type === "File") throw new Refusal("ENOTDIR", path)
        return [...disk.names(path)]
      }),
    readFile: (path) => step("readFile", path, false, () => read(path)),
    writeFile,
    link: (from, to) => step("link", to, true, () => disk.link(from, to)),
    rename: (from, to) => step("rename", to, true, () => disk.rename(from, to)),
    remove: (path, removing) => remove(path, removing),
    open: (path, opening) =>
      (opening?.flag ?? "r") !== "r"
        ? unsupported("open")
        : Effect.map(step("open", path, false, () => ({ inode: disk.inode(path), bytes: read(path) })), ({
          bytes,
          inode
        }): FileSystem.File => ({
          [FileSystem.FileTypeId]: FileSystem.FileTypeId,
          stat: Effect.sync(() => info(inode)),
          sync: Effect.void,
          seek: () => unsupported("seek"),
          truncate: () => unsupported("truncate"),
          read: () => unsupported("read"),
          readAlloc: (size) =>
            Effect.succeed(bytes.length === 0 ? Option.none() : Option.some(bytes.subarray(0, Number(size)))),
          write: () => unsupported("write"),
          writeAll: () => unsupported("writeAll")
        }))
  })

  // `makeNoop` answers these three without a look at the disk; `make` derives them from the members above.
  const { exists, readFileString, writeFileString } = FileSystem.make(core)
  return { ...core, exists, readFileString, writeFileString }
}
