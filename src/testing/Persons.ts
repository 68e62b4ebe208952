/**
 * A model of what PostHog makes of messages: which persons there are, and whose each event is.
 *
 * It follows the rules of `$create_alias`, in the order of the messages. PostHog keeps that order only among messages of
 * one distinct id, so a test should also try other orders. The model is independent of the library under test.
 *
 * **Details**
 *
 * An id was seen when it has a person, which takes an event that was not personless. Of an alias to a distinct id:
 *
 * - R1: the two are the same id: nothing happens, and nobody is identified.
 * - R2: one of them is illegal: nothing is merged, and the event is the distinct id's.
 * - R3: neither was seen: both become one new person, identified.
 * - R4: one was seen: the other joins its person, *identified or not*; the person is identified.
 * - R5: both are one person's already: it is identified.
 * - R6: the alias has a person of its own that is identified: refused; the distinct id's person is identified.
 * - R7: the alias has a person of its own that is not: its ids move to the distinct id's person, which is identified.
 * - R8: a personless alias is dropped.
 * - R9: without an alias, or with one that is empty or null, it is an event like any other.
 *
 * Of a person's properties, `$set` sets, `$set_once` fills what is absent, and `$unset` takes away what was there before
 * the event. An event that makes a person takes nothing away. What stands at the top level of a message, as some clients
 * write it, is added to `properties.$set` and `properties.$set_once`. A personless event and `$groupidentify` have none.
 *
 * @since 0.1.0
 */

/**
 * What the model reads of a message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly event: string
  readonly distinct_id: string
  readonly properties: Readonly<Record<string, unknown>>
  readonly timestamp: string
  readonly $set?: unknown
  readonly $set_once?: unknown
}

/**
 * A person after the last message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Person<M> {
  readonly id: number
  readonly distinctIds: ReadonlyArray<string>
  readonly isIdentified: boolean
  readonly createdAt: string
  readonly properties: Readonly<Record<string, unknown>>
  readonly events: ReadonlyArray<M>
}

/**
 * What PostHog would have reported about a message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Warning<M> {
  readonly type:
    | "cannot_merge_with_illegal_distinct_id"
    | "cannot_merge_already_identified"
    | "invalid_event_when_process_person_profile_is_false"
  readonly message: M
}

/**
 * Two ids that a message joined, by the rule that applied: R3, R4, R5 or R7.
 *
 * @category models
 * @since 0.1.0
 */
export interface Merge<M> {
  readonly rule: "R3" | "R4" | "R5" | "R7"
  readonly into: string
  readonly other: string
  readonly message: M
}

/**
 * The outcome of {@link fold}: every message is an event of one person, personless, or dropped.
 *
 * @category models
 * @since 0.1.0
 */
export interface Folded<M> {
  readonly persons: ReadonlyArray<Person<M>>
  /** Events whose distinct id belongs to no person. */
  readonly personless: ReadonlyArray<M>
  readonly dropped: ReadonlyArray<M>
  readonly warnings: ReadonlyArray<Warning<M>>
  readonly merges: ReadonlyArray<Merge<M>>
}

const illegalInAnyCase = [
  "anonymous",
  "guest",
  "distinctid",
  "distinct_id",
  "id",
  "not_authenticated",
  "email",
  "undefined",
  "true",
  "false"
]

const illegalInThisCase = ["[object Object]", "NaN", "None", "none", "null", "0"]

const withQuoted = (words: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(words.flatMap((word) => [word, `'${word}'`, `"${word}"`]))

const anyCase = withQuoted(illegalInAnyCase)
const thisCase = withQuoted(illegalInThisCase)

/**
 * Returns whether PostHog refuses to merge this distinct id into a person, or a person into it.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isIllegalDistinctId = (id: string): boolean =>
  id.trim() === "" || anyCase.has(id.toLowerCase()) || thisCase.has(id) || id.includes("\0") || [...id].length > 400

interface Draft {
  readonly id: number
  readonly distinctIds: Array<string>
  isIdentified: boolean
  createdAt: string
  properties: Readonly<Record<string, unknown>>
}

const mergeEvents = new Set(["$identify", "$create_alias", "$merge_dangerously"])

/** PostHog cuts the distinct id of an event, but not the id named by `alias` or `$anon_distinct_id`. */
const cut = (distinctId: string): string => [...distinctId].slice(0, 200).join("")

// JSON may have an object whose `toString` is no function.
const idOf = (value: unknown): string =>
  typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value)

/**
 * Returns the id that PostHog would merge into a message's distinct id; undefined for a message that merges nothing.
 *
 * @category getters
 * @since 0.1.0
 */
export const otherId = ({ event, properties }: Message): string | undefined => {
  if (event === "$identify") {
    return "$anon_distinct_id" in properties ? idOf(properties["$anon_distinct_id"]) : undefined
  }
  const { alias } = properties
  return mergeEvents.has(event) && Boolean(alias) ? idOf(alias) : undefined
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? { ...value } : {}

/** The properties that a person has after a message, which is its first one if it had none before. */
const propertiesAfter = (message: Message, before?: Draft["properties"]): Draft["properties"] => {
  const { $set, $set_once, event, properties } = message
  if (event === "$groupidentify") return before ?? {}
  const after = {
    ...record(properties["$set_once"]),
    ...record($set_once),
    ...before,
    ...record(properties["$set"]),
    ...record($set)
  }
  const { $unset } = properties
  const unset: ReadonlyArray<unknown> = Array.isArray($unset) ? $unset : Object.keys(record($unset))
  return Object.fromEntries(
    Object.entries(after).filter(([name]) => !(unset.includes(name) && Object.hasOwn(before ?? {}, name)))
  )
}

const older = (a: string, b: string): string => Date.parse(b) < Date.parse(a) ? b : a

/**
 * Processes messages one after another, the way PostHog's ingestion does.
 *
 * **Details**
 *
 * Each event shows under the person that holds its distinct id at the end, so anonymous personless events show under
 * the person they were merged into later. Persons are numbered in the order of their creation.
 *
 * **Gotchas**
 *
 * Messages that were sent twice are processed twice: PostHog de-duplicates them, but not before it looks at persons.
 *
 * @category folding
 * @since 0.1.0
 */
export const fold = <M extends Message>(messages: ReadonlyArray<M>): Folded<M> => {
  const holders = new Map<string, Draft>()
  const kept: Array<M> = []
  const dropped: Array<M> = []
  const warnings: Array<Warning<M>> = []
  const merges: Array<Merge<M>> = []
  let created = 0

  const hold = (distinctId: string, person: Draft): void => {
    if (holders.get(distinctId) === person) return
    holders.set(distinctId, person)
    person.distinctIds.push(distinctId)
  }

  const create = (distinctId: string, message: Message): Draft => {
    const person: Draft = {
      id: ++created,
      distinctIds: [],
      isIdentified: false,
      createdAt: message.timestamp,
      properties: propertiesAfter(message)
    }
    hold(distinctId, person)
    return person
  }

  const merge = (into: string, other: string, message: M): void => {
    // R1
    if (other === into) return
    // R2
    if (isIllegalDistinctId(into) || isIllegalDistinctId(other)) {
      warnings.push({ type: "cannot_merge_with_illegal_distinct_id", message })
      return
    }
    const otherPerson = holders.get(other)
    const intoPerson = holders.get(into)
    const joined = (rule: Merge<M>["rule"]): void => void merges.push({ rule, into, other, message })
    // R3, and both halves of R4: an id without a person joins the person of the other id.
    const target = intoPerson ?? otherPerson ?? create(into, message)
    hold(into, target)
    target.isIdentified = true
    if (otherPerson === undefined) {
      joined(intoPerson === undefined ? "R3" : "R4")
      return hold(other, target)
    }
    // R5, where R4 did not join the two just now
    if (otherPerson === target) return joined(intoPerson === undefined ? "R4" : "R5")
    // R6
    if (otherPerson.isIdentified && message.event !== "$merge_dangerously") {
      warnings.push({ type: "cannot_merge_already_identified", message })
      return
    }
    // R7
    joined("R7")
    for (const distinctId of otherPerson.distinctIds) hold(distinctId, target)
    target.createdAt = older(target.createdAt, otherPerson.createdAt)
    target.properties = propertiesAfter(message, { ...otherPerson.properties, ...target.properties })
  }

  for (const message of messages) {
    const into = cut(message.distinct_id)
    if (message.properties["$process_person_profile"] === false) {
      if (mergeEvents.has(message.event)) {
        // R8
        warnings.push({ type: "invalid_event_when_process_person_profile_is_false", message })
        dropped.push(message)
      } else {
        kept.push(message)
      }
      continue
    }
    const before = created
    const other = otherId(message)
    if (other !== undefined) merge(into, other, message)
    // R9, and what R1 and R2 leave of an alias: a plain event
    const person = holders.get(into) ?? create(into, message)
    // PostHog applies an event's properties once more after a merge of two persons, and never after it made a person.
    if (created === before) person.properties = propertiesAfter(message, person.properties)
    kept.push(message)
  }

  const eventsOf = new Map([...holders.values()].map((person): [Draft, Array<M>] => [person, []]))
  const personless: Array<M> = []
  for (const message of kept) {
    const holder = holders.get(cut(message.distinct_id))
    const events = holder === undefined ? personless : eventsOf.get(holder)
    events?.push(message)
  }
  return {
    persons: [...eventsOf].map(([person, events]) => ({ ...person, events })).toSorted((a, b) => a.id - b.id),
    personless,
    dropped,
    warnings,
    merges
  }
}
