/**
 * A small host: what a command of a program does, on the real layers, over whatever disk, clock and API it is given.
 */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as NCrypto from "node:crypto"
import * as Path from "node:path"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import type { Message } from "../../src/domain/Message.ts"
import * as PrincipalId from "../../src/domain/PrincipalId.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as UsageEvent from "../../src/domain/UsageEvent.ts"
import * as CommandInvocation from "../../src/layers/CommandInvocation.ts"
import * as EnvironmentConsent from "../../src/layers/EnvironmentConsent.ts"
import * as FileClaims from "../../src/layers/FileClaims.ts"
import * as FileIdentityStore from "../../src/layers/FileIdentityStore.ts"
import * as FileOptOut from "../../src/layers/FileOptOut.ts"
import * as FileOutbox from "../../src/layers/FileOutbox.ts"
import * as FilePrincipalCache from "../../src/layers/FilePrincipalCache.ts"
import * as FileSessionStore from "../../src/layers/FileSessionStore.ts"
import * as HybridIdentityStitch from "../../src/layers/HybridIdentityStitch.ts"
import * as MemoryIdentitySlot from "../../src/layers/MemoryIdentitySlot.ts"
import * as OutboxUsageCapture from "../../src/layers/OutboxUsageCapture.ts"
import * as StateFiles from "../../src/layers/StateFiles.ts"
import * as StderrNotice from "../../src/layers/StderrNotice.ts"
import { CaptureWorker } from "../../src/services/CaptureWorker.ts"
import { CurrentProcess } from "../../src/services/CurrentProcess.ts"
import { IdentitySlot } from "../../src/services/IdentitySlot.ts"
import { IdentityStitch } from "../../src/services/IdentityStitch.ts"
import { type Identity, IdentityStore } from "../../src/services/IdentityStore.ts"
import { Invocation } from "../../src/services/Invocation.ts"
import { OptOut } from "../../src/services/OptOut.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import { RuntimeEnvironment } from "../../src/services/RuntimeEnvironment.ts"
import { UsageCapture } from "../../src/services/UsageCapture.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import * as TestUsage from "../../src/testing/TestUsage.ts"
import * as Program from "./Program.ts"

// == the machine

const digest = Digest.Digest.of({
  digest: (_, data) => Effect.sync(() => NCrypto.createHash("sha256").update(data).digest()),
  digestHex: (_, data) => Effect.sync(() => NCrypto.createHash("sha256").update(data).digest("hex"))
})

const settingsOf = (home: string) =>
  UsageSettings.of({
    name: "acme",
    version: "1.2.3",
    variables: "ACME",
    home: StateHome.make(Path, home),
    destination: { host: "http://127.0.0.1:4000", key: "phc_test" },
    destinationId: "destination",
    codec: arcade
  })

const runtimeOf = (runtime: Program.Runtime) =>
  RuntimeEnvironment.of({
    ci: runtime.ci ? "GitHub Actions" : undefined,
    agent: undefined,
    container: runtime.container,
    stdoutIsTerminal: runtime.terminal,
    stderrIsTerminal: runtime.terminal,
    runtime: { language: "node", version: "24.0.0" },
    os: { type: "Linux", release: "6.1.0", arch: "x64" },
    pid: 4242,
    uid: undefined
  })

/** What all processes of a device stand on. */
export const base = (options: {
  readonly home: string
  readonly fileSystem: FileSystem.FileSystem
  readonly random: SecureRandom.SecureRandom["Service"]
  readonly runtime: Program.Runtime
}) =>
  Layer.mergeAll(EnvironmentConsent.layer, FileOptOut.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(
      Layer.succeed(FileSystem.FileSystem, options.fileSystem),
      NodePath.layer,
      Layer.succeed(Digest.Digest, digest),
      Layer.succeed(SecureRandom.SecureRandom, options.random),
      Layer.succeed(CurrentProcess, TestUsage.currentProcess),
      Layer.succeed(RuntimeEnvironment, runtimeOf(options.runtime)),
      Layer.succeed(UsageSettings, settingsOf(options.home))
    ))
  )

/** What all processes of a device stand on. */
export type Base = ReturnType<typeof base>

// == the world around a command

/** What a process holds in memory, as far as it can be told without disturbing it. */
export interface Memory {
  readonly slot: string | undefined
  readonly identity: Identity | undefined
}

/** What the host and its API do, and who is told of what happens. */
export interface World {
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
  readonly onBegin: (invocationId: string, memory: () => Memory) => void
  readonly onCaptured: () => void
  /** The credential was there and could not be read. */
  readonly onBlind: () => void
}

const Recorded = UsageEvent.make("Recorded", {
  description: "An event of a program",
  properties: Schema.Struct({ name: Schema.String })
})

/** One invocation of the host. */
export const command = (
  command: Program.Command,
  base: Base,
  world: World
): Effect.Effect<void, "failed", Scope.Scope> => {
  // The host loads its user's key once, with the first look at it.
  let loaded: { readonly secret: string | undefined } | undefined
  const read = Effect.catch(world.read, () =>
    Effect.sync(() => {
      world.onBlind()
      return undefined
    }))
  const load = Effect.map(command.env === undefined ? read : Effect.succeed(command.env), (secret) => {
    loaded ??= { secret }
    return secret
  })

  const resolver = PrincipalResolver.of({
    credential: Effect.map(load, (secret) =>
      secret === undefined
        ? undefined
        : { source: command.env === undefined ? "stored" : "environment", secret: Redacted.make(secret) }),
    resolve: ({ secret }) =>
      Effect.map(world.answer, () => {
        const known = Program.secrets.find((one) => one === Redacted.value(secret))
        if (command.api !== "up" || known === undefined) return undefined
        return Result.getOrElse(PrincipalId.decode(Program.ownerOf[known]), () => undefined)
      })
  })

  // What the process knows is told without asking it, which would make an identity.
  let identity: Identity | undefined
  const watchedStore = Layer.effect(
    IdentityStore,
    Effect.map(FileIdentityStore.make, (store) => {
      const watch = (found: Identity) =>
        Effect.sync(() => {
          identity = found
        })
      return IdentityStore.of({
        ...store,
        get: Effect.tap(store.get, watch),
        refresh: Effect.tap(store.refresh, watch),
        claim: (claim) => Effect.tap(store.claim(claim), () => Effect.flatMap(store.get, watch)),
        rotate: Effect.tap(
          store.rotate,
          (outcome) => outcome._tag === "Unwritable" ? Effect.void : watch(outcome.identity)
        ),
        forget: Effect.tap(store.forget, watch)
      })
    })
  )

  const layer = OutboxUsageCapture.layer.pipe(
    Layer.provideMerge(HybridIdentityStitch.layer),
    Layer.provideMerge(CommandInvocation.layer),
    Layer.provideMerge(Layer.mergeAll(
      watchedStore,
      FilePrincipalCache.layer,
      FileSessionStore.layer,
      FileOutbox.layer,
      MemoryIdentitySlot.layer,
      StderrNotice.layerNone,
      Layer.succeed(PrincipalResolver, resolver),
      Layer.mock(CaptureWorker, { ensure: Effect.void })
    )),
    Layer.provideMerge(FileClaims.layer),
    Layer.provideMerge(StateFiles.layer),
    Layer.provide(base)
  )

  return Effect.gen(function*() {
    const context = yield* Layer.build(layer)
    const capture = Context.get(context, UsageCapture)
    const stitch = Context.get(context, IdentityStitch)
    const slot = Context.get(context, IdentitySlot)
    const invocation = Context.get(context, Invocation)
    world.onBegin(invocation.id, () => ({ slot: Effect.runSync(slot.get), identity }))

    const record = (name: string) => Effect.andThen(capture.capture(Recorded, { name }), Effect.sync(world.onCaptured))

    // As the tracker of commands does it: the success of a logout is recorded within it.
    const hasSucceeded = yield* Ref.make(false)
    const succeed = Effect.flatMap(
      Ref.getAndSet(hasSucceeded, true),
      (before) => before ? Effect.void : record("succeeded")
    )
    yield* stitch.beforeLogout(succeed)
    yield* stitch.begin
    if (loaded === undefined) yield* load

    const perform = Effect.fnUntraced(function*(op: Program.Op) {
      switch (op._tag) {
        case "Event":
          return yield* record("event")
        case "Request": {
          const known = Program.secrets.find((one) => one === loaded?.secret)
          if (known === undefined) return
          const response = Effect.andThen(world.response, stitch.observe(Program.ownerOf[known]))
          return yield* Effect.all(Array.from({ length: op.copies }, () => response), {
            concurrency: "unbounded",
            discard: true
          })
        }
        case "Observe":
          return yield* Effect.all(op.principals.map((principal) => stitch.observe(principal)), {
            concurrency: "unbounded",
            discard: true
          })
        case "Login": {
          if (op.validated) yield* stitch.observe(Program.ownerOf[op.secret])
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
    const ops = Effect.forEach(command.ops, (op) => Effect.andThen(world.boundary(op._tag, op), perform(op)))
    const exit = yield* Effect.exit(ops)
    yield* world.boundary("end", undefined)
    yield* stitch.settle
    yield* Exit.isSuccess(exit) ? succeed : record("failed")
    yield* exit
  })
}

// == what else goes on

/** `telemetry disable` and `telemetry enable`. */
export const optOut = (base: Base, denies: boolean): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const optOut = Context.get(yield* Layer.build(base), OptOut)
    yield* Effect.ignore(denies ? optOut.publish : optOut.withdraw)
  })

/** A worker: takes what waits, sends it in requests of two, and removes it where an answer came. */
export const drain = (
  base: Base,
  options: {
    readonly taken: boolean
    /** Whether the user wants nothing to be sent. */
    readonly isDenied: () => boolean
    readonly send: (messages: ReadonlyArray<Message>) => Effect.Effect<void>
  }
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const layer = FileOutbox.layer.pipe(
      Layer.provide(FileClaims.layer),
      Layer.provide(StateFiles.layer),
      Layer.provide(base)
    )
    const outbox = Context.get(yield* Layer.build(layer), Outbox)
    const waiting = yield* outbox.entries
    for (let at = 0; at < waiting.length; at += 2) {
      if (options.isDenied()) return
      const batch = waiting.slice(at, at + 2)
      yield* options.send(batch.map(({ message }) => message))
      if (options.taken) yield* outbox.delivered(batch)
    }
  })
