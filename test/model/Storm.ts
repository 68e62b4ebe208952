/**
 * Processes that log in and out of two accounts on one home, record, send, and are killed or stopped at random.
 */
import * as Fleet from "./Fleet.ts"
import * as Invariants from "./Invariants.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"
import * as Trace from "./Trace.ts"

const randomOps = (random: Random.Random): ReadonlyArray<Program.Op> => {
  const { event, logout } = Program
  const login = () => Program.login(random.pick(["A1", "A2", "B1"]), random.chance(0.5))
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
    [{ _tag: "Rewrite", isEmpty: random.chance(0.5) }],
    [{ _tag: "Replace" }]
  ])
  const drain: Program.Actor = { _tag: "Drain", taken: random.chance(0.5) }
  return [plan(0), plan(0), plan(0), plan(1), plan(1), plan(2), ...[drain, ...tools].map(other)]
}

/** The processes of a storm, and what befalls them. */
export const plansOf = (seed: number): ReadonlyArray<Fleet.Plan> => randomPlans(Random.make(seed))

/** Runs one storm; returns what it broke and what happened, if it broke a rule. */
export const run = async (driver: string, seed: number): Promise<string | undefined> => {
  const plans = plansOf(seed)
  const trace = await Fleet.run({ driver, plans, seed, maxWait: 0.8 })
  const violation = Invariants.check(Trace.factsOf(trace))
  return violation && [`seed ${seed}`, Fleet.show(plans, violation), Fleet.timeline(trace)].join("\n")
}
