/**
 * The identity as write-once files: a pointer, successors and claims. No lock, no lease, no transaction.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { type AnonId, isAnonId } from "../domain/AnonId.ts"
import * as Claim from "../domain/Claim.ts"
import { formerOf, hasByteOrderMark, type Pointer } from "../domain/IdentityCodec.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { isStateless } from "../domain/Runtime.ts"
import { Consent } from "../services/Consent.ts"
import { type Errno, isIrregular, isRefused, type Read } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { type Identity, IdentityStore, type Publication, type Rotation } from "../services/IdentityStore.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as ClaimFiles from "./ClaimFiles.ts"
import * as ClaimWriter from "./ClaimWriter.ts"
import * as NewIdentity from "./NewIdentity.ts"
import * as PointerFile from "./PointerFile.ts"
import * as StateFiles from "./StateFiles.ts"
import * as UnfinishedFile from "./UnfinishedFile.ts"

const decodeSuccessor = JsonDocument.decoder<AnonId>(({ anon_id, version }) =>
  version === 1 && isAnonId(anon_id) ? anon_id : undefined
)

// The successor of an anon id or of an unusable file. An unusable successor file has a key of its own, derived from its
// text, so that all processes agree on its successor.
type Next =
  | { readonly _tag: "None" }
  | { readonly _tag: "AnonId"; readonly anonId: AnonId }
  | { readonly _tag: "Unusable"; readonly key: string }
  | { readonly _tag: "Unreadable" }

// Only a process that was suspended for this time can still need an older fact.
const pruneAfterMillis = 90 * 24 * 60 * 60 * 1000

/**
 * Creates the store of one process. `initial` is the identity that the process has already read.
 *
 * @internal
 */
export const makeWith = Effect.fnUntraced(function*(files: StateFiles.StateFiles, initial: Identity | undefined) {
  const runtime = yield* HostRuntime
  const { codec } = yield* UsageSettings
  const { disk, sha256, uuid } = runtime
  const { home, notes } = files
  const pointerFile = home.identityFile(codec.fileName)

  // CI and containers without a terminal may read an identity, and never create or repair one.
  const mayCreate = !isStateless(runtime)

  const clock = yield* Clock.Clock
  const readFinished = UnfinishedFile.make(files, {
    disk,
    mayWait: mayCreate,
    now: () => clock.currentTimeMillisUnsafe()
  })
  const readPointer = (): Read => readFinished(pointerFile, (text) => codec.decode(text) !== undefined)

  const inMemory = (firstRun: boolean): Identity => NewIdentity.inMemory(uuid, firstRun)
  const successorFile = (key: string): string => `${home.successors}/${key}.json`

  // == successors

  const successorOf = (key: string): Next => {
    const read = readFinished(successorFile(key), (text) => decodeSuccessor(text) !== undefined)
    if (read._tag === "Missing") return { _tag: "None" }
    if (read._tag === "Unreadable") return { _tag: "Unreadable" }
    const successor = decodeSuccessor(read.text)
    return successor === undefined
      ? { _tag: "Unusable", key: sha256(`${key}\n${read.text}`) }
      : { _tag: "AnonId", anonId: successor }
  }

  // Publishes the successor of a key, or reads the successor that another process published.
  const publishSuccessor = (key: string): { readonly isOwn: boolean; readonly anonId: AnonId } | undefined => {
    const { anonId } = inMemory(false)
    const code = files.publish(successorFile(key), JSON.stringify({ version: 1, anon_id: anonId }))
    if (code === undefined) return { isOwn: true, anonId }
    if (code !== "EEXIST") {
      notes.add(`could not write the successor of an anon id: ${code}`)
      return undefined
    }
    const next = successorOf(key)
    if (next._tag === "AnonId") return { isOwn: false, anonId: next.anonId }
    return next._tag === "Unusable" ? publishSuccessor(next.key) : undefined
  }

  // Returns the last successor of an anon id, or `until` if it is a successor.
  const follow = (start: AnonId, mayWrite: boolean, until?: AnonId): AnonId | undefined => {
    const seen = new Set<string>()
    let anonId = start
    while (!seen.has(anonId)) {
      if (anonId === until) return anonId
      seen.add(anonId)
      const next = successorOf(anonId)
      if (next._tag === "None") return anonId
      if (next._tag === "Unreadable") return undefined
      if (next._tag === "AnonId") anonId = next.anonId
      else {
        const successor = mayWrite ? publishSuccessor(next.key) : undefined
        if (successor === undefined) return undefined
        anonId = successor.anonId
      }
    }
    return undefined
  }

  // Returns the anon id that the text of an identity file leads to. The same unusable text may come back when the device
  // has had other accounts, so it leads past each anon id with a claim. "Nothing": no successor is written yet.
  const endOf = (text: string, mayWrite: boolean): AnonId | "Nothing" | "Unknown" => {
    const pointer = codec.decode(text)
    if (pointer !== undefined) return follow(pointer.anonId, mayWrite) ?? "Unknown"
    let key = sha256(text)
    for (;;) {
      const next = successorOf(key)
      if (next._tag === "Unreadable") return "Unknown"
      // Another process may have repaired the file since.
      const mayPublish = mayWrite && isUnchanged(text)
      const start = next._tag === "AnonId" ? next.anonId : mayPublish ? publishSuccessor(key)?.anonId : undefined
      if (start === undefined) return "Nothing"
      const end = follow(start, mayWrite)
      const claim = end && ClaimFiles.read(files, end)
      if (end === undefined || claim === "Unknown") return "Unknown"
      if (claim === undefined) return end
      key = sha256(`${key}\n${end}`)
    }
  }

  // == the pointer

  const writePointer = ({ anonId, claim }: Pick<Identity, "anonId" | "claim">, text: string): boolean =>
    PointerFile.rewrite(files, codec, text, { anonId, linkedPrincipal: claim?.principal_id }, uuid)

  // Returns whether the identity file does not lead to an anon id or its successors: another tool wrote another anon
  // id.
  const pointsElsewhere = (text: string, anonId: AnonId): boolean => {
    const end = endOf(text, false)
    const last = follow(anonId, false)
    // Another process may have rotated the anon id since the first read.
    return isAnonId(end) && last !== undefined && end !== last && follow(end, false) !== last
  }

  // Reads the file again before the rewrite, to keep keys and anon ids of other tools and the deletion by the user.
  // Returns whether no pointer names an older identity any more.
  const updatePointer = (identity: Identity): boolean => {
    const read = readPointer()
    if (read._tag !== "Text") return read._tag === "Missing"
    const { anonId } = identity
    if (pointsElsewhere(read.text, anonId)) return false
    // Another process has rotated the anon id since. Another tool may have linked the newer one.
    const written = codec.decode(read.text)?.anonId
    const reached = written === undefined || written === anonId ? anonId : follow(anonId, false, written)
    if (reached === undefined) return false
    return (reached === written && written !== anonId) || writePointer(identity, read.text)
  }

  // If another tool has written the file since, then the next command reads it.
  const isUnchanged = (text: string): boolean => {
    const read = files.read(pointerFile)
    return read._tag === "Text" && read.text === text
  }

  // Publishes the link of another tool as a claim without an alias: that tool has sent the alias.
  const adopt = ({ anonId, linkedPrincipal }: Pointer, mayWrite: boolean): Identity["claim"] => {
    if (linkedPrincipal === undefined) return undefined
    const claim: Claim.Claim = {
      version: 1,
      anon_id: anonId,
      principal_id: linkedPrincipal,
      learned_by: "adopted",
      credential: "none",
      destination: null,
      alias: null
    }
    const result = mayWrite ? ClaimWriter.publish(files, claim) : undefined
    return result?._tag === "Held" ? result.claim : claim
  }

  // Undefined if the claim cannot be read now.
  const resolveIdentity = (
    text: string,
    anonId: AnonId,
    firstRun: boolean,
    mayWrite: boolean
  ): Identity | undefined => {
    const pointer = codec.decode(text)
    const found = ClaimFiles.read(files, anonId)
    if (found === "Unknown") return undefined
    const claim = found ??
      (pointer?.anonId === anonId ? adopt(pointer, mayWrite) : undefined)
    const identity: Identity = { anonId, claim, durable: true, firstRun, published: false }
    const isStale = pointer?.anonId !== anonId || pointer.linkedPrincipal !== claim?.principal_id ||
      hasByteOrderMark(text)
    const isReadable = claim === undefined || Claim.isReadable(claim)
    const isWritten = isStale && mayWrite && isReadable && isUnchanged(text) ? writePointer(identity, text) : true
    // If the file stays unusable, then the next command follows it too. So the anon id must not be claimed.
    return pointer === undefined && !isWritten ? { ...identity, durable: false } : identity
  }

  const noteUnwritable = (code: Errno): void =>
    notes.add(`could not create an identity, so it is kept in memory: ${code}`)

  // Undefined if another process created the file.
  const create = (): Identity | undefined => {
    const created = NewIdentity.create(files, codec, uuid)
    if (!isRefused(created)) return created
    if (created === "EEXIST") return undefined
    noteUnwritable(created)
    return inMemory(true)
  }

  // A file that cannot be read now may hold an identity.
  const mayExist = (file: string, read: Read): boolean =>
    read._tag === "Unreadable" && !isIrregular(disk, file, read.code)

  // Keeps the ids when a host changes its format. It imports once, so that a deleted file stays deleted.
  const importFormer = (): "Imported" | "None" | "Unknown" => {
    const imported = files.read(home.imported)
    if (mayExist(home.imported, imported)) return "Unknown"
    if (imported._tag !== "Missing") return "None"
    const former = formerOf(codec)
    const path = home.identityFile(former.fileName)
    const file = files.read(path)
    if (mayExist(path, file)) return "Unknown"
    const pointer = file._tag === "Text" ? former.decode(file.text) : undefined
    if (pointer === undefined) return "None"
    const code = NewIdentity.publish(files, codec, pointer, uuid)
    // Without this, a new identity would be created next and replace the former one for ever.
    if (code !== undefined && code !== "EEXIST") {
      noteUnwritable(code)
      return "Unknown"
    }
    return files.publish(home.imported, "") === undefined ? "Imported" : "None"
  }

  // Notes an import that was killed before its end. Otherwise a file that the user deletes would be imported again.
  const finishImport = (pointer: Pointer | undefined): void => {
    if (files.read(home.imported)._tag !== "Missing") return
    const former = formerOf(codec)
    const imported = files.decode(home.identityFile(former.fileName), former.decode)
    if (imported !== undefined && imported.anonId === pointer?.anonId) files.publish(home.imported, "")
  }

  const read = (make: boolean, firstRun: boolean): Identity | undefined => {
    const mayWrite = make && mayCreate
    const file = readPointer()
    if (file._tag === "Missing") {
      if (!mayWrite) return make ? inMemory(true) : undefined
      const former = importFormer()
      if (former === "Unknown") return inMemory(true)
      if (former === "Imported") return read(make, firstRun)
      // Another process created the file, unless it was deleted since.
      return create() ?? read(make, true)
    }
    if (file._tag === "Unreadable") return make ? inMemory(firstRun) : undefined
    const { text } = file
    // The ids beside a denial are new ids for other tools: no event was sent with them.
    if (!make && codec.denies(text)) return undefined
    if (mayWrite) finishImport(codec.decode(text))
    const end = endOf(text, mayWrite)
    if (end === "Nothing" && mayWrite && !isUnchanged(text)) return read(make, firstRun)
    const identity = isAnonId(end) ? resolveIdentity(text, end, firstRun, mayWrite) : undefined
    return identity ?? (make ? inMemory(firstRun) : undefined)
  }

  // == the identity of this process

  let state = initial

  const load = (known: Identity | undefined): Identity => {
    const found = read(true, known?.firstRun ?? false) ?? inMemory(true)
    // A second read must not replace the identity in memory by another one in memory. What cannot be read again stays.
    const isKept = !found.durable && known !== undefined &&
      (!known.durable || checkOnDisk(known.anonId) === "Current")
    if (isKept) return known
    return { ...found, published: known?.published ?? found.published }
  }

  const isOld = (file: string, now: number): boolean => {
    const entry = disk.look(file)
    return !isRefused(entry) && now - entry.modifiedAt > pruneAfterMillis
  }

  const prune = (now: number): void => {
    // The file of a former format may name an id of these claims and successors. Without them, a host that returns to
    // that format would claim the id again.
    if (files.read(home.imported)._tag !== "Missing") return
    const successors = files.list(home.successors)
    const claims = files.list(home.claims)
    if (isRefused(successors) || isRefused(claims)) return
    const keys = successors.map((name) => name.slice(0, -".json".length))
    const old = keys.filter((key) => isOld(successorFile(key), now))
    // A fact is kept as long as a successor of its anon id, or one that leads to it: a command that began before the
    // rotation goes on with that anon id, and without the claim it would be claimed once more. Returns false if a
    // successor cannot be read now.
    const reached = new Set<string>()
    const reach = (key: string): boolean => {
      if (reached.has(key)) return true
      reached.add(key)
      const next = successorOf(key)
      return next._tag === "AnonId"
        ? reach(next.anonId)
        : next._tag === "Unusable"
        ? reach(next.key)
        : next._tag === "None"
    }
    if (!keys.every((key) => old.includes(key) || reach(key))) return
    for (const key of old) {
      const isRemoved = !reached.has(key) && files.remove(successorFile(key)) === undefined
      if (!isRemoved && !reach(key)) return
    }
    for (const name of claims) {
      const anonId = ClaimWriter.anonIdOf(name)
      if (anonId === undefined || reached.has(anonId) || !isOld(`${home.claims}/${name}`, now)) continue
      const aliasFacts = [`${anonId}.delivered`, `${anonId}.set-aside`].filter((name) => claims.includes(name))
      const claim = ClaimFiles.read(files, anonId)
      if (claim === "Unknown") continue
      const hasAlias = claim !== undefined && Claim.isReadable(claim) && claim.alias !== null
      if (aliasFacts.length === 0 && hasAlias) continue
      for (const file of [name, `${anonId}.stored`, ...aliasFacts]) files.remove(`${home.claims}/${file}`)
    }
  }

  // Compares an anon id with the disk. If the files cannot be read now, then the anon id counts as current.
  const checkOnDisk = (anonId: AnonId): "Current" | "Replaced" | "Deleted" => {
    const file = readPointer()
    if (file._tag === "Unreadable") return "Current"
    if (file._tag === "Missing") return "Deleted"
    const end = endOf(file.text, false)
    if (end === anonId || end === "Unknown") return "Current"
    // Read last: another process may have rotated the anon id since the file was read.
    return successorOf(anonId)._tag === "None" ? "Replaced" : "Current"
  }

  const rotate = (now: number): Rotation => {
    const known = state ?? load(undefined)
    // An identity that could not be read a moment ago may still be the device's.
    const from = known.durable ? known : read(false, known.firstRun) ?? known
    if (!from.durable) {
      state = inMemory(from.firstRun)
      return { _tag: "Rotated", identity: state }
    }
    state = from
    const file = readPointer()
    const isReplaced = file._tag === "Text" && pointsElsewhere(file.text, from.anonId)
    if (isReplaced || checkOnDisk(from.anonId) === "Replaced") {
      state = load(from)
      return { _tag: "Overtaken", identity: state }
    }
    const next = publishSuccessor(from.anonId)
    if (next === undefined) return { _tag: "Unwritable" }
    if (next.isOwn) {
      state = { ...from, anonId: next.anonId, claim: undefined }
      if (updatePointer(state)) prune(now)
      return { _tag: "Rotated", identity: state }
    }
    const anonId = follow(next.anonId, mayCreate)
    const claim = anonId === undefined ? undefined : ClaimFiles.read(files, anonId)
    if (anonId === undefined || claim === "Unknown") return { _tag: "Unwritable" }
    state = { ...from, anonId, claim }
    updatePointer(state)
    return { _tag: "Overtaken", identity: state }
  }

  // Other tools keep their keys in the file, so it is rewritten if possible. A removal needs no space and no descriptor.
  // The file of a format with consent is never removed: it may be a denial by now.
  const discard = (): Identity => {
    const former = state
    const memory = inMemory(former?.firstRun ?? false)
    state = memory
    const file = readPointer()
    const end = file._tag === "Text" ? endOf(file.text, false) : "Unknown"
    // Another process may have rotated the anon id.
    const isCurrent = isAnonId(end) && (former?.durable !== true || end === former.anonId)
    if (file._tag !== "Text" || !isCurrent || !isUnchanged(file.text)) return memory
    // Without consent no file is made, not even a temporary one.
    if (files.stillGiven() !== false && writePointer(memory, file.text)) return state = { ...memory, durable: true }
    const code = codec.withConsent !== undefined || NewIdentity.mayImport(files, codec)
      ? "its file must stay"
      : files.remove(pointerFile)
    if (code !== undefined) {
      notes.add(`later commands may use the former account: could not remove the identity: ${code}`)
    }
    return memory
  }

  const publishClaim = (claim: Claim.Claim): Publication => {
    // Another tool may have linked the anon id since it was read, and sent the alias. The first link is kept.
    const file = readPointer()
    if (file._tag === "Unreadable") return { _tag: "Unwritable" }
    const pointer = file._tag === "Text" ? codec.decode(file.text) : undefined
    const first = pointer?.anonId === claim.anon_id && pointer.linkedPrincipal !== undefined
      ? ClaimFiles.read(files, claim.anon_id) ?? adopt(pointer, mayCreate)
      : undefined
    if (first === "Unknown") return { _tag: "Unwritable" }
    return first === undefined ? ClaimWriter.publish(files, claim) : { _tag: "Held", claim: first }
  }

  const claim = (claim: Claim.Claim): Publication => {
    const check = checkOnDisk(claim.anon_id)
    if (check === "Deleted") return { _tag: "Unwritable" }
    if (check === "Replaced") {
      state = load(state)
      return { _tag: "Replaced", identity: state }
    }
    const result = publishClaim(claim)
    const held = result._tag === "Published" ? claim : result._tag === "Held" ? result.claim : undefined
    // The anon id may have been rotated since: then the claim is not that of the new anon id.
    if (state?.anonId !== claim.anon_id || held === undefined) return result
    state = { ...state, claim: held }
    if (result._tag === "Published") updatePointer(state)
    return result
  }

  const confirmStored = (): void => {
    const claim = state?.claim
    if (state === undefined || claim === undefined || !Claim.isReadable(claim)) return
    if (claim.credential === "stored" || !state.durable || !mayCreate) return
    ClaimWriter.recordFact(files, claim.anon_id, "stored")
    state = { ...state, claim: { ...claim, credential: "stored" } }
  }

  return IdentityStore.of({
    get: notes.run(() => state ??= load(undefined)),
    refresh: notes.run(() => state = load(state)),
    check: notes.run(() => state?.durable === true ? checkOnDisk(state.anonId) : "Current"),
    peek: notes.run(() => read(false, false)),
    claim: (made) => notes.run(() => claim(made)),
    confirmStored: notes.run(confirmStored),
    rotate: Effect.flatMap(Clock.currentTimeMillis, (now) => notes.run(() => rotate(now))),
    forget: notes.run(() => state = inMemory(state?.firstRun ?? false)),
    discard: notes.run(discard)
  })
})

/**
 * Provides an `IdentityStore` over the files in the host's state home.
 *
 * **Details**
 *
 * Of several processes that publish a fact at the same time, one succeeds, and the others read its file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<IdentityStore, never, HostRuntime | UsageSettings | Consent | Path.Path> = Layer.effect(
  IdentityStore,
  Effect.gen(function*() {
    const { stillGiven } = yield* Consent
    const files = StateFiles.make({
      home: (yield* UsageSettings).home,
      path: yield* Path.Path,
      runtime: yield* HostRuntime,
      stillGiven: () => Effect.runSync(stillGiven)
    })
    return yield* makeWith(files, undefined)
  })
)
