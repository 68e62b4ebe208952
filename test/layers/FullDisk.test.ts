/**
 * What the disk of a process says of a file system that has no space left.
 */
import { assert } from "@effect/vitest"
import NodeFs from "node:fs"
import { disk } from "../../src/layers/NodeDisk.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { evaluate, unshare } from "../fixtures/Process.ts"
import { replace } from "../fixtures/Replace.ts"
import { test } from "../fixtures/Tests.ts"

const isRoot = process.getuid?.() === 0

test("A folder of a full file system cannot be written to: no block is left, or no inode", function*() {
  const folder = yield* temporaryFolder("full-disk-")
  const accessWith = (statfsSync: unknown) => {
    replace(NodeFs, { statfsSync })
    return disk.access(folder)
  }
  const ample = { blocks: 9, bfree: 9, bavail: 9, files: 9, ffree: 9 }
  const rows: ReadonlyArray<readonly [facts: Partial<typeof ample>, expected: string | undefined]> = [
    [{}, undefined],
    [{ bfree: 0, bavail: 0 }, "ENOSPC"],
    [{ ffree: 0 }, "ENOSPC"],
    // The last blocks are for root.
    [{ bavail: 0 }, isRoot ? undefined : "ENOSPC"],
    // A file system without these facts.
    [{ blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 }, undefined]
  ]
  for (const [facts, expected] of rows) {
    assert.strictEqual(accessWith(() => ({ ...ample, ...facts })), expected, JSON.stringify(facts))
  }
  // A runtime without the function.
  assert.isUndefined(accessWith(undefined))
})

const program = `
  import * as NFS from "node:fs"
  import { disk } from "./src/layers/NodeDisk.ts"
  const before = disk.access("/run")
  let refused
  for (let n = 0; refused === undefined; n++) refused = disk.create("/run/" + n, "")
  console.log(before, refused, disk.access("/run"))
  NFS.unlinkSync("/run/0")
  console.log(disk.access("/run"))
`

test.live.skipIf(process.platform !== "linux")(
  "A folder can be written to again after a file of a full inode table is removed",
  function*() {
    const mounted = "mount -t tmpfs -o nr_inodes=20 none /run && exec \"$@\""
    const { stderr, stdout } = yield* evaluate(program, { within: unshare("-m", "sh", "-c", mounted, "sh") })
    assert.deepStrictEqual([stdout, stderr], ["undefined ENOSPC ENOSPC\nundefined\n", ""])
  }
)
