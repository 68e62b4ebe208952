/**
 * Capture into the outbox, delivered by a worker after the command.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import * as Message from "../domain/Message.ts"
import { combine } from "../domain/Shared.ts"
import * as UsageEvent from "../domain/UsageEvent.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { CurrentCommand } from "../services/CurrentCommand.ts"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { Invocation } from "../services/Invocation.ts"
import { Outbox } from "../services/Outbox.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import { UsageContext } from "../services/UsageContext.ts"
import { debug, quietly } from "./Debug.ts"

const deliverEveryNanos = 30_000_000_000n

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const consent = yield* Consent
  const stitch = yield* IdentityStitch
  const invocation = yield* Invocation
  const outbox = yield* Outbox
  const worker = yield* CaptureWorker
  const current = yield* CurrentProcess
  const scope = yield* Effect.scope

  const keep = (message: Message.Message): Effect.Effect<boolean> => {
    const bytes = new TextEncoder().encode(Message.encode(message)).length
    return bytes <= Message.maxBytes
      ? outbox.add(message)
      : Effect.as(debug(`"${message.event}" is dropped: ${bytes} bytes are more than ${Message.maxBytes}`), false)
  }

  const hasToldOff = yield* Ref.make(false)
  const tellOff = Effect.fnUntraced(function*(decidedBy: ConsentDecision.DecidedBy) {
    if (yield* Ref.getAndSet(hasToldOff, true)) return
    yield* debug(`telemetry is off: ${ConsentDecision.explain(decidedBy)}`)
  })

  const tellLeftOut = (event: string, names: ReadonlyArray<string>, why: string) =>
    names.length === 0 ? Effect.void : debug(`"${event}" goes without ${names.join(", ")}: ${why}`)

  // A command that runs for hours (`dev`, `watch`) does not keep its events until it ends.
  const lastStart = yield* Ref.make(yield* Clock.monotonicTimeNanos)
  const deliverAlong = Effect.gen(function*() {
    const now = yield* Clock.monotonicTimeNanos
    if (now - (yield* Ref.get(lastStart)) < deliverEveryNanos) return
    yield* Ref.set(lastStart, now)
    yield* Effect.forkIn(worker.ensure, scope)
  })

  const capture = <Properties>(
    event: UsageEvent.UsageEvent<Properties>,
    input: NoInfer<Properties>
  ): Effect.Effect<void> =>
    Effect.gen(function*() {
      const { decidedBy, enabled } = yield* consent.decision
      if (!enabled) return yield* tellOff(decidedBy)
      const encoded = UsageEvent.encode(event, input)
      if (Result.isFailure(encoded)) return yield* debug(`"${event.name}" is dropped: ${encoded.failure}`)
      const command = yield* CurrentCommand
      const shared = combine(command === undefined ? {} : (yield* Ref.get(command.said)).shared, yield* UsageContext)
      const common = UsageEvent.clean(shared.properties ?? {})
      const groups = Object.keys(shared.groups ?? {}).length === 0 ? {} : { $groups: shared.groups }
      const properties = {
        ...common.properties,
        ...encoded.success.properties,
        ...UsageEvent.clean(groups).properties
      }
      yield* tellLeftOut(event.name, [...common.stripped, ...encoded.success.stripped], "no JSON")
      const taken = Object.keys(properties).filter((name) => UsageEvent.reserved.has(name))
      yield* tellLeftOut(event.name, taken, "every event has its own")
      const attributed = yield* stitch.attribution
      if (attributed === undefined) {
        return yield* debug(
          `"${event.name}" is dropped: consent, or the device's id, was withdrawn meanwhile`
        )
      }
      const { identity, to } = attributed
      const ofPersons = Object.keys(properties).filter((name) => to.personless && UsageEvent.ofPersons.has(name))
      yield* tellLeftOut(event.name, ofPersons, "it is nobody's")
      yield* invocation.record(
        { event: event.name, ...to, properties },
        identity,
        (message) => Effect.map(keep(message), (kept) => [kept, undefined] as const)
      )
      yield* deliverAlong
    }).pipe(Effect.uninterruptible, quietly("an event was not recorded", undefined))

  const deliver = Effect.flatMap(invocation.hasRecorded, (has) => has ? worker.ensure : Effect.void)

  yield* Effect.addFinalizer(() => deliver)
  // A process may end within the layer, or never close it. Nothing may wait any more, so what would is given up.
  const context = yield* Effect.context<never>()
  yield* current.onExit(() => Effect.runSyncExitWith(context)(deliver))

  return UsageCapture.of({ capture })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  UsageCapture,
  never,
  Consent | IdentityStitch | Invocation | Outbox | CaptureWorker | CurrentProcess
> = Layer.effect(UsageCapture, make)
