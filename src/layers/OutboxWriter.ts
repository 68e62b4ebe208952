/** Writes the outbox: a folder with one file per message. The file names sort by time. */
import * as BackOff from "../domain/BackOff.ts"
import * as Message from "../domain/Message.ts"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import { isRefused } from "../services/Disk.ts"
import type { UsageSettings } from "../services/UsageSettings.ts"
import type { StateFiles } from "./StateFiles.ts"

// The folder is not listed for every message, because that takes longer the more messages wait. So a process may exceed
// the default bounds by this. Custom bounds are enforced at every message.
const trimInterval = { messages: 50, bytes: 64 * 1024 }

/** Adds messages to an outbox. Times are in milliseconds since 1970. */
export interface OutboxWriter {
  readonly folder: OutboxFolder.OutboxFolder
  readonly add: (message: Message.Message, now: number) => boolean
  readonly trim: (now: number) => void
  /** Trims a large outbox. In a small one only the age can exceed the bounds, which the next worker enforces. */
  readonly trimLarge: (now: number) => void
  readonly backedOffUntil: (now: number) => number
}

/** Removes the oldest messages of a folder beyond the bounds. */
export const trimFolder = (
  files: StateFiles,
  folder: string,
  now: number,
  bounds: OutboxFolder.SomeBounds | undefined
): void => {
  const names = files.list(folder)
  if (isRefused(names)) return files.notes.add(`could not trim the outbox: ${names}`)
  for (const name of OutboxFolder.beyondBounds(names.filter(OutboxFolder.isEventName).toSorted(), now, bounds)) {
    files.remove(`${folder}/${name}`)
  }
}

export const make = (files: StateFiles, settings: UsageSettings["Service"]): OutboxWriter => {
  const { bounds } = settings
  const folder = OutboxFolder.make(files.home, settings.destinationId)
  // The messages and bytes added since the last trim.
  let messages = 0
  let bytes = 0

  const trim = (now: number): void => {
    messages = 0
    bytes = 0
    trimFolder(files, folder.events, now, bounds)
  }

  return {
    folder,
    trim,
    trimLarge: (now) => {
      const names = bounds === undefined ? files.list(folder.events) : "ENOENT"
      if (isRefused(names) || names.length * Message.maxBytes > OutboxFolder.defaultBounds.bytes) trim(now)
    },
    add: (message, now) => {
      const text = Message.encode(message)
      const size = Buffer.byteLength(text)
      if (size > Message.maxBytes) {
        files.notes.add(`"${message.event}" is dropped: ${size} bytes are more than ${Message.maxBytes}`)
        return false
      }
      const code = files.replace(`${folder.events}/${OutboxFolder.eventName(message, now, size)}`, text)
      if (code !== undefined) {
        files.notes.add(`could not keep "${message.event}": ${code}`)
        return false
      }
      messages += 1
      bytes += size
      if (bounds !== undefined || messages >= trimInterval.messages || bytes >= trimInterval.bytes) trim(now)
      return true
    },
    backedOffUntil: (now) => BackOff.until(files.decode(folder.backOff, BackOff.decode), now)
  }
}
