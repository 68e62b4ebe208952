import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import NodeFs, * as NFS from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as OS from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"

const isWindows = process.platform === "win32"
const isRoot = process.getuid?.() === 0
const projectRoot = fileURLToPath(new URL("../..", import.meta.url))

/** A directory of the test's own, and what its paths are. */
const temporary = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => NFS.mkdtempSync(Path.join(OS.tmpdir(), "sync-fs-"))),
    (directory) => Effect.sync(() => NFS.rmSync(directory, { recursive: true, force: true }))
  ),
  (directory) => (...names: ReadonlyArray<string>) => Path.join(directory, ...names)
)

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const permissions = (path: string): number => NFS.statSync(path).mode & 0o777

interface Failure {
  readonly reason: string
  readonly code: unknown
}

/** The reason of a failure, with the code of the errno error that caused it. */
const failure = <A, R>(effect: Effect.Effect<A, PlatformError.PlatformError, R>): Effect.Effect<Failure, never, R> =>
  Effect.match(effect, {
    onFailure: (error): Failure => {
      assert.isTrue(PlatformError.isPlatformError(error))
      const cause = error.cause
      return {
        reason: error.reason._tag,
        code: cause instanceof Error && "code" in cause ? cause.code : undefined
      }
    },
    onSuccess: () => assert.fail("it did not fail")
  })

const suite = (name: string, layer: Layer.Layer<FileSystem.FileSystem>) =>
  describe(name, () => {
    const test = (
      behaviour: string,
      body: (
        fs: FileSystem.FileSystem,
        at: (...names: ReadonlyArray<string>) => string
      ) => Effect.Effect<void, PlatformError.PlatformError, Scope.Scope>,
      isPossible = true
    ) => {
      if (!isPossible) return
      it.live(behaviour, () =>
        Effect.flatMap(Effect.all([FileSystem.FileSystem, temporary]), ([fs, at]) =>
          body(fs, at)).pipe(
            Effect.provide(layer)
          ))
    }

    test("reads back what it wrote, as text and as bytes", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(at("text"), "grüße ✓")
        assert.strictEqual(yield* fs.readFileString(at("text")), "grüße ✓")
        assert.strictEqual(NFS.readFileSync(at("text"), "utf8"), "grüße ✓")
        const bytes = Uint8Array.from([0, 255, 128, 10])
        yield* fs.writeFile(at("bytes"), bytes)
        assert.deepStrictEqual([...yield* fs.readFile(at("bytes"))], [...bytes])
        yield* fs.writeFile(at("empty"), new Uint8Array(0))
        assert.strictEqual(yield* fs.readFileString(at("empty")), "")
        assert.strictEqual(yield* fs.readFileString(at("bytes"), "latin1"), "\u0000ÿ€\n")
        assert.deepStrictEqual(yield* failure(fs.readFileString(at("text"), "no such encoding")), {
          reason: "BadArgument",
          code: "ERR_ENCODING_NOT_SUPPORTED"
        })
      }))

    test("writes with the flag and the mode it is given", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(at("f"), "first", { flag: "wx", mode: 0o600 })
        assert.strictEqual(permissions(at("f")), isWindows ? 0o666 : 0o600)
        assert.deepStrictEqual(yield* failure(fs.writeFileString(at("f"), "second", { flag: "wx" })), {
          reason: "AlreadyExists",
          code: "EEXIST"
        })
        assert.strictEqual(yield* fs.readFileString(at("f")), "first")
        yield* fs.writeFileString(at("f"), "+", { flag: "a" })
        assert.strictEqual(yield* fs.readFileString(at("f")), "first+")
        yield* fs.writeFileString(at("f"), "new")
        assert.strictEqual(yield* fs.readFileString(at("f")), "new")
      }))

    test("knows what exists, and does not guess where it cannot look", (fs, at) =>
      Effect.gen(function*() {
        NFS.writeFileSync(at("f"), "")
        assert.isTrue(yield* fs.exists(at("f")))
        assert.isFalse(yield* fs.exists(at("missing")))
        yield* fs.access(at("f"), { readable: true, writable: true })
        assert.deepStrictEqual(yield* failure(fs.access(at("missing"))), { reason: "NotFound", code: "ENOENT" })
        if (!isWindows) {
          assert.deepStrictEqual(yield* failure(fs.exists(at("f", "below"))), {
            reason: "BadResource",
            code: "ENOTDIR"
          })
        }
      }))

    test("tells what it may not do", (fs, at) =>
      Effect.gen(function*() {
        NFS.writeFileSync(at("f"), "", { mode: 0o400 })
        assert.deepStrictEqual(yield* failure(fs.access(at("f"), { writable: true })), {
          reason: "PermissionDenied",
          code: "EACCES"
        })
        assert.deepStrictEqual(yield* failure(fs.writeFileString(at("f"), "no")), {
          reason: "PermissionDenied",
          code: "EACCES"
        })
      }), !isWindows && !isRoot)

    test("links only where nothing is, and renames over what is", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(at("a"), "a")
        yield* fs.writeFileString(at("b"), "b")
        yield* fs.link(at("a"), at("published"))
        assert.deepStrictEqual(yield* failure(fs.link(at("b"), at("published"))), {
          reason: "AlreadyExists",
          code: "EEXIST"
        })
        assert.strictEqual(yield* fs.readFileString(at("published")), "a")
        assert.deepStrictEqual((yield* fs.stat(at("a"))).nlink, Option.some(2n))
        yield* fs.rename(at("b"), at("published"))
        assert.strictEqual(yield* fs.readFileString(at("published")), "b")
        assert.strictEqual(yield* fs.readFileString(at("a")), "a")
        assert.deepStrictEqual(yield* failure(fs.rename(at("b"), at("published"))), {
          reason: "NotFound",
          code: "ENOENT"
        })
      }))

    test("makes directories, with their mode and those above them", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.makeDirectory(at("a"), { mode: 0o700 })
        assert.strictEqual(permissions(at("a")), isWindows ? 0o666 : 0o700)
        assert.deepStrictEqual(yield* failure(fs.makeDirectory(at("a"))), { reason: "AlreadyExists", code: "EEXIST" })
        assert.deepStrictEqual(yield* failure(fs.makeDirectory(at("x", "y"))), { reason: "NotFound", code: "ENOENT" })
        yield* fs.makeDirectory(at("x", "y", "z"), { recursive: true, mode: 0o700 })
        yield* fs.makeDirectory(at("x", "y", "z"), { recursive: true, mode: 0o700 })
        assert.strictEqual(permissions(at("x", "y")), isWindows ? 0o666 : 0o700)
        NFS.writeFileSync(at("f"), "")
        assert.deepStrictEqual(yield* failure(fs.makeDirectory(at("f"), { recursive: true })), {
          reason: "AlreadyExists",
          code: "EEXIST"
        })
      }))

    // Node's own calls do not come back from there.
    if (name === "SyncNodeFileSystem" && process.platform === "linux") {
      test("gives up on a directory that cannot be made below one that is there", (fs) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* failure(fs.makeDirectory("/proc/nobody/has/this", { recursive: true })), {
            reason: "NotFound",
            code: "ENOENT"
          })
        }))
    }

    test("lists the names in a directory", (fs, at) =>
      Effect.gen(function*() {
        NFS.mkdirSync(at("d", "sub"), { recursive: true })
        NFS.writeFileSync(at("d", "f"), "")
        NFS.writeFileSync(at("d", "sub", "deep"), "")
        assert.deepStrictEqual((yield* fs.readDirectory(at("d"))).toSorted(), ["f", "sub"])
        assert.deepStrictEqual(yield* fs.readDirectory(at("d", "sub"), { recursive: false }), ["deep"])
        assert.deepStrictEqual(yield* failure(fs.readDirectory(at("missing"))), { reason: "NotFound", code: "ENOENT" })
        assert.deepStrictEqual(yield* failure(fs.readDirectory(at("d", "f"))), {
          reason: isWindows ? "NotFound" : "BadResource",
          code: isWindows ? "ENOENT" : "ENOTDIR"
        })
      }))

    test("removes files and trees, and of a link only the link", (fs, at) =>
      Effect.gen(function*() {
        NFS.mkdirSync(at("d", "sub"), { recursive: true })
        NFS.writeFileSync(at("d", "f"), "")
        yield* fs.remove(at("d", "f"))
        assert.isFalse(NFS.existsSync(at("d", "f")))
        assert.deepStrictEqual(yield* failure(fs.remove(at("d", "f"))), { reason: "NotFound", code: "ENOENT" })
        yield* fs.remove(at("d", "f"), { force: true })
        assert.deepStrictEqual(yield* failure(fs.remove(at("d"))), { reason: "Unknown", code: "ERR_FS_EISDIR" })
        if (!isWindows) {
          NFS.symlinkSync(at("d"), at("link"))
          NFS.symlinkSync(at("missing"), at("dangling"))
          yield* fs.remove(at("link"), { recursive: true, force: true })
          yield* fs.remove(at("dangling"), { force: true })
          assert.deepStrictEqual(NFS.readdirSync(at()), ["d"])
        }
        yield* fs.remove(at("d"), { recursive: true })
        assert.deepStrictEqual(NFS.readdirSync(at()), [])
      }))

    test("reports what the file system knows of an entry", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(at("f"), "twelve bytes")
        NFS.chmodSync(at("f"), 0o640)
        const info = yield* fs.stat(at("f"))
        const known = NFS.statSync(at("f"), { bigint: true })
        assert.deepStrictEqual(info, {
          type: "File",
          mtime: Option.some(known.mtime),
          atime: Option.some(known.atime),
          birthtime: Option.some(known.birthtime),
          dev: known.dev,
          rdev: Option.some(known.rdev),
          ino: Option.some(known.ino),
          mode: Number(known.mode),
          nlink: Option.some(1n),
          uid: Option.some(Number(known.uid)),
          gid: Option.some(Number(known.gid)),
          size: ByteSize.bytes(12),
          blksize: Option.some(ByteSize.bytes(known.blksize)),
          blocks: Option.some(known.blocks)
        })
        assert.strictEqual(info.mode & 0o777, isWindows ? 0o666 : 0o640)
        assert.strictEqual((yield* fs.stat(at())).type, "Directory")
        assert.deepStrictEqual(yield* failure(fs.stat(at("missing"))), { reason: "NotFound", code: "ENOENT" })
        assert.deepStrictEqual(yield* failure(fs.lstat(at("missing"))), { reason: "NotFound", code: "ENOENT" })
      }))

    test("tells links, FIFOs and devices from files", (fs, at) =>
      Effect.gen(function*() {
        NFS.writeFileSync(at("f"), "")
        NFS.symlinkSync(at("f"), at("link"))
        execFileSync("mkfifo", [at("fifo")])
        assert.strictEqual((yield* fs.stat(at("link"))).type, "File")
        assert.strictEqual((yield* fs.lstat(at("link"))).type, "SymbolicLink")
        assert.strictEqual((yield* fs.lstat(at("fifo"))).type, "FIFO")
        assert.strictEqual((yield* fs.stat("/dev/null")).type, "CharacterDevice")
      }), !isWindows)

    test("looks at an open file, and reads it from its start or at a position", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.writeFileString(at("f"), "0123456789")
        const file = yield* fs.open(at("f"))
        assert.isTrue(FileSystem.isFile(file))
        assert.deepStrictEqual((yield* file.stat).size, ByteSize.bytes(10))
        assert.deepStrictEqual(Option.map(yield* file.readAlloc(99), decode), Option.some("0123456789"))
        assert.deepStrictEqual(Option.map(yield* file.readAlloc(2, { position: 4n }), decode), Option.some("45"))
        assert.deepStrictEqual(yield* file.readAlloc(1, { position: 10n }), Option.none())
        assert.deepStrictEqual(yield* failure(file.readAlloc(-1)), { reason: "BadArgument", code: undefined })
      }))

    test("opens exclusively, with a mode", (fs, at) =>
      Effect.gen(function*() {
        yield* fs.open(at("f"), { flag: "wx", mode: 0o600 })
        assert.strictEqual(permissions(at("f")), isWindows ? 0o666 : 0o600)
        assert.deepStrictEqual(yield* failure(fs.open(at("f"), { flag: "wx" })), {
          reason: "AlreadyExists",
          code: "EEXIST"
        })
      }))

    test("closes what it opened when the scope closes", (fs, at) =>
      Effect.gen(function*() {
        const file = yield* Effect.scoped(fs.open(at("f"), { flag: "w" }))
        assert.deepStrictEqual(yield* failure(file.stat), { reason: "Unknown", code: "EBADF" })
      }))

    test("follows no link where it is asked not to", (fs, at) =>
      Effect.gen(function*() {
        NFS.writeFileSync(at("f"), "x")
        NFS.symlinkSync(at("f"), at("link"))
        const refused = { reason: "BadResource", code: "ELOOP" }
        assert.deepStrictEqual(yield* failure(fs.open(at("link"), { noFollow: true })), refused)
        assert.deepStrictEqual(yield* failure(fs.open(at("link"), { flag: "w", noFollow: true })), refused)
        assert.strictEqual(NFS.readFileSync(at("f"), "utf8"), "x")
        const regular = yield* fs.open(at("f"), { noFollow: true })
        assert.strictEqual((yield* regular.stat).type, "File")
        const followed = yield* fs.open(at("link"))
        assert.strictEqual((yield* followed.stat).type, "File")
      }), !isWindows)

    test("names the reasons of errors", (fs, at) =>
      Effect.gen(function*() {
        NFS.symlinkSync(at("loop"), at("loop"))
        assert.deepStrictEqual(yield* failure(fs.readFile(at("missing"))), { reason: "NotFound", code: "ENOENT" })
        assert.deepStrictEqual(yield* failure(fs.readFile(at())), { reason: "BadResource", code: "EISDIR" })
        assert.deepStrictEqual(yield* failure(fs.writeFileString(at(), "")), { reason: "BadResource", code: "EISDIR" })
        assert.deepStrictEqual(yield* failure(fs.stat(at("loop"))), { reason: "BadResource", code: "ELOOP" })
        assert.deepStrictEqual(yield* failure(fs.link(at(), at("hard"))), { reason: "PermissionDenied", code: "EPERM" })
        assert.deepStrictEqual(yield* failure(fs.stat(at("n".repeat(300)))), {
          reason: "Unknown",
          code: "ENAMETOOLONG"
        })
        const error = yield* Effect.orDie(Effect.flip(fs.readFile(at("missing"))))
        assert.strictEqual(error.message, `NotFound: FileSystem.readFile (${at("missing")})`)
        assert.propertyVal(error.reason, "syscall", "open")
      }), !isWindows)

    test("refuses a path that no system could take", (fs) =>
      Effect.gen(function*() {
        const refused = { reason: "BadArgument", code: undefined }
        assert.deepStrictEqual(yield* failure(fs.stat("a\0b")), refused)
        assert.deepStrictEqual(yield* failure(fs.open("a\0b")), refused)
        assert.deepStrictEqual(yield* failure(fs.writeFileString("a\0b", "")), refused)
        assert.deepStrictEqual(yield* failure(fs.remove("a\0b")), refused)
      }))
  })

suite("NodeFileSystem", NodeFileSystem.layer)
suite("SyncNodeFileSystem", SyncNodeFileSystem.layer)

/** Puts another function in the place of one of `node:fs` until the scope closes. */
const replace = <K extends "writeSync" | "statSync">(name: K, replacement: typeof NFS[K]) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const original = NodeFs[name]
      NodeFs[name] = replacement
      syncBuiltinESMExports()
      return original
    }),
    (original) =>
      Effect.sync(() => {
        NodeFs[name] = original
        syncBuiltinESMExports()
      })
  )

describe("only SyncNodeFileSystem", () => {
  const fs = SyncNodeFileSystem.make

  it("completes every effect synchronously", () => {
    const program = Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const at = yield* temporary
      yield* fs.makeDirectory(at("d"), { recursive: true, mode: 0o700 })
      yield* fs.writeFile(at("d", "a"), encode("a"))
      yield* fs.writeFileString(at("d", "b"), "b", { flag: "wx" })
      yield* fs.access(at("d", "b"))
      yield* fs.link(at("d", "a"), at("d", "c"))
      yield* fs.rename(at("d", "b"), at("d", "c"))
      assert.isTrue(yield* fs.exists(at("d", "c")))
      assert.strictEqual(yield* fs.readFileString(at("d", "c")), "b")
      assert.strictEqual(decode(yield* fs.readFile(at("d", "a"))), "a")
      assert.strictEqual((yield* fs.stat(at("d"))).type, "Directory")
      assert.strictEqual((yield* fs.lstat(at("d", "c"))).type, "File")
      const content = yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* fs.open(at("d", "a"), { noFollow: true })
        yield* file.stat
        return yield* file.readAlloc(9)
      }))
      assert.deepStrictEqual(Option.map(content, decode), Option.some("a"))
      assert.deepStrictEqual((yield* fs.readDirectory(at("d"))).toSorted(), ["a", "c"])
      yield* fs.remove(at("d"), { recursive: true })
      assert.isFalse(yield* fs.exists(at("d")))
    })
    Effect.runSync(Effect.scoped(Effect.provide(program, SyncNodeFileSystem.layer)))
  })

  it.live.skipIf(isWindows)("never waits for the other end of a FIFO", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      execFileSync("mkfifo", [at("fifo")])
      // In a process of its own, because one that waits in `open` cannot be stopped by a timer of this one.
      const script = `
        import * as Effect from "effect/Effect"
        import { make as fs } from "./src/layers/SyncNodeFileSystem.ts"
        const fifo = process.argv[1]
        const reason = (effect) => Effect.runSync(Effect.scoped(Effect.flip(effect))).reason._tag
        console.log(Effect.runSync(Effect.scoped(Effect.flatMap(fs.open(fifo), (file) => file.stat))).type)
        console.log(JSON.stringify(Effect.runSync(fs.readFileString(fifo))))
        console.log(reason(fs.open(fifo, { flag: "w" })))
        console.log(reason(fs.writeFileString(fifo, "x")))
        // With a writer that says nothing.
        console.log(reason(Effect.andThen(fs.open(fifo, { flag: "r+" }), fs.readFile(fifo))))
      `
      const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script, at("fifo")], {
        cwd: projectRoot,
        encoding: "utf8",
        timeout: 15_000,
        killSignal: "SIGKILL"
      })
      assert.deepStrictEqual(output.trim().split("\n"), ["FIFO", "\"\"", "Unknown", "Unknown", "Unknown"])
    }))

  it.live("goes on with a write that stops half way", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      const original = NFS.writeSync
      let calls = 0
      yield* replace(
        "writeSync",
        ((fd: number, bytes: Uint8Array, offset?: number, _?: number, at?: number | null) => {
          calls++
          return original(fd, bytes, offset ?? 0, Math.min(bytes.length, 3), at)
        }) as typeof NFS.writeSync
      )
      yield* fs.writeFileString(at("f"), "0123456789")
      assert.strictEqual(NFS.readFileSync(at("f"), "utf8"), "0123456789")
      assert.strictEqual(calls, 4)
    }))

  it.live("gives up a write that does not get on, and closes the file", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      let written = -1
      yield* replace(
        "writeSync",
        ((fd: number) => {
          written = fd
          return 0
        }) as typeof NFS.writeSync
      )
      assert.strictEqual((yield* failure(fs.writeFileString(at("f"), "x"))).reason, "WriteZero")
      assert.throws(() => NFS.fstatSync(written), /EBADF/)
    }))

  it.live("gives every errno the reason that NodeFileSystem gives it", () =>
    Effect.gen(function*() {
      const expected = {
        ENOENT: "NotFound",
        EACCES: "PermissionDenied",
        EPERM: "PermissionDenied",
        EEXIST: "AlreadyExists",
        EISDIR: "BadResource",
        ENOTDIR: "BadResource",
        ELOOP: "BadResource",
        EBUSY: "Busy",
        ENOSPC: "Unknown",
        EROFS: "Unknown"
      }
      for (const [code, reason] of Object.entries(expected)) {
        const cause = Object.assign(new Error(code), { code, errno: -1, syscall: "stat" })
        const error = yield* Effect.scoped(Effect.andThen(
          replace(
            "statSync",
            (() => {
              throw cause
            }) as typeof NFS.statSync
          ),
          Effect.flip(fs.stat("/somewhere"))
        ))
        assert.strictEqual(error.reason._tag, reason, code)
        assert.strictEqual(error.cause, cause)
      }
    }))

  it.live("refuses what it does not support", () =>
    Effect.gen(function*() {
      const at = yield* temporary
      const file = yield* fs.open(at("f"), { flag: "w" })
      assert.strictEqual((yield* failure(file.seek(0n, "start"))).reason, "BadArgument")
      assert.strictEqual((yield* failure(file.truncate())).reason, "BadArgument")
      assert.strictEqual((yield* failure(file.sync)).reason, "BadArgument")
      assert.strictEqual((yield* failure(file.read(new Uint8Array(1)))).reason, "BadArgument")
      assert.strictEqual((yield* failure(file.write(encode("x")))).reason, "BadArgument")
      assert.strictEqual((yield* failure(file.writeAll(encode("x")))).reason, "BadArgument")
      assert.strictEqual((yield* failure(fs.readDirectory(at(), { recursive: true }))).reason, "BadArgument")
    }))
})
