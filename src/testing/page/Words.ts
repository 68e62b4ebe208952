/** The words of the page. */
import type * as Persons from "../Persons.ts"
import { printable } from "../Printable.ts"
import type { Device, Person } from "./Model.ts"
import type { Item } from "./Story.ts"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

const maxShown = 48

/** An id, short where people do not read it whole. */
export const shortId = (id: string): string => {
  const text = printable(id)
  if (uuid.test(text)) return `${text.slice(0, 8)}…`
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text
}

export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`

/** The time of day; the text itself where it is no time. */
export const timeOf = (timestamp: string): string => {
  const time = new Date(timestamp)
  return Number.isNaN(time.getTime()) ? printable(timestamp) || "no time" : time.toTimeString().slice(0, 8)
}

type Type = Persons.Warning<unknown>["type"]

/** What PostHog's warnings say, and what to do. */
export const warnings: Readonly<
  Record<Type, { readonly title: string; readonly text: string; readonly todo: string }>
> = {
  cannot_merge_with_illegal_distinct_id: {
    title: "An id that PostHog never merges",
    text: "One of the two ids is blank, a placeholder such as “undefined” or “anonymous”, or longer than 400 " +
      "characters. PostHog kept two persons, and the CLI is not told.",
    todo: "Send an alias only when the account’s id is known, and check where the CLI reads that id from."
  },
  cannot_merge_already_identified: {
    title: "A merge that PostHog refused",
    text:
      "The id that was to be joined belongs to an identified person of its own. PostHog kept two persons, and the " +
      "CLI is not told.",
    todo: "Send the account as “distinct_id” and the anonymous id as “alias”, once for each anonymous id. Give the " +
      "device a new anonymous id at logout."
  },
  invalid_event_when_process_person_profile_is_false: {
    title: "A merge that PostHog dropped",
    text: "The message joins two ids and has “$process_person_profile: false”, which says that there is no person. " +
      "PostHog dropped it: the ids stay apart, and the event is nowhere.",
    todo: "Leave “$process_person_profile” out of $create_alias, $identify and $merge_dangerously."
  }
}

/** What a merge did. */
export const merged = ({ into, other, rule }: Persons.Merge<unknown>): string => {
  const [a, b] = [shortId(into), shortId(other)]
  switch (rule) {
    case "R3":
      return `Neither ${a} nor ${b} had a person. PostHog makes one that has both ids.`
    case "R4":
      return `One of ${a} and ${b} had a person. The other id joins it.`
    case "R5":
      return `${a} and ${b} were one person already. Nothing moves.`
    case "R7":
      return `The person of ${b} becomes part of the person of ${a}, with its ids and its history.`
  }
}

/** What a merge means for the device that sent it. */
export const turningPoint = ({ before, into, other, row }: Extract<Item, { readonly into: string }>): string =>
  row.warning === undefined
    ? before === 0
      ? `The anonymous id had sent nothing here. From now on both ids are one person.`
      : `${counted(before, "message")} sent before as ${shortId(other)} ${before === 1 ? "is" : "are"} ${
        shortId(into)
      }’s too.`
    : warnings[row.warning].title + ". The two ids stay two persons."

/** What kind of person this is. */
export const kindOf = ({ exists, isIdentified }: Person): string =>
  !exists ? "anonymous, no person yet" : isIdentified ? "identified" : "not identified"

/** What a device is called. */
export const deviceName = ({ anonymousIds, persons, rows }: Device): string => {
  const accounts = persons.filter(({ exists }) => exists).map(({ name }) => shortId(name))
  const [first, ...more] = anonymousIds.map(shortId)
  const start = first === undefined ? undefined : more.length === 0 ? first : `${first} and ${more.length} more`
  return [start, ...accounts.filter((name) => name !== first)].filter((part) => part !== undefined).join(" → ") ||
    shortId(rows[0]?.message.distinct_id ?? "")
}

/** How much of a message's JSON is shown. */
const maxJson = 100_000

export interface Piece {
  readonly kind: "key" | "text" | "value" | "mark"
  readonly text: string
}

const pieces = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*|true|false|null)|[^"\d\-tfn]+|[^]/g

/** Returns a value as JSON, in pieces that can be told apart. */
export const json = (value: unknown): ReadonlyArray<Piece> => {
  const whole = JSON.stringify(value, null, 2) ?? ""
  const more = whole.length > maxJson ? `\n… and ${whole.length - maxJson} more characters` : ""
  return [...(whole.slice(0, maxJson) + more).matchAll(pieces)].map(([all, string, colon, literal]) => ({
    kind: colon !== undefined ? "key" : string !== undefined ? "text" : literal !== undefined ? "value" : "mark",
    text: all.split("\n").map(printable).join("\n")
  }))
}
