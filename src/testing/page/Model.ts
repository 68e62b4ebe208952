/**
 * What the page knows of the messages that a sink accepted: each with its person and its device, in order of arrival.
 */
import * as Persons from "../Persons.ts"

/** A message as `GET /api/events` sends it. */
export interface Received extends Persons.Message {
  readonly uuid: string
  readonly received_at: string
}

/** A message, and what it is part of. */
export interface Row {
  /** Its place in the order of arrival, from 0. */
  readonly index: number
  readonly message: Received
  /** Its person; undefined for an event without one, and for a dropped message. */
  readonly person: Person | undefined
  readonly isDropped: boolean
  /** The `index` of the first message of its device. */
  readonly device: number
  readonly command: string
  readonly flow: string
  readonly sequence: string
  readonly merge: Persons.Merge<Received> | undefined
  readonly warning: Persons.Warning<Received>["type"] | undefined
}

/** A person, or an id whose events have none. */
export interface Person {
  readonly key: string
  /** The id that people know it by: the account's where there is one. */
  readonly name: string
  readonly ids: ReadonlyArray<string>
  /** Whether it is a person in PostHog: the events of an anonymous id alone make none. */
  readonly exists: boolean
  readonly isIdentified: boolean
  readonly properties: Readonly<Record<string, unknown>>
  /** How its ids came together, in order of arrival. */
  readonly merges: ReadonlyArray<Row>
  readonly rows: ReadonlyArray<Row>
}

/** The messages of one device, as far as the messages themselves say so. */
export interface Device {
  readonly key: number
  readonly rows: ReadonlyArray<Row>
  /** The ids that it sent messages under before an account was known. */
  readonly anonymousIds: ReadonlyArray<string>
  readonly persons: ReadonlyArray<Person>
}

export interface Model {
  readonly rows: ReadonlyArray<Row>
  readonly persons: ReadonlyArray<Person>
  /** Those with the newest messages first. */
  readonly devices: ReadonlyArray<Device>
  readonly warnings: ReadonlyArray<Row>
}

const textOf = ({ properties }: Received, name: string): string => {
  const value = properties[name]
  return typeof value === "string" || typeof value === "number" ? String(value) : ""
}

const flowOf = (message: Received): string => {
  const name = textOf(message, "flow") || (/^(.+) (?:Started|Completed|Aborted|Failed)$/.exec(message.event)?.[1] ?? "")
  return [name, textOf(message, "step")].filter((part) => part !== "").join(" · ")
}

const isPersonless = ({ properties }: Received): boolean => properties["$process_person_profile"] === false

/** Anonymous ids: those that events without a person were sent under, and those that were joined to another id. */
const anonymousIds = (messages: ReadonlyArray<Received>): ReadonlySet<string> => {
  const others = messages.map(Persons.otherId).filter((id) => id !== undefined)
  const intos = new Set(
    messages.flatMap((message) => Persons.otherId(message) === undefined ? [] : message.distinct_id)
  )
  const personless = messages.filter(isPersonless).map(({ distinct_id }) => distinct_id)
  return new Set([...others, ...personless.filter((id) => !intos.has(id))])
}

/**
 * What ties a message to its device. PostHog's messages name none, and an account has several: an account ties only
 * messages that have nothing else.
 */
const tiesOf = (message: Received, anonymous: ReadonlySet<string>): ReadonlyArray<string> => {
  const ids = [message.distinct_id, Persons.otherId(message)].filter((id) => id !== undefined)
  const named = ["$session_id", "invocation_id"].map((name) => [name, textOf(message, name)])
    .filter(([, value]) => value !== "")
  const tying = named.length === 0 ? ids : ids.filter((id) => anonymous.has(id))
  return [...named, ...tying.map((id) => ["id", id])].map((tie) => JSON.stringify(tie))
}

/** The device of each message, as the index of the device's first message. */
const devicesOf = (messages: ReadonlyArray<Received>, anonymous: ReadonlySet<string>): ReadonlyArray<number> => {
  const parents = messages.map((_, index) => index)
  const rootOf = (index: number): number => {
    let root = index
    for (let next = parents[root]; next !== undefined && next !== root; next = parents[root]) root = next
    for (let at = index; at !== root;) {
      const next = parents[at] ?? root
      parents[at] = root
      at = next
    }
    return root
  }
  const firsts = new Map<string, number>()
  for (const [index, message] of messages.entries()) {
    for (const tie of tiesOf(message, anonymous)) {
      const first = firsts.get(tie)
      if (first === undefined) {
        firsts.set(tie, index)
        continue
      }
      const [a, b] = [rootOf(first), rootOf(index)]
      parents[Math.max(a, b)] = Math.min(a, b)
    }
  }
  return messages.map((_, index) => rootOf(index))
}

interface Draft extends Person {
  readonly merges: Array<Row>
  readonly rows: Array<Row>
}

/** Derives the model from all messages, in order of arrival. */
export const derive = (messages: ReadonlyArray<Received>): Model => {
  const folded = Persons.fold(messages)
  const anonymous = anonymousIds(messages)
  const devices = devicesOf(messages, anonymous)
  const merges = new Map(folded.merges.map((merge) => [merge.message, merge]))
  const warnings = new Map(folded.warnings.map(({ message, type }) => [message, type]))
  const dropped = new Set(folded.dropped)
  const owners = new Map<Received, Draft>()
  const own = (person: Omit<Person, "merges" | "rows">, events: ReadonlyArray<Received>): Person => {
    const owner = { ...person, merges: [], rows: [] }
    for (const message of events) owners.set(message, owner)
    return owner
  }
  const persons = folded.persons.map(({ distinctIds, events, id, isIdentified, properties }) => {
    const name = distinctIds.find((id) => !anonymous.has(id)) ?? distinctIds[0] ?? ""
    // The name first, then in the order in which they came.
    const ids = [...new Set([name, ...distinctIds])]
    return own({ key: `person ${id}`, name, ids, exists: true, isIdentified, properties }, events)
  })
  const nobodies = [...Map.groupBy(folded.personless, ({ distinct_id }) => distinct_id)].map(([id, events]) =>
    own({ key: `id ${id}`, name: id, ids: [id], exists: false, isIdentified: false, properties: {} }, events)
  )
  const rows = messages.map((message, index): Row => {
    const owner = owners.get(message)
    const row = {
      index,
      message,
      person: owner,
      isDropped: dropped.has(message),
      device: devices[index] ?? index,
      command: textOf(message, "command_name"),
      flow: flowOf(message),
      sequence: textOf(message, "sequence"),
      merge: merges.get(message),
      warning: warnings.get(message)
    }
    owner?.rows.push(row)
    if (row.merge !== undefined) owner?.merges.push(row)
    return row
  })
  return {
    rows,
    persons: [...persons, ...nobodies],
    devices: [...Map.groupBy(rows, ({ device }) => device)].map(([key, own]): Device => ({
      key,
      rows: own,
      anonymousIds: [
        ...new Set(own.flatMap(({ message }) => [message.distinct_id, Persons.otherId(message) ?? ""]))
      ].filter((id) => anonymous.has(id)),
      persons: [...new Set(own.flatMap(({ person }) => person ?? []))]
    })).toSorted((a, b) => (b.rows.at(-1)?.index ?? 0) - (a.rows.at(-1)?.index ?? 0)),
    warnings: rows.filter(({ warning }) => warning !== undefined)
  }
}
