import { assert, describe, it } from "@effect/vitest"
import * as Looks from "../../bench/Looks.ts"
import * as Report from "../../bench/Report.ts"
import * as Result from "../../bench/Result.ts"

const options = { id: "row", what: "what", unit: "ms wall" }

/** Samples of rounds in which the machine is ever slower. */
const samples = (ratios: Readonly<Record<string, number>>) => (name: string): ReadonlyArray<number> =>
  name in ratios ? [100, 110, 200, 140].map((millis) => millis * (ratios[name] ?? 0)) : []

const floor: Result.Budget = { is: "the floor + 4 points", of: (ratio) => ratio("Floor") + 0.04 }
const rest = { Baseline: 1, Again: 1.01, Floor: 1.02 }

const textOf = (row: Result.Row): string =>
  Report.toText({ machine: { cpus: 2, node: "24", kernel: "Linux" }, quick: false, code: "", rows: [row] })

describe("medians and budgets", () => {
  it("A budget in points of a floor is compared with the floor of the same rounds, whatever the load of the machine", () => {
    const missed = Result.paired({ ...options, layouts: [samples({ ...rest, Ours: 1.1 })], budget: floor })
    assert.deepInclude(missed, { ratio: 1.1, budget: 1.06, kept: false, by: 0.04, noise: 0.011, layouts: null })
    assert.include(textOf(missed), "budget 1.06× (the floor + 4 points), missed by 4.0 points, noise 1.1 points")
    const kept = Result.paired({ ...options, layouts: [samples({ ...rest, Ours: 1.05 })], budget: floor })
    assert.deepInclude(kept, { kept: true, by: 0.01 })
  })

  it("A row of the bench has the median of its layouts, and their range", () => {
    const layouts = [1.1, 1.02, 1.3].map((Ours) => samples({ ...rest, Ours }))
    assert.deepInclude(Result.paired({ ...options, layouts }), { ratio: 1.1, layouts: [1.02, 1.3], kept: null })
  })

  it("A budget of the bench may include the noise", () => {
    const budget = { of: (_: unknown, noise: number) => 1.015 + noise }
    const row = Result.paired({ ...options, layouts: [samples({ ...rest, Ours: 1.02 })], budget })
    assert.deepInclude(row, { budget: 1.025, kept: true, by: 0.005 })
  })

  it("A single figure has a budget that is a maximum or a minimum", () => {
    assert.deepInclude(Result.single({ ...options, ours: [41], budget: 40 }), { kept: false, by: 1 })
    assert.deepInclude(Result.single({ ...options, ours: [50], budget: 50, isLeast: true }), { kept: true, by: 0 })
    assert.deepInclude(Result.single({ ...options, ours: [49], budget: 50, isLeast: true }), { kept: false, by: 1 })
    assert.deepInclude(Result.notMeasured(options, "why"), { ours: null, kept: null, note: "not measured here: why" })
  })
})

describe("file system calls", () => {
  it("The looks of a command are its calls on the home, on the policy file and on files opened there", () => {
    const log = `10 openat(AT_FDCWD</>, "/etc/ssl/openssl.cnf", O_RDONLY) = 3</etc/ssl/openssl.cnf>
10 statx(AT_FDCWD</>, "/home/.acme/usage", AT_SYMLINK_NOFOLLOW, STATX_ALL, {stx_size=4096, ...}) = 0
11 statx(AT_FDCWD</>, "/home/.acme-else", AT_SYMLINK_NOFOLLOW, STATX_ALL, 0x7ffc) = -1 ENOENT (No such file or directory)
11 openat(AT_FDCWD</>, "/home/.acme/usage.json", O_RDONLY <unfinished ...>
10 statx(AT_FDCWD</>, "/etc/acme/usage.json", 0, STATX_ALL, 0x7ffc) = -1 ENOENT (No such file or directory)
11 <... openat resumed>) = 4</home/.acme/usage.json>
11 pread64(4</home/.acme/usage.json>, ""..., 88, 0) = 87
11 close(4</home/.acme/usage.json>) = 0
11 close(5</home/other>) = 0
10 rename("/home/.acme/tmp/x", "/home/.acme/y") = 0`
    assert.deepStrictEqual(Looks.parse(log, "/home/.acme"), [
      "statx(\"~/usage\", AT_SYMLINK_NOFOLLOW, STATX_ALL, …) = 0",
      "openat(\"~/usage.json\", O_RDONLY <unfinished ...>",
      "statx(\"/etc/acme/usage.json\", 0, STATX_ALL, …) = -1 ENOENT (No such file or directory)",
      "pread64(4<~/usage.json>, \"\"..., 88, 0) = 87",
      "close(4<~/usage.json>) = 0",
      "rename(\"~/tmp/x\", \"~/y\") = 0"
    ])
  })
})
