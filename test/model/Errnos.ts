/**
 * The disk refuses an operation of a process with each errno, at each step, once and for ever; the next command recovers.
 */
import * as Invariants from "./Invariants.ts"
import * as Machine from "./Machine.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"
import * as Trace from "./Trace.ts"

// == what is tried

interface Scenario {
  readonly initial?: Program.Initial
  readonly hasLinks?: boolean
  readonly special?: Program.Special
  /** What happened on the device before. */
  readonly before: ReadonlyArray<Program.Actor>
  /** The process whose disk refuses. */
  readonly tried: Program.Actor
  /** What happens before the next command. */
  readonly between?: ReadonlyArray<Program.Actor>
  /** The next command; a command of a host with a resolver where it is not set. */
  readonly later?: Program.Command
  /** Who the events of the next command belong to. */
  readonly next: "acct_a" | "acct_b" | "the device" | "the same device"
  /** Who they may belong to instead, if the disk refused more than one operation. */
  readonly atLeast?: "the device"
}

const { command, event, login, logout, request, stores } = Program

const records = command([event])
const logsIn = command([login("A1")])
const logsOut = command([event, logout, event])
const links: Program.Actor = { _tag: "Link", principal: "acct_a" }
const disables: Program.Actor = { _tag: "Disable" }
const enables: Program.Actor = { _tag: "Enable" }
const unresolved = (ops: ReadonlyArray<Program.Op>) => command(ops, { resolver: "none" })
const minutes = (minutes: number): Program.Actor => ({ _tag: "Wait", minutes })

const account = [logsIn, records]
const waiting = [records, logsIn, records]

/** What is tried, by what the process does. */
const scenarios: Readonly<Record<string, Scenario>> = {
  "a first run": { before: [], tried: records, next: "the device" },
  "a first run without a home": { special: "no home", before: [], tried: records, next: "the device" },
  "a first run without a terminal": { before: [], tried: command([event], { runtime: "pipe" }), next: "the device" },
  "a first run without hard links": { hasLinks: false, before: [], tried: records, next: "the device" },
  "a first run with a former format's file": {
    special: "former format",
    before: [],
    tried: records,
    next: "the same device"
  },
  "a first run in CI": { before: [], tried: command([event], { runtime: "ci", env: "A1" }), next: "the device" },
  "a command in CI": {
    initial: "identity",
    before: [records],
    tried: command([event], { runtime: "ci", env: "A1" }),
    next: "the same device"
  },
  "a command of a device": { initial: "identity", before: [records], tried: records, next: "the same device" },
  "a command of an account": { before: account, tried: records, next: "acct_a" },
  "a command after a while": { before: [...account, minutes(31)], tried: records, next: "acct_a" },
  "a command that claims": { before: [records, stores("A1")], tried: records, next: "acct_a" },
  "a command that claims without links": {
    hasLinks: false,
    before: [records, stores("A1")],
    tried: records,
    next: "acct_a"
  },
  "a command with the host's own resolver": {
    before: [records, stores("A1")],
    tried: command([event], { resolver: "own" }),
    next: "acct_a"
  },
  "a command with a variable": {
    before: [records],
    tried: command([event], { env: "B1" }),
    between: [command([event], { env: "B1" })],
    next: "acct_b"
  },
  "a response": {
    before: [records, stores("A1")],
    tried: command([event, request, event], { api: "down" }),
    // For an hour the API is not asked again.
    between: [minutes(61)],
    next: "acct_a"
  },
  "a command of another account": { before: [...account, stores("B1")], tried: records, next: "acct_b" },
  "a command after a sign-out": { before: [...account, { _tag: "Lose" }], tried: records, next: "the device" },
  "a command after another tool's link": {
    initial: "identity",
    before: [records, links],
    tried: records,
    next: "acct_a"
  },
  "a command on an unusable file": { initial: "unusable", before: [], tried: records, next: "the device" },
  "a command on an unusable file that came back after an account": {
    initial: "unusable",
    before: [unresolved([login("A1")]), { _tag: "Truncate" }],
    tried: unresolved([event]),
    later: unresolved([event]),
    next: "the device"
  },
  "a command that lived through a link": {
    initial: "identity",
    before: [links],
    tried: command([event, login("B1"), event]),
    next: "acct_b"
  },
  "a login": { before: [records], tried: command([event, login("A1", true), event]), next: "acct_a" },
  "a login to another account": { before: account, tried: command([event, login("B1", true), event]), next: "acct_b" },
  "a logout": { before: account, tried: logsOut, next: "the device" },
  "a logout and a login": { before: account, tried: command([logout, login("B1"), event]), next: "acct_b" },
  "a logout of a host without a resolver": {
    before: [unresolved([login("A1")]), unresolved([event])],
    tried: unresolved([event, logout, event]),
    later: unresolved([event]),
    next: "the device"
  },
  "a login of a host without a resolver": {
    before: [unresolved([login("A1")]), unresolved([event])],
    tried: unresolved([event, login("B1"), event]),
    later: unresolved([event]),
    next: "acct_b",
    atLeast: "the device"
  },
  "telemetry disable": { before: account, tried: disables, between: [disables, enables], next: "acct_a" },
  "telemetry enable": { before: [...account, disables], tried: enables, between: [enables], next: "acct_a" },
  "telemetry status": { before: waiting, tried: { _tag: "Telemetry", what: "status" }, next: "acct_a" },
  "telemetry log": { before: waiting, tried: { _tag: "Telemetry", what: "log" }, next: "acct_a" },
  "telemetry flush": { before: waiting, tried: { _tag: "Telemetry", what: "flush" }, next: "acct_a" },
  "a worker": { before: waiting, tried: { _tag: "Work" }, next: "acct_a" }
}

/** How long the disk refuses: the one operation, or from then on the same operation, the same path, or all. */
export const extents = {
  once: { lasts: 1, on: "any" },
  "the operation for ever": { lasts: Infinity, on: "operation" },
  "the path for ever": { lasts: Infinity, on: "path" },
  "all for ever": { lasts: Infinity, on: "any" }
} as const satisfies Record<string, Pick<Program.Fault, "lasts" | "on">>

export type Extent = keyof typeof extents
const extentNames = ["once", "the operation for ever", "the path for ever", "all for ever"] as const
export type Errno = typeof Program.allErrnos[number]

const faultAt = (actor: number, kind: Errno, extent: Extent, step: number): Program.Fault => ({
  actor,
  kind,
  step,
  ...extents[extent]
})

// == what must be

// An event needs a file of its own, and consent: what may deny it and cannot be read denies.
const isOfEvents = (path: string): boolean =>
  /^\/$|^\/etc|^\/home(\/telemetry.json|\/usage(\/(tmp|outbox|opt-out|enabled).*)?)?$/.test(path)

/** Says what is wrong with a command that the disk refused nothing an event needs. */
const lostIn = ({ events, trace }: Trace.Facts, tried: number): string | undefined => {
  const captured = trace.captured.get(tried) ?? 0
  const kept = events.filter(({ actor }) => actor === tried).length
  const isExcused = trace.refused.some(({ path }) => isOfEvents(path))
  return kept < captured && !isExcused ? `${captured} events were captured, and ${kept} kept` : undefined
}

// As long as it cannot be read whose the device is, or whether the user has opted out, or the identity file cannot be
// removed, a logout cannot count on the disk.
const isOfIdentity = ({ method, path }: { readonly method: string; readonly path: string }): boolean =>
  ["read", "look", "list", "remove"].includes(method) &&
  /^\/etc|^\/home(\/(usage|telemetry).json|\/usage(\/(successors|claims)(\/.*)?)?)?$/.test(path)

/** Says what is wrong with the command after the next one: that one may record before it has an answer about its key. */
const unrecovered = (
  { events, trace }: Trace.Facts,
  { atLeast, later: { resolver } = records, next }: Scenario,
  tried: number,
  last: number
): string | undefined => {
  const later = events.filter(({ actor }) => actor === last)
  const isOf = (owner: Scenario["next"]) => ({ distinctId, invocation, isPersonless }: Trace.Recorded) => {
    if (owner === "the device") return isPersonless && distinctId !== invocation
    return distinctId === (owner === "the same device" ? Trace.before.anonId : owner)
  }
  const isLasting = trace.refused.length > 1
  const isRight = later.every(isOf(next)) || (isLasting && atLeast !== undefined && later.every(isOf(atLeast)))
  const isExcused = isLasting && resolver === "none" && trace.refused.some(isOfIdentity)
  const owners = new Set(later.map(({ distinctId }) => distinctId))
  if (owners.size !== 1 || !(isRight || isExcused)) return `recorded under ${[...owners].join(", ")}, not ${next}`
  const before = events.filter(({ actor }) => actor < tried)
  const isOther = ({ session }: Trace.Recorded) => session !== later[0]?.session
  if (next === "the same device" && before.some(isOther)) return "the session was not continued"
  const left = Trace.namesOn(trace.disk, Trace.paths.events)
  return left.length === 0 ? undefined : `${left.length} events were never delivered`
}

/** A program in which the disk refuses something, and what it broke. */
export interface Attempt {
  readonly program: Program.Program
  /** The operation that was refused first; undefined where the process had fewer steps. */
  readonly operation: string | undefined
  readonly path: string | undefined
  readonly violation: Invariants.Violation | undefined
}

/** Tries a scenario with one fault. */
const attempt = (name: string, kind: Errno, extent: Extent, step: number): Attempt => {
  const scenario = scenarios[name] ?? scenarioOf(name)
  const { before, hasLinks = true, initial = "empty", later = records, special, between = [], tried } = scenario
  const actors = [...before, tried, ...between, later, later, { _tag: "Work" } as const]
  const program: Program.Program = {
    seed: 1,
    initial,
    hasLinks,
    ...(special === undefined ? {} : { special }),
    actors,
    turns: [],
    switches: [],
    faults: [faultAt(before.length, kind, extent, step)]
  }
  const facts = Trace.factsOf(Machine.run(program))
  const [first] = facts.trace.refused
  const lost = lostIn(facts, before.length)
  const recovery = unrecovered(facts, scenario, before.length, actors.length - 2)
  return {
    program,
    operation: facts.trace.faults === 0 ? undefined : first?.method ?? "none",
    path: first?.path,
    violation: Invariants.check(facts) ??
      (lost === undefined ? undefined : { rule: "nothing is lost", detail: lost }) ??
      (recovery === undefined ? undefined : { rule: "the next command recovers", detail: recovery })
  }
}

const scenarioOf = (name: string): never => {
  throw new Error(`no scenario is called ${name}`)
}

// == the matrix

export interface Violation extends Attempt {
  readonly scenario: string
}

export interface Outcome {
  readonly count: number
  /** How often an operation was refused with a code, by code and operation. */
  readonly runs: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly violations: ReadonlyArray<Violation>
}

/**
 * Tries the whole matrix, or of each step of each scenario one code and extent of a seed.
 */
export const run = (seed?: number, onScenario: (name: string) => void = () => {}): Outcome => {
  const random = seed === undefined ? undefined : Random.make(seed)
  const runs = new Map<string, Map<string, number>>()
  const violations: Array<Violation> = []
  let count = 0
  for (const scenario of Object.keys(scenarios)) {
    onScenario(scenario)
    let isOver = false
    for (let step = 0; !isOver; step += 1) {
      for (const kind of random === undefined ? Program.allErrnos : [random.pick(Program.allErrnos)]) {
        for (const extent of random === undefined ? extentNames : [random.pick(extentNames)]) {
          const tried = attempt(scenario, kind, extent, step)
          const { operation, violation } = tried
          if (operation === undefined) isOver = true
          if (operation === undefined || operation === "none") continue
          count += 1
          const ofCode = runs.get(kind) ?? new Map<string, number>()
          runs.set(kind, ofCode.set(operation, (ofCode.get(operation) ?? 0) + 1))
          if (violation !== undefined) violations.push({ ...tried, scenario })
        }
      }
    }
  }
  return { count, runs, violations }
}

/** A violation for a reader. */
export const show = ({ operation, path, program, scenario, violation }: Violation): string =>
  [`${scenario}, at ${operation} ${path}: ${violation?.rule}: ${violation?.detail}`, Program.show(program)].join("\n")

/** The table of a matrix: codes by operations, with how often each was tried. */
export const table = ({ runs }: Outcome): string => {
  const operations = [...new Set([...runs.values()].flatMap((ofCode) => [...ofCode.keys()]))].toSorted()
  const row = (cells: ReadonlyArray<string | number>) => `| ${cells.join(" | ")} |`
  return [
    row(["errno", ...operations]),
    row(["---", ...operations.map(() => "---")]),
    ...[...runs].map(([kind, ofCode]) => row([kind, ...operations.map((operation) => ofCode.get(operation) ?? 0)]))
  ].join("\n")
}
