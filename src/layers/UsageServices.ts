/**
 * The services of a command, over a process, a disk and the settings of a host.
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
import type { Message } from "../domain/Message.ts"
import { isPrincipalId } from "../domain/PrincipalId.ts"
import { isShortLived, keepsNothing } from "../domain/Runtime.ts"
import { combine } from "../domain/Shared.ts"
import * as UsageEvent from "../domain/UsageEvent.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { CurrentCommand } from "../services/CurrentCommand.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Outbox } from "../services/Outbox.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import { UsageContext } from "../services/UsageContext.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug, IsShown, quietly } from "./Debug.ts"
import type { Looks } from "./EnvironmentConsent.ts"
import * as KnownFile from "./KnownFile.ts"
import { outboxOf, storeOf } from "./Lazy.ts"
import * as Lease from "./Lease.ts"
import { cold } from "./LoadCold.ts"
import * as Notes from "./Notes.ts"
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
  /** Replaces the worker, given the one that starts a detached process. Default: that one. */
  readonly worker?: Effect.Effect<CaptureWorker["Service"], never, CaptureWorker | Outbox> | undefined
  /**
   * The looks at consent. Default: those of the `Consent` service.
   *
   * @internal
   */
  readonly looks?: Looks | undefined
  /**
   * Loads the parts that a steady command does not need. Default: those of this package.
   *
   * @internal
   */
  readonly cold?: typeof cold | undefined
}

const deliverEveryNanos = 30_000_000_000n

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const looksOf = ({ decision, stillGiven }: Consent["Service"]): Looks => ({
  decide: () => Effect.runSync(decision),
  stillGiven: () => Effect.runSync(stillGiven)
})

// The outer command's id, where a host runs itself; any other text in the variable is not sent. What runs later in this
// process is no child of this command.
const parentInvocation = Effect.fnUntraced(function*(prefix: string, id: string) {
  const runtime = yield* HostRuntime
  const name = `${prefix}_USAGE_INVOCATION`
  const outer = yield* Variable.read(name)
  yield* Effect.acquireRelease(runtime.setVariable(name, id), () => runtime.setVariable(name, outer))
  return outer !== undefined && uuid.test(outer) ? outer : undefined
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
  const looks = options.looks ?? looksOf(Context.get(context, Consent))
  const notes = Notes.make()
  const files = StateFiles.make({
    home: settings.home,
    path: Context.get(context, Path.Path),
    runtime,
    notes,
    stillGiven: looks.stillGiven
  })
  const known = KnownFile.make(files, runtime, settings.codec)
  const id = runtime.uuid()
  const recorder = Recorder.make({
    id,
    known,
    runtime,
    settings,
    parent: yield* parentInvocation(settings.variables, id)
  })
  const shared: SteadyStitch.Shared = {
    files,
    known,
    recorder,
    running: new Set(),
    slot: undefined,
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
  const base = Context.add(context, IdentitySlot, slot)

  // == the whole stitch, once the command is not steady

  type Whole = Effect.Success<ReturnType<typeof import("./Whole.ts").make>>
  let whole: Whole | undefined
  // Nothing is recorded between the handover and its end.
  let isHandingOver = false
  let isIncomplete = false
  const load = parts.pipe(
    Effect.flatMap(({ Whole }) => Whole.make(steady.handover(), record)),
    Effect.provideContext(base)
  )
  // An upgrade may have removed the file since the command began. From then on the command is nobody's.
  const unloadable = Effect.sync(() => {
    isIncomplete = true
    shared.slot = undefined
    return undefined
  })
  const handOver: Effect.Effect<Whole | undefined> = yield* Effect.cached(Effect.uninterruptible(
    Effect.suspend(() => {
      isHandingOver = true
      return load.pipe(
        Effect.catchCause((cause) =>
          Effect.andThen(
            debug("the rest of this module cannot be loaded: events of this command are anonymous", cause),
            unloadable
          )
        ),
        Effect.tap((loaded) =>
          Effect.sync(() => {
            whole = loaded
          })
        )
      )
    })
  ))
  const passOn = (use: (whole: Whole) => Effect.Effect<void>): Effect.Effect<void> =>
    Effect.uninterruptible(Effect.flatMap(handOver, (loaded) => loaded === undefined ? Effect.void : use(loaded)))

  // == recording

  const keep = (draft: Recorder.Draft, { identity }: SteadyStitch.Belongs, now: number): Message | undefined => {
    const { kept, message } = recorder.draw(draft, identity, now)
    if (!writer.add(message, now)) return undefined
    kept()
    return message
  }

  const recordNow = (
    event: Recorder.Event,
    belongs: SteadyStitch.Belongs | undefined,
    now: number
  ): Message | undefined => {
    if (belongs === undefined) {
      notes.add(`"${event.event}" is dropped: consent or the device's identity was withdrawn`)
      return undefined
    }
    const { to } = belongs
    const ofPersons = Object.keys(event.properties).filter((name) => to.personless && UsageEvent.isOfPersons(name))
    if (ofPersons.length > 0) notes.add(`"${event.event}" goes without ${ofPersons.join(", ")}: it has no person`)
    return keep({ ...event, ...to }, belongs, now)
  }

  const show = (message: Message | undefined): Effect.Effect<void> =>
    Effect.flatMap(
      IsShown,
      (isShown) => isShown && message !== undefined ? Console.error(JSON.stringify(message)) : Effect.void
    )

  const record: Recorder.Record = (event, belongs, now) =>
    Effect.flatMap(notes.run(() => recordNow(event, belongs, now)), show)

  const recordWhole = (event: Recorder.Event): Effect.Effect<void> =>
    Effect.flatMap(handOver, (loaded) =>
      loaded === undefined
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => record(event, steady.ownAttribution(), now))
        : loaded.capture(event))

  const leftOut = (event: string, names: ReadonlyArray<string>, why: string): void => {
    if (names.length > 0) notes.add(`"${event}" goes without ${names.join(", ")}: ${why}`)
  }

  // The event's properties, with those of the command and of the scope.
  const encode = <Properties>(
    event: UsageEvent.UsageEvent<Properties>,
    input: Properties,
    { groups = {}, properties = {} }: ReturnType<typeof combine>
  ): Schema.JsonObject | undefined => {
    const encoded = UsageEvent.encode(event, input)
    if (encoded._tag === "Failure") {
      notes.add(`"${event.name}" is dropped: ${encoded.failure}`)
      return undefined
    }
    const own = encoded.success
    const common = UsageEvent.clean(properties)
    const all = {
      ...common.properties,
      ...own.properties,
      ...UsageEvent.clean(Object.keys(groups).length === 0 ? {} : { $groups: groups }).properties
    }
    leftOut(event.name, [...common.stripped, ...own.stripped], "no JSON")
    leftOut(event.name, Object.keys(all).filter(UsageEvent.isReserved), "every event has its own")
    return all
  }

  let hasToldDenial = false
  const isAllowed = (): boolean => {
    const { decidedBy, enabled } = looks.decide()
    if (!enabled && !hasToldDenial) {
      hasToldDenial = true
      notes.add(`telemetry is off: ${ConsentDecision.explain(decidedBy)}`)
    }
    return enabled
  }

  let lastStart = yield* Clock.monotonicTimeNanos

  const captured = Effect.fnUntraced(function*<Properties>(
    event: UsageEvent.UsageEvent<Properties>,
    input: Properties
  ) {
    const current = yield* CurrentCommand
    const command = current === "untracked" ? undefined : current
    const ofCommand = command === undefined ? {} : (yield* Ref.get(command.annotations)).shared
    const ofScope = yield* UsageContext
    const now = yield* Clock.currentTimeMillis
    const isExiting = yield* runtime.isExiting
    // In one piece: nothing changes between the looks, the question of who it is, and the event.
    const done = yield* notes.run(() => {
      if (!isAllowed()) return "Done"
      const properties = encode(event, input, combine(ofCommand, ofScope))
      if (properties === undefined) return "Done"
      const draft = { event: event.name, properties, command: command?.name }
      const isLoading = isHandingOver && whole === undefined && !isIncomplete
      if (isHandingOver && !(isExiting && isLoading)) return draft
      const belongs = steady.attribution(now) ?? (isExiting ? steady.ownAttribution() : undefined)
      return belongs === undefined && !isExiting ? draft : { message: recordNow(draft, belongs, now) }
    })
    if (done === "Done") return
    yield* "message" in done ? show(done.message) : recordWhole(done)
  })

  const capture = <Properties>(
    event: UsageEvent.UsageEvent<Properties>,
    input: NoInfer<Properties>
  ): Effect.Effect<void> =>
    Effect.gen(function*() {
      yield* captured(event, input)
      // A command that runs for hours (`dev`, `watch`) does not keep its events until it ends.
      const now = yield* Clock.monotonicTimeNanos
      if (now - lastStart < deliverEveryNanos) return
      lastStart = now
      yield* Effect.forkIn(worker.ensure, scope)
    }).pipe(Effect.uninterruptible, quietly("could not record an event", undefined))

  // == the stitch

  let hasBegun = false
  let beginning: Fiber.Fiber<void> | undefined

  // Nothing follows from a response once the command is stamped.
  const isStamped = (now: number): boolean => {
    if (!isHandingOver && shared.slot === undefined && looks.decide().enabled) steady.attribution(now)
    return !isHandingOver && shared.slot !== undefined && shared.stitchAttempted
  }

  const begin = Effect.gen(function*() {
    if (whole !== undefined) return yield* whole.start
    if (hasBegun) return
    hasBegun = true
    const now = yield* Clock.currentTimeMillis
    if (!(yield* notes.run(() => steady.begin(now)))) return
    const start = passOn(({ start }) => start)
    // Without an input the credential itself is read first: a logout removes it before the account is asked for.
    if (resolver.input === undefined) return yield* start
    // A new credential is parsed and asked about beside the command.
    beginning = yield* Effect.forkIn(start, scope)
  }).pipe(quietly("could not begin a command", undefined))

  const settle = Effect.gen(function*() {
    if (beginning !== undefined) yield* Effect.exit(Effect.interruptible(Fiber.await(beginning)))
    if (whole !== undefined) yield* whole.settle
  })

  const follow: UsageCapture["Service"]["follow"] = Effect.fnUntraced(function*(command) {
    yield* Effect.acquireRelease(
      Effect.sync(() => void shared.running.add(command)),
      () => Effect.sync(() => void shared.running.delete(command))
    )
    // The code that stands before the first command is the host's failure; an earlier command's code is not this one's.
    const before = hasBegun ? yield* runtime.exitCode : 0
    const ofCommand = yield* Effect.context<never>()
    // Nothing can be waited for any more.
    yield* runtime.onExit((code, error) => Effect.runSyncExitWith(ofCommand)(command.recordExit(code, error)))
    yield* begin
    return { exitCode: Effect.map(runtime.exitCode, (code) => code === before ? 0 : code), settle }
  })

  const stitch = IdentityStitch.of({
    observe: Effect.fnUntraced(function*(principalId, authorization) {
      if ((yield* CurrentCommand) === "untracked") return
      const now = yield* Clock.currentTimeMillis
      // An illegal id opens nothing: the whole stitch says why it is ignored.
      if (isPrincipalId(principalId) && (yield* notes.run(() => isStamped(now)))) return
      yield* passOn(({ service }) => service.observe(principalId, authorization))
    }, quietly("could not act on an observed principal", undefined)),
    login: (principalId) => passOn(({ service }) => service.login(principalId)),
    logout: passOn(({ service }) => service.logout)
  })

  // == delivery

  const rest = yield* Effect.cached(
    Effect.provideContext(Effect.flatMap(parts, ({ FileOutbox }) => FileOutbox.makeWith(files, writer)), base)
  )
  const outbox = outboxOf(rest)
  const starter = yield* Effect.cached(
    Effect.provideContext(WorkerProcess.make(files, !keepsNothing(runtime)), context)
  )
  const start = (how: WorkerProcess.Start) => Effect.flatMap(starter, (start) => start(how))
  const delivery = yield* Effect.cached(
    parts.pipe(
      Effect.flatMap(({ Delivery }) => Delivery.make({ files, invocationId: id, looks, start })),
      Effect.provideContext(Context.add(base, Outbox, outbox))
    )
  )
  const leases = { files, folder: writer.folder.root, runtime }

  const identityOf = Effect.suspend(() =>
    whole === undefined ? Effect.succeed(steady.handover().opened?.identity) : whole.store.get
  )
  const unknown = { durable: false, firstRun: false }

  // Most commands find a worker alive, or a back-off: they load nothing.
  const detached = CaptureWorker.of({
    ensure: Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const identity = (yield* identityOf) ?? unknown
      const isShort = isShortLived(runtime, identity)
      const seen = yield* notes.run(() => {
        if (writer.backedOffUntil(now) > now) {
          notes.add("delivery is backed off")
          // Nothing is delivered now, so more and more waits.
          writer.trimMany(now)
          return undefined
        }
        const seen = Lease.look(leases, now)
        if ((!isShort && seen.isHeld) || !looks.decide().enabled) return undefined
        writer.trim(now)
        return seen
      })
      if (seen === undefined) return
      // Where a worker ended with its command, the next one does too. It lingers: if it outlives this command, it gives its
      // lease up, and the next command waits for nothing.
      const isAwaited = isShort || seen.isLeft
      const started = seen.isHeld ? undefined : yield* start({ lingers: !isShort, isAwaited })
      if (!isAwaited || runtime.worker === undefined) return
      yield* Effect.flatMap(delivery, ({ settle }) => settle(started, isShort ? undefined : seen))
    }).pipe(quietly("could not start a worker", undefined)),
    flush: Effect.flatMap(delivery, ({ flush }) => flush),
    obstacles: Effect.flatMap(delivery, ({ obstacles }) => obstacles)
  })
  const worker = options.worker === undefined
    ? detached
    : yield* options.worker.pipe(
      Effect.provideService(CaptureWorker, detached),
      Effect.provideService(Outbox, outbox)
    )

  const deliver = Effect.suspend(() => recorder.hasRecorded() ? worker.ensure : Effect.void)
  yield* Effect.addFinalizer(() => deliver)
  yield* Effect.addFinalizer(() =>
    hasBegun || recorder.hasRecorded()
      ? Effect.void
      : debug("nothing was tracked: no command ran under `Usage.track`, or only an untracked one")
  )
  // A process may end within the layer, or never close it. Nothing can be waited for then.
  yield* runtime.onExit(() => Effect.runSyncExitWith(context)(deliver))

  return Context.make(CaptureWorker, worker).pipe(
    Context.add(IdentitySlot, slot),
    Context.add(IdentityStitch, stitch),
    Context.add(
      IdentityStore,
      storeOf(
        Effect.flatMap(
          handOver,
          (loaded) => loaded === undefined ? Effect.die("the module is incomplete") : Effect.succeed(loaded.store)
        )
      )
    ),
    Context.add(Outbox, outbox),
    Context.add(UsageCapture, UsageCapture.of({ capture, follow }))
  )
})

/**
 * Provides the services of one command, over a disk, a consent and a resolver of the host's choice.
 *
 * **When to use**
 *
 * Use it where `Usage.layer` does not fit, such as for a disk of your own. The layer is one invocation of the CLI.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Services, never, Requirements> =>
  Layer.effectContext(make(options))
