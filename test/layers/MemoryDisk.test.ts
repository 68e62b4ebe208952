import { assert, describe, it } from "@effect/vitest"
import * as NFS from "node:fs"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import { disk as nodeDisk } from "../../src/layers/NodeDisk.ts"
import type { Disk, Entry } from "../../src/services/Disk.ts"
import { entry, missing, names, temporary, text, type Tree, treeOf, unreadable, write } from "../fixtures/Disks.ts"
import { watched } from "../fixtures/WatchedDisk.ts"

const isWindows = process.platform === "win32"

describe("standalone", () => {
  it("The modifiedAt of a MemoryDisk is when a file was created, or the names in a folder last changed", () => {
    let now = 1
    const disk = MemoryDisk.make({ now: () => now })
    const times = () => ["/d", "/d/f", "/g", "/d/g"].map((path) => Object(disk.look(path)).modifiedAt)
    assert.isUndefined(disk.makeFolder("/d"))
    now = 2
    assert.isUndefined(disk.create("/d/f", "f"))
    now = 3
    assert.isUndefined(disk.link("/d/f", "/g"))
    assert.deepStrictEqual(times(), [2, 2, 2, undefined])
    assert.isUndefined(disk.rename("/g", "/d/g"))
    assert.deepStrictEqual(times(), [3, 2, undefined, 2])
  })

  it("The root folder of a MemoryDisk exists and stays", () => {
    const disk = MemoryDisk.make()
    assert.deepInclude(disk.look("/"), { type: "Directory", uid: undefined })
    assert.deepStrictEqual(disk.list("/"), [])
    const refused = [disk.removeFolder("/"), disk.remove("/"), disk.makeFolder("/"), disk.rename("/", "/d")]
    assert.deepStrictEqual(refused, ["EBUSY", "EISDIR", "EEXIST", "EINVAL"])
    assert.isUndefined(disk.create("/f", "f"))
    assert.deepStrictEqual(disk.list("/"), ["f"])
  })

  it("The link of a MemoryDisk without hard links is refused with EPERM", () => {
    const disk = watched(MemoryDisk.make(), { hasLinks: false })
    write(disk, (name) => `/${name}`, { a: "a", b: "b" })
    assert.deepStrictEqual([disk.link("/a", "/c"), disk.link("/a", "/b")], ["EPERM", "EEXIST"])
  })

  it("A MemoryDisk has sorted entries, and calls onChange with each change and onLost with each path that exists", () => {
    const changes: Array<string> = []
    const lost: Array<string> = []
    const disk = watched(MemoryDisk.make(), {
      onChange: ({ method, path, text }) => changes.push(`${method} ${path} ${text}`),
      onLost: (path) => lost.push(path)
    })
    write(disk, (name) => `/${name}`, { z: "z", d: undefined, "d/a": "a" })
    assert.deepStrictEqual([disk.link("/d/a", "/b"), disk.rename("/b", "/c"), disk.rename("/d", "/e")], [
      undefined,
      undefined,
      undefined
    ])
    assert.deepStrictEqual([...disk.entries()], [["/c", "a"], ["/e", undefined], ["/e/a", "a"], ["/z", "z"]])
    const refused = [disk.create("/e/a", ""), disk.link("/e/a", "/e"), disk.makeFolder("/e")]
    assert.deepStrictEqual([...refused, disk.rename("/e", "/e")], ["EEXIST", "EEXIST", "EEXIST", undefined])
    assert.deepStrictEqual([disk.remove("/e/a"), disk.removeFolder("/e")], [undefined, undefined])
    const made = ["create /z z", "folder /d ", "create /d/a a", "link /b a", "rename /c a", "rename /e "]
    assert.deepStrictEqual(changes, [...made, "remove /e/a ", "remove /e "])
    assert.deepStrictEqual(lost, ["/e/a", "/e"])
  })

  it("An error that onChange of a MemoryDisk throws is thrown", () => {
    const disk = watched(MemoryDisk.make(), {
      onChange: () => {
        throw new Error("invariant")
      }
    })
    assert.throws(() => disk.create("/f", ""), "invariant")
  })
})

describe("overlay", () => {
  const over = (tree: Tree, replaced: (lower: Disk) => Partial<Disk> = () => ({})) => {
    const lower = MemoryDisk.make()
    write(lower, (name) => `/${name}`, tree)
    return { lower, disk: MemoryDisk.make({ below: { ...lower, ...replaced(lower) } }) }
  }

  it("Over another disk, a file that is removed here stays hidden, and a new file below is visible", () => {
    const { disk, lower } = over({ d: undefined, "d/a": "a" })
    assert.deepStrictEqual([disk.remove("/d/a"), lower.remove("/d/a")], [undefined, undefined])
    write(lower, (name) => `/d/${name}`, { a: "new", b: "b" })
    assert.deepStrictEqual(treeOf(disk, "/d"), { b: "b" })
    assert.deepStrictEqual(disk.read("/d/a"), missing)
    assert.deepStrictEqual([...disk.entries()], [])
  })

  it("Over another disk, a folder that is removed and made here hides the lower folder", () => {
    const { disk, lower } = over({ d: undefined })
    assert.deepStrictEqual([disk.removeFolder("/d"), disk.create("/d/f", "")], [undefined, "ENOENT"])
    assert.deepStrictEqual([disk.makeFolder("/d"), lower.create("/d/f", "f")], [undefined, undefined])
    assert.deepStrictEqual([disk.list("/d"), disk.look("/d/f")], [[], "ENOENT"])
  })

  it("Over another disk, each change is refused in a lower folder that the process may not write to", () => {
    const { disk } = over({ d: undefined, "d/f": "f", "d/e": undefined }, () => ({
      access: (path) => path === "/d" ? "EROFS" : undefined
    }))
    write(disk, (name) => `/${name}`, { own: undefined, "own/f": "own" })
    const codes = [
      disk.access("/d"),
      disk.create("/d/new", ""),
      disk.makeFolder("/d/new"),
      disk.link("/own/f", "/d/new"),
      disk.rename("/own/f", "/d/new"),
      disk.rename("/d/f", "/own/new"),
      disk.rename("/d/e", "/own/new"),
      disk.remove("/d/f"),
      disk.removeFolder("/d/e")
    ]
    assert.deepStrictEqual(codes, codes.map(() => "EROFS"))
    // A second name elsewhere changes nothing in the folder of the first.
    assert.deepStrictEqual([disk.create("/d/f", ""), disk.link("/d/f", "/own/link")], ["EEXIST", undefined])
    const unchanged = { d: undefined, "d/e": undefined, "d/f": "f", own: undefined, "own/f": "own" }
    assert.deepStrictEqual(treeOf(disk, "/"), { ...unchanged, "own/link": "f" })
  })

  it("Over another disk, a lower folder that cannot be searched fails each change with its code", () => {
    const { disk } = over({ d: undefined }, ({ look }) => ({
      look: (path) => path.startsWith("/d/") ? "EACCES" : look(path)
    }))
    const codes = [disk.create("/d/new", ""), disk.makeFolder("/d/new"), disk.remove("/d/new")]
    assert.deepStrictEqual(codes, ["EACCES", "EACCES", "EACCES"])
  })

  it.skipIf(isWindows)(
    "Over another disk, a link below is read and removed as on the real disk, and cannot be renamed",
    () => {
      const at = temporary()
      write(nodeDisk, at, { f: "f", d: undefined, "d/f": "in d" })
      NFS.symlinkSync(at("f"), at("link"))
      NFS.symlinkSync(at("d"), at("folder"))
      const disk = MemoryDisk.make({ below: nodeDisk })
      assert.deepStrictEqual([entry(disk.look(at("link"))).type, entry(disk.follow(at("link"))).type], ["Link", "File"])
      assert.deepStrictEqual(disk.read(at("link")), unreadable("ELOOP"))
      assert.deepStrictEqual(disk.read(at("link"), { follow: true }), text("f"))
      assert.deepStrictEqual([disk.rename(at("link"), at("x")), disk.create(at("folder", "new"), "")], [
        "ELOOP",
        undefined
      ])
      assert.deepStrictEqual(names(disk.list(at("folder"))), ["f", "new"])
      assert.deepStrictEqual([disk.rename(at("f"), at("link")), disk.remove(at("folder"))], [undefined, undefined])
      assert.deepStrictEqual(disk.read(at("link")), text("f"))
      assert.strictEqual(disk.look(at("folder")), "ENOENT")
      assert.deepStrictEqual(NFS.readdirSync(at()).toSorted(), ["d", "f", "folder", "link"])
    }
  )

  it("Windows paths work over a Windows disk", () => {
    const folder: Entry = { type: "Directory", uid: undefined, mode: 0o666, modifiedAt: 0 }
    const answer = (path: string) => ["C:\\", "C:\\Users"].includes(path) ? folder : "ENOENT"
    const { disk } = over({}, () => ({
      look: answer,
      follow: answer,
      access: (path) => answer(path) === folder ? undefined : "ENOENT",
      list: (path) => answer(path) === folder ? path === "C:\\" ? ["Users"] : [] : "ENOENT"
    }))
    write(disk, (name) => `C:\\${name}`, { "Users\\a": "a", d: undefined })
    assert.isUndefined(disk.rename("C:\\Users\\a", "C:\\d\\a"))
    const listed = ["C:\\", "C:\\Users", "C:\\d"].map((path) => disk.list(path))
    assert.deepStrictEqual(listed, [["Users", "d"], [], ["a"]])
    assert.deepStrictEqual([disk.create("C:\\missing\\a", ""), disk.look("C:\\d\\a\\b")], ["ENOENT", "ENOTDIR"])
  })
})
