/**
 * Runs a program on the real layers, one step at a time, and writes down what happened.
 */
import * as Effect from "effect/Effect"
import * as Cold from "../../src/layers/Cold.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import type { Disk, Errno } from "../../src/services/Disk.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { watched } from "../fixtures/WatchedDisk.ts"
import { Actor, Killed, type Step, type Verdict } from "./Actor.ts"
import * as Host from "./Host.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"
import * as Trace from "./Trace.ts"
import type * as Twin from "./Twin.ts"

// == the machine

/** When every program starts. */
export const start = Date.UTC(2025, 5, 1)

/** Called after each turn that ended an operation. */
export type OnTurn = (
  turn: { readonly op: Trace.Done; readonly slot: string | undefined; readonly trace: Trace.Trace }
) => void

const changing: ReadonlySet<string> = new Set(["create", "link", "rename", "remove", "makeFolder", "removeFolder"])
const opening: ReadonlySet<string> = new Set(["read", "list", "create"])

/** Whether a disk in this state refuses an operation at all. */
const refuses = (errno: Errno, { method }: Step): boolean => {
  // What is removed needs no room.
  if (errno === "ENOSPC") return changing.has(method) && !method.startsWith("remove")
  if (errno === "EROFS") return changing.has(method)
  return errno !== "EMFILE" || opening.has(method)
}

// The policy file and the look at the Trace.home itself are no part of what random programs try.
const isAside = ({ method, path }: Step): boolean =>
  path.startsWith("/etc/") || (method === "look" && (path === Trace.home || path === Trace.paths.usage))

/** Whether a broken disk refuses a step: of a host's own step only a random program's fault makes a failure. */
const isRefused = ({ fault: { kind, on }, first }: NonNullable<Process["broken"]>, step: Step, isOfDisk: boolean) => {
  if (on === undefined) return refuses(kind, step)
  return isOfDisk && (on === "any" || (on === "path" ? step.path === first.path : step.method === first.method))
}

/** A step at which the host waits, or its API. */
export const ofHost = (method: string): Step => ({ method, path: Trace.paths.stored })

interface Process {
  readonly index: number
  readonly what: Program.Actor
  readonly actor: Actor
  steps: number
  broken: { readonly fault: Program.Fault & { readonly kind: Errno }; readonly first: Step; left: number } | undefined
  op: Trace.Done | undefined
  slot: () => string | undefined
}

const maxSteps = 20_000

class Machine {
  readonly trace: Trace.Trace
  private readonly program: Program.Program
  private readonly random: Random.Random
  private readonly disk: MemoryDisk.MemoryDisk
  private readonly processes: ReadonlyArray<Process>
  private readonly onTurn: OnTurn
  private readonly twins: Twin.Follow | undefined
  private readonly turns: Array<number>
  private readonly switches: Array<Program.Switch>
  private readonly faults: Array<Program.Fault>
  private readonly time = { now: start }
  private t = 0
  private running = -1
  /** How often a turn was interrupted, or a step went wrong. */
  private disturbances = 0
  private isQuiet = true
  private readonly triesAll: boolean
  private readonly texts = new Map<string, Array<string>>()

  constructor(program: Program.Program, onTurn: OnTurn, twins: Twin.Follow | undefined) {
    this.program = program
    this.onTurn = onTurn
    this.twins = twins
    this.random = Random.make(program.seed + 1)
    this.turns = [...program.turns]
    this.switches = [...program.switches]
    this.faults = [...program.faults]
    this.triesAll = program.faults.some(({ on }) => on !== undefined)
    this.disk = watched(MemoryDisk.make({ now: () => this.time.now }), {
      hasLinks: program.hasLinks,
      onChange: (change) => {
        if (this.isQuiet) return
        this.trace.changes.push({ ...change, since: this.t, t: this.t, actor: this.running })
        this.texts.set(change.path, [...this.texts.get(change.path) ?? [], change.text])
      },
      onLost: () => {
        this.trace.races += 1
      }
    })
    this.trace = new Trace.Trace(program, this.disk)
    if (program.special !== "no home") this.disk.makeFolder(Trace.home)
    for (const folder of ["/etc", "/etc/acme"]) this.disk.makeFolder(folder)
    // The files are old: a new one may be unfinished.
    this.time.now -= 60_000
    const pointer = Trace.initialPointer[program.initial]
    if (pointer !== undefined) this.disk.create(Trace.paths.pointer, pointer)
    if (program.special === "former format") this.disk.create(Trace.paths.former, Trace.before.former)
    this.time.now += 60_000
    this.isQuiet = false
    this.processes = program.actors.map((what, index) => this.process(what, index))
  }

  private process(what: Program.Actor, index: number): Process {
    const actor = new Actor({
      time: this.time,
      onWait: (step) => this.step(process, step, false),
      onOutput: (text) => this.output(process, text),
      onProblem: (problem) => this.trace.problems.push(`#${index} ${problem}`),
      isAnswered: what._tag === "Command" && what.api !== "hangs"
    })
    const process: Process = { index, what, actor, steps: 0, broken: undefined, op: undefined, slot: () => undefined }
    const effect = what._tag === "Command" ? this.command(process, what) : this.outside(process, what)
    actor.begin(Effect.ensuring(effect, Effect.sync(() => this.endOp(process))))
    return process
  }

  // == steps

  /** Takes what is due at this step of a process. */
  private due<A extends { readonly actor: number; readonly step: number }>(all: Array<A>, process: Process) {
    const at = all.findIndex(({ actor, step }) => actor === process.index && step <= process.steps)
    return at < 0 ? undefined : all.splice(at, 1)[0]
  }

  private verdict(process: Process, step: Step, isOfDisk: boolean): Errno | undefined {
    const { broken, index: actor } = process
    if (broken === undefined) return undefined
    broken.left -= 1
    if (broken.left <= 0) process.broken = undefined
    if (!isRefused(broken, step, isOfDisk)) return undefined
    this.trace.failed.add(actor)
    this.trace.refused.push({ actor, ...step })
    return broken.fault.kind
  }

  /** What happens just before a step: others may have a turn, the process may be killed, or the step be refused. */
  private step(process: Process, step: Step, isOfDisk: boolean): Verdict {
    const { actor } = process
    const fault = this.due(this.faults, process)
    const over = this.due(this.switches, process)
    process.steps += 1
    this.trace.steps += 1
    if (this.trace.steps > maxSteps) {
      this.trace.problems.push("the program does not end")
      for (const { actor } of this.processes) actor.kill()
    }
    if (fault !== undefined) this.trace.faults += 1
    if (fault !== undefined || over !== undefined || process.broken !== undefined) this.disturbances += 1
    if (fault?.kind === "kill") actor.kill()
    else if (fault?.kind === "suspend") {
      actor.isSuspended = true
      for (let left = fault.lasts; left > 0 && this.runNext(); left -= 1);
      actor.isSuspended = false
    } else if (fault !== undefined) {
      process.broken = { fault: { ...fault, kind: fault.kind }, first: step, left: fault.lasts }
    }
    const to = over === undefined ? undefined : this.processes[over.to]
    if (to !== undefined && to !== process && to.actor.isFree && !actor.isKilled) this.turn(to)
    this.t += 1
    this.running = process.index
    const isPassedOver = to === process
    // Another fiber's step is made instead, and the disk refuses the next one.
    return { errno: isPassedOver ? undefined : this.verdict(process, step, isOfDisk), isPassedOver }
  }

  private diskOf(process: Process): Disk {
    const { actor } = process
    // The steps within an operation: a process that is killed in one does nothing more.
    const at = (step: Step): Errno | undefined => {
      if (actor.isKilled) throw new Killed()
      if (isAside(step) && !this.triesAll) return undefined
      const { errno } = this.step(process, step, true)
      if (actor.isKilled) throw new Killed()
      return errno
    }
    const disk = FaultyDisk.interposed(({ operation, path }) => at({ method: operation, path }), this.disk)
    if (this.program.hasLinks) return disk
    // Without links, what others can see is written in two steps; a refused write leaves no file.
    const create = (path: string, text: string): Errno | undefined => {
      if (path.startsWith(Trace.paths.temp)) return disk.create(path, text)
      const code = at({ method: "create", path }) ??
        this.quietly(() => this.disk.create(path, text.slice(0, text.length / 2)))
      if (code !== undefined) return code
      const refused = at({ method: "create", path })
      this.quietly(() => this.disk.remove(path))
      return refused ?? this.disk.create(path, text)
    }
    return { ...disk, create }
  }

  private quietly<A>(change: () => A): A {
    this.isQuiet = true
    try {
      return change()
    } finally {
      this.isQuiet = false
    }
  }

  // == what actors do

  private hostOf(process: Process, runtime: Program.RuntimeName): Host.Machine {
    return { home: Trace.home, disk: this.diskOf(process), uuid: this.random.uuid, runtime: Program.runtimes[runtime] }
  }

  private beginOp(process: Process, name: string, op: Trace.Done["op"]): void {
    process.op = {
      actor: process.index,
      name,
      op,
      start: this.t,
      anonId: Trace.anonIdOn((path) => Trace.textOn(this.disk, path)),
      stored: Trace.textOn(this.disk, Trace.paths.stored),
      hasFailed: false,
      end: undefined
    }
    this.trace.ops.push(process.op)
  }

  private endOp({ actor, op }: Process): void {
    if (op === undefined || actor.state !== "alive" || op.end !== undefined) return
    op.end = this.t
    op.anonIdAtEnd = Trace.anonIdOn((path) => Trace.textOn(this.disk, path))
  }

  private output({ index, what }: Process, text: string): void {
    if (what._tag !== "Telemetry") this.trace.problems.push(`#${index} wrote to stdout: ${text}`)
    else if (Trace.parse(text) === undefined) this.trace.problems.push(`#${index} printed what is no JSON: ${text}`)
  }

  /** What is sent goes on the wire. */
  private readonly send = (actor: Actor) => (messages: ReadonlyArray<unknown>): Effect.Effect<void> =>
    Effect.map(actor.ask(ofHost("request")), () => {
      for (const message of messages) this.trace.wire.push({ t: this.t, text: JSON.stringify(message) })
    })

  private write(process: Process, path: string, text: string | undefined): void {
    this.running = process.index
    if (Trace.isOn(this.disk, path)) this.quietly(() => this.disk.remove(path))
    if (text !== undefined) this.disk.create(path, text)
  }

  private setStored(process: Process, secret: string | undefined): void {
    this.write(process, Trace.paths.stored, secret)
    this.trace.credentials.push({ t: this.t, actor: process.index, secret })
  }

  private command(process: Process, command: Program.Command): Effect.Effect<void> {
    const { actor, index } = process
    const { trace } = this
    const host = <A>(method: string, evaluate: () => A): Effect.Effect<A, "failed"> =>
      Effect.flatMap(actor.ask(ofHost(method)), (errno) => {
        if (errno === undefined) return Effect.sync(evaluate)
        if (process.op !== undefined) process.op.hasFailed = true
        return Effect.fail("failed" as const)
      })
    // A process that was killed reports nothing more.
    const unlessKilled = (report: () => void) => () => actor.isKilled ? undefined : report()
    const program = Host.command(command, this.hostOf(process, command.runtime), {
      stored: Trace.paths.stored,
      variables: () => ({}),
      cold: Effect.suspend(() => {
        if (!trace.whole.has(index)) trace.whole.set(index, this.t)
        return actor.ask(ofHost("load"))
      }).pipe(Effect.flatMap((errno) => errno === undefined ? Effect.succeed(Cold) : Effect.die(errno))),
      read: host("read", () => Trace.textOn(this.disk, Trace.paths.stored)),
      store: (secret) => host("store", () => this.setStored(process, secret)),
      remove: host("remove", () => this.setStored(process, undefined)),
      response: Effect.asVoid(actor.ask(ofHost("response"))),
      answer: actor.answer,
      answers: Effect.sync(() => void actor.answerOne()),
      boundary: (name, op) =>
        Effect.sync(() => this.endOp(process)).pipe(
          Effect.andThen(actor.next),
          Effect.andThen(Effect.sync(() => this.beginOp(process, name, op)))
        ),
      onBegin: (invocationId, slot) => {
        trace.invocations.set(index, invocationId)
        process.slot = slot
      },
      onCaptured: unlessKilled(() => void trace.captured.set(index, (trace.captured.get(index) ?? 0) + 1)),
      onBlind: unlessKilled(() => void trace.blind.add(index))
    })
    // Only what the host could not do itself fails a command, and a kill ends it.
    const hasFailed = () => actor.isKilled || trace.ops.some((op) => op.actor === index && op.hasFailed)
    return Effect.sync(() => this.beginOp(process, "begin", undefined)).pipe(
      Effect.andThen(Effect.scoped(program)),
      Effect.tapCause((cause) =>
        Effect.sync(() => hasFailed() ? undefined : trace.problems.push(`#${index} ended with ${String(cause)}`))
      ),
      Effect.ignore
    )
  }

  private outside(process: Process, outside: Program.Outside): Effect.Effect<void> {
    const { actor } = process
    const machine = this.hostOf(process, "terminal")
    const act = (): Effect.Effect<unknown> | void => {
      switch (outside._tag) {
        case "Store":
          return this.setStored(process, outside.secret)
        case "Lose":
          return this.setStored(process, undefined)
        case "Wait":
          return void (this.time.now += outside.minutes * 60_000)
        case "Delete":
          this.running = process.index
          return void this.disk.remove(Trace.paths.pointer)
        case "Link":
        case "Replace": {
          const text = Trace.otherTool(outside, Trace.textOn(this.disk, Trace.paths.pointer), this.random.uuid)
          if (text === undefined) return
          return Effect.map(actor.ask(ofHost("tool")), () => this.write(process, Trace.paths.pointer, text))
        }
        case "Truncate":
          if (!Trace.isOn(this.disk, Trace.paths.pointer)) return
          this.time.now -= 60_000
          this.write(process, Trace.paths.pointer, Trace.before.unusable)
          this.time.now += 60_000
          return
        case "Rewrite": {
          const text = Trace.textOn(this.disk, Trace.paths.pointer)
          if (text === undefined || Trace.parse(text) === undefined) return
          const unfinished = outside.isEmpty ? "" : text.slice(0, text.length / 2)
          this.write(process, Trace.paths.pointer, unfinished)
          // If another process has replaced the file, then the tool writes to a file that has no name.
          return Effect.map(actor.ask(ofHost("tool")), () => {
            const isSame = Trace.textOn(this.disk, Trace.paths.pointer) === unfinished
            if (isSame) this.write(process, Trace.paths.pointer, text)
          })
        }
        case "Tamper":
          return this.tamper(process, outside)
        case "Disable":
        case "Enable":
          return Host.optOut(machine, outside._tag === "Disable")
        case "Drain":
          return Host.drain(machine, {
            taken: outside.taken,
            isDenied: () => Trace.isOn(this.disk, Trace.paths.optOut),
            send: this.send(actor)
          })
        case "Work":
          return Host.work(machine, this.send(actor))
        case "Telemetry":
          return Host.telemetry(machine, outside.what, this.send(actor))
      }
    }
    return Effect.suspend(() => {
      this.beginOp(process, outside._tag, outside)
      return Effect.asVoid(act() ?? Effect.void)
    })
  }

  private tamper(process: Process, { how, which }: Program.Outside & { readonly _tag: "Tamper" }): void {
    if (how === "policy") {
      return this.write(process, Trace.paths.policy, Trace.isOn(this.disk, Trace.paths.policy) ? undefined : "{}")
    }
    const files = [...this.disk.entries()].filter(([path, text]) => text !== undefined && path.startsWith(Trace.home))
    const [path, text = ""] = files[which % files.length] ?? []
    if (path === undefined) return
    const olds = this.texts.get(path) ?? []
    if (how === "restore") this.write(process, path, olds[which % olds.length])
    else this.write(process, path, how === "halve" ? text.slice(0, text.length / 2) : undefined)
    if (how === "folder") this.disk.makeFolder(path)
  }

  // == turns

  /** Runs the turn that is planned next; returns whether an actor could run. */
  private runNext(): boolean {
    let planned = this.turns.shift()
    let next = planned === undefined ? undefined : this.processes[planned]
    while (planned !== undefined && next?.actor.isFree !== true) {
      planned = this.turns.shift()
      next = planned === undefined ? undefined : this.processes[planned]
    }
    next ??= this.processes.find(({ actor }) => actor.isFree)
    if (next === undefined) return false
    this.turn(next)
    return true
  }

  private turn(process: Process): void {
    const { index, what } = process
    const before = process.op
    const { disturbances } = this
    const follow = this.twins?.({ index, what, disk: this.disk, now: this.time.now, trace: this.trace })
    this.t += 1
    process.actor.turn()
    follow?.(this.time.now, this.disturbances > disturbances)
    const { op } = process
    if (op !== undefined && op !== before) this.onTurn({ op, slot: process.slot(), trace: this.trace })
  }

  run(): Trace.Trace {
    while (this.runNext());
    // What is still in outbox and claims goes on the wire, without a fault.
    this.turn(this.process({ _tag: "Drain", taken: true }, this.processes.length))
    return this.trace
  }
}

/** Runs a program. */
export const run = (program: Program.Program, onTurn: OnTurn = () => {}, twins?: Twin.Follow): Trace.Trace =>
  new Machine(program, onTurn, twins).run()
