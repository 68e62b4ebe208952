/**
 * The services of a command, given its runtime, consent, resolver and settings.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import { isUuid, type Message } from "../domain/Message.ts"
import { isPrincipalId } from "../domain/PrincipalId.ts"
import { isShortLived, isStateless } from "../domain/Runtime.ts"
import { merge, type Shared as SharedProperties } from "../domain/Shared.ts"
import * as UsageEvent from "../domain/UsageEvent.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { CurrentCommand, trackedCommand } from "../services/CurrentCommand.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Outbox } from "../services/Outbox.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import { UsageContext } from "../services/UsageContext.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as CredentialText from "./CredentialText.ts"
import { debug, debugFailure, IsDebugMode } from "./Debug.ts"
import type { Checks } from "./EnvironmentConsent.ts"
import * as KnownFile from "./KnownFile.ts"
import { once, outboxOf, storeOf } from "./Lazy.ts"
import * as Lease from "./Lease.ts"
import { cold } from "./LoadCold.ts"
import * as OutboxWriter from "./OutboxWriter.ts"
import * as Recorder from "./Recorder.ts"
import * as StateFiles from "./StateFiles.ts"
import * as SteadyStitch from "./SteadyStitch.ts"
import * as Variable from "./Variable.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

/**
 * The services that `UsageServices.layer` needs.
 *
 * @category models
 * @since 0.1.0
 */
export type Requirements = Consent | HostRuntime | Path.Path | PrincipalResolver | UsageSettings

/**
 * The services that `UsageServices.layer` provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = CaptureWorker | IdentitySlot | IdentityStitch | IdentityStore | Outbox | UsageCapture

/**
 * The parts of the services that a host replaces.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Replaces the worker. Its requirements are the default worker and the outbox. Default: a detached process. */
  readonly worker?: Effect.Effect<CaptureWorker["Service"], never, CaptureWorker | Outbox> | undefined
  /**
   * The checks of consent. Default: those of the `Consent` service.
   *
   * @internal
   */
  readonly checks?: Checks | undefined
  /**
   * Loads the modules that a steady command does not need. Default: those of this package.
   *
   * @internal
   */
  readonly cold?: typeof cold | undefined
}

const deliverEveryNanos = 30_000_000_000n

const checksOf = ({ begin, decision, stillGiven }: Consent["Service"]): Checks => ({
  begin: () => Effect.runSync(begin),
  decide: () => Effect.runSync(decision),
  stillGiven: () => Effect.runSync(stillGiven)
})

/**
 * Creates the services of a command.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<Context.Context<Services>, never, Requirements | Scope.Scope> {
  const context = yield* Effect.context<Requirements | Scope.Scope>()
  const runtime = Context.get(context, HostRuntime)
  const settings = Context.get(context, UsageSettings)
  const resolver = Context.get(context, PrincipalResolver)
  const { cold: parts = cold } = options
  const scope = yield* Effect.scope
  const checks = options.checks ?? checksOf(Context.get(context, Consent))
  const clock = yield* Clock.Clock
  const isDebugMode = yield* IsDebugMode
  const files = StateFiles.make({
    home: settings.home,
    path: Context.get(context, Path.Path),
    runtime,
    stillGiven: checks.stillGiven
  })
  const { notes } = files
  const known = KnownFile.make(files, runtime, settings.codec, resolver.input?.configuration ?? "")
  const id = runtime.uuid()
  // A host that runs itself passes its invocation id to its child processes. The variable is restored when the scope
  // closes: a later command of this process is not a child of this command.
  const variable = `${settings.variables}_USAGE_INVOCATION`
  const { [variable]: outer } = yield* Variable.readAll([variable])
  const others = yield* runtime.setVariable(variable, id)
  // A command beside others of this process is a child of none. In the handler of the only other one, it is its child.
  const isChild = others === 0 || (others === 1 && Context.get(context, CurrentCommand) !== undefined)
  const recorder = Recorder.make({
    id,
    known,
    runtime,
    settings,
    parent: isChild && outer !== undefined && isUuid(outer) ? outer : undefined
  })
  const shared: SteadyStitch.Shared = {
    files,
    known,
    recorder,
    absent: CredentialText.absentIn(resolver.input),
    running: new Set(),
    slot: undefined,
    observed: undefined,
    stitchAttempted: false
  }
  const steady = SteadyStitch.make(shared, runtime, settings, resolver.input)
  const writer = OutboxWriter.make(files, settings)
  const slot = IdentitySlot.of({
    get: Effect.sync(() => shared.slot),
    set: (principal) =>
      Effect.sync(() => {
        shared.slot = principal
      })
  })

  // == the full stitch, when the command is not steady

  type FullStitch = Effect.Success<ReturnType<typeof import("./FullStitch.ts").make>>
  let fullStitch: FullStitch | undefined
  // During the handover no event is recorded.
  let isHandingOver = false
  let hasLoadFailed = false
  const loadFullStitch: Effect.Effect<FullStitch | undefined> = once(
    Effect.gen(function*() {
      isHandingOver = true
      const { FullStitch } = yield* parts
      return fullStitch = yield* FullStitch.make(steady.handover(), record)
    }).pipe(
      Effect.provideContext(context),
      // An upgrade may have removed the file since the command began. From then on its events are anonymous.
      Effect.catchCause((cause) =>
        Effect.map(debug("could not load a file of this package: events are anonymous", cause), () => {
          hasLoadFailed = true
          shared.slot = undefined
          return undefined
        })
      )
    )
  )
  const withFullStitch = (use: (stitch: FullStitch) => Effect.Effect<void>): Effect.Effect<void> =>
    Effect.uninterruptible(Effect.flatMap(loadFullStitch, (loaded) => loaded === undefined ? Effect.void : use(loaded)))

  // == recording

  // Events that wait for the full stitch, with their times. The process may exit before it is loaded, or has read the
  // credential.
  const waiting = new Map<Recorder.Event, number>()

  const recordNow = (
    event: Recorder.Event,
    owner: SteadyStitch.EventOwner | undefined,
    now: number
  ): Message | undefined => {
    // In the same step as the write: an exit between the two would record the event again.
    waiting.delete(event)
    if (owner === undefined) {
      notes.add(`"${event.event}" is dropped: consent or the device's identity was withdrawn`)
      return undefined
    }
    const { attribution, identity } = owner
    const names = attribution.personless ? Object.keys(event.properties) : []
    noteOmitted(event.event, names.filter(UsageEvent.isPersonProperty), "it is anonymous")
    const { confirm, message } = recorder.compose({ ...event, ...attribution }, identity, now)
    if (!writer.add(message, now)) return undefined
    confirm()
    return message
  }

  const noteOmitted = (event: string, names: ReadonlyArray<string>, why: string): void => {
    if (names.length > 0) notes.add(`"${event}" is sent without ${names.join(", ")}: ${why}`)
  }

  const printInDebugMode = (message: Message | undefined): Effect.Effect<void> =>
    isDebugMode && message !== undefined ? Console.error(JSON.stringify(message)) : Effect.void

  const record: Recorder.Record = (event, owner, now) =>
    Effect.flatMap(notes.run(() => recordNow(event, owner, now)), printInDebugMode)

  const recordWaiting = (): void => {
    for (const [event, now] of waiting) recordNow(event, steady.fallback(), now)
  }

  const recordWithFullStitch = (event: Recorder.Event, now: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      waiting.set(event, now)
      return Effect.flatMap(loadFullStitch, (loaded) =>
        loaded === undefined
          ? Effect.suspend(() => record(event, steady.fallback(), clock.currentTimeMillisUnsafe()))
          : loaded.capture(event))
    }).pipe(Effect.ensuring(Effect.sync(() => waiting.delete(event))))

  // Returns the properties of the event, of the command and of the scope.
  const encode = <Properties>(
    event: UsageEvent.UsageEvent<Properties>,
    input: Properties,
    { groups = {}, properties = {} }: SharedProperties
  ): Schema.JsonObject | undefined => {
    const encoded = UsageEvent.encode(event, input)
    if (encoded._tag === "Failure") {
      notes.add(`"${event.name}" is dropped: ${encoded.failure}`)
      return undefined
    }
    const own = encoded.success
    const common = UsageEvent.sanitize(properties)
    const all = {
      ...common.properties,
      ...own.properties,
      ...(Object.keys(groups).length === 0 ? {} : UsageEvent.sanitize({ $groups: groups }).properties)
    }
    noteOmitted(event.name, [...common.stripped, ...own.stripped], "not JSON, or more than 60 KiB")
    noteOmitted(event.name, Object.keys(all).filter(UsageEvent.isReserved), "the name is reserved")
    return all
  }

  let hasNotedDenial = false
  const isAllowed = (): boolean => {
    const { decidedBy, enabled } = checks.decide()
    if (!enabled && !hasNotedDenial) {
      hasNotedDenial = true
      notes.add(`telemetry is off: ${ConsentDecision.explain(decidedBy)}`)
    }
    return enabled
  }

  let lastDeliveryStart = clock.monotonicTimeNanosUnsafe()

  const capture: UsageCapture["Service"]["capture"] = (event, input) =>
    Effect.gen(function*() {
      const command = yield* trackedCommand
      const ofCommand = command === undefined ? {} : Ref.getUnsafe(command.annotations).shared
      const ofScope = yield* UsageContext
      const now = clock.currentTimeMillisUnsafe()
      const isExiting = yield* runtime.isExiting
      // Synchronous: consent and attribution must not change before the event is recorded.
      const recording = yield* notes.run((): Effect.Effect<void> => {
        if (!isAllowed()) return Effect.void
        const properties = encode(event, input, merge(ofCommand, ofScope))
        if (properties === undefined) return Effect.void
        const draft = { event: event.name, properties, command: command?.name }
        if (isExiting) recordWaiting()
        const isReady = fullStitch === undefined ? hasLoadFailed : !fullStitch.isReading()
        if (isHandingOver && (isReady || !isExiting)) return recordWithFullStitch(draft, now)
        const owner = steady.attribution(now) ?? (isExiting ? steady.fallback() : undefined)
        return owner === undefined && !isExiting
          ? recordWithFullStitch(draft, now)
          : printInDebugMode(recordNow(draft, owner, now))
      })
      yield* recording
      // The events of a long-running command (`dev`, `watch`) are delivered before it ends.
      const ended = clock.monotonicTimeNanosUnsafe()
      if (ended - lastDeliveryStart < deliverEveryNanos) return
      lastDeliveryStart = ended
      yield* Effect.forkIn(worker.ensure, scope)
    }).pipe(Effect.uninterruptible, debugFailure("could not record an event"))

  // == the stitch

  let hasBegun = false
  let startFiber: Fiber.Fiber<void> | undefined

  // Returns whether the command is stamped: then a response changes nothing.
  const isStamped = (principal: string, now: number): boolean => {
    if (isHandingOver) return false
    const isFirst = !shared.stitchAttempted
    if (shared.slot === undefined && checks.decide().enabled) steady.attribution(now)
    const stamped = shared.slot !== undefined && shared.stitchAttempted
    if (stamped && isFirst && shared.slot === principal) shared.observed = shared.slot
    return stamped
  }

  const begin = Effect.gen(function*() {
    // The commands of one process may follow each other.
    if (hasBegun && shared.running.size === 1) checks.begin()
    if (fullStitch !== undefined) return yield* fullStitch.start
    if (hasBegun) return
    hasBegun = true
    const now = clock.currentTimeMillisUnsafe()
    // The notice is shown by the full stitch, which a handler that calls `process.exit` leaves no time to load.
    const mustLoad = yield* notes.run(() => {
      checks.begin()
      return steady.begin(now) || (SteadyStitch.isNoticeDue(files, runtime, settings.notice) && checks.decide().enabled)
    })
    if (!mustLoad) return
    const start = withFullStitch(({ start }) => start)
    // Without an input, the credential is read before the handler runs: a logout removes it before it is reported.
    if (resolver.input === undefined) return yield* start
    // A new credential is parsed, and its principal requested, in the background.
    startFiber = yield* Effect.forkIn(start, scope)
  }).pipe(debugFailure("could not begin a command"))

  const awaitPrincipal = Effect.gen(function*() {
    if (startFiber !== undefined) yield* Effect.exit(Effect.interruptible(Fiber.await(startFiber)))
    if (fullStitch !== undefined) yield* fullStitch.awaitPrincipal
  })

  const follow: UsageCapture["Service"]["follow"] = Effect.fnUntraced(function*(command) {
    shared.running.add(command)
    yield* Effect.addFinalizer(() => Effect.sync(() => void shared.running.delete(command)))
    // An exit code from before the first command counts as a failure of the host. The code of an earlier command does
    // not count for this command.
    const before = hasBegun ? yield* runtime.exitCode : 0
    const ofCommand = yield* Effect.context<never>()
    // An exit listener is synchronous, so no answer is awaited.
    yield* runtime.onExit((code, error) => Effect.runSyncExitWith(ofCommand)(command.recordExit(code, error)))
    yield* begin
    return { exitCode: Effect.map(runtime.exitCode, (code) => code === before ? 0 : code), awaitPrincipal }
  })

  const stitch = IdentityStitch.of({
    observe: Effect.fnUntraced(function*(principalId, authorization) {
      if ((yield* CurrentCommand) === "untracked") return
      const now = clock.currentTimeMillisUnsafe()
      // An illegal id is passed to the full stitch, which writes the debug line.
      if (isPrincipalId(principalId) && (yield* notes.run(() => isStamped(principalId, now)))) return
      yield* withFullStitch(({ service }) => service.observe(principalId, authorization))
    }, debugFailure("could not act on an observed principal")),
    login: (principalId) => withFullStitch(({ service }) => service.login(principalId)),
    logout: withFullStitch(({ service }) => service.logout)
  })

  // == delivery

  const fileOutbox = once(
    Effect.provideContext(Effect.flatMap(parts, ({ FileOutbox }) => FileOutbox.makeWith(files, writer)), context)
  )
  const outbox = outboxOf(fileOutbox)
  const starter = once(
    // Not merged with the context of a command, whose `ConfigProvider` may be another one.
    Effect.updateContext<never, Requirements | Scope.Scope>(() => context)(
      WorkerProcess.make(files, !isStateless(runtime))
    )
  )
  const start = (how: WorkerProcess.Start) => Effect.flatMap(starter, (start) => start(how))
  const delivery = once(
    parts.pipe(
      Effect.flatMap(({ Delivery }) => Delivery.make({ files, invocationId: id, checks, start })),
      Effect.provideContext(Context.add(context, Outbox, outbox))
    )
  )
  const leases = { files, folder: writer.folder.root, runtime }

  // Most commands find a running worker or a back-off: they load nothing more.
  const detached = CaptureWorker.of({
    ensure: Effect.gen(function*() {
      const now = clock.currentTimeMillisUnsafe()
      const identity = fullStitch === undefined
        ? steady.handover().snapshot?.identity ?? { durable: false, firstRun: false }
        : yield* fullStitch.store.get
      const isShort = isShortLived(runtime, identity)
      const seen = yield* notes.run(() => {
        if (writer.backedOffUntil(now) > now) {
          notes.add("delivery is backed off")
          // Without delivery the outbox grows.
          writer.trimLarge(now)
          return undefined
        }
        const seen = Lease.inspect(leases, now)
        if ((!isShort && seen.isHeld) || !checks.decide().enabled) return undefined
        writer.trim(now)
        return seen
      })
      if (seen === undefined) return
      // If a worker ended with its command, then this command waits for its own worker. That worker lingers: if it
      // outlives this command, it releases its lease, and the next command does not wait.
      const isAwaited = isShort || seen.isStale
      const started = seen.isHeld
        ? undefined
        : yield* WorkerProcess.orElse("Failed", start({ lingers: !isShort, isAwaited }))
      if (!isAwaited || runtime.worker === undefined || started === "Failed") return
      yield* Effect.flatMap(
        delivery,
        ({ waitForDelivery }) => waitForDelivery(started, isShort ? undefined : seen)
      )
    }).pipe(debugFailure("could not start a worker")),
    flush: Effect.andThen(
      notes.run(() => checks.decide().enabled ? writer.trim(clock.currentTimeMillisUnsafe()) : undefined),
      Effect.flatMap(delivery, ({ flush }) => flush)
    ),
    obstacles: Effect.flatMap(delivery, ({ obstacles }) => obstacles)
  })
  const worker = options.worker === undefined
    ? detached
    : yield* options.worker.pipe(
      Effect.provideService(CaptureWorker, detached),
      Effect.provideService(Outbox, outbox)
    )

  const deliver = Effect.suspend(() => recorder.hasRecorded() ? worker.ensure : Effect.void)
  yield* Effect.addFinalizer(() =>
    hasBegun || recorder.hasRecorded()
      ? deliver
      : others > 0
      ? debug("nothing was tracked here: this process has another `Usage.layer` of the CLI")
      : debug("nothing was tracked: no command of `Usage.track` ran")
  )
  // A process may exit without closing the scope. Then delivery is started, and not awaited.
  yield* runtime.onExit(() => Effect.runSyncExitWith(context)(Effect.andThen(notes.run(recordWaiting), deliver)))

  return Context.make(CaptureWorker, worker).pipe(
    Context.add(IdentitySlot, slot),
    Context.add(IdentityStitch, stitch),
    Context.add(
      IdentityStore,
      storeOf(
        Effect.flatMap(
          loadFullStitch,
          (loaded) => loaded === undefined ? Effect.die("the module is incomplete") : Effect.succeed(loaded.store)
        )
      )
    ),
    Context.add(Outbox, outbox),
    Context.add(UsageCapture, UsageCapture.of({ capture, follow }))
  )
})

/**
 * Provides the services of one command, given a runtime, a consent and a resolver.
 *
 * **When to use**
 *
 * Use it in a test that `TestUsage.layer` does not fit, such as over another disk. The layer is one invocation of the
 * CLI. `TestUsage.layer` provides the settings.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Services, never, Requirements> =>
  Layer.effectContext(make(options))
