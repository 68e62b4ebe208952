/**
 * The identity as written-once files: a pointer, successors, and claims. No lock, no lease, no transaction.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SynchronizedRef from "effect/SynchronizedRef"
import * as AnonId from "../domain/AnonId.ts"
import * as Claim from "../domain/Claim.ts"
import { formers, keysOf, type Pointer } from "../domain/IdentityCodec.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { keepsNothing } from "../domain/Runtime.ts"
import { Claims } from "../services/Claims.ts"
import { type Identity, IdentityStore, type Rotation } from "../services/IdentityStore.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug, quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

const Successor = JsonDocument.make(() => Schema.Struct({ version: Schema.Literal(1), anon_id: AnonId.AnonId }))

type Next =
  | { readonly _tag: "None" }
  | { readonly _tag: "AnonId"; readonly anonId: AnonId.AnonId }
  | { readonly _tag: "Unusable"; readonly key: string }

// Nothing can lead to a fact of this age any more but a process that was suspended before it was written.
const pruneAfterMillis = 90 * 24 * 60 * 60 * 1000

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const files = yield* StateFiles
  const fs = yield* FileSystem.FileSystem
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom.SecureRandom
  const claims = yield* Claims
  const { codec } = yield* UsageSettings
  const runtime = yield* RuntimeEnvironment
  const { successors } = files.home
  const pointerFile = files.home.identityFile(codec.fileName)

  // CI, and a container without a terminal, keep nothing: they may read an identity, never make or mend one.
  const mayMake = !keepsNothing(runtime)

  const newAnonId = Effect.map(random.uuidV4(), (uuid) => AnonId.AnonId.make(uuid))
  const hash = (text: string) => digest.digestHex(Digest.sha256, new TextEncoder().encode(text))
  const successorFile = (key: string) => `${successors}/${key}.json`

  const inMemory = (firstRun: boolean): Effect.Effect<Identity> =>
    Effect.map(newAnonId, (anonId) => ({ anonId, claim: undefined, durable: false, firstRun, published: false }))

  // What a fact's key leads to; `undefined` where it leads nowhere yet. A file that cannot be understood has a key of its
  // own, so that all who see it agree on what came after.
  const successorOf = Effect.fnUntraced(function*(key: string): Effect.fn.Return<Next> {
    const read = yield* files.read(successorFile(key))
    if (read._tag === "Missing") return { _tag: "None" }
    const text = read._tag === "Text" ? read.text : "unreadable"
    const successor = Option.getOrUndefined(Successor.decode(text))
    return successor === undefined
      ? { _tag: "Unusable", key: yield* hash(`${key}\n${text}`) }
      : { _tag: "AnonId", anonId: successor.anon_id }
  })

  // Publishes what comes after a key, or reads what another process published.
  const succeed = (key: string): Effect.Effect<{ readonly won: boolean; readonly anonId: AnonId.AnonId } | undefined> =>
    Effect.gen(function*() {
      const anonId = yield* newAnonId
      const won = yield* files.publish(successorFile(key), Successor.encode({ version: 1, anon_id: anonId }))
      if (won) return { won, anonId }
      const next = yield* successorOf(key)
      if (next._tag === "AnonId") return { won, anonId: next.anonId }
      return next._tag === "Unusable" ? yield* succeed(next.key) : undefined
    }).pipe(
      quietly("an anon id could not be succeeded", undefined)
    )

  // The anon id that an identity file names, or the one that came after a file that names none.
  const startOf = Effect.fnUntraced(function*(text: string, mayWrite: boolean) {
    const pointer = Option.getOrUndefined(codec.decode(text))
    if (pointer !== undefined) return pointer.anonId
    const key = yield* hash(text)
    const next = yield* successorOf(key)
    if (next._tag === "AnonId") return next.anonId
    return mayWrite ? (yield* succeed(key))?.anonId : undefined
  })

  // Follows the successors of an anon id to the end.
  const follow = (start: AnonId.AnonId, mayWrite: boolean): Effect.Effect<AnonId.AnonId | undefined> =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      let anonId = start
      while (!seen.has(anonId)) {
        seen.add(anonId)
        const next = yield* successorOf(anonId)
        if (next._tag === "None") return anonId
        if (next._tag === "AnonId") anonId = next.anonId
        else {
          const made = mayWrite ? yield* succeed(next.key) : undefined
          if (made === undefined) return undefined
          anonId = made.anonId
        }
      }
      return undefined
    })

  const writePointer = (
    identity: { readonly anonId: AnonId.AnonId; readonly claim: Identity["claim"] },
    text: string
  ): Effect.Effect<boolean> => {
    const linkedPrincipal = identity.claim && Claim.principalOf(identity.claim)
    // What other tools keep in the file may be too deep to be written again.
    return Effect.suspend(() =>
      files.replace(pointerFile, codec.encode({ anonId: identity.anonId, linkedPrincipal }, keysOf(text)))
    ).pipe(
      Effect.as(true),
      quietly("the identity file was not rewritten", false)
    )
  }

  // Read again just before it is rewritten: a key that another tool has just added is kept, and a file that the user has
  // just deleted stays deleted. Says whether no pointer leads to an older identity any more.
  const updatePointer = (identity: Identity): Effect.Effect<boolean> =>
    Effect.flatMap(files.read(pointerFile), (read) =>
      read._tag === "Text"
        ? writePointer(identity, read.text)
        : Effect.succeed(read._tag === "Missing"))

  const adopt = (anonId: AnonId.AnonId, pointer: Pointer, mayWrite: boolean): Effect.Effect<Identity["claim"]> => {
    if (pointer.anonId !== anonId || pointer.linkedPrincipal === undefined) return Effect.succeed(undefined)
    const claim: Claim.Claim = {
      version: 1,
      anon_id: anonId,
      principal_id: pointer.linkedPrincipal,
      learned_by: "adopted",
      credential: "none",
      destination: null,
      alias: null
    }
    if (!mayWrite) return Effect.succeed(claim)
    return Effect.map(claims.publish(claim), (result) => result._tag === "Held" ? result.claim : claim)
  }

  const settle = Effect.fnUntraced(function*(
    text: string,
    start: AnonId.AnonId,
    options: { readonly firstRun: boolean; readonly mayWrite: boolean }
  ) {
    const { firstRun, mayWrite } = options
    const pointer = Option.getOrUndefined(codec.decode(text))
    const anonId = yield* follow(start, mayWrite)
    if (anonId === undefined) return yield* inMemory(firstRun)
    const claim = (yield* claims.find(anonId)) ??
      (pointer === undefined ? undefined : yield* adopt(anonId, pointer, mayWrite))
    const identity: Identity = { anonId, claim, durable: true, firstRun, published: false }
    const lags = pointer?.anonId !== anonId || pointer.linkedPrincipal !== (claim && Claim.principalOf(claim))
    if (lags && mayWrite) yield* writePointer(identity, text)
    return identity
  })

  const create: Effect.Effect<Identity | undefined> = Effect.gen(function*() {
    const anonId = yield* newAnonId
    const won = yield* files.publish(pointerFile, codec.encode({ anonId, linkedPrincipal: undefined }, {}))
    if (!won) return undefined
    return { anonId, claim: undefined, durable: true, firstRun: true, published: true }
  }).pipe(
    Effect.tapError((error) => debug("an identity could not be made", error)),
    Effect.catch(() => inMemory(true))
  )

  // A host that changes its file's format keeps its devices' ids; once, so that deleting the file still means that.
  const importFormer: Effect.Effect<boolean> = Effect.gen(function*() {
    if ((yield* files.read(files.home.imported))._tag !== "Missing") return false
    for (const former of formers(codec)) {
      const file = yield* files.read(files.home.identityFile(former.fileName))
      const pointer = file._tag === "Text" ? Option.getOrUndefined(former.decode(file.text)) : undefined
      if (pointer === undefined) continue
      yield* files.publish(pointerFile, codec.encode(pointer, {}))
      return yield* files.publish(files.home.imported, "")
    }
    return false
  }).pipe(quietly("a former identity was not read", false))

  const read = (make: boolean, firstRun: boolean): Effect.Effect<Identity | undefined> =>
    Effect.gen(function*() {
      const mayWrite = make && mayMake
      const file = yield* files.read(pointerFile)
      if (file._tag === "Missing") {
        if (!mayWrite) return make ? yield* inMemory(true) : undefined
        if (yield* importFormer) return yield* read(make, firstRun)
        // Losing means that the file is there now; it can only be missing again if somebody deletes it meanwhile.
        return (yield* create) ?? (yield* read(make, true))
      }
      if (file._tag === "Text") {
        const start = yield* startOf(file.text, mayWrite)
        if (start !== undefined) return yield* settle(file.text, start, { firstRun, mayWrite })
      }
      return make ? yield* inMemory(firstRun) : undefined
    })

  const state = yield* SynchronizedRef.make<Identity | undefined>(undefined)

  const load = (known: Identity | undefined) =>
    Effect.flatMap(read(true, known?.firstRun ?? false), (found) => {
      if (found === undefined) return inMemory(true)
      // An identity in memory must not change under a process only because it was looked at again.
      return Effect.succeed(
        !found.durable && known !== undefined && !known.durable ? known : {
          ...found,
          published: known?.published ?? found.published
        }
      )
    })

  const get = SynchronizedRef.modifyEffect(state, (known) =>
    known === undefined
      ? Effect.map(load(undefined), (identity) => [identity, identity] as const)
      : Effect.succeed([known, known] as const))

  const refresh = SynchronizedRef.modifyEffect(
    state,
    (known) => Effect.map(load(known), (identity) => [identity, identity] as const)
  )

  const prune = Effect.gen(function*() {
    // The file of the former format still names an id whose claim and successor are among these: a host that goes back to
    // that format would claim the id once more.
    if ((yield* files.read(files.home.imported))._tag !== "Missing") return
    const now = yield* Clock.currentTimeMillis
    const isOld = (file: string) =>
      Effect.map(fs.stat(file), (info) => Option.exists(info.mtime, (time) => now - time.getTime() > pruneAfterMillis))
    for (const name of yield* files.list(successors)) {
      if (yield* isOld(`${successors}/${name}`)) yield* files.remove(`${successors}/${name}`)
    }
    const names = new Set(yield* files.list(files.home.claims))
    for (const name of names) {
      const anonId = Option.getOrUndefined(AnonId.decode(name.slice(0, -".json".length)))
      if (anonId === undefined || !(yield* isOld(`${files.home.claims}/${name}`))) continue
      const settled = [`${anonId}.delivered`, `${anonId}.set-aside`].filter((name) => names.has(name))
      const claim = yield* claims.find(anonId)
      if (settled.length === 0 && claim !== undefined && Claim.isReadable(claim) && claim.alias !== null) continue
      for (const file of [name, `${anonId}.stored`, ...settled]) yield* files.remove(`${files.home.claims}/${file}`)
    }
  }).pipe(Effect.ignoreCause)

  // Whether the disk leads neither to an anon id nor on from it: an opt-out, or the user, has deleted it meanwhile. It may
  // have been claimed and aliased before, and nothing says so any more.
  const isForgotten = Effect.fnUntraced(function*(anonId: AnonId.AnonId) {
    const file = yield* files.read(pointerFile)
    if (file._tag !== "Text") return file._tag === "Missing"
    const start = yield* startOf(file.text, false)
    if (start !== undefined && (yield* follow(start, false)) === anonId) return false
    // Asked last: another process may have rotated it since the file was read.
    return (yield* successorOf(anonId))._tag === "None"
  })

  const outcome = (rotation: Rotation, identity: Identity): readonly [Rotation, Identity] => [rotation, identity]

  const rotate = SynchronizedRef.modifyEffect(state, (known) =>
    Effect.gen(function*() {
      const from = known ?? (yield* load(undefined))
      if (!from.durable) {
        const identity = yield* inMemory(from.firstRun)
        return outcome({ _tag: "Rotated", identity }, identity)
      }
      const next = yield* succeed(from.anonId)
      if (next === undefined) return outcome({ _tag: "Unwritable" }, from)
      if (next.won) {
        const identity: Identity = { ...from, anonId: next.anonId, claim: undefined }
        if (yield* updatePointer(identity)) yield* prune
        return outcome({ _tag: "Rotated", identity }, identity)
      }
      const anonId = yield* follow(next.anonId, mayMake)
      if (anonId === undefined) return outcome({ _tag: "Unwritable" }, from)
      const identity: Identity = { ...from, anonId, claim: yield* claims.find(anonId) }
      yield* updatePointer(identity)
      return outcome({ _tag: "Overtaken", identity }, identity)
    }))

  const forget = SynchronizedRef.modifyEffect(
    state,
    (known) => Effect.map(inMemory(known?.firstRun ?? false), (identity) => [identity, identity] as const)
  )

  return IdentityStore.of({
    get,
    refresh,
    stands: Effect.flatMap(
      SynchronizedRef.get(state),
      (known) =>
        known?.durable === true
          ? Effect.map(isForgotten(known.anonId), (forgotten) => !forgotten)
          : Effect.succeed(true)
    ),
    peek: read(false, false),
    claim: (claim) =>
      SynchronizedRef.modifyEffect(state, (known) =>
        Effect.gen(function*() {
          if (yield* isForgotten(claim.anon_id)) return [{ _tag: "Unwritable" }, known] as const
          const result = yield* claims.publish(claim)
          const held = result._tag === "Published" ? claim : result._tag === "Held" ? result.claim : undefined
          // The claim of an anon id that was rotated meanwhile stands, but it is not the new one's.
          if (known?.anonId !== claim.anon_id || held === undefined) return [result, known] as const
          const identity: Identity = { ...known, claim: held }
          if (result._tag === "Published") yield* updatePointer(identity)
          return [result, identity] as const
        })),
    confirmStored: SynchronizedRef.updateEffect(state, (known) => {
      const claim = known?.claim
      if (known === undefined || claim === undefined || !Claim.isReadable(claim)) return Effect.succeed(known)
      if (claim.credential === "stored" || !known.durable || !mayMake) return Effect.succeed(known)
      return Effect.as(claims.confirmStored(claim.anon_id), { ...known, claim: { ...claim, credential: "stored" } })
    }),
    rotate,
    forget
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  IdentityStore,
  never,
  | StateFiles
  | FileSystem.FileSystem
  | Digest.Digest
  | SecureRandom.SecureRandom
  | Claims
  | UsageSettings
  | RuntimeEnvironment
> = Layer.effect(IdentityStore, make)
