/** The story of one device, oldest first: under which id its messages were sent, and where two ids became one person. */
import * as Persons from "../Persons.ts"
import type { Device, Row } from "./Model.ts"

/** One line of the story. */
export type Item =
  | {
    readonly kind: "identity"
    readonly key: string
    readonly id: string
    readonly isAnonymous: boolean
    /** The person that has this id now, where it is not named as the id is. */
    readonly belongsTo: string | undefined
    readonly row: Row
  }
  | { readonly kind: "event"; readonly key: string; readonly isAnonymous: boolean; readonly row: Row }
  | {
    readonly kind: "merge" | "refusal"
    readonly key: string
    readonly into: string
    readonly other: string
    /** How many of this device's messages were sent under the other id so far. */
    readonly before: number
    readonly row: Row
  }

const byTime = (a: Row, b: Row): number =>
  a.message.timestamp === b.message.timestamp
    ? a.index - b.index
    : a.message.timestamp < b.message.timestamp
    ? -1
    : 1

/** Returns the story of a device. */
export const tell = ({ anonymousIds, rows }: Device): ReadonlyArray<Item> => {
  const anonymous = new Set(anonymousIds)
  const sent = new Map<string, number>()
  const items: Array<Item> = []
  let current: string | undefined
  for (const row of rows.toSorted(byTime)) {
    const { distinct_id: id } = row.message
    const other = Persons.otherId(row.message)
    if (other !== undefined && (row.merge !== undefined || row.warning !== undefined)) {
      const kind = row.merge === undefined ? "refusal" : "merge"
      items.push({ kind, key: `merge ${row.index}`, into: id, other, before: sent.get(other) ?? 0, row })
      // What comes after a merge is the account's, as the merge itself says.
      if (row.merge !== undefined) current = id
      continue
    }
    sent.set(id, (sent.get(id) ?? 0) + 1)
    const isAnonymous = anonymous.has(id)
    if (id !== current) {
      const name = row.person?.name
      const belongsTo = name === id ? undefined : name
      items.push({ kind: "identity", key: `identity ${row.index}`, id, isAnonymous, belongsTo, row })
      current = id
    }
    items.push({ kind: "event", key: `event ${row.index}`, isAnonymous, row })
  }
  return items
}
