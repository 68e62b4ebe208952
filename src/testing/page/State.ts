/** What the page shows, and how that changes. */
import type { Model, Received, Row } from "./Model.ts"

export type Tab = "messages" | "timeline" | "persons" | "warnings"

export interface Filter {
  readonly event: string
  readonly person: string
  readonly command: string
}

export interface State {
  readonly connection: "connecting" | "open" | "lost"
  /** Everything that arrived. */
  readonly messages: ReadonlyArray<Received>
  /** What had arrived when the page was paused. */
  readonly paused: ReadonlyArray<Received> | undefined
  readonly tab: Tab
  readonly filter: Filter
  /** The message that is shown whole. */
  readonly message: number | undefined
  readonly device: number | undefined
  readonly person: string | undefined
}

export const noFilter: Filter = { event: "", person: "", command: "" }

export const initial: State = {
  connection: "connecting",
  messages: [],
  paused: undefined,
  tab: "messages",
  filter: noFilter,
  message: undefined,
  device: undefined,
  person: undefined
}

/** The stream has begun: it sends again everything that is there. */
export const open = (state: State): State => ({ ...clear(state), connection: "open" })

export const lose = (state: State): State => ({ ...state, connection: "lost" })

export const receive = (state: State, messages: ReadonlyArray<Received>): State => ({
  ...state,
  messages: [...state.messages, ...messages]
})

/** The sink has forgotten its messages. A page that is paused stays so. */
export const clear = (state: State): State => ({
  ...state,
  messages: [],
  paused: state.paused && [],
  message: undefined,
  device: undefined,
  person: undefined
})

export const pause = (state: State): State => ({ ...state, paused: state.messages })

export const resume = (state: State): State => ({ ...state, paused: undefined })

/** The messages that are shown. */
export const shown = ({ messages, paused }: State): ReadonlyArray<Received> => paused ?? messages

/** How many messages a page that is paused does not show. */
export const waiting = (state: State): number => state.messages.length - shown(state).length

const has = (text: string, part: string): boolean => text.toLowerCase().includes(part.trim().toLowerCase())

export const isFiltered = ({ command, event, person }: Filter): boolean =>
  [command, event, person].some((part) => part.trim() !== "")

/** Returns the rows that a filter lets through, newest first. Letters match in either case. */
export const filtered = ({ rows }: Model, filter: Filter): ReadonlyArray<Row> =>
  rows.filter(({ command, message, person }) =>
    has(message.event, filter.event) && has(command, filter.command) &&
    (person?.ids ?? [message.distinct_id]).some((id) => has(id, filter.person))
  ).toReversed()

/** How many suggestions a field of the filter has. */
const maxSuggestions = 50

/** Returns what each field of the filter suggests. */
export const suggestions = ({ persons, rows }: Model): Readonly<Record<keyof Filter, ReadonlyArray<string>>> => {
  const first = (texts: ReadonlyArray<string>) =>
    [...new Set(texts)].filter((text) => text !== "").slice(0, maxSuggestions)
  return {
    event: first(rows.map(({ message }) => message.event)),
    person: first(persons.map(({ name }) => name)),
    command: first(rows.map(({ command }) => command))
  }
}
