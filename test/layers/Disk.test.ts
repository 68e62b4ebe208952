import { assert, describe, it } from "@effect/vitest"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import NodeFs, * as NFS from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { runInNewContext } from "node:vm"
import { onTestFinished } from "vitest"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import { disk as nodeDisk } from "../../src/layers/NodeDisk.ts"
import type { Disk, Entry } from "../../src/services/Disk.ts"
import {
  type At,
  entry,
  everything,
  makeTemporary,
  missing,
  names,
  remove,
  temporary,
  text,
  type Tree,
  treeOf,
  unreadable,
  write
} from "../fixtures/Disks.ts"

const isWindows = process.platform === "win32"
const isRoot = process.getuid?.() === 0
const projectRoot = fileURLToPath(new URL("../..", import.meta.url))
const mebibyte = 1024 * 1024

// == the contract

interface Setup {
  readonly disk: Disk
  /** The disk that holds what a test starts with: `disk`, or the disk below it, which must not change then. */
  readonly given: Disk
  readonly at: At
  readonly uid: number | undefined
}

const methods = ["create", "link", "rename", "remove", "makeFolder", "removeFolder", "look", "list", "access"] as const

interface Step {
  readonly method: string
  readonly from: string
  readonly to: string
}

// A created file holds `text`.
const perform = (disk: Disk, at: At, { from, method, to }: Step, text: string): unknown => {
  switch (methods.find((known) => known === method)) {
    case "create":
      return disk.create(at(from), text)
    case "link":
      return disk.link(at(from), at(to))
    case "rename":
      return disk.rename(at(from), at(to))
    case "remove":
      return disk.remove(at(from))
    case "makeFolder":
      return disk.makeFolder(at(from))
    case "removeFolder":
      return disk.removeFolder(at(from))
    case "look":
      return disk.look(at(from))
    case "list":
      return disk.list(at(from))
    case "access":
      return disk.access(at(from))
    default:
      return assert.fail(method)
  }
}

const two: Tree = { a: "a", b: "b", d: undefined }
const nested: Tree = { d: undefined, "d/f": "f", "d/sub": undefined, "d/sub/deep": "deep", e: undefined, f: "f" }

/** A title, what is there before, operations with the code that they are refused with, and what is there after. */
const contract: ReadonlyArray<readonly [title: string, before: Tree, steps: string, after: Tree]> = [
  [
    "a path that is missing is absent to each operation",
    { f: "f" },
    `look x ENOENT, list x ENOENT, link x new ENOENT, rename x new ENOENT, remove x ENOENT, removeFolder x ENOENT,
     access x ENOENT, look x/y ENOENT, create x/y ENOENT, makeFolder x/y ENOENT, link f x/y ENOENT, rename f x/y ENOENT`,
    { f: "f" }
  ],
  [
    "a path that leads through a file is absent to each operation",
    { f: "f" },
    `look f/x ENOTDIR, list f/x ENOTDIR, link f/x new ENOTDIR, rename f/x new ENOTDIR, remove f/x ENOTDIR,
     removeFolder f/x ENOTDIR, access f/x ENOTDIR, create f/x ENOTDIR, makeFolder f/x ENOTDIR, link f f/x ENOTDIR,
     rename f f/x ENOTDIR, list f ENOTDIR`,
    { f: "f" }
  ],
  [
    "create and makeFolder make what is new, and refuse an existing path with EEXIST",
    two,
    `create d/c, makeFolder d/e, create a EEXIST, create d EEXIST, create d/c EEXIST, makeFolder a EEXIST,
     makeFolder d EEXIST, makeFolder d/c EEXIST, makeFolder d/e EEXIST`,
    { ...two, "d/c": "new", "d/e": undefined }
  ],
  ["link gives a file a second name, which stays if the first is removed", { a: "a" }, "link a b, remove a", {
    b: "a"
  }],
  [
    "link refuses an existing path with EEXIST and a folder with EPERM",
    two,
    "link a b EEXIST, link a a EEXIST, link a d EEXIST, link d b EEXIST, link d new EPERM",
    two
  ],
  [
    "rename moves a file and replaces the file at the target",
    two,
    "link b second, rename a b, create a, rename b d/c",
    { a: "new", d: undefined, "d/c": "a", second: "b" }
  ],
  [
    "rename moves a folder with its content, also onto an empty folder",
    nested,
    "create d/new, rename d g, look d/f ENOENT, rename g e, rename e h",
    { f: "f", h: undefined, "h/f": "f", "h/new": "new", "h/sub": undefined, "h/sub/deep": "deep" }
  ],
  [
    "rename refuses to replace a folder with content, to mix types, and to move a folder into itself",
    nested,
    "rename e d ENOTEMPTY|EEXIST, rename f e EISDIR, rename e f ENOTDIR, rename d d/sub/d EINVAL",
    nested
  ],
  [
    "rename changes nothing if both names are of one file or folder",
    { a: "a", d: undefined },
    "link a b, rename a b, rename a a, rename d d",
    { a: "a", b: "a", d: undefined }
  ],
  [
    "remove removes a file and removeFolder an empty folder, and each refuses the other",
    nested,
    // POSIX says EPERM, and Linux says EISDIR.
    `remove d EISDIR|EPERM, removeFolder f ENOTDIR, removeFolder d/sub ENOTEMPTY|EEXIST, remove d/sub/deep, remove d/f,
     removeFolder d/sub, create d/new, remove d/new, removeFolder d, removeFolder e, remove f, makeFolder d, create f`,
    { d: undefined, f: "new" }
  ],
  ["access returns nothing where the process may write", two, "create c, access a, access c, access d", {
    ...two,
    c: "new"
  }]
]

const suite = (name: string, make: (at: At) => Setup, folder: () => At) =>
  describe(name, () => {
    const test = (title: string, tree: Tree, body: (setup: Setup) => void) =>
      it(`${name}: ${title}`, () => {
        const setup = make(folder())
        const { at, disk, given } = setup
        write(given, at, tree)
        const before = everything(given, at())
        body(setup)
        if (given !== disk) assert.deepStrictEqual(everything(given, at()), before)
      })

    for (const [title, before, steps, after] of contract) {
      test(title, before, ({ at, disk }) => {
        for (const step of steps.split(/,\s+/)) {
          const [method = "", from = "", ...rest] = step.split(" ")
          const to = method === "link" || method === "rename" ? rest.shift() : ""
          assert.include(
            rest[0]?.split("|") ?? [undefined],
            perform(disk, at, { method, from, to: to ?? "" }, "new"),
            step
          )
        }
        assert.deepStrictEqual(treeOf(disk, at()), after)
      })
    }

    const files = { text: "grüße ✓\r\n", empty: "", mark: "\uFEFFtext", lone: "a\uD800b" }
    test("Read returns the text of a file, in which a lone surrogate is replaced", files, ({ at, disk }) => {
      assert.isUndefined(disk.create(at("new"), files.lone))
      for (const [name, content] of Object.entries({ ...files, lone: "a\uFFFDb", new: "a\uFFFDb" })) {
        assert.deepStrictEqual([disk.read(at(name)), disk.read(at(name), { follow: true })], [
          text(content),
          text(content)
        ])
      }
    })

    const half = "ü".repeat(mebibyte / 2)
    const sizes = { d: undefined, f: "", half, above: `${half}x` }
    test("Read takes 1 MiB, and refuses one more byte with EFBIG and a folder with EFTYPE", sizes, ({ at, disk }) => {
      assert.deepStrictEqual(disk.read(at("half")), text(half))
      assert.isUndefined(disk.create(at("new"), "x".repeat(mebibyte + 1)))
      const cases = [["above", "EFBIG"], ["new", "EFBIG"], ["d", "EFTYPE"]] as const
      for (const [name, code] of cases) assert.deepStrictEqual(disk.read(at(name)), unreadable(code))
      assert.deepStrictEqual(disk.read(at("d"), { follow: true }), unreadable("EFTYPE"))
      for (const name of ["x", "x/y", "f/x"]) assert.deepStrictEqual(disk.read(at(name)), missing)
    })

    test("Read refuses the file of another user with EPERM, if it is asked for an owner", { f: "f" }, (setup) => {
      const { at, disk, uid = -1 } = setup
      assert.isUndefined(disk.create(at("new"), "f"))
      for (const name of ["f", "new"]) {
        for (const owner of [uid, undefined]) assert.deepStrictEqual(disk.read(at(name), { owner }), text("f"))
        assert.deepStrictEqual(disk.read(at(name), { owner: uid + 1 }), unreadable("EPERM"))
        assert.deepStrictEqual(disk.read(at(name), { owner: uid + 1, follow: true }), unreadable("EPERM"))
      }
      assert.deepStrictEqual(disk.read(at("x"), { owner: uid + 1 }), missing)
    })

    test("Look and follow describe files of mode 0600 and folders of mode 0700", { f: "", d: undefined }, (setup) => {
      const { at, disk, uid } = setup
      write(disk, at, { new: "", made: undefined })
      for (const [name, type] of [["f", "File"], ["new", "File"], ["d", "Directory"], ["made", "Directory"]] as const) {
        const { mode, modifiedAt, ...found } = entry(disk.look(at(name)))
        assert.deepStrictEqual(found, { type, uid })
        assert.strictEqual(mode & 0o777, type === "File" ? 0o600 : 0o700)
        assert.isBelow(Math.abs(modifiedAt - Date.now()), 60_000)
        assert.deepStrictEqual(disk.follow(at(name)), disk.look(at(name)))
      }
      assert.deepStrictEqual([disk.follow(at("x")), disk.follow(at("f", "x"))], ["ENOENT", "ENOTDIR"])
    })

    test("List returns the names in a folder", { ...nested, dd: "" }, ({ at, disk }) => {
      assert.isUndefined(disk.create(at("d", "new"), ""))
      assert.deepStrictEqual(names(disk.list(at("d"))), ["f", "new", "sub"])
      assert.isUndefined(disk.remove(at("d", "f")))
      const listed = [at("d"), at("d", "sub"), at("e"), at()].map((folder) => names(disk.list(folder)))
      assert.deepStrictEqual(listed, [["new", "sub"], ["deep"], [], ["d", "dd", "e", "f"]])
    })
  })

const onNode = (at: At): Setup => ({ disk: nodeDisk, given: nodeDisk, at, uid: process.getuid?.() })

const inMemory = (): Setup => {
  const disk = MemoryDisk.make({ uid: 7, now: Date.now })
  assert.isUndefined(disk.makeFolder("/home"))
  return { disk, given: disk, at: (...names) => Path.posix.join("/home", ...names), uid: 7 }
}

/** A dry run: what a test starts with is on the real disk. */
const inMemoryOverNode = (at: At): Setup => {
  const setup = onNode(at)
  return { ...setup, disk: MemoryDisk.make({ below: nodeDisk, uid: setup.uid, now: Date.now }) }
}

suite("MemoryDisk", inMemory, () => () => "")
// The codes of Windows are not those of POSIX.
describe.skipIf(isWindows)("POSIX", () => {
  suite("NodeDisk", onNode, temporary)
  suite("MemoryDisk over NodeDisk", inMemoryOverNode, temporary)
})

// == the same operations on each disk

const paths = ["a", "b", "a/a", "a/b", "b/a", "a/a/a"]
const stepOf = (methods: ReadonlyArray<string>) =>
  Schema.Struct({ method: Schema.Literals(methods), from: Schema.Literals(paths), to: Schema.Literals(paths) })

// Other systems have other codes than Linux.
const comparable = (answer: unknown): unknown => {
  if (Predicate.isString(answer)) return process.platform === "linux" ? answer : "refused"
  if (Array.isArray(answer)) return answer.toSorted()
  return Predicate.hasProperty(answer, "modifiedAt") ? { ...answer, modifiedAt: undefined, uid: undefined } : answer
}

describe.skipIf(isWindows)("equivalence of MemoryDisk and NodeDisk", () => {
  // The dry run reads the files that `given` makes from below. Two names of one file are two files there.
  it.prop(
    "Any sequence of operations has the same results on a real disk, in memory and in a dry run",
    {
      given: Schema.Array(stepOf(methods.filter((method) => method !== "link"))),
      steps: Schema.Array(stepOf(methods))
    },
    ({ given, steps }) => {
      const [real, memory, dry] = [onNode(makeTemporary()), inMemory(), inMemoryOverNode(makeTemporary())]
      try {
        const run = (step: Step, number: number, last: Disk) => {
          const where = `${number}: ${step.method} ${step.from} ${step.to}`
          const answer = (disk: Disk, at: At) => [
            comparable(perform(disk, at, step, `text ${number}`)),
            disk.read(at(step.from)),
            comparable(disk.follow(at(step.from)))
          ]
          const expected = answer(nodeDisk, real.at)
          assert.deepStrictEqual([where, answer(memory.disk, memory.at)], [where, expected])
          assert.deepStrictEqual([where, answer(last, dry.at)], [where, expected])
        }
        given.forEach((step, number) => run(step, number, nodeDisk))
        const before = everything(nodeDisk, dry.at())
        steps.forEach((step, number) => run(step, given.length + number, dry.disk))
        const expected = treeOf(nodeDisk, real.at())
        assert.deepStrictEqual(treeOf(memory.disk, memory.at()), expected)
        assert.deepStrictEqual(treeOf(dry.disk, dry.at()), expected)
        assert.deepStrictEqual(everything(nodeDisk, dry.at()), before)
      } finally {
        remove(real.at)
        remove(dry.at)
      }
    },
    { arbitrary: { runs: 200, size: 60 } }
  )
})

// == the real disk

type Replaced = "closeSync" | "openSync" | "readSync" | "writeSync"

/** Replaces functions of `node:fs` while a function runs. */
const replacing = <A>(replacements: { readonly [K in Replaced]?: unknown }, evaluate: () => A): A => {
  const { closeSync, openSync, readSync, writeSync } = NodeFs
  const set = (functions: object) => {
    Object.assign(NodeFs, functions)
    syncBuiltinESMExports()
  }
  set(replacements)
  try {
    return evaluate()
  } finally {
    set({ closeSync, openSync, readSync, writeSync })
  }
}

/** Runs a function with the effective user id of a user that is not root. */
const withoutPrivileges = <A>(evaluate: () => A): A => {
  if (!isRoot) return evaluate()
  process.seteuid?.(65534)
  try {
    return evaluate()
  } finally {
    process.seteuid?.(0)
  }
}

describe.skipIf(isWindows)("NodeDisk", () => {
  const disk = nodeDisk
  const { closeSync, readSync, writeSync } = NFS

  it("The read of a disk refuses a FIFO with EFTYPE and does not wait for a writer", () => {
    const at = temporary()
    execFileSync("mkfifo", [at("fifo")])
    // In a child process, because a timer cannot stop a process that waits in `open`.
    const script = `
      import { disk } from "./src/layers/NodeDisk.ts"
      const fifo = process.argv[1]
      const codes = [disk.read(fifo).code, disk.read(fifo, { follow: true }).code, disk.create(fifo, "x")]
      console.log(JSON.stringify([...codes, disk.look(fifo).type]))
    `
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script, at("fifo")], {
      cwd: projectRoot,
      encoding: "utf8",
      timeout: 60_000,
      killSignal: "SIGKILL"
    })
    assert.deepStrictEqual(JSON.parse(output), ["EFTYPE", "EFTYPE", "EEXIST", "Other"])
  })

  it("The read of a disk refuses a socket and a device with EFTYPE", async () => {
    const at = temporary()
    const server = Net.createServer().listen(at("socket"))
    onTestFinished(() => void server.close())
    await once(server, "listening")
    assert.deepStrictEqual(disk.read(at("socket")), unreadable("EFTYPE"))
    assert.strictEqual(entry(disk.look(at("socket"))).type, "Other")
    assert.deepStrictEqual(disk.read("/dev/null"), unreadable("EFTYPE"))
  })

  it("The read and look of a disk do not follow a link, and read with `follow` does", () => {
    const at = temporary()
    write(disk, at, { f: "f", d: undefined, "d/f": "in d" })
    for (const [name, target] of [["link", "f"], ["folder", "d"], ["dangling", "x"], ["loop", "loop"]] as const) {
      NFS.symlinkSync(at(target), at(name))
      assert.deepStrictEqual(disk.read(at(name)), unreadable("ELOOP"), name)
      assert.strictEqual(entry(disk.look(at(name))).type, "Link", name)
    }
    const followed = ["link", "folder", "dangling", "loop"].map((name) => disk.read(at(name), { follow: true }))
    assert.deepStrictEqual(followed, [text("f"), unreadable("EFTYPE"), missing, unreadable("ELOOP")])
    assert.deepStrictEqual(disk.follow(at("link")), disk.look(at("f")))
    assert.deepStrictEqual(disk.follow(at("folder")), disk.look(at("d")))
    assert.deepStrictEqual([disk.follow(at("dangling")), disk.follow(at("loop"))], ["ENOENT", "ELOOP"])
    // Only the last component must not be a link.
    assert.deepStrictEqual(disk.read(at("folder", "f")), text("in d"))
  })

  it("The create of a disk does not write through a link, and remove removes only the link", () => {
    const at = temporary()
    NFS.symlinkSync(at("target"), at("link"))
    assert.strictEqual(disk.create(at("link"), "x"), "EEXIST")
    assert.deepStrictEqual([disk.create(at("target"), "kept"), disk.remove(at("link"))], [undefined, undefined])
    assert.deepStrictEqual(treeOf(disk, at()), { target: "kept" })
  })

  it("The look of a disk returns the mode, the owner and the time of an entry", () => {
    const at = temporary()
    write(disk, at, { f: "f" })
    NFS.chmodSync(at("f"), 0o640)
    NFS.utimesSync(at("f"), 1_600_000_000, 1_700_000_000)
    const expected: Entry = { type: "File", uid: process.getuid?.(), mode: 0o640, modifiedAt: 1_700_000_000_000 }
    assert.deepStrictEqual(disk.look(at("f")), expected)
  })

  it("Each operation that the process has no permission for is refused with EACCES", () => {
    const at = temporary()
    write(disk, at, { locked: undefined, "locked/f": "f", "locked/d": undefined })
    NFS.chmodSync(at(), 0o755)
    NFS.chmodSync(at("locked", "f"), 0o000)
    NFS.chmodSync(at("locked"), 0o555)
    // access(2) takes the real user id, and root may write anywhere, except below /proc.
    assert.strictEqual(disk.access(at("locked")), isRoot ? undefined : "EACCES")
    if (process.platform === "linux") assert.include(["EACCES", "EROFS"], disk.access("/proc/sys/kernel/ostype"))
    withoutPrivileges(() => {
      const locked = (name: string) => at("locked", name)
      assert.deepStrictEqual(disk.read(locked("f")), unreadable("EACCES"))
      const codes = [
        disk.create(locked("new"), ""),
        disk.makeFolder(locked("new")),
        disk.rename(locked("f"), locked("new")),
        disk.remove(locked("f")),
        disk.removeFolder(locked("d"))
      ]
      assert.deepStrictEqual(codes, codes.map(() => "EACCES"))
    })
    NFS.chmodSync(at("locked"), 0o755)
    assert.deepStrictEqual(names(disk.list(at("locked"))), ["d", "f"])
  })

  it("The read and create of a disk continue after a call that stops half way", () => {
    const at = temporary()
    let calls = 0
    const least = (length: number) => (calls++, Math.min(length, 3))
    replacing({
      writeSync: (fd: number, bytes: Uint8Array) => writeSync(fd, bytes, 0, least(bytes.length)),
      readSync: (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) =>
        readSync(fd, bytes, offset, least(length), position)
    }, () => {
      assert.isUndefined(disk.create(at("f"), "0123456789"))
      assert.deepStrictEqual(disk.read(at("f")), text("0123456789"))
    })
    assert.strictEqual(NFS.statSync(at("f")).size, 10)
    assert.strictEqual(calls, 8)
  })

  it("The read of a disk returns what is left of a file that becomes shorter", () => {
    const at = temporary()
    write(disk, at, { f: "0123456789" })
    const readTruncated = (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
      NFS.truncateSync(at("f"), 4)
      return readSync(fd, bytes, offset, length, position)
    }
    assert.deepStrictEqual(replacing({ readSync: readTruncated }, () => disk.read(at("f"))), text("0123"))
  })

  it("A create whose close fails, as on a network file system over its quota, returns the code and leaves no file", () => {
    const at = temporary()
    const failToClose = (fd: number): void => {
      throw Object.assign(new Error("quota"), { code: "EDQUOT" }, closeSync(fd))
    }
    assert.strictEqual(replacing({ closeSync: failToClose }, () => disk.create(at("f"), "text")), "EDQUOT")
    assert.deepStrictEqual(treeOf(disk, at()), {})
  })

  for (const [what, code] of [["makes no progress", "ENOSPC"], ["fails", "EIO"]] as const) {
    it(`A create with a write that ${what} half way returns ${code}, closes the file and leaves none`, () => {
      const at = temporary()
      let opened = -1
      const writeHalf = (fd: number, bytes: Uint8Array): number => {
        if (opened === -1) return writeSync(opened = fd, bytes, 0, 3)
        if (code === "ENOSPC") return 0
        throw Object.assign(new Error("half"), { code })
      }
      assert.strictEqual(replacing({ writeSync: writeHalf }, () => disk.create(at("f"), "0123456789")), code)
      assert.throws(() => NFS.fstatSync(opened), /EBADF/)
      assert.deepStrictEqual(treeOf(disk, at()), {})
    })
  }

  it("An error of another realm, as in a `vm` context, is refused with its code", () => {
    const at = temporary()
    const refuse = () => runInNewContext("throw Object.assign(new Error(\"refused\"), { code: \"ENOENT\" })")
    assert.deepStrictEqual(replacing({ openSync: refuse }, () => disk.read(at("f"))), missing)
    assert.strictEqual(replacing({ openSync: refuse }, () => disk.create(at("f"), "text")), "ENOENT")
  })

  it("A path that the system cannot take is refused with a code", () => {
    const at = temporary()
    assert.strictEqual(disk.look(at("n".repeat(300))), "ENAMETOOLONG")
    assert.deepStrictEqual(disk.read("/a\0b"), unreadable("ERR_INVALID_ARG_VALUE"))
    assert.strictEqual(disk.create("/a\0b", ""), "ERR_INVALID_ARG_VALUE")
    // A folder that exists and takes no entries.
    if (process.platform === "linux") assert.strictEqual(disk.makeFolder("/proc/new"), "ENOENT")
  })
})
