import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import * as Fleet from "./Fleet.ts"
import * as Invariants from "./Invariants.ts"
import * as Program from "./Program.ts"
import * as Storm from "./Storm.ts"
import * as Trace from "./Trace.ts"

const rounds = 8

let folder = ""
let driver = ""

beforeAll(() => {
  folder = NFS.mkdtempSync(Path.join(OS.tmpdir(), "effect-cli-usage-driver-"))
  driver = Fleet.bundle(folder)
})

afterAll(() => NFS.rmSync(folder, { recursive: true, force: true }))

const atOnce = (actor: Program.Actor, count: number): ReadonlyArray<Fleet.Plan> =>
  Array.from({ length: count }, () => ({ actor, phase: 0, delay: 0, signal: undefined }))

const seedFrom = (text: string | undefined): number => {
  const seed = Number(text ?? String(Date.now() % 1_000_000_000))
  return Number.isSafeInteger(seed) ? seed : 1
}

it(`Real processes that are killed and stopped at random in ${rounds} rounds break no rule`, async () => {
  const seed = seedFrom(process.env["MODEL_SEED"])
  for (let round = 0; round < rounds; round += 1) {
    const broken = await Storm.run(driver, seed + round)
    if (broken !== undefined) assert.fail(`MODEL_SEED=${seed}, round ${round}\n${broken}`)
  }
})

it("64 processes at once on an empty home make exactly one anon id", async () => {
  const plans = atOnce(Program.command([]), 64)
  const trace = await Fleet.run({ driver, plans, seed: 1, maxWait: 0.5 })
  const facts = Trace.factsOf(trace)
  assert.isUndefined(Invariants.check(facts)?.detail)
  assert.strictEqual(facts.events.length, 64)
  assert.strictEqual(new Set(facts.events.map(({ distinctId }) => distinctId)).size, 1)
  assert.strictEqual(facts.events[0]?.distinctId, Trace.anonIdOn((path) => Trace.textOn(trace.disk, path)))
  assert.deepStrictEqual(Trace.namesOn(trace.disk, Trace.paths.successors), [])
  const firstRuns = facts.events.filter(({ text }) => text.includes("\"is_first_run\":true"))
  assert.strictEqual(firstRuns.length, 1)
})

it("32 processes that first see a principal at once send one alias, and 32 events under it", async () => {
  const plans = atOnce(Program.command([Program.request], { api: "down" }), 32)
  const trace = await Fleet.run({
    driver,
    plans,
    seed: 2,
    maxWait: 0.5,
    prepare: (home) => {
      const pointer = { anon_id: Trace.before.anonId, linked_principal_id: null }
      NFS.writeFileSync(Path.join(home, "usage.json"), JSON.stringify(pointer), { mode: 0o600 })
      NFS.writeFileSync(Path.join(home, "credentials.yaml"), "A1", { mode: 0o600 })
    }
  })
  const facts = Trace.factsOf(trace)
  assert.isUndefined(Invariants.check(facts)?.detail)
  const aliases = facts.wire.filter(({ alias }) => alias !== "")
  assert.deepStrictEqual(aliases.map(({ alias, distinctId }) => [alias, distinctId]), [
    [Trace.before.anonId, "acct_a"]
  ])
  assert.strictEqual(Trace.namesOn(trace.disk, Trace.paths.claims).length, 1)
  assert.deepStrictEqual(facts.events.map(({ distinctId }) => distinctId), Array.from({ length: 32 }, () => "acct_a"))
  assert.strictEqual(facts.wire[0]?.alias, Trace.before.anonId)
})
