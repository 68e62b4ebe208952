/**
 * Runs a program on the real layers, one step at a time, and writes down what happened.
 */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as EffectRandom from "effect/Random"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import * as Disk from "./Disk.ts"
import * as Host from "./Host.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"

// == what is written down

/** A change of the disk by an actor: others may have seen it from `since` on, and see it from `t` on. */
export interface Change extends Disk.Change {
  readonly since: number
  readonly t: number
  readonly actor: number
}

/** A message as somebody sent it. */
export interface Sent {
  readonly t: number
  readonly text: string
}

/** An operation of an actor; it has no end where the actor was killed in it. */
export interface Done {
  readonly actor: number
  readonly name: string
  readonly op: Program.Op | Program.Outside | undefined
  readonly start: number
  /** The anon id that the disk led to when it began. */
  readonly anonId: string | undefined
  readonly stored: string | undefined
  /** Whether the host could not do its own part of it. */
  hasFailed: boolean
  end: number | undefined
}

export interface Trace {
  readonly program: Program.Program
  readonly changes: Array<Change>
  readonly wire: Array<Sent>
  readonly ops: Array<Done>
  /** The captures that returned, by actor. */
  readonly captured: Map<number, number>
  readonly killed: Set<number>
  /** Actors that the disk failed. */
  readonly failed: Set<number>
  /** Commands that could not read the credential that was there. */
  readonly blind: Set<number>
  readonly invocations: Map<number, string>
  /** The stored credential, whenever it changed. */
  readonly credentials: Array<{
    readonly t: number
    /** When it was over, where that is not the same moment. */
    readonly until?: number
    readonly actor: number
    readonly secret: string | undefined
  }>
  readonly disk: Disk.Disk
  steps: number
  faults: number
  /** How often a file that can be made only once was there already. */
  races: number
  /** What should not happen to the machine itself. */
  readonly problems: Array<string>
}

// == the device

export const home = "/home"
export const paths = {
  pointer: `${home}/usage.json`,
  usage: `${home}/usage`,
  claims: `${home}/usage/claims`,
  successors: `${home}/usage/successors`,
  credentials: `${home}/usage/credentials.json`,
  session: `${home}/usage/session.json`,
  optOut: `${home}/usage/opt-out`,
  events: `${home}/usage/outbox/destination/events`,
  /** Where the host keeps its user's key. */
  stored: `${home}/credentials.yaml`
}

/** What an identity file says that another tool wrote, and the ids in it. */
export const before = {
  anonId: "00000000-0000-4000-8000-000000000000",
  unusable: "{ \"anon_id\": ",
  linked: "acct_a",
  illegal: "undefined"
}

const pointerText = (linked: string | null) =>
  JSON.stringify({ anon_id: before.anonId, linked_principal_id: linked }, null, 2)

const initialPointer: Record<Program.Initial, string | undefined> = {
  empty: undefined,
  identity: pointerText(null),
  unusable: before.unusable,
  linked: pointerText(before.linked),
  "linked illegally": pointerText(before.illegal)
}

const field = (text: string | undefined, name: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(text ?? "")
    if (typeof value !== "object" || value === null) return undefined
    const found: unknown = Reflect.get(value, name)
    return typeof found === "string" ? found : undefined
  } catch {
    return undefined
  }
}

/** The anon id that a disk leads to, read as §4.1 says. */
export const anonIdOn = (disk: { readonly text: (path: string) => string | undefined }): string | undefined => {
  let anonId = field(disk.text(paths.pointer), "anon_id")
  const seen = new Set<string>()
  while (anonId !== undefined && !seen.has(anonId)) {
    seen.add(anonId)
    const next: string | undefined = field(disk.text(`${paths.successors}/${anonId}.json`), "anon_id")
    if (next === undefined) return anonId
    anonId = next
  }
  return anonId
}

// == the processes

interface Parked {
  readonly fiber: number
  readonly step: Disk.Step
  readonly resume: (errno: Disk.Errno | undefined) => void
}

interface Sleeper {
  readonly at: number
  readonly resume: () => void
}

interface Runner {
  readonly index: number
  readonly actor: Program.Actor
  state: "alive" | "done" | "killed"
  suspended: boolean
  /** Goes on with the next operation. */
  boundary: (() => void) | undefined
  parked: Array<Parked>
  /** Questions that the API has not answered. */
  network: Array<() => void>
  sleepers: Array<Sleeper>
  steps: number
  lastFiber: number
  broken: { readonly errno: Disk.Errno; left: number } | undefined
  memory: () => Host.Memory
}

/** When every program starts. */
export const start = Date.UTC(2025, 5, 1)

/** Called after each turn that ended an operation, or in which an actor came to its end. */
export type OnTurn = (turn: { readonly op: Done; readonly memory: Host.Memory; readonly trace: Trace }) => void

// The step at which the host's own work and the API's answers stop.
const hostStep = (method: string): Disk.Step => ({ method, path: paths.stored, changes: false })

class Machine {
  readonly trace: Trace
  private readonly program: Program.Program
  private readonly random: Random.Random
  private readonly runners: ReadonlyArray<Runner>
  private readonly tasks: Array<() => void> = []
  private readonly scheduler: Scheduler
  private readonly onTurn: OnTurn
  private readonly switches: Array<Program.Switch>
  private readonly faults: Array<Program.Fault>
  private t = 0
  private now = start
  private running = -1
  private current: Done | undefined

  constructor(program: Program.Program, onTurn: OnTurn) {
    this.program = program
    this.onTurn = onTurn
    this.random = Random.make(program.seed + 1)
    this.switches = [...program.switches]
    this.faults = [...program.faults]
    const dispatcher: SchedulerDispatcher = {
      scheduleTask: (task) => void this.tasks.push(task),
      flush: () => this.settle()
    }
    this.scheduler = { executionMode: "sync", shouldYield: () => false, makeDispatcher: () => dispatcher }
    const disk = new Disk.Disk({
      hasLinks: program.hasLinks,
      now: () => this.now,
      onChange: (change) => void this.trace.changes.push({ ...change, since: this.t, t: this.t, actor: this.running }),
      onLost: () => {
        this.trace.races += 1
      }
    })
    this.trace = {
      program,
      changes: [],
      wire: [],
      ops: [],
      captured: new Map(),
      killed: new Set(),
      failed: new Set(),
      blind: new Set(),
      invocations: new Map(),
      credentials: [],
      disk,
      steps: 0,
      faults: 0,
      races: 0,
      problems: []
    }
    disk.makeDirectory(home, false)
    const pointer = initialPointer[program.initial]
    if (pointer !== undefined) {
      disk.write(paths.pointer, disk.create(paths.pointer, true), new TextEncoder().encode(pointer))
    }
    this.runners = program.actors.map((actor, index) => this.runner(actor, index))
  }

  // == one actor

  private runner(actor: Program.Actor, index: number): Runner {
    const runner: Runner = {
      index,
      actor,
      state: "alive",
      suspended: false,
      boundary: undefined,
      parked: [],
      network: [],
      sleepers: [],
      steps: 0,
      lastFiber: -1,
      broken: undefined,
      memory: () => ({ slot: undefined, identity: undefined })
    }
    const effect = actor._tag === "Command" ? this.command(runner, actor) : this.outside(runner, actor)
    const alone = effect.pipe(
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          this.trace.problems.push(`#${index} failed: ${String(cause)}`)
        })
      ),
      Effect.ensuring(Effect.sync(() => {
        this.endOp()
        runner.state = "done"
        runner.boundary = undefined
      })),
      Effect.provideService(Clock.Clock, this.clock(runner)),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: {} })),
      Effect.provideService(EffectRandom.Random, {
        nextIntUnsafe: () => this.random.int(2 ** 31),
        nextDoubleUnsafe: this.random.next
      })
    )
    runner.boundary = () => {
      Effect.runFork(alone, { scheduler: this.scheduler })
    }
    return runner
  }

  private clock(runner: Runner): Clock.Clock {
    const millis = () => this.now
    const nanos = () => BigInt(this.now) * 1_000_000n
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.callback<void>((resume) => {
          const sleeper: Sleeper = {
            at: this.now + Duration.toMillis(duration),
            resume: () => resume(Effect.void)
          }
          runner.sleepers.push(sleeper)
          return Effect.sync(() => {
            runner.sleepers = runner.sleepers.filter((other) => other !== sleeper)
          })
        })
    }
  }

  private ask(runner: Runner): Disk.Ask {
    return (step) => {
      // The policy file and the look at the home itself are no part of what is tried here.
      const isAside = step.path.startsWith("/etc/") ||
        (step.method === "lstat" && (step.path === home || step.path === paths.usage))
      if (isAside) return Effect.succeed(undefined)
      return Effect.withFiber((fiber) =>
        Effect.callback<Disk.Errno | undefined>((resume) => {
          const parked: Parked = { fiber: fiber.id, step, resume: (errno) => resume(Effect.succeed(errno)) }
          runner.parked.push(parked)
          return Effect.sync(() => {
            runner.parked = runner.parked.filter((other) => other !== parked)
          })
        })
      )
    }
  }

  private base(runner: Runner, runtime: Program.Runtime) {
    return Host.base({
      home,
      fileSystem: Disk.fileSystem(this.trace.disk, this.ask(runner), {
        isPrivate: (path) => path.startsWith(`${paths.usage}/tmp/`)
      }),
      random: SecureRandom.make(this.random.bytes),
      runtime
    })
  }

  /** Waits for the next turn; what runs until the one after it is `op`. */
  private boundary(runner: Runner, name: string, op: Done["op"]) {
    return Effect.andThen(
      Effect.callback<void>((resume) => {
        this.endOp()
        runner.boundary = () => resume(Effect.void)
      }),
      Effect.sync(() => this.beginOp(runner, name, op))
    )
  }

  private readonly open = new Map<number, Done>()

  private beginOp(runner: Runner, name: string, op: Done["op"]): void {
    const done: Done = {
      actor: runner.index,
      name,
      op,
      start: this.t,
      anonId: anonIdOn(this.trace.disk),
      stored: this.trace.disk.text(paths.stored),
      hasFailed: false,
      end: undefined
    }
    this.open.set(runner.index, done)
    this.trace.ops.push(done)
  }

  private endOp(): void {
    const done = this.open.get(this.running)
    if (done === undefined) return
    this.open.delete(this.running)
    done.end = this.t
    this.current = done
  }

  // == what commands do

  private setStored(secret: string | undefined): void {
    const { disk } = this.trace
    if (secret === undefined) {
      if (disk.has(paths.stored)) disk.unlink(paths.stored)
    } else {
      disk.write(paths.stored, disk.create(paths.stored, false), new TextEncoder().encode(secret))
    }
    this.trace.credentials.push({ t: this.t, actor: this.running, secret })
  }

  private command(runner: Runner, command: Program.Command) {
    const ask = this.ask(runner)

    const host = <A>(method: string, evaluate: () => A): Effect.Effect<A, "failed"> =>
      Effect.flatMap(
        Effect.suspend(() => ask(hostStep(method))),
        (errno) => {
          if (errno === undefined) return Effect.sync(evaluate)
          const op = this.open.get(runner.index)
          if (op !== undefined) op.hasFailed = true
          return Effect.fail("failed" as const)
        }
      )

    const program = Host.command(command, this.base(runner, Program.runtimes[command.runtime]), {
      read: host("read", () => this.trace.disk.text(paths.stored)),
      store: (secret) => host("store", () => this.setStored(secret)),
      remove: host("remove", () => this.setStored(undefined)),
      response: Effect.suspend(() => Effect.asVoid(ask(hostStep("response")))),
      answer: Effect.callback<void>((resume) => {
        const answer = () => resume(Effect.void)
        runner.network.push(answer)
        return Effect.sync(() => {
          runner.network = runner.network.filter((other) => other !== answer)
        })
      }),
      answers: Effect.sync(() => {
        if (command.api !== "hangs") runner.network.shift()?.()
      }),
      boundary: (name, op) => this.boundary(runner, name, op),
      onBegin: (invocationId, memory) => {
        this.trace.invocations.set(runner.index, invocationId)
        runner.memory = memory
      },
      onCaptured: () => {
        this.trace.captured.set(runner.index, (this.trace.captured.get(runner.index) ?? 0) + 1)
      },
      onBlind: () => {
        this.trace.blind.add(runner.index)
      }
    })
    return Effect.sync(() => this.beginOp(runner, "begin", undefined)).pipe(
      Effect.andThen(Effect.scoped(program)),
      Effect.catch(() => Effect.void)
    )
  }

  private outside(runner: Runner, outside: Program.Outside) {
    return Effect.gen({ self: this }, function*() {
      this.beginOp(runner, outside._tag, outside)
      const base = this.base(runner, Program.runtimes.terminal)
      switch (outside._tag) {
        case "Store":
          return this.setStored(outside.secret)
        case "Lose":
          return this.setStored(undefined)
        case "Wait":
          this.now += outside.minutes * 60_000
          return
        case "Delete": {
          if (this.trace.disk.has(paths.pointer)) this.trace.disk.unlink(paths.pointer)
          return
        }
        case "Disable":
        case "Enable":
          return yield* Host.optOut(base, outside._tag === "Disable")
        case "Drain":
          return yield* Host.drain(base, {
            taken: outside.taken,
            isDenied: () => this.trace.disk.has(paths.optOut),
            send: (messages) =>
              Effect.map(this.ask(runner)(hostStep("request")), () => {
                for (const message of messages) this.trace.wire.push({ t: this.t, text: JSON.stringify(message) })
              })
          })
      }
    }).pipe(Effect.scoped)
  }

  // == turns

  /** Lets every fiber run as far as it comes without a step. */
  private settle(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }

  private isEnabled(runner: Runner | undefined): runner is Runner {
    return runner !== undefined && runner.state === "alive" && !runner.suspended
  }

  private wake(runner: Runner): boolean {
    const due = runner.sleepers.filter((sleeper) => sleeper.at <= this.now)
    runner.sleepers = runner.sleepers.filter((sleeper) => sleeper.at > this.now)
    for (const sleeper of due) {
      sleeper.resume()
      this.settle()
    }
    return due.length > 0
  }

  private proceed(runner: Runner): boolean {
    const next = runner.boundary
    if (next === undefined) return false
    runner.boundary = undefined
    next()
    this.settle()
    return true
  }

  /** The fault that is due at this step, if there is one. */
  private faultAt(runner: Runner): Program.Fault | undefined {
    const at = this.faults.findIndex((fault) => fault.actor === runner.index && fault.step <= runner.steps)
    return at < 0 ? undefined : this.faults.splice(at, 1)[0]
  }

  private switchAt(runner: Runner): Program.Switch | undefined {
    const at = this.switches.findIndex((one) => one.actor === runner.index && one.step <= runner.steps)
    return at < 0 ? undefined : this.switches.splice(at, 1)[0]
  }

  private verdict(runner: Runner, step: Disk.Step): Disk.Errno | undefined {
    const { broken } = runner
    if (broken === undefined) return undefined
    broken.left -= 1
    if (broken.left <= 0) runner.broken = undefined
    if (broken.errno === "ENOSPC" && !step.changes) return undefined
    // What is removed needs no room.
    if (broken.errno === "ENOSPC" && step.method === "remove") return undefined
    this.trace.failed.add(runner.index)
    return broken.errno
  }

  /** Runs an actor until its operation is over, or somebody else's turn comes; gives whose. */
  private turn(runner: Runner): Runner | undefined {
    this.running = runner.index
    this.current = undefined
    this.t += 1
    // What its timers did comes first; then its next operation.
    this.wake(runner)
    let hasBegun = runner.boundary === undefined
    for (;;) {
      if (runner.state !== "alive") return undefined
      if (runner.parked.length === 0) {
        if (!hasBegun) {
          hasBegun = this.proceed(runner)
          continue
        }
        if (runner.boundary !== undefined) return undefined
        const answer = runner.actor._tag === "Command" && runner.actor.api !== "hangs"
          ? runner.network.shift()
          : undefined
        if (answer !== undefined) {
          answer()
          this.settle()
          continue
        }
        const next = Math.min(...runner.sleepers.map((sleeper) => sleeper.at))
        if (!Number.isFinite(next)) {
          this.trace.problems.push(`#${runner.index} waits for nothing`)
          runner.state = "killed"
          return undefined
        }
        this.now = Math.max(this.now, next)
        this.wake(runner)
        continue
      }
      const fault = this.faultAt(runner)
      if (fault !== undefined) {
        this.trace.faults += 1
        if (fault.kind === "kill") {
          runner.state = "killed"
          this.trace.killed.add(runner.index)
          return undefined
        }
        if (fault.kind === "suspend") {
          runner.suspended = true
          return undefined
        }
        runner.broken = { errno: fault.kind, left: fault.lasts }
      }
      let parked = runner.parked.find((one) => one.fiber === runner.lastFiber) ?? runner.parked[0]
      const over = this.switchAt(runner)
      if (over !== undefined && over.to !== runner.index) {
        const to = this.runners[over.to]
        if (this.isEnabled(to)) return to
      } else if (over !== undefined) {
        // Another fiber of the same process; or its next operation, while this fiber still works behind it.
        if (this.proceed(runner)) hasBegun = true
        parked = runner.parked.find((one) => one.fiber !== parked?.fiber) ?? parked
      }
      if (parked === undefined) continue
      runner.parked = runner.parked.filter((one) => one !== parked)
      runner.lastFiber = parked.fiber
      runner.steps += 1
      this.trace.steps += 1
      this.t += 1
      parked.resume(this.verdict(runner, parked.step))
      this.settle()
    }
  }

  run(): Trace {
    const turns = [...this.program.turns]
    let next: Runner | undefined
    for (;;) {
      if (next === undefined || !this.isEnabled(next)) {
        const planned = turns.shift()
        next = planned === undefined ? this.runners.find((one) => this.isEnabled(one)) : this.runners[planned]
        // Whoever was suspended goes on when its turn is planned, or when nobody else is left.
        if (planned !== undefined && next?.state === "alive") next.suspended = false
        if (planned !== undefined && !this.isEnabled(next)) {
          next = undefined
          continue
        }
      }
      if (next === undefined) {
        const suspended = this.runners.find((one) => one.suspended && one.state === "alive")
        if (suspended === undefined) break
        suspended.suspended = false
        next = suspended
      }
      const runner: Runner = next
      next = this.turn(runner)
      const done: Done | undefined = this.current
      if (done !== undefined && next === undefined) {
        this.onTurn({ op: done, memory: runner.memory(), trace: this.trace })
      }
      if (this.trace.steps > 20_000) {
        this.trace.problems.push("the program does not end")
        break
      }
    }
    this.deliver()
    return this.trace
  }

  /** What is still in outbox and claims goes on the wire, without a fault. */
  private deliver(): void {
    const runner = this.runner({ _tag: "Drain", taken: true }, this.runners.length)
    this.turn(runner)
  }
}

/** Runs a program. */
export const run = (program: Program.Program, onTurn: OnTurn = () => {}): Trace => new Machine(program, onTurn).run()
