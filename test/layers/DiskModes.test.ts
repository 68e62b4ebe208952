/**
 * The modes of files and folders under a umask that removes the owner's own bits.
 */
import { assert, it } from "@effect/vitest"
import NodeFs, * as NFS from "node:fs"
import { vi } from "vitest"
import { disk } from "../../src/layers/NodeDisk.ts"
import { entry, missing, temporary, text, unreadable, write } from "../fixtures/Disks.ts"
import { replace } from "../fixtures/Replace.ts"

it("A disk makes folders of mode 0700 and files of mode 0600 in them, whatever the umask", () => {
  const at = temporary()
  for (const umask of [0, 0o022, 0o077, 0o277, 0o477, 0o577, 0o777]) {
    const before = process.umask(umask)
    const codes = [disk.makeFolder(at(`d${umask}`)), disk.create(at(`d${umask}`, "f"), "f")]
    process.umask(before)
    assert.deepStrictEqual(codes, [undefined, undefined])
    const modes = [entry(disk.look(at(`d${umask}`))).mode, entry(disk.look(at(`d${umask}`, "f"))).mode]
    assert.deepStrictEqual(modes, [0o700, 0o600])
  }
})

it("A disk gives a file mode 0600 when it publishes it by a link, and then each file that it creates", async () => {
  const at = temporary()
  // A disk that has not noticed the umask.
  vi.resetModules()
  const { disk } = await import("../../src/layers/NodeDisk.ts")
  const modeOf = (name: string) => entry(disk.look(at(name))).mode
  const before = process.umask(0o777)
  const codes = [
    disk.create(at("event"), "event"),
    disk.create(at("temp"), "f"),
    disk.link(at("temp"), at("f")),
    disk.create(at("next"), "next")
  ]
  process.umask(before)
  assert.deepStrictEqual(codes, codes.map(() => undefined))
  assert.deepStrictEqual(["event", "f", "next"].map(modeOf), [0, 0o600, 0o600])
})

it("A disk repairs the mode of a file of this user before it reads it, if its caller wants that", () => {
  const at = temporary()
  for (const name of ["mine", "kept"]) {
    write(disk, at, { [name]: name })
    NFS.chmodSync(at(name), 0)
  }
  NFS.symlinkSync(at("kept"), at("link"))
  // The owner is refused as every user but root is.
  const { openSync } = NFS
  replace(NodeFs, {
    openSync: (path: string, ...more: ReadonlyArray<string>) => {
      if ((NFS.statSync(path).mode & 0o400) === 0) throw Object.assign(new Error("refused"), { code: "EACCES" })
      return Reflect.apply(openSync, NFS, [path, ...more])
    }
  })
  assert.deepStrictEqual(disk.read(at("mine")), unreadable("EACCES"))
  assert.deepStrictEqual(disk.read(at("mine"), { repair: true }), text("mine"))
  assert.deepStrictEqual(disk.read(at("link"), { repair: true }), unreadable("EACCES"))
  assert.deepStrictEqual(disk.read(at("none"), { repair: true }), missing)
  const modes = ["mine", "kept"].map((name) => NFS.statSync(at(name)).mode & 0o777)
  assert.deepStrictEqual(modes, [0o600, 0])
})
