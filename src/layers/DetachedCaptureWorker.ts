/**
 * A worker as a process of its own, which the command does not wait for.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { isShortLived } from "../domain/Runtime.ts"
import { CaptureWorker, type Flushed } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Invocation } from "../services/Invocation.ts"
import { Outbox } from "../services/Outbox.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { WorkerLease } from "../services/WorkerLease.ts"
import { debug, quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

const pollMillis = 10

/** A worker's life of 10 s, and what it takes to start one. */
const lifeMillis = 11_000

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long a command waits until its own messages are taken where its worker would die with it: in CI, in a container,
   * as PID 1, on a first run without a terminal, and where the identity cannot be kept. 1 s where it is not set, and at
   * most.
   */
  readonly deliveryWait?: Duration.Input | undefined
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const settings = yield* UsageSettings
  const consent = yield* Consent
  const store = yield* IdentityStore
  const invocation = yield* Invocation
  const outbox = yield* Outbox
  const lease = yield* WorkerLease
  const runtime = yield* RuntimeEnvironment
  const current = yield* CurrentProcess
  const start = yield* WorkerProcess.make
  const wait = Math.min(Duration.toMillis(options.deliveryWait ?? "1 second"), 1000)

  const spawn = (lingers: boolean) =>
    settings.destination === undefined ? Effect.succeed(false) : start({
      version: 1,
      name: settings.name,
      variables: settings.variables,
      home: settings.home.root,
      codec: settings.codec.name,
      destination: settings.destination,
      destinationId: settings.destinationId,
      lingers
    })

  // A `Schedule` would be all that a command loads of that module, for this.
  const until = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
    Effect.flatMap(holds, (done) => done ? Effect.void : Effect.andThen(Effect.sleep(pollMillis), until(holds)))

  const taken = until(Effect.map(outbox.has(invocation.id), (waits) => !waits))
  const free = until(Effect.map(lease.isHeld, (held) => !held))

  // A round is a worker's life; another follows as long as something was taken.
  const deliver = Effect.fnUntraced(function*(pendingBefore: number) {
    let waiting = pendingBefore
    while (waiting > 0 && (yield* consent.decision).enabled) {
      yield* Effect.timeoutOption(free, lifeMillis)
      // Whoever starts a worker has taken the lease for it.
      yield* spawn(false)
      yield* Effect.timeoutOption(free, lifeMillis)
      const { pending } = yield* outbox.status
      if (pending >= waiting) break
      waiting = pending
    }
    return current.worker === undefined ? WorkerProcess.missing : (yield* outbox.status).lastFailure
  }, quietly("nothing could be delivered", undefined))

  const flush: Effect.Effect<Flushed> = Effect.gen(function*() {
    const before = yield* outbox.status
    const reason = yield* deliver(before.pending)
    const after = yield* outbox.status
    const refused = after.setAside - before.setAside
    // What an opt-out deleted meanwhile was not delivered, and nobody can tell how much was before.
    const isAllowed = (yield* consent.decision).enabled
    const delivered = isAllowed ? Math.max(0, before.pending - after.pending - refused) : 0
    return { delivered, kept: after.pending, reason }
  })

  return CaptureWorker.of({
    ensure: Effect.gen(function*() {
      if (!(yield* consent.decision).enabled) return
      if ((yield* outbox.backedOffUntil) > (yield* Clock.currentTimeMillis)) {
        return yield* debug("delivery is backed off")
      }
      const isShort = isShortLived(runtime, yield* store.get)
      const starts = yield* spawn(!isShort)
      if (!isShort || current.worker === undefined) return
      // A worker that dies with this process before it gives up its lease would keep the next command's from starting.
      const done = starts ? Effect.andThen(taken, free) : taken
      // Neither a scope that closes nor a finalizer beside others is interrupted by a signal; the wait ends all the same.
      yield* Effect.interruptible(Effect.raceFirst(Effect.timeoutOption(done, wait), current.interrupted))
    }).pipe(quietly("no worker could be started", undefined)),
    flush
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<
  CaptureWorker,
  never,
  | UsageSettings
  | Consent
  | IdentityStore
  | Invocation
  | Outbox
  | WorkerLease
  | RuntimeEnvironment
  | CurrentProcess
  | ChildProcessSpawner
  | Path.Path
  | StateFiles
> => Layer.effect(CaptureWorker, make(options))
