/** What rows and details are made of. */
import type * as Persons from "../Persons.ts"
import { printable } from "../Printable.ts"
import { type Child, draw, make } from "./Dom.ts"
import type { Device, Person, Row } from "./Model.ts"
import type { Item } from "./Story.ts"
import * as Words from "./Words.ts"

/** How many colours persons have. */
const colours = 6

const colourOf = (person: Person | undefined): string => {
  if (person === undefined || !person.exists) return "nobody"
  return `colour-${Number(person.key.replace("person ", "")) % colours}`
}

const span = (kind: string, ...children: ReadonlyArray<Child>) => make("span", { class: kind }, ...children)

/** A word that only a screen reader says. */
const said = (text: string) => span("said", text)

const tag = (kind: string, text: string) => span(`tag ${kind}`, text)

const time = (timestamp: string) =>
  make("time", { class: "time", datetime: printable(timestamp), title: printable(timestamp) }, Words.timeOf(timestamp))

/** An id, whole where one points at it. */
const id = (text: string, ...children: ReadonlyArray<Child>) =>
  make("span", { class: "id", title: printable(text) }, ...children, Words.shortId(text))

export const personName = (person: Person | undefined, other = "no person") =>
  person === undefined
    ? span("id", span("dot nobody"), other)
    : id(person.name, span(`dot ${colourOf(person)}`))

const warningTag = ({ isDropped, warning }: Row) =>
  warning === undefined ? undefined : tag("bad", isDropped ? "dropped" : "refused")

/** The cell of a property, whose name a screen reader says. */
const property = (row: Row, name: "command" | "flow" | "sequence", mark = "") =>
  span(`cell ${name}`, ...row[name] === "" ? [] : [said(`${name} `), `${mark}${printable(row[name])}`])

/** The cells of a message. */
export const messageCells = (row: Row): ReadonlyArray<Child> => [
  span("cell", time(row.message.received_at)),
  span(
    "cell event",
    span("name", printable(row.message.event)),
    row.merge === undefined ? undefined : tag("good", "merge"),
    warningTag(row)
  ),
  span("cell person", said("person "), personName(row.person, row.isDropped ? "dropped" : undefined)),
  property(row, "command"),
  property(row, "flow"),
  property(row, "sequence")
]

export const personCells = (person: Person): ReadonlyArray<Child> => [
  span("cell name", personName(person)),
  span(
    "cell about",
    tag(person.isIdentified ? "good" : "", Words.kindOf(person)),
    `${Words.counted(person.ids.length, "id")}, ${Words.counted(person.rows.length, "message")}`
  )
]

export const deviceCells = (device: Device): ReadonlyArray<Child> => [
  span("cell name", Words.deviceName(device)),
  span(
    "cell about",
    device.rows.some(({ merge }) => merge !== undefined) ? tag("good", "merge") : undefined,
    device.rows.some(({ warning }) => warning !== undefined) ? tag("bad", "warning") : undefined,
    Words.counted(device.rows.length, "message")
  )
]

// The two lanes of a device: what it sent as nobody, and what it sent as an account.
const lanes = { anonymous: 14, account: 42 }

const lane = (item: Item): SVGElement => {
  const person = colourOf(item.row.person)
  const isAnonymous = item.kind === "identity" || item.kind === "event" ? item.isAnonymous : false
  const x = isAnonymous ? lanes.anonymous : lanes.account
  const shape: ReadonlyArray<SVGElement> = (() => {
    switch (item.kind) {
      case "identity":
        return [
          draw("line", { x1: x, x2: x, y1: "50%", y2: "100%", class: "way" }),
          draw("circle", { cx: x, cy: "50%", r: 6, class: "start" })
        ]
      case "event":
        return [
          draw("line", { x1: x, x2: x, y1: 0, y2: "100%", class: "way" }),
          draw("circle", { cx: x, cy: "50%", r: 4, class: "stop" })
        ]
      case "refusal":
        return [draw("path", { d: "M8 8 L20 20 M20 8 L8 20", class: "cross", transform: "translate(14 20)" })]
      case "merge":
        // From the one lane into the other, whatever the height of the row.
        return [
          draw(
            "svg",
            { viewBox: "0 0 56 100", preserveAspectRatio: "none", width: "100%", height: "100%" },
            draw("path", {
              d: `M${lanes.anonymous} 0 C${lanes.anonymous} 60 ${lanes.account} 40 ${lanes.account} 100`,
              class: "way"
            })
          ),
          draw("circle", { cx: (lanes.anonymous + lanes.account) / 2, cy: "50%", r: 7, class: "start" })
        ]
    }
  })()
  return draw("svg", { class: `lane ${person}${isAnonymous ? " anonymous" : ""}`, "aria-hidden": "true" }, ...shape)
}

/** The cells of one line of a device's story. */
export const storyCells = (item: Item): ReadonlyArray<Child> => {
  const { row } = item
  switch (item.kind) {
    case "identity":
      return [
        lane(item),
        span(
          "cell heading",
          make("strong", {}, item.isAnonymous ? "Anonymous, as " : "As ", id(item.id)),
          item.belongsTo === undefined
            ? item.isAnonymous ? span("later", "no person") : undefined
            : span("later", "counted for ", personName(row.person))
        )
      ]
    case "event":
      return [
        lane(item),
        span("cell", time(row.message.timestamp)),
        span("cell event", span("name", printable(row.message.event))),
        property(row, "command"),
        property(row, "sequence", "#")
      ]
    case "merge":
    case "refusal":
      return [
        lane(item),
        span(
          "cell turn",
          make(
            "strong",
            {},
            item.kind === "merge" ? tag("good", "merge") : tag("bad", row.isDropped ? "dropped" : "refused"),
            " ",
            id(item.other),
            item.kind === "merge" ? " is " : " is not joined to ",
            id(item.into)
          ),
          time(row.message.timestamp),
          span("why", Words.turningPoint(item))
        )
      ]
  }
}

const term = (name: string, ...value: ReadonlyArray<Child>): ReadonlyArray<Node> => [
  make("dt", {}, name),
  make("dd", {}, ...value)
]

const json = (value: unknown, label: string): Node =>
  make(
    "pre",
    { class: "json", tabindex: "0", "aria-label": label },
    make("code", {}, ...Words.json(value).map(({ kind, text }) => kind === "mark" ? text : span(kind, text)))
  )

/** A warning in plain words, with what to do. */
export const advice = (type: Persons.Warning<unknown>["type"], heading: "h2" | "h3"): ReadonlyArray<Node> => {
  const { text, title, todo } = Words.warnings[type]
  return [
    make(heading, {}, title),
    make("p", {}, text),
    make("p", { class: "todo" }, make("strong", {}, "What to do: "), todo),
    make("p", { class: "quiet" }, "PostHog calls it ", make("code", {}, type), ".")
  ]
}

/** A message, whole. */
export const messageDetail = (row: Row, toPerson: Child, toDevice: Child): ReadonlyArray<Node> => {
  const { merge, message, warning } = row
  return [
    make("h2", { tabindex: "-1" }, printable(message.event)),
    ...merge === undefined ? [] : [make("p", { class: "note good" }, Words.merged(merge))],
    ...warning === undefined ? [] : [make("div", { class: "note bad" }, ...advice(warning, "h3"))],
    make(
      "dl",
      {},
      ...term("Person", toPerson),
      ...term("Sent as", span("id whole", printable(message.distinct_id))),
      ...row.command === "" ? [] : term("Command", printable(row.command)),
      ...row.flow === "" ? [] : term("Flow", printable(row.flow)),
      ...row.sequence === "" ? [] : term("Sequence", printable(row.sequence)),
      ...term("Recorded", span("id whole", printable(message.timestamp) || "no time")),
      ...term("Device", toDevice)
    ),
    make("h3", {}, "JSON"),
    json(message, "The message as JSON")
  ]
}

/** How many of a person's merges, ids or messages are named. */
const most = 100

/** At most a hundred of them, and how many more there are. */
export const some = <A>(items: ReadonlyArray<A>, render: (item: A) => Child, noun: string): ReadonlyArray<Node> => [
  ...items.slice(0, most).map((item) => make("li", {}, render(item))),
  ...items.length > most ? [make("li", { class: "quiet" }, `and ${Words.counted(items.length - most, noun)} more`)] : []
]

/** A person, with how its ids came together. */
export const personDetail = (person: Person, toMessage: (row: Row) => Child): ReadonlyArray<Node> => [
  make("h2", { tabindex: "-1" }, personName(person)),
  make("p", {}, tag(person.isIdentified ? "good" : "", Words.kindOf(person))),
  make("h3", {}, Words.counted(person.ids.length, "id")),
  make("ul", {}, ...some(person.ids, (text) => span("id whole", printable(text)), "id")),
  make("h3", {}, "How they came together"),
  person.merges.length === 0
    ? make(
      "p",
      {},
      person.exists
        ? "They did not: it has the one id that its messages name."
        : "Its messages say that there is no person. An alias would make them a person’s, these ones too."
    )
    : make(
      "ol",
      { class: "merges" },
      ...some(
        person.merges,
        (row) => make("div", {}, toMessage(row), make("p", {}, row.merge === undefined ? "" : Words.merged(row.merge))),
        "merge"
      )
    ),
  make("h3", {}, "Properties"),
  Object.keys(person.properties).length === 0
    ? make("p", { class: "quiet" }, "None: no message had $set or $set_once.")
    : json(person.properties, "The person’s properties as JSON")
]

/** The link to a message. */
export const messageLabel = ({ message }: Row) =>
  span("", time(message.timestamp), " ", span("name", printable(message.event)), " ", id(message.distinct_id))
