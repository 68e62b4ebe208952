/** The page of the sink: what arrives at `GET /api/events`, drawn. */
import { button, type Child, find, make } from "./Dom.ts"
import { makeList } from "./List.ts"
import * as Model from "./Model.ts"
import * as Parts from "./Parts.ts"
import * as State from "./State.ts"
import * as Story from "./Story.ts"
import * as Words from "./Words.ts"

let state = State.initial
let model = Model.derive([])
let modelOf = State.shown(state)

const tabs = ["messages", "timeline", "persons", "warnings"] as const

// == changing what is shown

/** Messages that came since the page was drawn. */
let arrived: Array<Model.Received> = []
let isScheduled = false

const schedule = (): void => {
  if (isScheduled) return
  isScheduled = true
  requestAnimationFrame(() => {
    isScheduled = false
    draw()
  })
}

const change = (next: State.State): void => {
  state = next
  schedule()
}

type Choice = Pick<State.State, "tab"> & Partial<Pick<State.State, "message" | "device" | "person">>

const ofMessage = ({ index }: Model.Row): Choice => ({ tab: "messages", message: index })
const ofPerson = ({ key }: Model.Person): Choice => ({ tab: "persons", person: key })
const ofDevice = (device: number): Choice => ({ tab: "timeline", device })

/** Draws what is chosen, and puts the focus on the heading of its detail. */
const open = (choice: Choice): void => {
  state = { ...state, ...choice }
  draw()
  find(`#${choice.tab} .detail h2`).focus()
}

/** Shows a row of a list that was chosen. After a click on a list beside the detail, the focus stays on the list. */
const choose = (choice: Choice, isByKey: boolean): void =>
  isByKey || matchMedia("(max-width: 760px)").matches ? open(choice) : change({ ...state, ...choice })

const close = (panel: State.Tab): void => {
  const closed = {
    messages: { message: undefined },
    timeline: { device: undefined },
    persons: { person: undefined },
    warnings: {}
  }
  state = { ...state, ...closed[panel] }
  draw()
  lists[panel]?.focus()
}

// == the lists

const messageList = makeList<Model.Row>({
  element: find("#message-list"),
  key: ({ index }) => String(index),
  kind: () => "row",
  render: Parts.messageCells,
  onOpen: (row, isByKey) => choose(ofMessage(row), isByKey)
})

const deviceList = makeList<Model.Device>({
  element: find("#device-list"),
  key: ({ key }) => String(key),
  kind: () => "card",
  render: Parts.deviceCells,
  onOpen: ({ key }, isByKey) => choose(ofDevice(key), isByKey)
})

const storyList = makeList<Story.Item>({
  element: find("#story-list"),
  key: ({ key }) => key,
  kind: ({ kind }) => kind,
  render: Parts.storyCells,
  onOpen: ({ row }) => open(ofMessage(row))
})

const personList = makeList<Model.Person>({
  element: find("#person-list"),
  key: ({ key }) => key,
  kind: () => "card",
  render: Parts.personCells,
  onOpen: (person, isByKey) => choose(ofPerson(person), isByKey)
})

const lists: Partial<Record<State.Tab, { readonly focus: () => void }>> = {
  messages: messageList,
  timeline: deviceList,
  persons: personList
}

// == drawing

const backOf = (panel: State.Tab, label: string) => button(label, () => close(panel), { class: "back" })

const link = (label: Child, onClick: () => void) => button(label, onClick, { class: "link" })

const messageLink = (row: Model.Row) => link(Parts.messageLabel(row), () => open(ofMessage(row)))

/** Redraws a detail where something of it changed: a reader keeps the place in it. */
const details = new Map<string, unknown>()
const detail = (selector: string, from: ReadonlyArray<unknown>, render: () => ReadonlyArray<Node>): void => {
  const text = JSON.stringify(from)
  if (details.get(selector) === text) return
  details.set(selector, text)
  find(selector).replaceChildren(...render())
}

const drawMessages = (): void => {
  const rows = State.filtered(model, state.filter)
  const row = state.message === undefined ? undefined : model.rows[state.message]
  find("#messages").toggleAttribute("data-open", row !== undefined)
  messageList.show(rows, row && String(row.index))
  find("#matches").textContent = State.isFiltered(state.filter)
    ? rows.length === 0
      ? "No message matches."
      : `${rows.length.toLocaleString("en")} of ${Words.counted(model.rows.length, "message")}`
    : ""
  find("#filter").toggleAttribute("data-filtered", State.isFiltered(state.filter))
  for (const [name, texts] of Object.entries(State.suggestions(model))) {
    detail(`#known-${name}`, texts, () => texts.map((value) => make("option", { value })))
  }
  const { device, person } = row ?? {}
  const name = row && model.devices.find(({ key }) => key === device)
  detail(
    "#message-detail",
    [row?.index, person?.key, person?.ids, row?.warning, name && Words.deviceName(name)],
    () =>
      row === undefined ? [] : [
        backOf("messages", "Close"),
        ...Parts.messageDetail(
          row,
          person === undefined
            ? Parts.personName(person, row.isDropped ? "none: PostHog dropped it" : undefined)
            : link(Parts.personName(person), () => open(ofPerson(person))),
          link(name && Words.deviceName(name), () => open(ofDevice(row.device)))
        )
      ]
  )
}

const drawTimeline = (): void => {
  const chosen = model.devices.find(({ key }) => key === state.device)
  const device = chosen ?? model.devices[0]
  find("#timeline").toggleAttribute("data-open", chosen !== undefined)
  deviceList.show(model.devices, device && String(device.key))
  if (device === undefined) return storyList.show([], undefined)
  detail("#device-head", [device.key, Words.deviceName(device), device.rows.length], () => [
    backOf("timeline", "All devices"),
    make("h2", { tabindex: "-1" }, Words.deviceName(device)),
    make("p", { class: "quiet" }, `${Words.counted(device.rows.length, "message")}, oldest first`)
  ])
  storyList.show(Story.tell(device), undefined)
}

const drawPersons = (): void => {
  const chosen = model.persons.find(({ key }) => key === state.person)
  const person = chosen ?? model.persons[0]
  find("#persons").toggleAttribute("data-open", chosen !== undefined)
  personList.show(model.persons, person?.key)
  const from = [person?.key, person?.ids, person?.isIdentified, person?.properties, person?.merges.length]
  detail(
    "#person-detail",
    from,
    () => person === undefined ? [] : [backOf("persons", "All persons"), ...Parts.personDetail(person, messageLink)]
  )
}

const drawWarnings = (): void =>
  detail("#warnings", model.warnings.map(({ index }) => index), () =>
    model.warnings.length === 0
      ? [make("p", { class: "quiet" }, "Nothing is wrong: PostHog would take every merge as it was sent.")]
      : [...Map.groupBy(model.warnings, ({ warning }) => warning)].map(([type, rows]) =>
        make(
          "article",
          { class: "note bad" },
          ...type === undefined ? [] : Parts.advice(type, "h2"),
          make("ul", {}, ...Parts.some(rows, messageLink, "message"))
        )
      ))

const connections = {
  connecting: "Connecting …",
  open: "Live",
  lost: "The sink has stopped. The page waits for it."
}

const drawHead = (): void => {
  const waiting = State.waiting(state)
  const isPaused = state.paused !== undefined
  const connection = find("#connection")
  const text = isPaused && state.connection === "open" ? "Paused" : connections[state.connection]
  connection.dataset["state"] = isPaused ? "paused" : state.connection
  if (connection.textContent !== text) connection.textContent = text
  const label = !isPaused ? "Pause" : waiting === 0 ? "Resume" : `Resume (${waiting.toLocaleString("en")} new)`
  find("#pause").textContent = label
  document.title = model.rows.length === 0 ? "Sink" : `Sink: ${Words.counted(model.rows.length, "message")}`
  const counts = {
    messages: model.rows.length,
    timeline: model.devices.length,
    persons: model.persons.length,
    warnings: model.warnings.length
  }
  for (const tab of tabs) {
    const element = find(`#tab-${tab}`)
    const isShown = tab === state.tab
    element.ariaSelected = String(isShown)
    element.tabIndex = isShown ? 0 : -1
    const count = find(`#tab-${tab} .count`)
    count.textContent = counts[tab].toLocaleString("en")
    count.dataset["many"] = String(counts[tab] > 0)
    find(`#${tab}`).hidden = !isShown || model.rows.length === 0
  }
  find("#empty").hidden = model.rows.length > 0
}

const draw = (): void => {
  if (arrived.length > 0) state = State.receive(state, arrived)
  arrived = []
  const messages = State.shown(state)
  if (messages !== modelOf) {
    model = Model.derive(messages)
    modelOf = messages
  }
  drawHead()
  panels[state.tab]()
}

const panels = { messages: drawMessages, timeline: drawTimeline, persons: drawPersons, warnings: drawWarnings }

// == what the reader does

find("#pause").addEventListener(
  "click",
  () => change(state.paused === undefined ? State.pause(state) : State.resume(state))
)
find("#clear").addEventListener("click", () => void fetch("/api/messages", { method: "DELETE" }))

const filter = find("#filter", HTMLFormElement)
filter.addEventListener("input", () => {
  const data = new FormData(filter)
  const text = (name: string) => String(data.get(name) ?? "")
  change({ ...state, filter: { event: text("event"), person: text("person"), command: text("command") } })
})
filter.addEventListener("reset", () => change({ ...state, filter: State.noFilter }))
filter.addEventListener("submit", (event) => event.preventDefault())

for (const [index, tab] of tabs.entries()) {
  const element = find(`#tab-${tab}`)
  element.addEventListener("click", () => change({ ...state, tab }))
  element.addEventListener("keydown", ({ key }) => {
    const to = { ArrowRight: index + 1, ArrowLeft: index + tabs.length - 1, Home: 0, End: tabs.length - 1 }[key]
    const next = to === undefined ? undefined : tabs[to % tabs.length]
    if (next === undefined) return
    change({ ...state, tab: next })
    find(`#tab-${next}`).focus()
  })
  find(`#${tab}`).addEventListener("keydown", ({ key, target }) => {
    if (key === "Escape" && !(target instanceof HTMLInputElement)) close(tab)
  })
}

find("#example-variables").textContent = `ACME_POSTHOG_HOST=${location.origin} ACME_POSTHOG_KEY=phc_local acme deploy`
find("#example-code").textContent = [
  "Usage.layer({",
  "  name: \"acme\",",
  "  version: \"1.2.3\",",
  `  posthog: { host: "${location.origin}", key: "phc_local" }`,
  "})"
].join("\n")

// == what arrives

const stream = new EventSource("/api/events")
stream.addEventListener("open", () => {
  arrived = []
  change(State.open(state))
})
stream.addEventListener("error", () => change(State.lose(state)))
stream.addEventListener("clear", () => {
  arrived = []
  change(State.clear(state))
})
stream.addEventListener("message", ({ data }) => {
  arrived.push(JSON.parse(data))
  schedule()
})
draw()
