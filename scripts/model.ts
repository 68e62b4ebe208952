/**
 * `node scripts/model.ts`: random programs of several processes, against the model and the invariants of the design.
 * With `--errnos`: every errno on every operation of the disk, at every step of each kind of command.
 */
import { parseArgs } from "node:util"
import * as Check from "../test/model/Check.ts"
import * as Errnos from "../test/model/Errnos.ts"
import * as Program from "../test/model/Program.ts"

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "10000" },
    seed: { type: "string" },
    replay: { type: "string" },
    errnos: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const usage = `node scripts/model.ts [--programs N] [--seed N] [--replay JSON]
       node scripts/model.ts --errnos [--seed N]

Tries 2 N random programs, two of each of N seeds in a row: one in which processes interrupt each other and anything goes
wrong, and a sequential one, in which the steady path is compared with the whole one. The first seed is random where none
is given. Exits with 1 at the first program that breaks a rule, with the shortest counterexample that was found.

With --errnos the disk refuses each operation of each kind of command with each errno, once and for ever: the whole
matrix, which takes minutes, or with a seed a random part. Prints how often an operation was refused with a code, and the
violations.`

const errnos = (seed: number | undefined): number => {
  const outcome = Errnos.run(seed, (name) => console.log(name))
  console.log(Errnos.table(outcome))
  for (const violation of outcome.violations.slice(0, 10)) console.error(Errnos.show(violation))
  console.log(`${outcome.count} runs, ${outcome.violations.length} violations`)
  return outcome.violations.length === 0 ? 0 : 1
}

const main = (): number => {
  if (values.help) {
    console.log(usage)
    return 0
  }
  if (values.errnos) return errnos(values.seed === undefined ? undefined : Number(values.seed))
  if (values.replay !== undefined) {
    const program: Program.Program = JSON.parse(values.replay)
    const { violation } = Check.attempt(program)
    console.log(Program.show(program))
    console.log(violation === undefined ? "no rule is broken" : `broken: ${violation.rule}\n  ${violation.detail}`)
    return violation === undefined ? 0 : 1
  }
  const programs = Number(values.programs)
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  if (!Number.isSafeInteger(programs) || programs < 1 || !Number.isSafeInteger(seed)) {
    console.error(usage)
    return 2
  }
  const startedAt = performance.now()
  const { counterexample, counts } = Check.run(seed, programs, (done) => {
    if (done % 1000 === 0 && done < programs) console.log(`${done} programs`)
  })
  const share = ((100 * counts.steady) / Math.max(1, counts.events)).toFixed(0)
  console.log(
    `seed ${seed}: ${counts.programs} programs (${counts.sequential} of them against the model, ${counts.tampered} with ` +
      `files tampered with), ${counts.steps} steps, ${counts.faults} faults injected, in ` +
      `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  )
  console.log(
    `${counts.events} events, ${share} % of them by the steady path; ${counts.twins} operations of steady commands ` +
      `compared with the whole path`
  )
  console.log(
    `${counts.aliases} aliases, ${counts.switches} claims without one, ${counts.rotations} rotations, ` +
      `${counts.logouts} logouts, ${counts.races} races lost`
  )
  if (counterexample === undefined) return 0
  console.error(Check.show(counterexample))
  return 1
}

process.exitCode = main()
