/**
 * The outbox as files.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as BackOff from "../domain/BackOff.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import * as Message from "../domain/Message.ts"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import { Consent } from "../services/Consent.ts"
import { isAbsent, isIrregular, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { type Entry, Outbox } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as ClaimWriter from "./ClaimWriter.ts"
import * as OutboxWriter from "./OutboxWriter.ts"
import * as StateFiles from "./StateFiles.ts"

// A larger number is no time of a `Date`.
const decodeDelivery = JsonDocument.decoder(({ at }) =>
  JsonDocument.isNumber(at) && Math.abs(at) <= 8.64e15 ? at : undefined
)

// A worker lives for 10 s. If it read a full outbox on a slow network disk first, then it would have no time to send.
const lookNanos = 1_000_000_000n

const isOfPrincipal = ({ properties }: Message.Message): boolean => properties["$process_person_profile"] !== false

/**
 * Creates the outbox over the files of a process. With `keepsSent` false, as in CI, sent messages are deleted.
 *
 * @internal
 */
export const makeWith = Effect.fnUntraced(function*(
  files: StateFiles.StateFiles,
  writer: OutboxWriter.OutboxWriter,
  keepsSent = true
) {
  const { destination, destinationId } = yield* UsageSettings
  const { disk } = yield* HostRuntime
  const { folder } = writer
  const { notes } = files
  const clock = yield* Clock.Clock

  // Returns the names of the events, or why they cannot be listed now.
  const list = (path = folder.events) => {
    const names = files.list(path)
    return isRefused(names)
      ? { names: [], unlisted: `the outbox cannot be read (${names})` }
      : { names: names.filter(OutboxFolder.isEventName).toSorted(), unlisted: undefined }
  }
  const claims = () => ClaimWriter.undelivered(files, disk, destinationId)

  const setAsideFile = (name: string, now: number): void => {
    const file = `${folder.events}/${name}`
    // Another worker or an opt-out has removed the file: then the folder is not created.
    if (files.read(file)._tag === "Missing") return
    const code = files.move(file, `${folder.setAside}/${name}`)
    if (code !== undefined) return notes.add(`could not set a message aside: ${code}`)
    OutboxWriter.trimFolder(files, folder.setAside, now, OutboxFolder.setAsideBounds)
  }

  // A file that cannot be read now is kept. A worker sets aside a file that can never be read, or is not a message.
  const read = (name: string, now: number, isWorker: boolean): Entry | "Unreadable" | undefined => {
    const path = `${folder.events}/${name}`
    const found = files.read(path)
    // A command may have written it under a umask without rights for the owner (ADR 0035).
    const isRepairable = isWorker && found._tag === "Unreadable" && found.code === "EACCES"
    const file = isRepairable ? disk.read(path, { repair: true }) : found
    if (file._tag === "Missing") return undefined
    if (file._tag === "Unreadable" && !isIrregular(disk, path, file.code)) return "Unreadable"
    const message = file._tag === "Text" ? Message.decode(file.text) : undefined
    if (message !== undefined) return { _tag: "Event", name, message }
    if (isWorker && !(file._tag === "Text" && Message.isNewer(file.text))) setAsideFile(name, now)
    return undefined
  }

  // Events are listed before claims, so that no event of an account is returned without the alias of that account. If a
  // claim cannot be read now, then no event of an account is returned.
  const look = (now: number, isWorker: boolean) => {
    const { names, unlisted } = list()
    const { aliases, isUncertain } = claims()
    const end = isWorker ? clock.monotonicTimeNanosUnsafe() + lookNanos : undefined
    const found: Array<Exclude<ReturnType<typeof read>, undefined>> = []
    let isPartial = false
    for (const name of names) {
      isPartial = end !== undefined && found.length > 0 && clock.monotonicTimeNanosUnsafe() > end
      if (isPartial) break
      const entry = read(name, now, isWorker)
      if (entry !== undefined) found.push(entry)
    }
    const events = found.filter((entry) => entry !== "Unreadable")
    const free = isUncertain ? events.filter(({ message }) => !isOfPrincipal(message)) : events
    const unreadable = found.length - events.length
    const blocked = unlisted ?? (free.length < events.length
      ? "a claim cannot be read, so the events of accounts wait for its alias"
      : unreadable > 0
      ? `${unreadable} of the waiting messages cannot be read`
      : undefined)
    return { entries: [...aliases, ...free], blocked, isPartial }
  }

  // Moves a sent message into the folder of sent messages. If that fails, then the caller removes the message.
  const keep = (name: string): boolean => {
    const code = files.move(`${folder.events}/${name}`, `${folder.sent}/${name}`)
    if (code === undefined) return true
    if (code !== StateFiles.denied && !isAbsent(code)) {
      notes.add(`could not keep a sent message for \`telemetry log --sent\`: ${code}`)
    }
    return false
  }

  const remove = (entries: ReadonlyArray<Entry>, now: number): void => {
    const first = keepsSent ? entries.length - OutboxFolder.sentBounds.messages : entries.length
    for (const [index, entry] of entries.entries()) {
      if (entry._tag === "Alias") ClaimWriter.recordFact(files, entry.anonId, "delivered")
      else if (index < first || !keep(entry.name)) {
        const code = files.remove(`${folder.events}/${entry.name}`)
        if (code !== undefined) notes.add(`could not remove a message: ${code}`)
      }
    }
    if (keepsSent) OutboxWriter.trimFolder(files, folder.sent, now, OutboxFolder.sentBounds)
  }

  // Sent aliases are read from their claims.
  const sent = (now: number): ReadonlyArray<Message.Message> => {
    const { ageMillis } = OutboxFolder.defaultBounds
    const { names } = list(folder.sent)
    const beyond = new Set(OutboxFolder.beyondBounds(names, now, OutboxFolder.sentBounds))
    const events = names.filter((name) => !beyond.has(name)).flatMap((name) =>
      files.decode(`${folder.sent}/${name}`, Message.decode) ?? []
    )
    const aliases = ClaimWriter.delivered(files, disk, destinationId)
      .filter(({ timestamp }) => now - Date.parse(timestamp) <= ageMillis)
    return [...aliases, ...events]
      .toSorted((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp))
      .slice(-OutboxFolder.sentBounds.messages)
  }

  const replace = (file: string, text: string, now: number): void => {
    let code = files.replace(file, text)
    // A folder cannot be replaced by a file, and without a back-off each command would send a request.
    if (code !== undefined && isIrregular(disk, file, code)) {
      code = files.move(file, `${folder.setAside}/${now}`) ?? files.replace(file, text)
    }
    if (code !== undefined) notes.add(`could not write ${file}: ${code}`)
  }

  const readBackOff = () => files.decode(folder.backOff, BackOff.decode)

  const status = () => {
    const { names, unlisted } = list()
    const { aliases, isUncertain } = claims()
    const blocked = unlisted ?? (isUncertain ? "a claim cannot be read" : undefined)
    const aside = files.list(folder.setAside)
    const claimFiles = files.list(files.home.claims)
    const refused = isRefused(claimFiles) ? [] : claimFiles.filter((name) => name.endsWith(".set-aside"))
    const reason = readBackOff()?.reason
    return {
      destination: destination?.host,
      pending: names.length + aliases.length,
      setAside: (isRefused(aside) ? 0 : aside.length) + refused.length,
      lastDelivery: files.decode(folder.lastDelivery, decodeDelivery),
      ...(reason === undefined ? {} : { lastFailure: reason }),
      ...(blocked === undefined ? {} : { blocked })
    }
  }

  const at = <A>(evaluate: (now: number) => A): Effect.Effect<A> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => notes.run(() => evaluate(now)))

  // The home may have been removed during a request, by a test of the host or a job in CI. It must not be made again.
  const changeAt = (change: (now: number) => void): Effect.Effect<void> =>
    at((now) => {
      const home = disk.look(files.home.root)
      if (!isRefused(home) || !isAbsent(home)) change(now)
    })

  return Outbox.of({
    add: (message) => at((now) => writer.add(message, now)),
    backedOffUntil: at(writer.backedOffUntil),
    look: at((now) => look(now, true)),
    entries: at((now) => look(now, false).entries),
    // An outbox that cannot be listed now may have messages.
    isEmpty: notes.run(() => {
      const { names, unlisted } = list()
      return unlisted === undefined && names.length === 0 && claims().aliases.length === 0
    }),
    has: (invocationId) =>
      notes.run(() => {
        const { names, unlisted } = list()
        return unlisted !== undefined || names.some((name) => OutboxFolder.isOfInvocation(name, invocationId))
      }),
    delivered: (entries) =>
      changeAt((now) => {
        remove(entries, now)
        replace(folder.lastDelivery, JSON.stringify({ at: now }), now)
        files.remove(folder.backOff)
      }),
    remove: (entries) => changeAt((now) => remove(entries, now)),
    setAside: (entry) =>
      changeAt((now) =>
        entry._tag === "Alias"
          ? ClaimWriter.recordFact(files, entry.anonId, "set-aside")
          : setAsideFile(entry.name, now)
      ),
    backOff: (reason) =>
      changeAt((now) => replace(folder.backOff, BackOff.encode(BackOff.next(readBackOff(), now, reason)), now)),
    sent: at(sent),
    status: notes.run(status)
  })
})

/**
 * Provides an `Outbox` over one file for each message.
 *
 * **Details**
 *
 * A message is on disk before `add` returns. It survives a kill of the process, not a loss of power.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Outbox, never, HostRuntime | UsageSettings | Consent | Path.Path> = Layer.effect(
  Outbox,
  Effect.gen(function*() {
    const settings = yield* UsageSettings
    const { stillGiven } = yield* Consent
    const files = StateFiles.make({
      home: settings.home,
      path: yield* Path.Path,
      runtime: yield* HostRuntime,
      stillGiven: () => Effect.runSync(stillGiven)
    })
    return yield* makeWith(files, OutboxWriter.make(files, settings))
  })
)
