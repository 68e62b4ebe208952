/**
 * Runs a program on the real layers and on the model at once, and says where they part.
 */
import * as NCrypto from "node:crypto"
import * as Claim from "../../src/domain/Claim.ts"
import * as Invariants from "./Invariants.ts"
import * as Machine from "./Machine.ts"
import * as Model from "./Model.ts"
import * as Program from "./Program.ts"

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

const knownOn = (trace: Machine.Trace): ReadonlyMap<string, string | null> => {
  const document = Invariants.parse(trace.disk.text(Machine.paths.credentials))
  const entries: unknown = document?.["credentials"]
  const known = new Map<string, string | null>()
  for (const entry of Array.isArray(entries) ? entries.filter(Invariants.isObject) : []) {
    const secret = Program.secrets.find((one) =>
      NCrypto.createHash("sha256").update(`${String(document?.["salt"])}\n${one}`).digest("hex") ===
        entry["fingerprint"]
    )
    const principal = entry["principal_id"]
    known.set(secret ?? "?", typeof principal === "string" ? principal : null)
  }
  return known
}

const pairs = (known: ReadonlyMap<string, string | null>): string =>
  [...known].map(([secret, principal]) => `${secret}=${principal}`).toSorted().join(" ")

/** Says where device and model differ; nothing where they agree. */
const differs = (
  names: Names,
  state: Model.State,
  turn: Parameters<Machine.OnTurn>[0],
  trace: Machine.Trace
): string | undefined => {
  const { device } = state
  const process = state.processes.get(turn.op.actor)
  const { disk, program } = trace

  if (process?.identity !== undefined) {
    const { identity } = turn.memory
    if (!names.same(process.identity.anonId, identity?.anonId)) {
      return `the anon id at hand is ${identity?.anonId}, not ${process.identity.anonId}`
    }
    const principal = identity?.claim === undefined ? undefined : Claim.principalOf(identity.claim)
    if (principal !== process.identity.claim?.principal) {
      return `the identity at hand belongs to ${principal}, not to ${process.identity.claim?.principal}`
    }
    if (identity?.durable !== process.identity.durable) return `the identity is durable: ${identity?.durable}`
  }
  if (process !== undefined && turn.memory.slot !== process.slot) {
    return `the slot holds ${turn.memory.slot}, not ${process.slot}`
  }

  const text = disk.text(Machine.paths.pointer)
  const pointer = Invariants.parse(text)
  if (device.pointer === "missing" || device.pointer === "unusable") {
    const is = text === undefined ? "missing" : pointer === undefined ? "unusable" : text
    if (is !== device.pointer) return `the identity file is ${is}, not ${device.pointer}`
  } else {
    const linked = Invariants.textIn(pointer?.["linked_principal_id"])
    if (!names.same(device.pointer.anonId, Invariants.textIn(pointer?.["anon_id"]))) {
      return `the identity file says ${text}, not ${device.pointer.anonId}`
    }
    if ((Program.legal.has(linked) ? linked : undefined) !== device.pointer.linked) {
      return `the identity file is linked to ${linked}, not to ${device.pointer.linked}`
    }
  }

  // After 90 days, facts that nothing leads to are pruned.
  const mayBePruned = program.actors.some((actor) => actor._tag === "Wait" && actor.minutes > 90 * 24 * 60)
  const claims = disk.names(Machine.paths.claims).filter((name) => name.endsWith(".json"))
  for (const claim of device.claims.values()) {
    const meant = [claim.principal, claim.seenBy, claim.source, claim.hasAlias].join(", ")
    const said = (anonId: string): string | undefined => {
      const found = Invariants.parse(disk.text(`${Machine.paths.claims}/${anonId}.json`))
      const source = disk.has(`${Machine.paths.claims}/${anonId}.stored`) ? "stored" : found?.["credential"]
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
  if (claims.length > device.claims.size) return `there are claims that nobody made: ${claims.join(", ")}`

  const known = pairs(knownOn(trace))
  const meant = pairs(new Map([...device.known].map(([secret, { principal }]) => [secret, principal])))
  if (known !== meant) return `of credentials is known ${known}, not ${meant}`

  if (disk.has(Machine.paths.optOut) !== device.optOut) return "the opt-out is not as it should be"
  return undefined
}

/** Says where the messages differ that were recorded. */
const messagesDiffer = (names: Names, state: Model.State, trace: Machine.Trace): string | undefined => {
  const { messages } = Invariants.factsOf(trace)
  for (const [index, expected] of state.messages.entries()) {
    const found = messages[index]
    const where = `message ${index}, of #${expected.actor}`
    if (found === undefined || found.actor !== expected.actor) return `${where}, was not recorded`
    const to = expected.to === Model.ownId ?
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

export interface Compared {
  readonly trace: Machine.Trace
  readonly violation: Invariants.Violation | undefined
}

/** Runs a sequential program against the model. */
export const run = (program: Program.Program): Compared => {
  const names = new Names()
  let state = Model.initial(program, Machine.start)
  let detail: string | undefined
  const trace = Machine.run(program, (turn) => {
    const actor = program.actors[turn.op.actor]
    if (actor === undefined || detail !== undefined) return
    const op = actor._tag === "Command" ? actor.ops.find((one) => one === turn.op.op) : undefined
    state = Model.next(state, actor, turn.op.actor, turn.op.name, op)
    const difference = differs(names, state, turn, turn.trace)
    if (difference !== undefined) detail = `after ${turn.op.name} of #${turn.op.actor}: ${difference}`
  })
  detail ??= messagesDiffer(names, state, trace)
  return { trace, violation: detail === undefined ? undefined : { rule: "the model", detail } }
}
