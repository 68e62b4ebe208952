/**
 * Programs of several processes on one device: what each does, in whose turn, and what goes wrong at which step.
 */
import * as Random from "./Random.ts"

// == the world

/** Keys of the host's API; the first letter is the account's. For `X1` the API answers with a word that is no id. */
export const secrets = ["A1", "A2", "B1", "X1"] as const
export type Secret = typeof secrets[number]

/** What the API answers for a key. */
export const ownerOf: Record<Secret, string> = { A1: "acct_a", A2: "acct_a", B1: "acct_b", X1: "undefined" }

/** Ids that an account can have: the others are no answer. */
export const legal: ReadonlySet<string> = new Set(["acct_a", "acct_b"])

export interface Runtime {
  readonly ci: boolean
  readonly container: boolean
  readonly terminal: boolean
}

export const runtimes = {
  terminal: { ci: false, container: false, terminal: true },
  pipe: { ci: false, container: false, terminal: false },
  ci: { ci: true, container: false, terminal: false },
  "ci with a terminal": { ci: true, container: false, terminal: true },
  container: { ci: false, container: true, terminal: false },
  "container with a terminal": { ci: false, container: true, terminal: true }
} as const satisfies Record<string, Runtime>

export type RuntimeName = keyof typeof runtimes

// == what is done

/** What a command of the host does while it runs. */
export type Op =
  /** Records an event. */
  | { readonly _tag: "Event" }
  /** Asks the host's API with the credential at hand, as often as `copies` says at once, and observes the answers. */
  | { readonly _tag: "Request"; readonly copies: number }
  /** Observes principals that come from nowhere, all at once: only a program of any world has them. */
  | { readonly _tag: "Observe"; readonly principals: ReadonlyArray<string> }
  /** Stores a key and says so; `validated`: the API was asked with the new key first, and its answer observed. */
  | { readonly _tag: "Login"; readonly secret: Secret; readonly validated: boolean }
  /** Removes the stored key and says so. */
  | { readonly _tag: "Logout" }
  /** The API answers what the resolver asked. */
  | { readonly _tag: "Answer" }

/** One invocation of the host. */
export interface Command {
  readonly _tag: "Command"
  readonly runtime: RuntimeName
  /** A credential from the environment. */
  readonly env: Secret | undefined
  /** What becomes of the resolver's question. */
  readonly api: "up" | "down" | "hangs"
  /**
   * Whether the resolver says what it reads the credential from: a resolver of the host's `own` takes the whole path. A
   * host may have none, and only report its logins and logouts.
   */
  readonly resolver: "input" | "own" | "none"
  readonly ops: ReadonlyArray<Op>
}

/** A command on a terminal, whose resolver says what it reads. */
export const command = (ops: ReadonlyArray<Op>, options: Partial<Command> = {}): Command => ({
  _tag: "Command",
  runtime: "terminal",
  env: undefined,
  api: "up",
  resolver: "input",
  ops,
  ...options
})

export const event: Op = { _tag: "Event" }
export const request: Op = { _tag: "Request", copies: 1 }
export const logout: Op = { _tag: "Logout" }
export const login = (secret: Secret, validated = false): Op => ({ _tag: "Login", secret, validated })
export const stores = (secret: Secret): Outside => ({ _tag: "Store", secret })

/** Something else on the device. */
export type Outside =
  /** Another tool of the host stores a key, or removes it. */
  | { readonly _tag: "Store"; readonly secret: Secret }
  | { readonly _tag: "Lose" }
  /** `telemetry disable`, `telemetry enable`. */
  | { readonly _tag: "Disable" }
  | { readonly _tag: "Enable" }
  /** The user deletes the identity file. */
  | { readonly _tag: "Delete" }
  /** Another tool links the anon id in the identity file, where it is not linked, or replaces the file's anon id. */
  | { readonly _tag: "Link"; readonly principal: string }
  | { readonly _tag: "Replace" }
  /** Another tool left the identity file unusable a minute ago, each time with the same text. */
  | { readonly _tag: "Truncate" }
  /** Another tool writes the identity file in place, with the text that it has: first it is empty, or half of it. */
  | { readonly _tag: "Rewrite"; readonly isEmpty: boolean }
  /** A file below the home is changed in a way that no process of this module changes it. */
  | { readonly _tag: "Tamper"; readonly how: typeof tampering[number]; readonly which: number }
  /** Time passes. */
  | { readonly _tag: "Wait"; readonly minutes: number }
  /** A worker sends what waits; where `taken` is false the answers are lost. */
  | { readonly _tag: "Drain"; readonly taken: boolean }
  /** A worker that a command starts takes over the lease and delivers; or a `telemetry` command. No random program has one. */
  | { readonly _tag: "Work" }
  | { readonly _tag: "Telemetry"; readonly what: typeof telemetry[number] }

/** The `telemetry` commands that keep consent as it is. */
export const telemetry = ["status", "log", "flush"] as const

/** An older text of the file comes back, the file is removed, cut in half, or becomes a folder; or a policy denies. */
export const tampering = ["restore", "remove", "halve", "folder", "policy"] as const

export type Actor = Command | Outside

/**
 * Just before an actor's n-th step another actor makes its next turn, unless that one is in the middle of a step itself.
 * To itself, at a step where it waits: another of its fibers goes first, or its next operation begins.
 */
export interface Switch {
  readonly actor: number
  readonly step: number
  readonly to: number
}

/** The codes with which the disk refuses an operation in a random program; a full or read-only disk can still be read. */
const errnos = ["ENOSPC", "EROFS", "EIO", "EACCES", "EMFILE", "ESTALE"] as const

/** All codes that a disk is tried with. */
export const allErrnos = [
  ...errnos,
  "EPERM",
  "ENFILE",
  "ENOMEM",
  "EAGAIN",
  "EDQUOT",
  "EXDEV",
  "EINVAL",
  "ENOSYS",
  "ENOTSUP",
  "ELOOP",
  "ENAMETOOLONG"
] as const

/** What goes wrong at an actor's n-th step: a suspension lasts for so many turns of others, a code for so many steps. */
export interface Fault {
  readonly actor: number
  readonly step: number
  readonly kind: "kill" | "suspend" | typeof allErrnos[number]
  readonly lasts: number
  /**
   * The operations of the disk that the code refuses: all, or those of the same kind or on the same path as the first.
   * Where it is not set, those that such a disk refuses.
   */
  readonly on?: "any" | "operation" | "path"
}

export type Initial = "empty" | "identity" | "unusable" | "linked" | "linked illegally"

/** What is on the disk before the first process in a program that tries one thing: no home, or a former format's file. */
export type Special = "no home" | "former format"

export interface Program {
  readonly seed: number
  readonly initial: Initial
  readonly hasLinks: boolean
  readonly special?: Special
  readonly actors: ReadonlyArray<Actor>
  /** Whose turn it is, one operation at a time; when none is left, one actor after the other. */
  readonly turns: ReadonlyArray<number>
  readonly switches: ReadonlyArray<Switch>
  readonly faults: ReadonlyArray<Fault>
}

/** Whether no operation is interrupted by another, and nothing goes wrong: then the model says what must be. */
export const isSequential = (program: Program): boolean =>
  program.switches.length === 0 && program.faults.length === 0 && program.hasLinks

/** Whether a file is changed in a way that the design promises nothing about, but that both paths agree. */
export const isTampered = (program: Program): boolean => program.actors.some(({ _tag }) => _tag === "Tamper")

/** Whether each answer that is observed is that of the API to the credential at hand. */
export const isHonest = (program: Program): boolean =>
  program.actors.every((actor) => actor._tag !== "Command" || actor.ops.every((op) => op._tag !== "Observe"))

// == random programs

const randomOp = (random: Random.Random, honest: boolean): Op => {
  const request: Op = { _tag: "Request", copies: random.chance(0.2) ? 2 : 1 }
  const secret = random.pick(["A1", "A1", "A2", "B1", "B1", "X1"])
  const login: Op = { _tag: "Login", secret, validated: random.chance(0.6) }
  const usual = [event, event, event, request, request, login, login, logout, logout] as const
  if (honest) return random.pick<Op>([...usual, { _tag: "Answer" }, request, event])
  const one = () => random.pick(["acct_a", "acct_a", "acct_b", "acct_b", "undefined"])
  const observe: Op = { _tag: "Observe", principals: random.chance(0.4) ? [one(), one()] : [one()] }
  return random.pick<Op>([...usual, { _tag: "Answer" }, observe, observe])
}

const randomCommand = (random: Random.Random, honest: boolean, hasResolver: boolean): Command => ({
  _tag: "Command",
  runtime: random.chance(0.78)
    ? "terminal"
    : random.pick(["pipe", "pipe", "ci", "ci with a terminal", "container", "container with a terminal"]),
  env: random.chance(0.15) ? random.pick(["A1", "B1", "A2", "X1"]) : undefined,
  api: random.pick(["up", "up", "up", "down", "hangs"]),
  resolver: !hasResolver ? "none" : random.chance(0.8) ? "input" : "own",
  ops: Array.from({ length: random.pick([0, 0, 0, 1, 1, 1, 2, 2, 3]) }, () => randomOp(random, honest))
})

const randomOutside = (random: Random.Random, tampers: boolean): Outside => {
  const store: Outside = { _tag: "Store", secret: random.pick(["A1", "A1", "A2", "B1", "B1", "X1"]) }
  const lose: Outside = { _tag: "Lose" }
  const drain: Outside = { _tag: "Drain", taken: random.chance(0.6) }
  const wait: Outside = { _tag: "Wait", minutes: random.pick([1, 31, 121, 91 * 24 * 60]) }
  const optOut: Outside = { _tag: random.pick(["Disable", "Enable"]) }
  const link: Outside = { _tag: "Link", principal: random.pick(["acct_a", "acct_b"]) }
  const replace: Outside = { _tag: "Replace" }
  const truncate: Outside = { _tag: "Truncate" }
  const rewrite: Outside = { _tag: "Rewrite", isEmpty: random.chance(0.5) }
  const tamper: Outside = { _tag: "Tamper", how: random.pick(tampering), which: random.int(30) }
  const last = tampers ? [tamper, tamper, tamper] : [store, link, replace, rewrite, rewrite, truncate, truncate]
  const usual = [store, store, store, lose, lose, drain, drain, drain, wait, wait, optOut, link, replace] as const
  return random.pick<Outside>([...usual, { _tag: "Delete" }, ...last])
}

const initials = ["empty", "empty", "empty", "identity", "identity", "unusable", "linked", "linked illegally"] as const

const randomActors = (random: Random.Random, honest: boolean, outsides: number, tampers: boolean) => {
  // All commands are of one host.
  const hasResolver = random.chance(0.85)
  const actors: Array<Actor> = Array.from(
    { length: 1 + random.int(7) },
    () => randomCommand(random, honest, hasResolver)
  )
  for (let n = outsides; n > 0; n -= 1) {
    actors.splice(random.int(actors.length + 1), 0, randomOutside(random, tampers))
  }
  // Most commands change nothing.
  for (let n = random.int(4); n > 0; n -= 1) actors.push(command([], { resolver: hasResolver ? "input" : "none" }))
  return actors
}

/** The program of a seed, in which processes interrupt each other, and anything goes wrong. */
export const make = (seed: number): Program => {
  const random = Random.make(seed)
  const actors = randomActors(random, random.chance(0.8), random.pick([0, 1, 1, 2, 2, 3]), false)
  const who = () => random.int(actors.length)
  // Most of what goes on in a command is in its first hundred steps.
  const when = () => Math.floor(random.next() * random.next() * 160)
  return {
    seed,
    initial: random.pick(initials),
    hasLinks: random.chance(0.92),
    actors,
    turns: random.chance(0.5) ? [] : Array.from({ length: actors.length * 4 }, who),
    switches: Array.from({ length: random.chance(0.3) ? 30 + random.int(30) : random.int(9) }, () => ({
      actor: who(),
      step: when(),
      to: who()
    })),
    faults: Array.from({ length: random.pick([0, 0, 1, 1, 2, 3]) }, () => ({
      actor: who(),
      step: when(),
      kind: random.pick(["kill", "kill", "suspend", "suspend", "suspend", ...errnos]),
      lasts: random.pick([1, 1, 2, 5, 1000])
    }))
  }
}

/** The sequential program of a seed: the home changes between two operations of a command, and never within one. */
export const makeSequential = (seed: number): Program => {
  const random = Random.make(seed + 0x5eed)
  const actors = randomActors(random, random.chance(0.8), random.pick([0, 1, 2, 2, 3, 4]), random.chance(0.3))
  return {
    seed,
    initial: random.pick(initials),
    hasLinks: true,
    actors,
    turns: random.chance(0.4) ? [] : Array.from({ length: actors.length * 4 }, () => random.int(actors.length)),
    switches: [],
    faults: []
  }
}

// == smaller programs

const without = <A>(all: ReadonlyArray<A>, index: number): ReadonlyArray<A> => all.filter((_, i) => i !== index)

const replaced = <A>(all: ReadonlyArray<A>, index: number, value: A): ReadonlyArray<A> =>
  all.map((old, i) => i === index ? value : old)

const withoutActor = (program: Program, gone: number): Program => {
  const kept = (actor: number) => actor !== gone
  const moved = (actor: number) => actor > gone ? actor - 1 : actor
  return {
    ...program,
    actors: without(program.actors, gone),
    turns: program.turns.filter(kept).map(moved),
    switches: program.switches.filter((at) => kept(at.actor) && kept(at.to)).map((at) => ({
      ...at,
      actor: moved(at.actor),
      to: moved(at.to)
    })),
    faults: program.faults.filter((at) => kept(at.actor)).map((at) => ({ ...at, actor: moved(at.actor) }))
  }
}

const smallerOp = (op: Op): ReadonlyArray<Op> => {
  if (op._tag === "Request" && op.copies > 1) return [{ ...op, copies: 1 }]
  if (op._tag === "Login" && op.validated) return [{ ...op, validated: false }]
  if (op._tag === "Observe" && op.principals.length > 1) {
    return op.principals.map((principal) => ({ ...op, principals: [principal] }))
  }
  return []
}

const smallerCommand = (command: Command): ReadonlyArray<Command> => [
  ...command.ops.map((_, index) => ({ ...command, ops: without(command.ops, index) })),
  ...command.runtime === "terminal" ? [] : [{ ...command, runtime: "terminal" as const }],
  ...command.env === undefined ? [] : [{ ...command, env: undefined }],
  ...command.api === "up" ? [] : [{ ...command, api: "up" as const }],
  ...command.resolver === "own" ? [{ ...command, resolver: "input" as const }] : [],
  ...command.ops.flatMap((op, index) =>
    smallerOp(op).map((smaller) => ({ ...command, ops: replaced(command.ops, index, smaller) }))
  )
]

/** Programs that are a little simpler than the given one, the simplest first. */
export const smaller = (program: Program): ReadonlyArray<Program> => [
  ...program.actors.map((_, index) => withoutActor(program, index)),
  ...program.turns.length === 0 ? [] : [{ ...program, turns: [] }],
  ...program.faults.map((_, index) => ({ ...program, faults: without(program.faults, index) })),
  ...program.switches.map((_, index) => ({ ...program, switches: without(program.switches, index) })),
  ...program.actors.flatMap((actor, index) =>
    actor._tag === "Command"
      ? smallerCommand(actor).map((smaller) => ({ ...program, actors: replaced(program.actors, index, smaller) }))
      : []
  ),
  ...program.initial === "empty" ? [] : [{ ...program, initial: "empty" as const }],
  ...program.hasLinks ? [] : [{ ...program, hasLinks: true }],
  ...program.turns.map((_, index) => ({ ...program, turns: without(program.turns, index) })),
  ...program.faults.flatMap((fault, index) =>
    fault.lasts > 1 ? [{ ...program, faults: replaced(program.faults, index, { ...fault, lasts: 1 }) }] : []
  )
]

// == words

const showOp = (op: Op): string => {
  if (op._tag === "Request") return op.copies > 1 ? `request ×${op.copies}` : "request"
  if (op._tag === "Observe") return `observe ${op.principals.join(" and ")}`
  if (op._tag === "Login") return `login ${op.secret}${op.validated ? " (validated)" : ""}`
  return op._tag === "Answer" ? "the API answers" : op._tag.toLowerCase()
}

const outsides = {
  Lose: "another tool removes the credential",
  Disable: "telemetry disable",
  Enable: "telemetry enable",
  Delete: "the user deletes the identity file",
  Replace: "another tool replaces the anon id",
  Truncate: "another tool has left the identity file unusable"
}

/** An actor for a reader. */
export const showActor = (actor: Actor): string => {
  switch (actor._tag) {
    case "Command": {
      const env = actor.env === undefined ? "" : `, ${actor.env} in the environment`
      const api = actor.api === "up" ? "" : `, resolver ${actor.api}`
      const own = { input: "", own: ", a resolver of the host's own", none: ", no resolver" }[actor.resolver]
      return `command (${actor.runtime}${env}${api}${own}): ${["begin", ...actor.ops.map(showOp), "end"].join(", ")}`
    }
    case "Store":
      return `another tool stores ${actor.secret}`
    case "Rewrite":
      return `another tool writes the identity file in place, ${actor.isEmpty ? "empty" : "half of it"} first`
    case "Link":
      return `another tool links the anon id to ${actor.principal}`
    case "Tamper":
      return `file ${actor.which} is tampered with: ${actor.how}`
    case "Wait":
      return `${actor.minutes} minutes pass`
    case "Drain":
      return actor.taken ? "a worker delivers" : "a worker sends, and gets no answer"
    case "Work":
      return "a worker with a lease delivers"
    case "Telemetry":
      return `telemetry ${actor.what}`
    default:
      return outsides[actor._tag]
  }
}

/** A program for a reader. */
export const show = (program: Program): string =>
  [
    `disk at first: ${program.initial}${program.hasLinks ? "" : ", without hard links"}`,
    ...program.actors.map((actor, index) => `#${index} ${showActor(actor)}`),
    `turns: ${program.turns.length === 0 ? "one after the other" : program.turns.join(" ")}`,
    ...program.switches.map((at) => `before step ${at.step} of #${at.actor}: a turn of #${at.to}`),
    ...program.faults.map((at) => {
      const span = at.lasts > 1 ? ` for ${at.lasts} ${at.kind === "suspend" ? "turns" : "steps"}` : ""
      const on = at.on === undefined || at.on === "any" ? "" : ` on the same ${at.on}`
      return `at step ${at.step} of #${at.actor}: ${at.kind}${on}${span}`
    })
  ].join("\n")
