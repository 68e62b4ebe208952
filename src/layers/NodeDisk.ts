/**
 * The disk over `node:fs`.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as NFS from "node:fs"
import { maxFileBytes } from "../domain/StateHome.ts"
import { type Disk, type Entry, type Errno, refusedRead } from "../services/Disk.ts"

const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = NFS.constants

const isWindows = process.platform === "win32"

// Windows has neither flag. Opening a FIFO without O_NONBLOCK would block the process.
const O_NONBLOCK = isWindows ? 0 : NFS.constants.O_NONBLOCK
const O_NOFOLLOW = isWindows ? 0 : NFS.constants.O_NOFOLLOW

// Not by `instanceof`: in a `vm` context, an error of Node.js has another class.
const codeOf = (error: unknown): Errno =>
  Predicate.hasProperty(error, "code") && Predicate.isString(error.code) ? error.code : "EUNKNOWN"

const attempt = (change: () => unknown): Errno | undefined => {
  try {
    change()
  } catch (error) {
    return codeOf(error)
  }
}

// Retries on Windows: it refuses to rename or remove a file that another process, such as a virus scanner, has open.
const attemptAgain = (change: (path: string, to: string) => void, path: string, to: string): Errno | undefined => {
  for (let millis = isWindows ? 1 : 64;; millis *= 2) {
    try {
      return void change(path, to)
    } catch (error) {
      const code = codeOf(error)
      if (millis >= 64 || !/^E(PERM|BUSY|ACCES)$/.test(code)) return code
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
    }
  }
}

// open(2) refuses a socket with the first two codes (Linux, macOS), and Windows a folder with `EISDIR`.
const readCodeOf = (error: unknown): Errno => {
  const code = codeOf(error)
  return code === "ENXIO" || code === "EOPNOTSUPP" || code === "EISDIR" ? "EFTYPE" : code
}

const read: Disk["read"] = (path, { follow = false, owner, repair = false } = {}) => {
  try {
    if (!follow && isWindows && NFS.lstatSync(path).isSymbolicLink()) return refusedRead("ELOOP")
    const fd = NFS.openSync(path, O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW))
    try {
      const stat = NFS.fstatSync(fd)
      if (!stat.isFile()) return { _tag: "Unreadable", code: "EFTYPE" }
      if (stat.size > maxFileBytes) return { _tag: "Unreadable", code: "EFBIG" }
      if (owner !== undefined && stat.uid !== owner) return { _tag: "Unreadable", code: "EPERM" }
      const bytes = Buffer.allocUnsafe(stat.size)
      let length = 0
      while (length < bytes.length) {
        const count = NFS.readSync(fd, bytes, length, bytes.length - length, length)
        if (count === 0) break
        length += count
      }
      return { _tag: "Text", text: bytes.toString("utf8", 0, length) }
    } finally {
      NFS.closeSync(fd)
    }
  } catch (error) {
    const code = readCodeOf(error)
    if (!repair || code !== "EACCES") return refusedRead(code)
    // Not of the target of a link. The mode of another user's file cannot be changed.
    attempt(() => NFS.lstatSync(path).isFile() && NFS.chmodSync(path, 0o600))
    return read(path, { owner })
  }
}

// Whether the umask removes the owner's own bits. A look at each new file would cost every command a system call, so
// the umask is noticed at a folder that is created, and at a file that is published by a link (ADR 0035).
let isUmaskHarmful = false

const create: Disk["create"] = (path, text) => {
  try {
    const fd = NFS.openSync(path, O_CREAT | O_EXCL | O_WRONLY | O_NONBLOCK, 0o600)
    try {
      try {
        if (isUmaskHarmful) NFS.fchmodSync(fd, 0o600)
        let rest: Uint8Array = Buffer.from(text)
        // A write may be incomplete without an error, on a full disk or at a size limit.
        while (rest.length > 0) {
          const count = NFS.writeSync(fd, rest)
          if (count === 0) throw Object.assign(new Error("nothing was written"), { code: "ENOSPC" })
          rest = rest.subarray(count)
        }
      } finally {
        // Network file systems report a failed write here.
        NFS.closeSync(fd)
      }
    } catch (error) {
      NFS.unlinkSync(path)
      throw error
    }
  } catch (error) {
    return codeOf(error)
  }
}

const makeFolder: Disk["makeFolder"] = (path) =>
  attempt(() => {
    NFS.mkdirSync(path, { mode: 0o700 })
    // The umask may have removed the owner's own bits. FAT refuses a mode that it cannot store.
    if ((NFS.lstatSync(path).mode & 0o700) === 0o700) return
    NFS.chmodSync(path, 0o700)
    isUmaskHarmful = true
  })

// A published file is never written again, so its mode is checked before.
const link: Disk["link"] = (from, to) =>
  attempt(() => {
    if ((NFS.lstatSync(from).mode & 0o600) !== 0o600) {
      NFS.chmodSync(from, 0o600)
      isUmaskHarmful = true
    }
    NFS.linkSync(from, to)
  })

// For a missing file, creating an exception takes longer than the system call.
const noEntry = { throwIfNoEntry: false } as const

const describe = (
  stat: (path: string, options?: typeof noEntry) => NFS.Stats | undefined,
  path: string,
  options?: typeof noEntry
): Entry | Errno => {
  try {
    const found = stat(path, options)
    return found === undefined ? "ENOENT" : {
      type: found.isDirectory() ? "Directory" : found.isFile() ? "File" : found.isSymbolicLink() ? "Link" : "Other",
      uid: isWindows ? undefined : found.uid,
      mode: found.mode & 0o7777,
      modifiedAt: found.mtimeMs
    }
  } catch (error) {
    return codeOf(error)
  }
}

// Some file systems report no blocks, or no files. The reserved blocks are for root.
const isFull = (path: string): boolean => {
  try {
    const { bavail, bfree, blocks, ffree, files } = NFS.statfsSync(path)
    const free = process.geteuid?.() === 0 ? bfree : bavail
    return (blocks > 0 && free === 0) || (files > 0 && ffree === 0)
  } catch {
    // Not every runtime has the function.
    return false
  }
}

/**
 * The disk of this process, by `node:fs`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const disk: Disk = {
  read,
  look: (path) => describe(NFS.lstatSync, path, noEntry),
  // `statSync` with `noEntry` returns nothing for ENOTDIR too.
  follow: (path) => describe(NFS.statSync, path),
  list: (folder) => {
    try {
      return NFS.readdirSync(folder)
    } catch (error) {
      return codeOf(error)
    }
  },
  create,
  link,
  rename: (from, to) => attemptAgain(NFS.renameSync, from, to),
  remove: (path) => attemptAgain(NFS.unlinkSync, path, ""),
  makeFolder,
  removeFolder: (path) => attempt(() => NFS.rmdirSync(path)),
  access: (path) => attempt(() => NFS.accessSync(path, NFS.constants.W_OK)) ?? (isFull(path) ? "ENOSPC" : undefined)
}
