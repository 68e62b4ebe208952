import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import * as Fleet from "./Fleet.ts"
import * as Invariants from "./Invariants.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"
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

const randomOps = (random: Random.Random): ReadonlyArray<Program.Op> => {
  const login = (): Program.Op => ({
    _tag: "Login",
    secret: random.pick(["A1", "A2", "B1"]),
    validated: random.chance(0.5)
  })
  const event: Program.Op = { _tag: "Event" }
  const logout: Program.Op = { _tag: "Logout" }
  const request: Program.Op = { _tag: "Request", copies: 2 }
  return random.pick<ReadonlyArray<Program.Op>>([
    [event],
    [request],
    [login()],
    [event, login(), event],
    [logout],
    [event, logout, event],
    [request, event],
    [login(), logout]
  ])
}

const randomPlans = (random: Random.Random): ReadonlyArray<Fleet.Plan> => {
  const plan = (phase: number): Fleet.Plan => ({
    actor: Program.command(randomOps(random), {
      runtime: random.pick(["terminal", "terminal", "terminal", "terminal", "pipe", "ci"]),
      env: random.chance(0.1) ? random.pick(["A1", "B1"]) : undefined,
      api: random.pick(["up", "up", "down"]),
      resolver: random.chance(0.8) ? "input" : "own"
    }),
    phase,
    delay: random.int(6),
    signal: phase < 2 && random.chance(0.5)
      ? { kind: random.pick(["kill", "stop", "stop"]), after: random.int(40), until: phase + 1 + random.int(2) }
      : undefined
  })
  const other = (actor: Program.Actor): Fleet.Plan => ({
    actor,
    phase: random.int(3),
    delay: random.int(20),
    signal: undefined
  })
  const tools: ReadonlyArray<Program.Actor> = random.pick<ReadonlyArray<Program.Actor>>([
    [],
    [{ _tag: "Link", principal: random.pick(["acct_a", "acct_b"]) }],
    [{ _tag: "Replace" }]
  ])
  const drain: Program.Actor = { _tag: "Drain", taken: random.chance(0.5) }
  return [plan(0), plan(0), plan(0), plan(1), plan(1), plan(2), ...[drain, ...tools].map(other)]
}

const seedFrom = (text: string | undefined): number => {
  const seed = Number(text ?? String(Date.now() % 1_000_000_000))
  return Number.isSafeInteger(seed) ? seed : 1
}

describe("real processes on one home", () => {
  it(`are killed and stopped at random in ${rounds} rounds, and break no rule`, { timeout: 120_000 }, async () => {
    const seed = seedFrom(process.env["MODEL_SEED"])
    for (let round = 0; round < rounds; round += 1) {
      const plans = randomPlans(Random.make(seed + round))
      const trace = await Fleet.run({ driver, plans, seed: seed + round, maxWait: 0.8 })
      const violation = Invariants.check(Trace.factsOf(trace))
      if (violation !== undefined) {
        assert.fail(`MODEL_SEED=${seed}, round ${round}\n${Fleet.show(plans, violation)}`)
      }
    }
  })

  it("64 at once on an empty home make exactly one anon id", { timeout: 120_000 }, async () => {
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

  it("32 at once that are the first to see a principal send one alias, and 32 events under it", {
    timeout: 120_000
  }, async () => {
    const plans = atOnce(Program.command([{ _tag: "Request", copies: 1 }], { api: "down" }), 32)
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
})
