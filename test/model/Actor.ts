/**
 * One actor of a program: its fibers, and where each of them waits.
 */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Scheduler } from "effect/Scheduler"
import type { Errno } from "../../src/services/Disk.ts"

/** What an actor is about to do: an operation on the disk, or something that it waits for. */
export interface Step {
  readonly method: string
  readonly path: string
}

/** Thrown in the middle of an actor's own code when it is killed; whatever catches it can do nothing more. */
export class Killed extends Error {}

/** What becomes of a step that an actor waits for: it is refused, or another of its fibers goes first. */
export interface Verdict {
  readonly errno: Errno | undefined
  readonly isPassedOver: boolean
}

interface Parked {
  readonly fiber: number
  readonly step: Step
  readonly resume: (errno: Errno | undefined) => void
}

interface Sleeper {
  readonly at: number
  readonly resume: () => void
}

export interface Options {
  /** The time of the device, in milliseconds since 1970. */
  readonly time: { now: number }
  /** Called before each step that a fiber of this actor waits for. */
  readonly onWait: (step: Step) => Verdict
  /** Called with each line that is written to stdout. */
  readonly onOutput: (text: string) => void
  /** Called with what should not happen. */
  readonly onProblem: (problem: string) => void
  /** Whether the API answers questions in the end. */
  readonly isAnswered: boolean
}

export class Actor {
  state: "alive" | "done" | "killed" = "alive"
  isSuspended = false
  private readonly options: Options
  /** Whether its own code runs, further down on the stack: then it can do nothing else. */
  private isRunning = false
  private boundary: (() => void) | undefined
  private parked: ReadonlyArray<Parked> = []
  private questions: ReadonlyArray<() => void> = []
  private sleepers: ReadonlyArray<Sleeper> = []
  private lastFiber = -1
  private tasks: Array<() => void> = []
  private readonly scheduler: Scheduler

  constructor(options: Options) {
    this.options = options
    const dispatcher = { scheduleTask: (task: () => void) => void this.tasks.push(task), flush: () => this.settle() }
    this.scheduler = { executionMode: "sync", shouldYield: () => false, makeDispatcher: () => dispatcher }
  }

  get isFree(): boolean {
    return this.state === "alive" && !this.isSuspended && !this.isRunning
  }

  get isKilled(): boolean {
    return this.state === "killed"
  }

  kill(): void {
    this.state = "killed"
  }

  /** Runs an effect from this actor's first turn on. */
  begin(effect: Effect.Effect<unknown, unknown>): void {
    const alone = effect.pipe(
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          if (this.state === "alive") this.options.onProblem(`failed: ${String(cause)}`)
        })
      ),
      Effect.andThen(Effect.sync(() => {
        if (this.state === "alive") this.state = "done"
      })),
      Effect.provideService(Clock.Clock, this.clock),
      Effect.provideService(Console.Console, this.console),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: {} }))
    )
    this.boundary = () => void Effect.runFork(alone, { scheduler: this.scheduler })
  }

  // == what fibers wait for

  private wait<A>(add: (waiter: (value: A) => void) => () => void): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const remove = add((value) => resume(Effect.succeed(value)))
      return Effect.sync(remove)
    })
  }

  /** Waits for a turn, and until the step may be made; gives the code with which it is refused. */
  ask(step: Step): Effect.Effect<Errno | undefined> {
    return Effect.withFiber((fiber) =>
      this.wait<Errno | undefined>((resume) => {
        const parked = { fiber: fiber.id, step, resume }
        this.parked = [...this.parked, parked]
        return () => void (this.parked = this.parked.filter((other) => other !== parked))
      })
    )
  }

  /** Ends an operation, and waits for the next. */
  readonly next: Effect.Effect<void> = this.wait((resume) => {
    this.boundary = () => resume()
    return () => {}
  })

  /** Waits for an answer to a question. */
  readonly answer: Effect.Effect<void> = this.wait((resume) => {
    const question = () => resume()
    this.questions = [...this.questions, question]
    return () => void (this.questions = this.questions.filter((other) => other !== question))
  })

  /** Answers the oldest question; returns whether there was one. */
  answerOne(): boolean {
    const [question, ...others] = this.questions
    if (question === undefined || !this.options.isAnswered) return false
    this.questions = others
    question()
    return true
  }

  private get console(): Console.Console {
    const { onOutput } = this.options
    return { ...globalThis.console, log: onOutput, info: onOutput, error: () => {}, warn: () => {} }
  }

  private get clock(): Clock.Clock {
    const millis = () => this.options.time.now
    const nanos = () => BigInt(millis()) * 1_000_000n
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        this.wait<void>((resume) => {
          const sleeper = { at: millis() + Duration.toMillis(duration), resume }
          this.sleepers = [...this.sleepers, sleeper]
          return () => void (this.sleepers = this.sleepers.filter((other) => other !== sleeper))
        })
    }
  }

  // == turns

  /** Lets every fiber run as far as it comes without waiting. */
  private settle(): void {
    for (let task = this.tasks.shift(); task !== undefined && this.state === "alive"; task = this.tasks.shift()) task()
  }

  private enter(resume: () => void): void {
    this.isRunning = true
    resume()
    this.settle()
    this.isRunning = false
  }

  private wake(): void {
    const due = this.sleepers.filter((sleeper) => sleeper.at <= this.options.time.now)
    this.sleepers = this.sleepers.filter((sleeper) => sleeper.at > this.options.time.now)
    for (const { resume } of due) this.enter(resume)
  }

  private proceed(): boolean {
    const next = this.boundary
    if (next === undefined) return false
    this.boundary = undefined
    this.enter(next)
    return true
  }

  private resume(parked: Parked, errno: Errno | undefined): void {
    this.parked = this.parked.filter((one) => one !== parked)
    this.lastFiber = parked.fiber
    this.enter(() => parked.resume(errno))
  }

  /** Runs its next operation to the end, or what is left of the one that it is in. */
  turn(): void {
    // What its timers did comes first; then its next operation.
    this.wake()
    let hasBegun = this.boundary === undefined
    while (this.state === "alive") {
      const own = this.parked.find(({ fiber }) => fiber === this.lastFiber) ?? this.parked[0]
      if (own !== undefined) {
        const verdict = this.options.onWait(own.step)
        // In between it may have been killed, or have had a turn.
        if (this.state !== "alive" || !this.parked.includes(own)) continue
        if (verdict.isPassedOver && this.proceed()) hasBegun = true
        const first = verdict.isPassedOver ? this.parked.find((one) => one.fiber !== own.fiber) ?? own : own
        if (this.parked.includes(first)) this.resume(first, verdict.errno)
      } else if (!hasBegun) hasBegun = this.proceed()
      else if (this.boundary !== undefined) return
      else if (this.options.isAnswered && this.questions.length > 0) this.enter(() => void this.answerOne())
      else {
        const next = Math.min(...this.sleepers.map(({ at }) => at))
        if (!Number.isFinite(next)) {
          this.options.onProblem("waits for nothing")
          return this.kill()
        }
        this.options.time.now = Math.max(this.options.time.now, next)
        this.wake()
      }
    }
  }
}
