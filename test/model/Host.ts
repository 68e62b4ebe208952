/**
 * A small host: what a command of a program does, on the real layers, over whatever disk, clock and API it is given.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as EffectPath from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Path from "node:path"
import * as CommandTracking from "../../src/cli/CommandTracking.ts"
import * as TelemetryHandlers from "../../src/cli/TelemetryHandlers.ts"
import * as Credential from "../../src/domain/Credential.ts"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import type { Message } from "../../src/domain/Message.ts"
import * as PrincipalId from "../../src/domain/PrincipalId.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as Cold from "../../src/layers/Cold.ts"
import * as Delivery from "../../src/layers/Delivery.ts"
import * as EnvironmentConsent from "../../src/layers/EnvironmentConsent.ts"
import * as FileOutbox from "../../src/layers/FileOutbox.ts"
import * as FixedPrincipalResolver from "../../src/layers/FixedPrincipalResolver.ts"
import * as Lease from "../../src/layers/Lease.ts"
import * as OptOutFiles from "../../src/layers/OptOutFiles.ts"
import * as OutboxWriter from "../../src/layers/OutboxWriter.ts"
import * as StateFiles from "../../src/layers/StateFiles.ts"
import * as UsageServices from "../../src/layers/UsageServices.ts"
import { CaptureWorker } from "../../src/services/CaptureWorker.ts"
import { Consent } from "../../src/services/Consent.ts"
import type { Disk, Read } from "../../src/services/Disk.ts"
import { HostRuntime } from "../../src/services/HostRuntime.ts"
import { IdentitySlot } from "../../src/services/IdentitySlot.ts"
import { IdentityStitch } from "../../src/services/IdentityStitch.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import { type CredentialInput, PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import { UsageCapture } from "../../src/services/UsageCapture.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"
import * as SearchFile from "../../src/worker/SearchFile.ts"
import * as Worker from "../../src/worker/Worker.ts"
import * as Program from "./Program.ts"

// == the machine

const path = Effect.runSync(Effect.provide(Effect.service(EffectPath.Path), EffectPath.layer))

/** What a process of the device runs on. */
export interface Machine {
  readonly home: string
  readonly disk: Disk
  readonly uuid: () => string
  readonly runtime: Program.Runtime
}

const baseOf = (
  { disk, home, runtime, uuid }: Machine,
  onInvocation: (id: string) => void = () => {}
): Context.Context<HostRuntime | UsageSettings | EffectPath.Path> =>
  Context.make(
    HostRuntime,
    HostRuntime.of({
      ...TestUsage.runtime(disk),
      ci: runtime.ci ? "GitHub Actions" : undefined,
      container: runtime.container,
      stdoutIsTerminal: runtime.terminal,
      stderrIsTerminal: runtime.terminal,
      uuid,
      setVariable: (_, id) => Effect.as(Effect.sync(() => onInvocation(id)), 0)
    })
  ).pipe(
    Context.add(EffectPath.Path, path),
    Context.add(
      UsageSettings,
      UsageSettings.of({
        name: "acme",
        version: "1.2.3",
        variables: "ACME",
        home: StateHome.make(Path, home),
        destination: { host: "http://127.0.0.1:4000", key: "phc_test" },
        destinationId: "destination",
        codec: arcade
      })
    )
  )

// == the world around a command

/** What the host and its API do, and the callbacks of what happens. */
export interface World {
  /** Where the host keeps its user's key. */
  readonly stored: string
  /** Variables that the resolver says it reads besides, each time that it is asked. */
  readonly variables: () => Readonly<Record<string, string>>
  /** Loads the whole path. */
  readonly cold: NonNullable<UsageServices.Options["cold"]>
  /** The host's own work, which can fail as its command does. */
  readonly read: Effect.Effect<string | undefined, "failed">
  readonly store: (secret: Program.Secret) => Effect.Effect<void, "failed">
  readonly remove: Effect.Effect<void, "failed">
  /** Ends when the API's answer to the host is there. */
  readonly response: Effect.Effect<void>
  /** Ends when the API's answer to the resolver is there. */
  readonly answer: Effect.Effect<void>
  /** Lets the API answer the resolver. */
  readonly answers: Effect.Effect<void>
  /** Ends one operation, and waits until the next may begin. */
  readonly boundary: (name: string, op: Program.Op | undefined) => Effect.Effect<void>
  /** `slot` says what the identity slot holds. */
  readonly onBegin: (invocationId: string, slot: () => string | undefined) => void
  readonly onCaptured: () => void
  /** The host's own resolver could not read the credential that was there. */
  readonly onBlind: () => void
}

const Recorded = UsageEvent.make("Recorded", {
  description: "An event of a program",
  properties: Schema.Struct({ name: Schema.String })
})

const noWorker = CaptureWorker.of({
  ensure: Effect.void,
  flush: Effect.succeed({ delivered: 0, kept: 0 }),
  obstacles: Effect.succeed([])
})

// As `HttpPrincipal.parse`: what is there and cannot be read is a credential of an unknown principal.
const parse = (env: string | undefined, file: Read | undefined): Credential.Credential | undefined => {
  if (env !== undefined) return { source: "environment", secret: Redacted.make(env) }
  if (file?._tag === "Text" && file.text !== "") return { source: "stored", secret: Redacted.make(file.text) }
  return file?._tag === "Missing" ? undefined : Credential.unreadable
}

// As `NoPrincipalResolver`, but for the variables of a twin.
const withoutCredential = (world: World): CredentialInput => ({
  files: [],
  get variables() {
    return world.variables()
  },
  configuration: "",
  parse: () => Effect.succeed(undefined)
})

/** One invocation of the host. */
export const command = (
  command: Program.Command,
  machine: Machine,
  world: World
): Effect.Effect<void, "failed", Scope.Scope> => {
  // The host loads its user's key once, with the first look at it.
  let loaded: { readonly secret: string | undefined } | undefined
  const read = world.read.pipe(
    Effect.tapError(() => Effect.sync(() => command.resolver === "own" ? world.onBlind() : undefined)),
    Effect.orElseSucceed(() => undefined)
  )
  const load = Effect.map(command.env === undefined ? read : Effect.succeed(command.env), (secret) => {
    loaded ??= { secret }
    return secret
  })

  const resolver = PrincipalResolver.of({
    input: command.resolver === "own" ? undefined : command.resolver === "none" ? withoutCredential(world) : {
      files: [world.stored],
      get variables() {
        return { ...world.variables(), ACME_API_KEY: command.env }
      },
      configuration: "",
      parse: ({ files: [file], variables }) => Effect.sync(() => parse(variables["ACME_API_KEY"], file))
    },
    credential: Effect.map(
      load,
      (secret) => parse(command.env, secret === undefined ? { _tag: "Missing" } : { _tag: "Text", text: secret })
    ),
    resolve: ({ secret }) =>
      Effect.map(world.answer, () => {
        const known = Program.secrets.find((one) => one === Redacted.value(secret))
        if (command.api !== "up" || known === undefined) return undefined
        return Result.getOrElse(PrincipalId.decode(Program.ownerOf[known]), () => undefined)
      })
  })

  return Effect.gen(function*() {
    let slot = (): string | undefined => undefined
    const base = baseOf(machine, (id) => world.onBegin(id, () => slot()))
    const looks = yield* Effect.provideContext(EnvironmentConsent.make, base)
    const consent = yield* Effect.provideContext(EnvironmentConsent.serviceOf(looks), base)
    const services = yield* UsageServices.make({ checks: looks, worker: Effect.succeed(noWorker), cold: world.cold })
      .pipe(
        Effect.provideContext(base.pipe(Context.add(Consent, consent), Context.add(PrincipalResolver, resolver)))
      )
    const usage = Context.get(services, UsageCapture)
    const capture: UsageCapture["Service"]["capture"] = (event, properties) =>
      Effect.tap(usage.capture(event, properties), () => Effect.sync(world.onCaptured))
    const stitch = Context.get(services, IdentityStitch)
    slot = () => Effect.runSync(Context.get(services, IdentitySlot).get)

    // The client of a host that says where its credential is tells with which one a request was made.
    const observe = (secret: Program.Secret) =>
      stitch.observe(Program.ownerOf[secret], command.resolver === "input" ? `Bearer ${secret}` : undefined)
    const all = (count: number, effect: (index: number) => Effect.Effect<void>) =>
      Effect.forEach(Array.from({ length: count }).keys(), effect, { concurrency: "unbounded", discard: true })

    const perform = Effect.fnUntraced(function*(op: Program.Op) {
      switch (op._tag) {
        case "Event":
          return yield* capture(Recorded, { name: "event" })
        case "Request": {
          const secret = Program.secrets.find((one) => one === loaded?.secret)
          if (secret === undefined) return
          return yield* all(op.copies, () => Effect.andThen(world.response, observe(secret)))
        }
        case "Observe":
          return yield* all(op.principals.length, (index) => stitch.observe(op.principals[index] ?? ""))
        case "Login": {
          if (op.validated) yield* observe(op.secret)
          yield* world.store(op.secret)
          loaded = { secret: command.env ?? op.secret }
          return yield* stitch.login(Program.ownerOf[op.secret])
        }
        case "Logout": {
          yield* world.remove
          loaded = { secret: command.env }
          return yield* stitch.logout
        }
        case "Answer":
          return yield* world.answers
      }
    })

    // Where the host's own work fails, its command does.
    const handler = Effect.gen(function*() {
      if (loaded === undefined) yield* load
      const ops = Effect.forEach(command.ops, (op) => Effect.andThen(world.boundary(op._tag, op), perform(op)))
      const exit = yield* Effect.exit(ops)
      yield* world.boundary("end", undefined)
      yield* exit
    })
    yield* handler.pipe(
      CommandTracking.trackEffect("deploy"),
      Effect.provideContext(Context.add(services, UsageCapture, UsageCapture.of({ ...usage, capture })))
    )
  })
}

// == what else goes on

/** `telemetry disable` and `telemetry enable`. */
export const optOut = (machine: Machine, denies: boolean): Effect.Effect<void> =>
  OptOutFiles.make.pipe(
    Effect.flatMap(({ allow, deny }) => Effect.ignore(denies ? deny : allow)),
    Effect.provideContext(baseOf(machine))
  )

type Send = (messages: ReadonlyArray<Message>) => Effect.Effect<void>

// What a worker of the device has.
const workerOf = Effect.fnUntraced(function*({ disk, uuid }: Machine, send: Send) {
  const settings = yield* UsageSettings
  const runtime = yield* HostRuntime
  const looks = yield* EnvironmentConsent.make
  const files = StateFiles.make({
    home: settings.home,
    path,
    runtime: { ...runtime, disk },
    stillGiven: looks.stillGiven
  })
  const writer = OutboxWriter.make(files, settings)
  const consent = yield* EnvironmentConsent.serviceOf(looks)
  const outbox = yield* Effect.provideService(FileOutbox.makeWith(files, writer), Consent, consent)
  const leases = { files, folder: writer.folder.root, runtime }
  // The starter takes the lease for its worker, which takes it over.
  const run = Effect.gen(function*() {
    const id = uuid()
    const now = yield* Clock.currentTimeMillis
    if (typeof Lease.acquire(leases, now, 3_000, { id, pid: runtime.pid, boots: true }) !== "object") return
    yield* Worker.run({
      send: (messages) => Effect.as(send(messages), { _tag: "Taken", quotaLimited: false }),
      isAllowed: () => looks.decide().enabled,
      job: { id, lingers: false },
      leases,
      outbox,
      search: SearchFile.make(files, writer.folder.root),
      startSuccessor: Effect.void,
      until: (yield* Worker.monotonicMillis) + Lease.longestMillis
    })
  })
  return { consent, files, looks, outbox, run }
})

/** A worker, as a command starts it: takes the lease, delivers, and gives the lease up. */
export const work = (machine: Machine, send: Send): Effect.Effect<void> =>
  workerOf(machine, send).pipe(Effect.flatMap(({ run }) => run), Effect.provideContext(baseOf(machine)))

/** A `telemetry` command; a flush has its worker in its own process. */
export const telemetry = (
  machine: Machine,
  what: typeof Program.telemetry[number],
  send: Send
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { consent, files, looks, outbox, run } = yield* workerOf(machine, send)
    const { flush, obstacles } = yield* Delivery.make({
      files,
      invocationId: "",
      checks: looks,
      start: () => Effect.as(run, undefined)
    }).pipe(Effect.provideService(Outbox, outbox))
    const worker = CaptureWorker.of({ ensure: Effect.void, flush, obstacles })
    const services = yield* UsageServices.make({
      checks: looks,
      worker: Effect.succeed(worker),
      cold: Effect.succeed(Cold)
    })
      .pipe(
        Effect.provideService(Consent, consent),
        Effect.provide(FixedPrincipalResolver.layerNone)
      )
    const { flush: deliver, log, status } = TelemetryHandlers
    const handlers = {
      status: status({ json: true }),
      log: log({ json: true, sent: false }),
      flush: Effect.ignore(deliver({ json: true }))
    }
    yield* Effect.provideContext(handlers[what], Context.add(services, Consent, consent))
  }).pipe(Effect.scoped, Effect.provideContext(baseOf(machine)))

/** A worker: takes what waits, sends it in requests of two, and removes it where an answer came. */
export const drain = (
  machine: Machine,
  options: {
    readonly taken: boolean
    /** Whether the user wants nothing to be sent. */
    readonly isDenied: () => boolean
    readonly send: Send
  }
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { outbox } = yield* workerOf(machine, options.send)
    const waiting = yield* outbox.entries
    for (let at = 0; at < waiting.length; at += 2) {
      if (options.isDenied()) return
      const batch = waiting.slice(at, at + 2)
      yield* options.send(batch.map(({ message }) => message))
      if (options.taken) yield* outbox.delivered(batch)
    }
  }).pipe(Effect.provideContext(baseOf(machine)))
