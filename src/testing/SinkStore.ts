/** What a sink has received. */
import type { Answered, ReceivedMessage, ReceivedRequest } from "./PostHogSink.ts"

/** Listeners for changes. */
export interface Watcher {
  /** A message was accepted. */
  readonly onMessage?: (message: ReceivedMessage) => void
  /** A request was answered. */
  readonly onAnswer?: () => void
  readonly onClear?: () => void
}

interface Entry {
  readonly arrived: ReceivedRequest
  readonly request: ReceivedRequest
  readonly isAccepted: boolean
}

// A listener of one test must not end the sink of the others, nor change the answer.
const tell = (call: () => void): void => {
  try {
    call()
  } catch (cause) {
    process.emitWarning(`a listener of the sink has thrown: ${String(cause)}`)
  }
}

/** Requests in order of arrival, with their answers. */
export const make = () => {
  let entries: Array<Entry> = []
  const watchers = new Set<Watcher>()
  return {
    requests: () => entries.map(({ request }) => request),
    /** Every message, accepted or not. */
    attempts: () => entries.flatMap(({ request }) => request.batch),
    messages: () => entries.flatMap(({ isAccepted, request }) => isAccepted ? request.batch : []),
    add: (make: (index: number) => ReceivedRequest) => {
      const request = make(entries.length)
      entries.push({ arrived: request, request, isAccepted: false })
      return request
    },
    recordAnswer: (request: ReceivedRequest, answered: Answered, isAccepted: boolean) => {
      if (entries[request.index]?.arrived !== request) return
      entries[request.index] = { arrived: request, request: { ...request, answered }, isAccepted }
      for (const message of isAccepted ? request.batch : []) {
        for (const watcher of watchers) tell(() => watcher.onMessage?.(message))
      }
      for (const watcher of watchers) watcher.onAnswer?.()
    },
    /** Forgets everything; what is answered later stays forgotten. */
    clear: () => {
      entries = []
      for (const watcher of watchers) watcher.onClear?.()
    },
    /** Adds listeners, and returns the function that removes them. */
    watch: (watcher: Watcher) => {
      watchers.add(watcher)
      return () => void watchers.delete(watcher)
    }
  }
}

export type SinkStore = ReturnType<typeof make>
