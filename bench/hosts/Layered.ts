/**
 * The least that recording costs in this module's shape: the work of `ByHand`, divided among the services that a host's
 * tests must be able to replace, each a layer over `FileSystem`, with a schema for what is read from disk. Every service
 * does the least that it can: nothing is claimed, resolved, bounded or checked, and no worker is started.
 */
import ci from "ci-info"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import isInsideContainer from "is-inside-container"
import { randomUUID } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { bare, event } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

const attempt = <A>(method: string, evaluate: () => A) =>
  Effect.try({
    try: evaluate,
    catch: (cause) => PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method, cause })
  })

const FileSystemLive = Layer.sync(FileSystem.FileSystem, () =>
  FileSystem.makeNoop({
    exists: (file) => attempt("exists", () => Fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined),
    readDirectory: (folder) => attempt("readDirectory", () => Fs.readdirSync(folder)),
    readFileString: (file) => attempt("readFileString", () => Fs.readFileSync(file, "utf8")),
    rename: (from, to) => attempt("rename", () => Fs.renameSync(from, to)),
    writeFileString: (file, text) =>
      attempt("writeFileString", () => Fs.writeFileSync(file, text, { flag: "wx", mode: 0o600 }))
  }))

const home = process.env["ACME_HOME"] ?? ""
const usage = `${home}/usage`

class Consent extends Context.Service<Consent, { readonly decision: Effect.Effect<boolean> }>()("bench/Consent") {}

const ConsentLive = Layer.effect(
  Consent,
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const decision = Effect.gen(function*() {
      if (["ACME_USAGE_TRACKING", "DO_NOT_TRACK"].some((name) => process.env[name] === "1")) return false
      if ([home, usage].some((folder) => Fs.lstatSync(folder).uid !== process.geteuid?.())) return false
      for (const file of ["/etc/acme/usage.json", `${usage}/opt-out`]) if (yield* fs.exists(file)) return false
      return true
    }).pipe(Effect.orElseSucceed(() => false))
    return Consent.of({ decision })
  })
)

class Slot extends Context.Service<Slot, {
  readonly get: Effect.Effect<string | undefined>
}>()("bench/Slot") {}

const SlotLive = Layer.effect(
  Slot,
  Effect.map(Ref.make<string | undefined>(undefined), (ref) => Slot.of({ get: Ref.get(ref) }))
)

class Resolver extends Context.Service<Resolver, {
  readonly hasCredential: Effect.Effect<boolean>
}>()("bench/Resolver") {}

const ResolverLive = Layer.effect(
  Resolver,
  Effect.map(FileSystem.FileSystem, (fs) =>
    Resolver.of({
      hasCredential: Effect.orElseSucceed(fs.exists(`${home}/credentials.yaml`), () => true)
    }))
)

const Pointer = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ anon_id: Schema.NonEmptyString })))
const Session = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ session_id: Schema.NonEmptyString })))

interface Identity {
  readonly anonId: string
  readonly session: string
}

class Store extends Context.Service<Store, {
  readonly get: Effect.Effect<Identity | undefined>
}>()("bench/Store") {}

const StoreLive = Layer.effect(
  Store,
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const get = Effect.gen(function*() {
      const { anon_id: anonId } = yield* Effect.flatMap(fs.readFileString(`${home}/usage.json`), Pointer)
      for (const file of [`${usage}/successors/${anonId}.json`, `${usage}/claims/${anonId}.json`]) {
        if (yield* fs.exists(file)) return undefined
      }
      const { session_id: session } = yield* Effect.flatMap(fs.readFileString(`${usage}/session.json`), Session)
      return { anonId, session }
    }).pipe(Effect.orElseSucceed(() => undefined))
    return Store.of({ get })
  })
)

class Stitch extends Context.Service<Stitch, {
  readonly identity: Effect.Effect<Option.Option<Identity>>
}>()("bench/Stitch") {}

const StitchLive = Layer.effect(
  Stitch,
  Effect.gen(function*() {
    const slot = yield* Slot
    const store = yield* Store
    const resolver = yield* Resolver
    const identity = Effect.gen(function*() {
      const found = yield* store.get
      if (found === undefined || (yield* resolver.hasCredential)) return Option.none()
      return Option.some({ ...found, anonId: (yield* slot.get) ?? found.anonId })
    })
    return Stitch.of({ identity })
  })
)

interface Message {
  readonly event: string
  readonly distinct_id: string
  readonly uuid: string
  readonly timestamp: string
  readonly properties: object
}

class Outbox extends Context.Service<Outbox, {
  readonly add: (message: Message) => Effect.Effect<void>
}>()("bench/Outbox") {}

const OutboxLive = Layer.effect(
  Outbox,
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const add = Effect.fnUntraced(function*(message: Message) {
      const now = yield* Clock.currentTimeMillis
      const [outbox = ""] = yield* fs.readDirectory(`${usage}/outbox`)
      const events = `${usage}/outbox/${outbox}/events`
      const temp = `${usage}/tmp/${message.uuid}`
      yield* fs.writeFileString(temp, JSON.stringify({ version: 1, message }))
      yield* fs.rename(temp, `${events}/${String(now).padStart(15, "0")}-000000-${message.uuid}-${message.uuid}-0.json`)
      yield* fs.readDirectory(events)
      yield* fs.readDirectory(`${usage}/outbox/${outbox}`)
    }, (effect) => Effect.ignore(effect))
    return Outbox.of({ add })
  })
)

class Capture extends Context.Service<Capture, { readonly capture: Effect.Effect<void> }>()("bench/Capture") {}

const CaptureLive = Layer.effect(
  Capture,
  Effect.gen(function*() {
    const consent = yield* Consent
    const stitch = yield* Stitch
    const outbox = yield* Outbox
    const capture = Effect.gen(function*() {
      if (!(yield* consent.decision)) return
      const identity = Option.getOrUndefined(yield* stitch.identity)
      if (identity === undefined) return
      const { name, properties } = event()
      yield* outbox.add({
        event: name,
        distinct_id: identity.anonId,
        uuid: randomUUID(),
        timestamp: new Date(yield* Clock.currentTimeMillis).toISOString(),
        properties: {
          ...properties,
          $session_id: identity.session,
          os_type: Os.type(),
          os_release: Os.release(),
          is_ci: ci.isCI,
          container: isInsideContainer(),
          is_tty: process.stdout.isTTY
        }
      })
    })
    return Capture.of({ capture })
  })
)

const whileRunning = Layer.effectDiscard(Effect.gen(function*() {
  const { capture } = yield* Capture
  yield* Effect.addFinalizer(() => capture)
}))

export const Usage = {
  ...bare,
  track: <const Name extends string, Input, ContextInput, E, R>(
    root: Command.Command<Name, Input, ContextInput, E, R>
  ): Command.Command<Name, Input, ContextInput, E, R | Capture> => Command.provide(root, () => whileRunning),
  layer: () =>
    CaptureLive.pipe(
      Layer.provideMerge(StitchLive),
      Layer.provideMerge(Layer.mergeAll(StoreLive, SlotLive, ResolverLive, OutboxLive, ConsentLive)),
      Layer.provide(FileSystemLive),
      Layer.merge(bare.layer())
    )
}
