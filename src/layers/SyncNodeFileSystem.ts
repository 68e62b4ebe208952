/**
 * `effect/FileSystem` backed by synchronous `node:fs` calls.
 *
 * A command has a handful of small files to write when it ends. Each call of Node's asynchronous API is a round trip to
 * its thread pool, and at that moment the round trips cost the command more than the work: a synchronous call on a small
 * local file is over before the event loop could turn once. It also makes every effect here safe for `Effect.runSync`.
 *
 * **Gotchas**
 *
 * Only what this library uses is implemented: `access`, `exists`, `link`, `lstat`, `makeDirectory`, `open`,
 * `readDirectory`, `readFile`, `readFileString`, `remove`, `rename`, `stat`, `writeFile` and `writeFileString`; of an
 * open file `stat` and `readAlloc`, which has no cursor. Every other member is that of `FileSystem.makeNoop`. It is meant
 * for small files, and must not replace a host's own `FileSystem`.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as NFS from "node:fs"
import * as NodePath from "node:path"

// == errors

/**
 * Names the reason that Effect's own Node layers give to an errno code.
 *
 * @internal
 */
export const errnoReason = (code: string | undefined): PlatformError.SystemErrorTag => {
  switch (code) {
    case "ENOENT":
      return "NotFound"
    case "EACCES":
    case "EPERM":
      return "PermissionDenied"
    case "EEXIST":
      return "AlreadyExists"
    case "EISDIR":
    case "ENOTDIR":
    case "ELOOP":
      return "BadResource"
    case "EBUSY":
      return "Busy"
    default:
      return "Unknown"
  }
}

/**
 * Tells an error of the operating system from one of Node's own argument checks, which carry no errno.
 *
 * @internal
 */
export const isErrnoException = (cause: unknown): cause is NodeJS.ErrnoException =>
  cause instanceof Error && "errno" in cause && typeof cause.errno === "number"

const badArgument = (method: string, description: string): PlatformError.PlatformError =>
  PlatformError.badArgument({ module: "FileSystem", method, description })

const toPlatformError = (
  method: string,
  pathOrDescriptor: string | number,
  cause: unknown
): PlatformError.PlatformError => {
  if (PlatformError.isPlatformError(cause)) {
    return cause
  }
  return isErrnoException(cause)
    ? PlatformError.systemError({
      _tag: errnoReason(cause.code),
      module: "FileSystem",
      method,
      pathOrDescriptor,
      syscall: cause.syscall,
      cause
    })
    : badArgument(method, cause instanceof Error ? cause.message : String(cause))
}

const attempt = <A>(
  method: string,
  pathOrDescriptor: string | number,
  evaluate: () => A
): Effect.Effect<A, PlatformError.PlatformError> =>
  Effect.try({ try: evaluate, catch: (cause) => toPlatformError(method, pathOrDescriptor, cause) })

// == opening

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = NFS.constants

// Windows has neither.
const O_NONBLOCK = NFS.constants.O_NONBLOCK ?? 0
const O_NOFOLLOW = NFS.constants.O_NOFOLLOW ?? 0

const accessBits: Record<FileSystem.OpenFlag, number> = {
  "r": O_RDONLY,
  "r+": O_RDWR,
  "w": O_TRUNC | O_CREAT | O_WRONLY,
  "wx": O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
  "w+": O_TRUNC | O_CREAT | O_RDWR,
  "wx+": O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
  "a": O_APPEND | O_CREAT | O_WRONLY,
  "ax": O_APPEND | O_CREAT | O_WRONLY | O_EXCL,
  "a+": O_APPEND | O_CREAT | O_RDWR,
  "ax+": O_APPEND | O_CREAT | O_RDWR | O_EXCL
}

/**
 * Opening a FIFO waits for its other end, and here that wait would stop the whole process, so every open is
 * non-blocking; regular files do not notice.
 *
 * Effect's own layer refuses `noFollow` on Windows, where nothing does what it asks for. This one ignores it there: a
 * refusal would mean that such a caller can open no file at all, and a link to a file takes a privilege to make on
 * Windows, so that it is not for another user of the machine to put one in the way.
 */
const openBits = (flag: FileSystem.OpenFlag, noFollow: boolean): number =>
  accessBits[flag] | O_NONBLOCK | (noFollow ? O_NOFOLLOW : 0)

const withDescriptor = <A>(
  path: string,
  flag: FileSystem.OpenFlag,
  mode: number | undefined,
  use: (fd: number) => A
): A => {
  const fd = NFS.openSync(path, openBits(flag, false), mode)
  try {
    return use(fd)
  } finally {
    NFS.closeSync(fd)
  }
}

// == writing

/**
 * Writes until nothing is left: one write may stop half way, at a full disk or a size limit, without an error.
 */
const writeToEnd = (path: string, fd: number, bytes: Uint8Array): void => {
  let rest = bytes
  while (rest.length > 0) {
    const count = NFS.writeSync(fd, rest)
    // To try again could go on for ever.
    if (count === 0) {
      throw PlatformError.systemError({
        _tag: "WriteZero",
        module: "FileSystem",
        method: "writeFile",
        pathOrDescriptor: path,
        description: "write returned 0 bytes written"
      })
    }
    rest = rest.subarray(count)
  }
}

// == metadata

const fileType = (stat: NFS.BigIntStats): FileSystem.File.Type => {
  if (stat.isFile()) return "File"
  if (stat.isDirectory()) return "Directory"
  if (stat.isSymbolicLink()) return "SymbolicLink"
  if (stat.isBlockDevice()) return "BlockDevice"
  if (stat.isCharacterDevice()) return "CharacterDevice"
  if (stat.isFIFO()) return "FIFO"
  return stat.isSocket() ? "Socket" : "Unknown"
}

// Node reports the unsigned 64-bit device and inode numbers at and above 2^63 as negative.
const toUint64 = (value: bigint): bigint => BigInt.asUintN(64, value)

const codeOf = (error: unknown): unknown => Predicate.hasProperty(error, "code") ? error.code : undefined

const makeFolder = (path: string, mode: number | undefined): void => {
  try {
    NFS.mkdirSync(path, { mode })
  } catch (error) {
    if (codeOf(error) !== "EEXIST" || !NFS.statSync(path).isDirectory()) throw error
  }
}

// Node.js's own recursion never ends where a folder cannot be made in one that is there, as in `/proc`.
const makeFolders = (path: string, mode: number | undefined): void => {
  try {
    makeFolder(path, mode)
  } catch (error) {
    const parent = NodePath.dirname(path)
    if (codeOf(error) !== "ENOENT" || parent === path) throw error
    makeFolders(parent, mode)
    makeFolder(path, mode)
  }
}

const makeFileInfo = (stat: NFS.BigIntStats): FileSystem.File.Info => ({
  type: fileType(stat),
  mtime: Option.some(stat.mtime),
  atime: Option.some(stat.atime),
  birthtime: Option.some(stat.birthtime),
  dev: toUint64(stat.dev),
  rdev: Option.some(toUint64(stat.rdev)),
  ino: Option.some(toUint64(stat.ino)),
  mode: Number(stat.mode),
  nlink: Option.some(toUint64(stat.nlink)),
  uid: Option.some(Number(stat.uid)),
  gid: Option.some(Number(stat.gid)),
  size: ByteSize.bytes(stat.size),
  blksize: Option.some(ByteSize.bytes(stat.blksize)),
  blocks: Option.some(stat.blocks)
})

// == open files

const unsupported = (method: string): Effect.Effect<never, PlatformError.PlatformError> =>
  Effect.fail(badArgument(method, "not supported by the synchronous file system"))

// It is looked at, and read once, from its start.
const makeFile = (fd: number): FileSystem.File => ({
  [FileSystem.FileTypeId]: FileSystem.FileTypeId,
  stat: attempt("stat", fd, () => makeFileInfo(NFS.fstatSync(fd, { bigint: true }))),
  readAlloc: (size, options) =>
    attempt("readAlloc", fd, () => {
      const buffer = new Uint8Array(size)
      // At a position: without one a FIFO would be read.
      const count = NFS.readSync(fd, buffer, { position: options?.position ?? 0n })
      return count === 0 ? Option.none() : Option.some(buffer.subarray(0, count))
    }),
  read: () => unsupported("read"),
  seek: () => unsupported("seek"),
  sync: unsupported("sync"),
  truncate: () => unsupported("truncate"),
  write: () => unsupported("write"),
  writeAll: () => unsupported("writeAll")
})

// == the service

const core = FileSystem.makeNoop({
  access: (path, options) =>
    attempt("access", path, () =>
      NFS.accessSync(
        path,
        NFS.constants.F_OK |
          (options?.readable === true ? NFS.constants.R_OK : 0) |
          (options?.writable === true ? NFS.constants.W_OK : 0)
      )),
  link: (fromPath, toPath) => attempt("link", fromPath, () => NFS.linkSync(fromPath, toPath)),
  lstat: (path) => attempt("lstat", path, () => makeFileInfo(NFS.lstatSync(path, { bigint: true }))),
  makeDirectory: (path, options) =>
    attempt("makeDirectory", path, () => {
      if (options?.recursive === true) makeFolders(path, options.mode)
      else NFS.mkdirSync(path, { mode: options?.mode })
    }),
  open: (path, options) => {
    const bits = openBits(options?.flag ?? "r", options?.noFollow === true)
    return Effect.map(
      Effect.acquireRelease(
        attempt("open", path, () => NFS.openSync(path, bits, options?.mode)),
        (fd) => Effect.orDie(attempt("open", fd, () => NFS.closeSync(fd)))
      ),
      makeFile
    )
  },
  readDirectory: (path, options) =>
    options?.recursive === true
      ? unsupported("readDirectory")
      : attempt("readDirectory", path, () => NFS.readdirSync(path)),
  readFile: (path) =>
    attempt("readFile", path, () => withDescriptor(path, "r", undefined, (fd) => NFS.readFileSync(fd))),
  remove: (path, options) =>
    attempt(
      "remove",
      path,
      () => NFS.rmSync(path, { recursive: options?.recursive ?? false, force: options?.force ?? false })
    ),
  rename: (oldPath, newPath) => attempt("rename", oldPath, () => NFS.renameSync(oldPath, newPath)),
  stat: (path) => attempt("stat", path, () => makeFileInfo(NFS.statSync(path, { bigint: true }))),
  writeFile: (path, data, options) =>
    attempt(
      "writeFile",
      path,
      () => withDescriptor(path, options?.flag ?? "w", options?.mode, (fd) => writeToEnd(path, fd, data))
    )
})

// `makeNoop` answers these three without a look at the disk; `FileSystem.make` derives them from the members above.
const { exists, readFileString, writeFileString } = FileSystem.make(core)

/**
 * The file system whose every effect completes synchronously.
 *
 * **Details**
 *
 * Failures are the `PlatformError`s of `@effect/platform-node/NodeFileSystem`: the same reasons, the errno error as
 * cause. No open waits for the other end of a FIFO. On Windows `noFollow` is ignored instead of refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: FileSystem.FileSystem = { ...core, exists, readFileString, writeFileString }

/**
 * Provides the synchronous file system.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<FileSystem.FileSystem> = Layer.succeed(FileSystem.FileSystem, make)
