/**
 * What must be true of every trace, whatever was interleaved, killed, suspended or failed: design §4.5.
 */
import * as Program from "./Program.ts"
import * as Trace from "./Trace.ts"

const command = (trace: Trace.Trace, actor: number): Program.Command | undefined => {
  const found = trace.program.actors[actor]
  return found?._tag === "Command" ? found : undefined
}

const began = (trace: Trace.Trace, actor: number): number =>
  trace.ops.find((op) => op.actor === actor)?.start ?? Infinity

const ended = (trace: Trace.Trace, actor: number): number =>
  trace.ops.findLast((op) => op.actor === actor)?.end ?? Infinity

const ownerOf = (secret: string | undefined): string =>
  Program.ownerOf[Program.secrets.find((one) => one === secret) ?? "X1"]

// Whether another tool was writing the identity file in place: it may have been killed meanwhile.
const isBeingWritten = (trace: Trace.Trace, start: number, end: number): boolean =>
  trace.ops.some((tool) => tool.op?._tag === "Rewrite" && tool.start <= end && (tool.end ?? Infinity) >= start)

// == the invariants

type Check = (facts: Trace.Facts) => string | undefined

/** 1. One anon id is aliased at most once, ever: every copy of its alias on the wire is the same bytes. */
const aliasedOnce: Check = ({ wire }) => {
  const aliases = new Map<string, string>()
  for (const { alias, text } of wire) {
    if (alias === "") continue
    const first = aliases.get(alias)
    if (first !== undefined && first !== text) return `${alias} was aliased twice: ${first} and ${text}`
    aliases.set(alias, text)
  }
  return undefined
}

/** What another tool does that links an anon id. */
const linkOf = (trace: Trace.Trace, actor: number): Trace.Done | undefined =>
  trace.program.actors[actor]?._tag === "Link" ? trace.ops.find((op) => op.actor === actor) : undefined

/** 2. One anon id belongs to at most one principal for its whole life, as claims, aliases and the identity file say. */
const onePrincipal: Check = ({ claims, trace, wire }) => {
  const owners = new Map<string, string>()
  const said = (anonId: string, principal: string, where: string) => {
    const first = owners.get(anonId)
    owners.set(anonId, principal)
    return first === undefined || first === principal
      ? undefined
      : `${anonId} belongs to ${first} and, says ${where}, to ${principal}`
  }
  for (const claim of claims) {
    // What was published while the user denied consent was taken back, and not sent.
    const path = `${Trace.paths.claims}/${claim.anonId}.json`
    const isTakenBack = trace.changes.some((change) =>
      change.method === "remove" && change.path === path && change.actor === claim.actor && change.t > claim.t
    )
    const problem = isTakenBack ? undefined : said(claim.anonId, claim.principal, "a claim")
    if (problem !== undefined) return problem
  }
  for (const { alias, distinctId } of wire) {
    const problem = alias === "" ? undefined : said(alias, distinctId, "an alias")
    if (problem !== undefined) return problem
  }
  const writes = trace.changes.filter((change) => change.path === Trace.paths.pointer && Trace.publishes(change))
  const pointerWrites = writes.map(({ actor, t }) => ({ actor, t, begun: Trace.begunAt(trace, actor, t) }))
  for (const change of writes) {
    const pointer = Trace.parse(change.text)
    const principal = Trace.textIn(pointer?.["linked_principal_id"])
    const anonId = Trace.textIn(pointer?.["anon_id"])
    // A tool that writes the text that it has read says nothing of its own.
    if (!Program.legal.has(principal) || trace.program.actors[change.actor]?._tag === "Rewrite") continue
    // Another tool cannot see a claim that was there before it, or was just being made. And a file that two write at once
    // says what the last one wrote.
    const link = linkOf(trace, change.actor)
    const isCrossed = link !== undefined &&
      (claims.some((claim) => claim.anonId === anonId && claim.begun <= change.t) ||
        pointerWrites.some(({ actor, begun, t }) => actor !== change.actor && begun <= change.t && t >= link.start))
    // Nothing on the disk tells of a link that another tool's unusable file replaced before a command read it. That file
    // leads to the same anon id again.
    const next = trace.changes.find(({ path, t }) => path === Trace.paths.pointer && t > change.t)
    const isLost = link !== undefined && next !== undefined && trace.program.actors[next.actor]?._tag === "Truncate"
    const problem = isCrossed || isLost ? undefined : said(anonId, principal, "the identity file")
    if (problem !== undefined) return problem
  }
  return undefined
}

/** 3. The alias of a claim comes before the first event under its principal that was recorded after the claim. */
const aliasFirst: Check = ({ claims, events, wire }) => {
  for (const { alias, principal, t } of claims) {
    if (alias === undefined) continue
    const sent = wire.findIndex((one) => one.uuid === alias.uuid)
    if (sent < 0) continue
    const later = new Set(
      events.filter((event) => event.since > t && event.distinctId === principal).map(({ uuid }) => uuid)
    )
    const early = wire.findIndex((one) => later.has(one.uuid))
    if (early >= 0 && early < sent) return `an event of ${principal} was sent before the alias of ${alias.alias}`
  }
  return undefined
}

/** Whether a principal was seen again after a logout began: then it is not the former one any more. */
const isBack = (trace: Trace.Trace, principal: string, since: number): boolean =>
  trace.ops.some(({ end = Infinity, op }) => {
    const secret = op?._tag === "Login" || op?._tag === "Store" ? op.secret : undefined
    const owner = op?._tag === "Link" ? op.principal : secret === undefined ? undefined : ownerOf(secret)
    return owner === principal && end > since
  }) ||
  // A command without a resolver cannot tell that its credential was removed before it began, when the API answers to it.
  trace.ops.some(({ actor, end = Infinity, op }) =>
    op?._tag === "Request" && command(trace, actor)?.resolver === "none" && end > since && began(trace, actor) > since
  ) ||
  trace.program.actors.some((actor, index) =>
    actor._tag === "Command" && actor.env !== undefined && ownerOf(actor.env) === principal &&
    ended(trace, index) > since
  )

/** Whether another stored its credential between a login's storing and its end: then the login saw the wrong one. */
const loginsCrossed = (trace: Trace.Trace): boolean =>
  trace.ops.some((login) =>
    login.op?._tag === "Login" &&
    trace.credentials.some(({ actor, t, until = t }) =>
      actor !== login.actor && until >= login.start && t <= (login.end ?? Infinity)
    )
  )

/**
 * Whether another stored a principal's credential while a command began without one, which then asked the API: its host may
 * have read what the first look at the credential did not see (ADR 0014).
 */
const readUnseen = (trace: Trace.Trace, principal: string): boolean =>
  trace.ops.some((begin) =>
    begin.name === "begin" && begin.stored === undefined &&
    trace.ops.some(({ actor, op }) => actor === begin.actor && op?._tag === "Request") &&
    trace.credentials.some(({ actor, secret, t }) =>
      actor !== begin.actor && ownerOf(secret) === principal && t >= begin.start && t <= (begin.end ?? Infinity)
    )
  )

/** 4. Nothing recorded after a logout carries the former principal, anon id or session. */
const nothingAfterLogout: Check = ({ claims, messages, trace }) => {
  // A command may record under a former principal that was observed without a credential, or with the wrong one.
  const isTold = Program.isHonest(trace.program) && !loginsCrossed(trace)
  for (const logout of trace.ops) {
    const { actor, start } = logout
    // A logout whose credential could not be read or removed is none.
    if (logout.op?._tag !== "Logout" || logout.hasFailed || trace.blind.has(actor)) continue
    const end = logout.end ?? Infinity
    const owner = claims.find((claim) => claim.anonId === logout.anonId && claim.t <= start)?.principal
    // What another tool stored since the command began, it need not know of.
    const isKnown = trace.credentials.every(({ actor: by, t }) => by === actor || t < began(trace, actor) || t > start)
    const hasResolver = command(trace, actor)?.resolver !== "none"
    const wasSignedIn = owner !== undefined || (logout.stored !== undefined && isKnown && hasResolver)
    if (!wasSignedIn) continue
    // The account that the command began with may have to take the device over first.
    const rotated = trace.changes.findLast((change) =>
      change.actor === actor && change.t > start && change.t <= end && Trace.publishes(change) &&
      Trace.uuid.test(Trace.succeeds(change)) &&
      !claims.some((claim) =>
        claim.actor === actor && claim.anonId === Trace.textIn(Trace.parse(change.text)?.["anon_id"])
      )
    )
    // Where nothing was rotated and the logout did not return, nothing is promised yet.
    const since = rotated?.t ?? end
    const earlier = messages.filter((one) => one.t <= start)
    const own = earlier.filter((one) => one.actor === actor)
    const formerPrincipals = new Set([
      ...owner === undefined ? [] : [owner],
      ...logout.stored === undefined ? [] : [ownerOf(logout.stored)],
      ...own.map(({ distinctId }) => distinctId)
    ].filter((id) => Program.legal.has(id) && !isBack(trace, id, start) && !readUnseen(trace, id)))
    const onDisk = trace.changes.some((change) =>
      change.t <= end && Trace.publishes(change) && change.path === `${Trace.paths.successors}/${logout.anonId}.json`
    )
    const later = messages.filter((one) =>
      (one.actor === actor && one.t > since) || (onDisk && began(trace, one.actor) > since)
    )
    const formerAnonIds = new Set(logout.anonId === undefined ? [] : [logout.anonId])
    const formerSessions = new Set(earlier.map(({ session }) => session))
    for (const one of later) {
      const who = `#${one.actor}, after #${actor} logged out,`
      if (isTold && formerPrincipals.has(one.distinctId)) {
        return `${who} recorded under the former principal: ${one.text}`
      }
      if (onDisk && (formerAnonIds.has(one.distinctId) || formerAnonIds.has(one.alias))) {
        return `${who} recorded under the former anon id: ${one.text}`
      }
      if (onDisk && formerSessions.has(one.session)) return `${who} recorded in the former session: ${one.text}`
    }
  }
  return undefined
}

/**
 * A logout, or a login to another account, counts for later commands too, if the disk refused its process no more than one
 * operation: a host reports it once, and without a resolver no later command finds out.
 */
const countsOnDisk: Check = ({ claims, trace }) => {
  // Without hard links, another process may be writing a successor. A process that outlives an opt-out changes nothing.
  if (!trace.program.hasLinks || trace.program.actors.some(({ _tag }) => _tag === "Disable")) return undefined
  for (const { actor, anonId, anonIdAtEnd, end, hasFailed, op, start } of trace.ops) {
    const found = command(trace, actor)
    if (end === undefined || hasFailed || found === undefined || (op?._tag !== "Logout" && op?._tag !== "Login")) {
      continue
    }
    if (isBeingWritten(trace, start, end)) continue
    const refused = trace.refused.filter((one) => one.actor === actor)
    if (refused.length > 1 || refused.some(({ method }) => method === "load")) continue
    const { ci, container, terminal } = Program.runtimes[found.runtime]
    const principal = op._tag === "Login" ? ownerOf(op.secret) : ""
    // A login of a runtime that may be gone tomorrow leaves the device as it is.
    if (op._tag === "Login" && (ci || container || !terminal || !Program.legal.has(principal))) continue
    const former = claims.find((claim) => claim.anonId === anonId && claim.t <= start)
    if (former === undefined || former.principal === principal || anonIdAtEnd !== anonId) continue
    return `the device is still that of ${former.principal} after ${op._tag.toLowerCase()} of #${actor}`
  }
  return undefined
}

/** What is recorded after `telemetry disable` does not lead back to what it deleted. */
const startsEmpty: Check = ({ messages, trace }) => {
  for (const disable of trace.ops) {
    const { actor, end } = disable
    if (disable.op?._tag !== "Disable" || end === undefined || trace.failed.has(actor)) continue
    const earlier = messages.filter((one) => one.t <= disable.start)
    const anonIds = new Set(
      [...earlier.map(({ distinctId }) => distinctId), disable.anonId].filter((id) => Trace.uuid.test(id ?? ""))
    )
    const sessions = new Set(earlier.map(({ session }) => session))
    // Another tool may write back what it had read before.
    const isWrittenBack = trace.ops.some(({ op, start, ...link }) =>
      op?._tag === "Link" && start <= end && (link.end ?? Infinity) >= disable.start
    )
    if (isWrittenBack) continue
    for (const one of messages) {
      const op = trace.ops.findLast((op) => op.actor === one.actor && op.start <= one.t)
      if (op === undefined || op.start <= end) continue
      const who = `#${one.actor}, after #${actor} disabled telemetry,`
      // A command of an unknown account has an id of its own.
      const isOwn = one.distinctId === one.invocation
      if (!isOwn && (anonIds.has(one.distinctId) || anonIds.has(one.alias))) {
        return `${who} recorded under the deleted anon id: ${one.text}`
      }
      if (sessions.has(one.session)) return `${who} recorded in the deleted session: ${one.text}`
    }
  }
  return undefined
}

/** 5. With consent denied nothing is kept, but by a process that was killed, or by another tool. */
const deniedKeepsNothing: Check = ({ trace }) => {
  const { changes, disk, failed, ops, program } = trace
  const disable = ops.findLast(({ op }) => op?._tag === "Disable" || op?._tag === "Enable")
  if (disable?.op?._tag !== "Disable" || disable.end === undefined || failed.has(disable.actor)) return undefined
  if (ops.some(({ end = Infinity, op }) => op?._tag === "Enable" && end > disable.start)) return undefined
  for (const [path, text] of disk.entries()) {
    const isKept = text !== undefined && path !== Trace.paths.optOut && path !== Trace.paths.stored &&
      !Trace.isIn(Trace.paths.temp, path)
    if (!isKept) continue
    const last = changes.findLast((change) => change.path === path)?.actor ?? -1
    const isExcused = failed.has(last) || ops.some(({ actor, end }) => actor === last && end === undefined) ||
      program.actors[last]?._tag === "Link" || program.actors[last]?._tag === "Replace"
    if (!isExcused) return `#${last} left ${path} after #${disable.actor} disabled telemetry`
  }
  return undefined
}

/** 7. An ephemeral runtime never claims and makes no identity file. */
const ephemeralKeepsNothing: Check = ({ claims, trace }) => {
  for (const [actor, found] of trace.program.actors.entries()) {
    if (found._tag !== "Command") continue
    const runtime = Program.runtimes[found.runtime]
    const claim = claims.find((one) => one.actor === actor)
    const made = trace.changes.find((change) =>
      change.actor === actor && change.path === Trace.paths.pointer &&
      (change.method === "link" || change.method === "create")
    )
    if (runtime.ci || (runtime.container && !runtime.terminal)) {
      if (claim !== undefined) return `#${actor} claimed ${claim.anonId}`
      if (made !== undefined) return `#${actor} made an identity file`
    }
    if (!runtime.terminal && made !== undefined && claim !== undefined && claim.t > made.t && !claim.isAdopted) {
      return `#${actor} claimed ${claim.anonId} on its first run without a terminal`
    }
  }
  return undefined
}

/** 9. Each message has a uuid, a timestamp, its command's invocation id, and a sequence that rises by one from 0. */
const wellFormed: Check = ({ messages, trace, wire }) => {
  const uuids = new Set<string>()
  for (const one of messages) {
    if (!Trace.uuid.test(one.uuid) || uuids.has(one.uuid)) return `the uuid of a message is not its own: ${one.text}`
    uuids.add(one.uuid)
    if (Number.isNaN(Date.parse(one.timestamp))) return `a message has no time: ${one.text}`
    if (one.invocation !== trace.invocations.get(one.actor)) return `a message is of no command: ${one.text}`
  }
  for (const [actor, invocation] of trace.invocations) {
    const own = messages.filter((one) => one.invocation === invocation)
    // What was taken back, because the user denied consent meanwhile, used up no number.
    const isKept = (one: Trace.Recorded) =>
      !trace.changes.some((change) =>
        change.method === "remove" && change.path === one.path && change.t > one.t && change.actor === actor
      )
    const isWrong = (all: ReadonlyArray<Trace.Recorded>) => all.some(({ sequence }, index) => sequence !== index)
    if (isWrong(own) && isWrong(own.filter(isKept))) {
      return `#${actor} numbered its messages ${own.map(({ sequence }) => sequence).join(", ")}`
    }
  }
  const texts = new Map(messages.map((one) => [one.uuid, one.text]))
  const changed = wire.find((one) => texts.get(one.uuid) !== one.text)
  return changed === undefined ? undefined : `a message was not sent as it was recorded: ${changed.text}`
}

/** Whether a command was killed where its events are held in memory until the API has named the principal. */
const mayHaveHeld = (trace: Trace.Trace, actor: number): boolean => {
  const found = command(trace, actor)
  if (found === undefined || ended(trace, actor) < Infinity) return false
  const { ci, container, terminal } = Program.runtimes[found.runtime]
  const isFirstRun = trace.ops.some((op) => op.actor === actor && op.name === "begin" && op.anonId === undefined)
  return ci || (!terminal && (container || isFirstRun))
}

/** 6. Each file is whole, and what was recorded is there, or was delivered. */
const wholeAndKept: Check = ({ events, trace }) => {
  const { disk, program } = trace
  const isTorn = !program.hasLinks && program.faults.length > 0
  for (const [path, text] of disk.entries()) {
    if (text === undefined || Trace.isIn(Trace.paths.temp, path) || isTorn) continue
    if (path === Trace.paths.pointer) {
      if (text === Trace.before.unusable) continue
      if (isBeingWritten(trace, Infinity, Infinity)) continue
      if (!Trace.uuid.test(Trace.textIn(Trace.parse(text)?.["anon_id"]))) {
        return `the identity file is not whole: ${text}`
      }
    } else if (path.endsWith(".json") && Trace.parse(text) === undefined) return `${path} is not whole: ${text}`
  }
  if (program.actors.some(({ _tag }) => _tag === "Disable")) return undefined
  // A command whose device's id is gone records nothing more: the user or a logout on a full disk deleted it, a
  // half-written file made it unusable, or it was rotated and what came after it is pruned.
  const mayBeGone = !program.hasLinks ||
    trace.changes.some(({ method, path }) => method === "remove" && path === Trace.paths.pointer) ||
    program.actors.some((actor) => actor._tag === "Delete" || (actor._tag === "Wait" && actor.minutes >= 90 * 24 * 60))
  for (const [actor, count] of trace.captured) {
    if (trace.failed.has(actor) || mayBeGone || mayHaveHeld(trace, actor)) continue
    const invocation = trace.invocations.get(actor)
    const kept = new Set(events.filter((one) => one.invocation === invocation).map((one) => one.uuid)).size
    if (kept < count) return `#${actor} captured ${count} events, of which ${kept} were kept`
  }
  // Older than seven days is beyond the outbox's bounds.
  if (program.actors.some((actor) => actor._tag === "Wait" && actor.minutes >= 7 * 24 * 60)) return undefined
  const sent = new Set(trace.wire.map(({ text }) => Trace.textIn(Trace.parse(text)?.["uuid"])))
  const lost = events.find((one) => !sent.has(one.uuid) && !Trace.isOn(disk, one.path))
  return lost === undefined ? undefined : `an event was lost: ${lost.text}`
}

const over = (next: { readonly t: number; readonly until?: number } | undefined): number =>
  next === undefined ? Infinity : next.until ?? next.t

/** Whether a command had a principal's credential at hand, or logged in as it, at some time before `t`. */
const hadCredentialOf = (trace: Trace.Trace, actor: number, principal: string, t: number): boolean => {
  const env = command(trace, actor)?.env
  if (env !== undefined && ownerOf(env) === principal) return true
  const start = began(trace, actor)
  const isOwn = trace.ops.some((op) =>
    op.actor === actor && op.op?._tag === "Login" && op.start <= t && ownerOf(op.op.secret) === principal
  )
  const isStored = trace.credentials.some(({ secret, t: since }, index) =>
    secret !== undefined && ownerOf(secret) === principal && since <= t &&
    over(trace.credentials[index + 1]) > start
  )
  return isOwn || isStored
}

/** Whether another tool linked the device to a principal before `t`. */
const wasLinkedTo = (trace: Trace.Trace, principal: string, t: number): boolean =>
  (trace.program.initial === "linked" && principal === Trace.before.linked) ||
  trace.ops.some(({ op, start }) => op?._tag === "Link" && op.principal === principal && start <= t)

/** Whether a command had no credential at hand at some time before `t`. */
const hadNone = (trace: Trace.Trace, actor: number, t: number): boolean => {
  // A host without a resolver never says that it has one.
  if (command(trace, actor)?.resolver === "none") return true
  if (command(trace, actor)?.env !== undefined) return false
  // What the disk did not let it read is none.
  if (trace.blind.has(actor)) return true
  const start = began(trace, actor)
  const history = [{ t: -1, secret: undefined }, ...trace.credentials]
  return history.some(({ secret, t: since }, index) =>
    secret === undefined && since <= t && over(history[index + 1]) > start
  )
}

/**
 * No account is taken for another: an event under a principal comes from a command that had its credential, or from one
 * without a credential on the principal's device; and a claim is made by a command that had the principal's credential.
 */
const noOtherAccount: Check = ({ claims, events, trace }) => {
  if (!Program.isHonest(trace.program) || loginsCrossed(trace)) return undefined
  for (const event of events) {
    const { actor, distinctId, t } = event
    if (!Program.legal.has(distinctId) || hadCredentialOf(trace, actor, distinctId, t)) continue
    const isTheirs = claims.some((claim) => claim.principal === distinctId && claim.since <= t) ||
      wasLinkedTo(trace, distinctId, t)
    if (!isTheirs || !hadNone(trace, actor, t)) return `#${actor} recorded under another account: ${event.text}`
  }
  for (const { actor, anonId, isAdopted, principal, t } of claims) {
    if (!(isAdopted && wasLinkedTo(trace, principal, t)) && !hadCredentialOf(trace, actor, principal, t)) {
      return `#${actor} claimed ${anonId} for ${principal}, whose credential it never had`
    }
  }
  return undefined
}

/** The anon id of a claim is the principal's: no command that began after the claim records under it. */
const claimedIsOver: Check = ({ claims, events, trace }) => {
  // What an opt-out deleted, or what is pruned after 90 days, is no claim any more.
  if (trace.program.actors.some(({ _tag }) => _tag === "Disable" || _tag === "Wait")) return undefined
  const event = events.find(({ actor, distinctId }) =>
    claims.some(({ anonId, t }) => anonId === distinctId && t < began(trace, actor))
  )
  return event === undefined ? undefined : `#${event.actor} recorded under a claimed anon id: ${event.text}`
}

/** What is known of a credential is true. */
const knownRightly: Check = ({ trace }) => {
  if (!Program.isHonest(trace.program) || loginsCrossed(trace)) return undefined
  for (const [secret, principal] of Trace.knownOn(trace)) {
    if (secret === "?") return "a credential is known that does not exist"
    if (principal !== null && principal !== ownerOf(secret)) {
      return `${secret} is taken for a credential of ${principal}`
    }
  }
  return undefined
}

/** A file that is replaced or written in place during a read is not taken for an unusable one, which would be a new device. */
const staysTheDevice: Check = ({ trace }) => {
  const { program } = trace
  if (program.initial === "unusable" || !program.hasLinks) return undefined
  // A file that was left incomplete is unusable later.
  const has = (tag: Program.Actor["_tag"]) => program.actors.some(({ _tag }) => _tag === tag)
  if (has("Truncate") || (has("Rewrite") && has("Wait"))) return undefined
  const made = trace.changes.find((change) => {
    const key = Trace.succeeds(change)
    return key !== "" && !Trace.uuid.test(key)
  })
  return made === undefined ? undefined : `#${made.actor} found something unusable, and made a new device of it`
}

const checks: ReadonlyArray<readonly [name: string, check: Check]> = [
  ["1 aliased once", aliasedOnce],
  ["2 one principal", onePrincipal],
  ["3 alias first", aliasFirst],
  ["4 after logout", nothingAfterLogout],
  ["counts on disk", countsOnDisk],
  ["starts empty", startsEmpty],
  ["5 denied", deniedKeepsNothing],
  ["6 whole and kept", wholeAndKept],
  ["7 ephemeral", ephemeralKeepsNothing],
  ["9 well-formed", wellFormed],
  ["stays the device", staysTheDevice],
  ["no other account", noOtherAccount],
  ["claimed is over", claimedIsOver],
  ["known rightly", knownRightly]
]

/** A broken rule. */
export interface Violation {
  readonly rule: string
  readonly detail: string
}

/** The first rule that a trace breaks. */
export const check = (facts: Trace.Facts): Violation | undefined => {
  const [problem] = facts.trace.problems
  if (problem !== undefined) return { rule: "the machine", detail: problem }
  for (const [rule, check] of checks) {
    const detail = check(facts)
    if (detail !== undefined) return { rule, detail }
  }
  return undefined
}
