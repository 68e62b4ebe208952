/**
 * Tries programs, and makes the ones that break a rule as small as they can be.
 */
import * as Compare from "./Compare.ts"
import * as Invariants from "./Invariants.ts"
import * as Machine from "./Machine.ts"
import * as Program from "./Program.ts"

// == one program

/** What happened in programs, to see that the rules had something to say. */
export interface Counts {
  programs: number
  /** Those that were compared with the model. */
  sequential: number
  /** Those in which files were tampered with: only the two paths are compared. */
  tampered: number
  steps: number
  faults: number
  events: number
  /** Events that the steady path recorded. */
  steady: number
  /** Operations of steady commands that were compared with the whole path. */
  twins: number
  aliases: number
  /** Claims without an alias: the device changed hands, or another tool linked it. */
  switches: number
  rotations: number
  /** Logouts after which there was an anon id to be kept apart from. */
  logouts: number
  /** Files that could be made only once, and were there already. */
  races: number
}

export const none: Counts = {
  programs: 0,
  sequential: 0,
  tampered: 0,
  steps: 0,
  faults: 0,
  events: 0,
  steady: 0,
  twins: 0,
  aliases: 0,
  switches: 0,
  rotations: 0,
  logouts: 0,
  races: 0
}

const add = (sum: Counts, counts: Counts): void => {
  sum.programs += counts.programs
  sum.sequential += counts.sequential
  sum.tampered += counts.tampered
  sum.steps += counts.steps
  sum.faults += counts.faults
  sum.events += counts.events
  sum.steady += counts.steady
  sum.twins += counts.twins
  sum.aliases += counts.aliases
  sum.switches += counts.switches
  sum.rotations += counts.rotations
  sum.logouts += counts.logouts
  sum.races += counts.races
}

export interface Tried {
  readonly violation: Invariants.Violation | undefined
  readonly counts: Counts
}

/** Runs one program, and holds all rules against it. */
export const attempt = (program: Program.Program): Tried => {
  const isSequential = Program.isSequential(program)
  const isTampered = Program.isTampered(program)
  const { trace, twins, violation } = isSequential
    ? Compare.run(program)
    : { trace: Machine.run(program), violation: undefined, twins: 0 }
  const facts = Invariants.factsOf(trace)
  const { claims, events } = facts
  const { length: rotations } = trace.changes.filter(({ method, path }) =>
    method !== "remove" && path.startsWith(`${Machine.paths.successors}/`)
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
export const shrink = (program: Program.Program, violation: Invariants.Violation): Counterexample => {
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
  const counts = { ...none }
  for (let index = 0; index < seeds; index += 1) {
    for (const make of [Program.make, Program.makeSequential]) {
      const program = make(seed + index)
      const tried = attempt(program)
      add(counts, tried.counts)
      if (tried.violation !== undefined) {
        return { counts, counterexample: { seed: seed + index, ...shrink(program, tried.violation) } }
      }
    }
    progress(index + 1)
  }
  return { counts, counterexample: undefined }
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
