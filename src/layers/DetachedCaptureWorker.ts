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
import * as Ref from "effect/Ref"
import { debug, quietly } from "../domain/Debug.ts"
import { isShortLived } from "../domain/Runtime.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Invocation } from "../services/Invocation.ts"
import { Outbox } from "../services/Outbox.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { WorkerLease } from "../services/WorkerLease.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

const pollMillis = 10

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long a short-lived host (CI, a container, PID 1) waits until its own messages are taken; 1 s where it is not
   * set, and at most. Its worker would die with it.
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
  const start = yield* WorkerProcess.make
  const started = yield* Ref.make(false)
  const wait = Math.min(Duration.toMillis(options.deliveryWait ?? "1 second"), 1000)

  const spawn = (lingers: boolean) =>
    settings.destination === undefined ? Effect.void : start({
      version: 1,
      name: settings.name,
      variables: settings.variables,
      home: settings.home,
      codec: settings.codec.name,
      destination: settings.destination,
      destinationId: settings.destinationId,
      lingers
    })

  const taken: Effect.Effect<void> = Effect.flatMap(
    outbox.has(invocation.id),
    (waits) => waits ? Effect.andThen(Effect.sleep(pollMillis), taken) : Effect.void
  )

  return CaptureWorker.of({
    ensure: Effect.gen(function*() {
      const isFirst = !(yield* Ref.getAndSet(started, true))
      if (!isFirst || !(yield* consent.decision).enabled) return
      if ((yield* outbox.backedOffUntil) > (yield* Clock.currentTimeMillis)) {
        return yield* debug("delivery is backed off")
      }
      const isShort = isShortLived(runtime, yield* store.get)
      if (!(yield* lease.isHeld)) yield* spawn(!isShort)
      if (isShort) yield* Effect.timeoutOption(Effect.interruptible(taken), wait)
    }).pipe(quietly("no worker could be started", undefined))
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
  | ChildProcessSpawner
  | Path.Path
> => Layer.effect(CaptureWorker, make(options))
