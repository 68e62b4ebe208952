/**
 * Waits for workers: for those that would end with the command, and for a flush.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import type { Flushed } from "../services/CaptureWorker.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { Outbox } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { quietly } from "./Debug.ts"
import type { Looks } from "./EnvironmentConsent.ts"
import * as Lease from "./Lease.ts"
import type { StateFiles } from "./StateFiles.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

const pollMillis = 10

/** A worker's life of 10 s, and what it takes to start one. */
const lifeMillis = 11_000

const longestWaitMillis = 1000

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  { files, invocationId, looks, start }: {
    readonly files: StateFiles
    readonly invocationId: string
    readonly looks: Looks
    /** Starts a worker, which lingers or not; returns whether one was started. */
    readonly start: (lingers: boolean) => Effect.Effect<boolean>
  }
) {
  const settings = yield* UsageSettings
  const outbox = yield* Outbox
  const runtime = yield* HostRuntime
  const { root } = OutboxFolder.make(files.home, settings.destinationId)
  const wait = Math.min(settings.deliveryWaitMillis ?? longestWaitMillis, longestWaitMillis)
  const isAllowed = Effect.sync(() => looks.decide().enabled)

  // A `Schedule` would be all that a command loads of that module.
  const until = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
    Effect.flatMap(holds, (done) => done ? Effect.void : Effect.andThen(Effect.sleep(pollMillis), until(holds)))

  const taken = until(Effect.map(outbox.has(invocationId), (waits) => !waits))
  const free = until(Effect.map(Clock.currentTimeMillis, (now) => !Lease.isHeld(files, root, now)))

  // A round is a worker's life; another one follows as long as something was delivered.
  const deliver = Effect.fnUntraced(function*(pendingBefore: number) {
    let waiting = pendingBefore
    while (waiting > 0 && (yield* isAllowed)) {
      yield* Effect.timeoutOption(free, lifeMillis)
      // The starter of a worker takes the lease for it.
      yield* start(false)
      yield* Effect.timeoutOption(free, lifeMillis)
      const { pending } = yield* outbox.status
      if (pending >= waiting) break
      waiting = pending
    }
    return runtime.worker === undefined ? WorkerProcess.missing : (yield* outbox.status).lastFailure
  }, quietly("could not deliver", undefined))

  const flush: Effect.Effect<Flushed> = Effect.gen(function*() {
    const before = yield* outbox.status
    const reason = yield* deliver(before.pending)
    const after = yield* outbox.status
    const refused = after.setAside - before.setAside
    // What an opt-out deleted meanwhile was not delivered, and its number is not known.
    const delivered = (yield* isAllowed) ? Math.max(0, before.pending - after.pending - refused) : 0
    return { delivered, kept: after.pending, reason }
  })

  /** Waits until the events of this command are taken, and until the worker that it started has ended. */
  const settle = Effect.fnUntraced(function*(hasStarted: boolean) {
    // A worker that ends with this process before it gives up its lease would keep the next command's from starting.
    const done = hasStarted ? Effect.andThen(taken, free) : taken
    // Neither a scope that closes nor a finalizer is interrupted by a signal; the wait ends all the same.
    yield* Effect.interruptible(Effect.raceFirst(Effect.timeoutOption(done, wait), runtime.interrupted))
  })

  return { flush, settle }
})
