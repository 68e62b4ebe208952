import { assert, describe, it } from "@effect/vitest"
import * as Build from "../../bench/Build.ts"

describe("the size of a bundled host", () => {
  it("grows by less than what docs/performance.md accounts for", async () => {
    const baseline = await Build.bundle("Baseline")
    const ours = await Build.bundle("Ours")
    const own = [...ours.inputs].filter(([file, bytes]) => file.startsWith("src/") && bytes > 0)
    assert.isAbove(own.length, 40)
    assert.isFalse([...baseline.inputs.keys()].some((file) => file.startsWith("src/")))

    const added = ours.text.length - baseline.text.length
    assert.isAbove(added, 20_000)
    assert.isAtMost(added, Build.sizeBudget)
    // The worker's part is a file of its own.
    assert.isFalse([...ours.inputs.keys()].some((file) => file.includes("posthog")))
  })
})
