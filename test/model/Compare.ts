/**
 * Runs a program on the real layers and on the model at once, and says where they part.
 */
import * as Invariants from "./Invariants.ts"
import * as Machine from "./Machine.ts"
import * as Model from "./Model.ts"
import * as Program from "./Program.ts"
import * as State from "./State.ts"
import * as Trace from "./Trace.ts"
import * as Twin from "./Twin.ts"

/** Pairs the model's tokens with the ids that the layers made. */
class Names {
  private readonly ids = new Map<string, string>()
  private readonly tokens = new Map<string, string>()

  /** Whether an id may stand for a token: the same pair each time. */
  same(token: string | undefined, id: string | undefined): boolean {
    if (token === undefined || id === undefined) return token === id
    if (Program.legal.has(token) || Program.legal.has(id)) return token === id
    const isFree = !this.ids.has(token) && !this.tokens.has(id)
    if (isFree) {
      this.ids.set(token, id)
      this.tokens.set(id, token)
    }
    return this.ids.get(token) === id
  }

  idOf(token: string): string | undefined {
    return this.ids.get(token)
  }
}

const pairs = (known: ReadonlyMap<string, string | null>): string =>
  [...known].map(([secret, principal]) => `${secret}=${principal}`).toSorted().join(" ")

/** Says where device and model differ; nothing where they agree. */
const differs = (
  names: Names,
  state: State.State,
  turn: Parameters<Machine.OnTurn>[0],
  trace: Trace.Trace
): string | undefined => {
  const { device } = state
  const process = state.processes.get(turn.op.actor)
  const { disk, program } = trace

  if (process !== undefined && turn.slot !== process.slot) return `the slot holds ${turn.slot}, not ${process.slot}`

  const text = Trace.textOn(disk, Trace.paths.pointer)
  const pointer = Trace.parse(text)
  if (device.pointer === "missing" || device.pointer === "unusable") {
    const is = text === undefined ? "missing" : pointer === undefined ? "unusable" : text
    if (is !== device.pointer) return `the identity file is ${is}, not ${device.pointer}`
  } else {
    const linked = Trace.textIn(pointer?.["linked_principal_id"])
    if (!names.same(device.pointer.anonId, Trace.textIn(pointer?.["anon_id"]))) {
      return `the identity file says ${text}, not ${device.pointer.anonId}`
    }
    if ((Program.legal.has(linked) ? linked : undefined) !== device.pointer.linked) {
      return `the identity file is linked to ${linked}, not to ${device.pointer.linked}`
    }
  }

  // After 90 days, facts that nothing leads to are pruned.
  const mayBePruned = program.actors.some((actor) => actor._tag === "Wait" && actor.minutes > 90 * 24 * 60)
  const claims = Trace.namesOn(disk, Trace.paths.claims).filter((name) => name.endsWith(".json"))
  for (const claim of device.claims.values()) {
    const meant = [claim.principal, claim.seenBy, claim.source, claim.hasAlias].join(", ")
    const said = (anonId: string): string | undefined => {
      const found = Trace.parse(Trace.textOn(disk, `${Trace.paths.claims}/${anonId}.json`))
      const source = Trace.isOn(disk, `${Trace.paths.claims}/${anonId}.stored`) ? "stored" : found?.["credential"]
      return found && [found["principal_id"], found["learned_by"], source, found["alias"] !== null].join(", ")
    }
    // An id that came and went within one operation has not been seen yet.
    const anonId = names.idOf(claim.anonId) ??
      claims.map((name) => name.slice(0, -".json".length)).find((id) =>
        said(id) === meant && names.same(claim.anonId, id)
      )
    const found = anonId === undefined ? undefined : said(anonId)
    if (found === undefined && mayBePruned) continue
    if (found !== meant) return `the claim of ${claim.anonId} says ${found}, not ${meant}`
  }
  if (claims.length > device.claims.size) return `there are claims that the model did not make: ${claims.join(", ")}`

  const known = pairs(Trace.knownOn(trace))
  const meant = pairs(new Map([...device.known].map(([secret, { principal }]) => [secret, principal])))
  if (known !== meant) return `of credentials is known ${known}, not ${meant}`

  if (Trace.isOn(disk, Trace.paths.optOut) !== device.optOut) return "the opt-out is not as it should be"
  return undefined
}

/** Says where the messages differ that were recorded. */
const messagesDiffer = (names: Names, state: State.State, trace: Trace.Trace): string | undefined => {
  const { messages } = Trace.factsOf(trace)
  for (const [index, expected] of state.messages.entries()) {
    const found = messages[index]
    const where = `message ${index}, of #${expected.actor}`
    if (found === undefined || found.actor !== expected.actor) return `${where}, was not recorded`
    const to = expected.to === State.ownId ?
      trace.invocations.get(expected.actor) === found.distinctId
      : names.same(expected.to, found.distinctId)
    if (!to) return `${where}, belongs to ${found.distinctId}, not to ${expected.to}`
    if (found.isPersonless !== expected.isPersonless) return `${where}, is personless: ${found.isPersonless}`
    if (!names.same(expected.alias, found.alias === "" ? undefined : found.alias)) {
      return `${where}, aliases ${found.alias}, not ${expected.alias}`
    }
    if (!names.same(expected.session, found.session)) return `${where}, is of another session`
    if (found.sequence !== expected.sequence) return `${where}, has the number ${String(found.sequence)}`
  }
  return messages.length > state.messages.length
    ? `more was recorded: ${messages[state.messages.length]?.text}`
    : undefined
}

/**
 * Runs a program, a sequential one against the model, and the steady path in it against the whole one; `twins` is the
 * number of operations of steady commands that were compared.
 */
export const run = (program: Program.Program) => {
  const names = new Names()
  const isModelled = Program.isSequential(program) && !Program.isTampered(program)
  let state = State.initial(program, Machine.start)
  let violation: Invariants.Violation | undefined
  let twins = 0
  const compare = Twin.follow(program, (detail) => {
    twins += 1
    if (detail !== undefined) violation ??= { rule: "soundness", detail }
  })
  const onTurn: Machine.OnTurn = (turn) => {
    const { actor: index, name } = turn.op
    const actor = program.actors[index]
    if (actor === undefined || violation !== undefined || !isModelled) return
    const op = actor._tag === "Command" ? actor.ops.find((one) => one === turn.op.op) : undefined
    state = Model.next(state, actor, index, name, op, !turn.trace.whole.has(index))
    const detail = differs(names, state, turn, turn.trace)
    if (detail !== undefined) violation = { rule: "the model", detail: `after ${name} of #${index}: ${detail}` }
  }
  const trace = Machine.run(program, onTurn, compare)
  const detail = violation === undefined && isModelled ? messagesDiffer(names, state, trace) : undefined
  if (detail !== undefined) violation = { rule: "the model", detail }
  return { trace, violation, twins }
}
