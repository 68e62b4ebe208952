/** The search for messages that PostHog refuses, which may take more than one worker (ADR 0034). */
import * as Predicate from "effect/Predicate"
import * as JsonDocument from "../domain/JsonDocument.ts"
import type { StateFiles } from "../layers/StateFiles.ts"

/** The state of a search that a worker could not finish. */
export interface Search {
  /** The maximum number of messages in the first request of the next worker. */
  readonly batch: number
  /** The uuids of the events that PostHog refused alone, in the order of their last refusal. */
  readonly refused: ReadonlyArray<string>
}

/** Stores the search of an outbox. */
export interface SearchFile {
  /** Returns the unfinished search; undefined if there is none. */
  readonly read: () => Search | undefined
  readonly write: (search: Search) => void
  readonly remove: () => void
}

const decode = JsonDocument.decoder<Search>(({ batch, refused }) =>
  JsonDocument.isNumber(batch) && Number.isInteger(batch) && batch > 0 && Array.isArray(refused)
    ? { batch, refused: refused.filter(Predicate.isString) }
    : undefined
)

/** Returns the search of the outbox in a folder. */
export const make = (files: StateFiles, folder: string): SearchFile => {
  const file = `${folder}/search.json`
  return {
    read: () => files.decode(file, decode),
    write: (search) => {
      const code = files.replace(file, JSON.stringify(search))
      // The next worker begins the search again.
      if (code !== undefined) files.notes.add(`could not write ${file}: ${code}`)
    },
    remove: () => void files.remove(file)
  }
}
