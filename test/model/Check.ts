/**
 * Tries programs, and makes the ones that break a rule as small as they can be.
 */
import * as Compare from "./Compare.ts"
import * as Invariants from "./Invariants.ts"
import * as Program from "./Program.ts"
import * as Trace from "./Trace.ts"

// == one program

const counted = [
  "programs",
  /** Programs that were compared with the model. */
  "sequential",
  /** Programs in which files were tampered with: only the two paths are compared. */
  "tampered",
  "steps",
  "faults",
  "events",
  /** Events that the steady path recorded. */
  "steady",
  /** Operations of steady commands that were compared with the whole path. */
  "twins",
  "aliases",
  /** Claims without an alias: the device changed hands, or another tool linked it. */
  "switches",
  "rotations",
  /** Logouts after which there was an anon id to be kept apart from. */
  "logouts",
  /** Files that could be made only once, and were there already. */
  "races"
] as const

/** What happened in programs, to see that the rules had something to say. */
export type Counts = Record<typeof counted[number], number>

const plus = (sum: Counts, counts: Counts): Counts => {
  const all = { ...sum }
  for (const name of counted) all[name] += counts[name]
  return all
}

/** Runs one program, and holds all rules against it. */
export const attempt = (
  program: Program.Program
): { readonly violation: Invariants.Violation | undefined; readonly counts: Counts } => {
  const isSequential = Program.isSequential(program)
  const isTampered = Program.isTampered(program)
  const { trace, twins, violation } = Compare.run(program)
  const facts = Trace.factsOf(trace)
  const { claims, events } = facts
  const { length: rotations } = trace.changes.filter(({ method, path }) =>
    method !== "remove" && path.startsWith(`${Trace.paths.successors}/`)
  )
  const logouts = trace.ops.filter(({ anonId, end, op }) =>
    op?._tag === "Logout" && anonId !== undefined && end !== undefined
  )
  return {
    violation: violation ?? (isTampered ? undefined : Invariants.check(facts)),
    counts: {
      programs: 1,
      sequential: isSequential && !isTampered ? 1 : 0,
      tampered: isTampered ? 1 : 0,
      steps: trace.steps,
      faults: trace.faults,
      events: events.length,
      steady: events.filter(({ actor, t }) => t < (trace.whole.get(actor) ?? Infinity)).length,
      twins,
      aliases: claims.filter(({ alias }) => alias !== undefined).length,
      switches: claims.filter(({ alias }) => alias === undefined).length,
      rotations,
      logouts: logouts.length,
      races: trace.races
    }
  }
}

// == smaller programs

export interface Counterexample {
  readonly program: Program.Program
  readonly violation: Invariants.Violation
  /** How many smaller programs were tried. */
  readonly tried: number
}

const maxTries = 4000

/** Makes a program smaller for as long as the same rule stays broken. */
const shrink = (program: Program.Program, violation: Invariants.Violation): Counterexample => {
  let best = { program, violation }
  let tried = 0
  let isSmaller = true
  while (isSmaller && tried < maxTries) {
    isSmaller = false
    for (const candidate of Program.smaller(best.program)) {
      tried += 1
      const found = attempt(candidate).violation
      if (found?.rule !== violation.rule) continue
      best = { program: candidate, violation: found }
      isSmaller = true
      break
    }
  }
  return { ...best, tried }
}

// == many programs

export interface Outcome {
  readonly counts: Counts
  /** The first program that broke a rule, as small as it could be made, and the seed it came from. */
  readonly counterexample: (Counterexample & { readonly seed: number }) | undefined
}

/** Tries two programs of each of so many seeds in a row, one of them sequential, until one breaks a rule. */
export const run = (
  seed: number,
  seeds: number,
  progress: (done: number) => void = () => {}
): Outcome => {
  let counts: Counts | undefined
  for (let index = 0; index < seeds; index += 1) {
    for (const make of [Program.make, Program.makeSequential]) {
      const program = make(seed + index)
      const tried = attempt(program)
      counts = counts === undefined ? tried.counts : plus(counts, tried.counts)
      if (tried.violation !== undefined) {
        return { counts, counterexample: { seed: seed + index, ...shrink(program, tried.violation) } }
      }
    }
    progress(index + 1)
  }
  return { counts: counts ?? attempt(Program.make(seed)).counts, counterexample: undefined }
}

/** A counterexample for a reader, with what runs it again. */
export const show = ({ program, seed, tried, violation }: Counterexample & { readonly seed: number }): string =>
  [
    `broken: ${violation.rule}`,
    `  ${violation.detail}`,
    `the shortest program found (from seed ${seed}, ${tried} smaller ones tried):`,
    ...Program.show(program).split("\n").map((line) => `  ${line}`),
    `again: node scripts/model.ts --seed ${seed} --programs 1`,
    `       node scripts/model.ts --replay '${JSON.stringify(program)}'`
  ].join("\n")
