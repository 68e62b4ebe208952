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
  sequential: number
  steps: number
  faults: number
  events: number
  aliases: number
  /** Claims without an alias: the device changed hands. */
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
  steps: 0,
  faults: 0,
  events: 0,
  aliases: 0,
  switches: 0,
  rotations: 0,
  logouts: 0,
  races: 0
}

export interface Tried {
  readonly violation: Invariants.Violation | undefined
  readonly counts: Counts
}

const sum = (a: Counts, b: Counts): Counts => ({
  programs: a.programs + b.programs,
  sequential: a.sequential + b.sequential,
  steps: a.steps + b.steps,
  faults: a.faults + b.faults,
  events: a.events + b.events,
  aliases: a.aliases + b.aliases,
  switches: a.switches + b.switches,
  rotations: a.rotations + b.rotations,
  logouts: a.logouts + b.logouts,
  races: a.races + b.races
})

/** Runs one program, and holds all rules against it. */
export const attempt = (program: Program.Program): Tried => {
  const isSequential = Program.isSequential(program)
  const { trace, violation } = isSequential
    ? Compare.run(program)
    : { trace: Machine.run(program), violation: undefined }
  const facts = Invariants.factsOf(trace)
  const made = (folder: string) =>
    trace.changes.filter(({ method, path }) => (method === "link" || method === "write") && path.startsWith(folder))
  return {
    violation: violation ?? Invariants.check(facts),
    counts: {
      programs: 1,
      sequential: isSequential ? 1 : 0,
      steps: trace.steps,
      faults: trace.faults,
      events: facts.events.length,
      aliases: facts.claims.filter(({ alias }) => alias !== undefined).length,
      switches: facts.claims.filter(({ alias }) => alias === undefined).length,
      rotations: made(Machine.paths.successors).length,
      logouts:
        trace.ops.filter(({ anonId, end, op }) => op?._tag === "Logout" && anonId !== undefined && end !== undefined)
          .length,
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

/** Tries the programs of so many seeds in a row, until one breaks a rule. */
export const run = (
  seed: number,
  programs: number,
  progress: (done: number) => void = () => {}
): Outcome => {
  let counts = none
  for (let index = 0; index < programs; index += 1) {
    const program = Program.make(seed + index)
    const tried = attempt(program)
    counts = sum(counts, tried.counts)
    if (tried.violation !== undefined) {
      return { counts, counterexample: { seed: seed + index, ...shrink(program, tried.violation) } }
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
