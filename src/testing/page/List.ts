/** A list of any length, of which only the rows in view are in the document. */
import { type Child, make } from "./Dom.ts"
import * as Window from "./Window.ts"

export interface Options<A> {
  readonly element: HTMLElement
  readonly key: (item: A) => string
  /** The class of the row: each class has one height. */
  readonly kind: (item: A) => string
  readonly render: (item: A) => ReadonlyArray<Child>
  /** The row was chosen. */
  readonly onOpen: (item: A, isByKey: boolean) => void
}

export interface List<A> {
  /** Shows these items. What is in view stays there, unless the list is at its top. */
  readonly show: (items: ReadonlyArray<A>, opened: string | undefined) => void
  readonly focus: () => void
}

/**
 * Makes a list of an element of the page: a listbox, whose row in focus is named by `aria-activedescendant`, so that the
 * focus stays where it is when rows come and go.
 */
export const makeList = <A>({ element, key, kind, onOpen, render }: Options<A>): List<A> => {
  let items: ReadonlyArray<A> = []
  let positions: ReadonlyMap<string, number> = new Map()
  let tops: ReadonlyArray<number> = [0]
  /** The key of the row in focus; empty if no row is in focus. */
  let active = ""
  let opened: string | undefined
  let made = 0
  const rows = new Map<string, HTMLElement>()
  const sizer = make("div", { role: "none", class: "sizer" })
  element.setAttribute("role", "listbox")
  element.tabIndex = 0
  element.append(sizer)

  const heights = new Map<string, number>()
  const heightOf = (kind: string): number => {
    const known = heights.get(kind)
    if (known !== undefined) return known
    const height = Number.parseFloat(getComputedStyle(element).getPropertyValue(`--height-${kind}`))
    heights.set(kind, height)
    return height
  }
  const measure = (): void => {
    heights.clear()
    tops = Window.tops(items.map((item) => heightOf(kind(item))))
    sizer.style.height = `${tops.at(-1) ?? 0}px`
  }

  const place = (index: number): void => {
    const item = items[index]
    if (item === undefined) return
    const id = key(item)
    const row = rows.get(id) ?? make("div", { role: "option", id: `${element.id}-${++made}` })
    row.className = `row ${kind(item)}${id === active ? " active" : ""}`
    row.ariaSelected = String(id === opened)
    row.ariaPosInSet = String(index + 1)
    row.ariaSetSize = String(items.length)
    row.style.transform = `translateY(${tops[index] ?? 0}px)`
    // A row that is replaced while it is clicked gets no click.
    const cells = make("div", {}, ...render(item))
    const isSame = cells.childNodes.length === row.childNodes.length &&
      [...cells.childNodes].every((cell, at) => cell.isEqualNode(row.childNodes[at] ?? null))
    if (!isSame) row.replaceChildren(...cells.childNodes)
    if (!rows.has(id)) sizer.append(row)
    rows.set(id, row)
  }

  const draw = (): void => {
    const { from, to } = Window.visible(tops, element.scrollTop, element.clientHeight)
    const activeIndex = positions.get(active)
    const wanted = new Set(Array.from({ length: to - from }, (_, index) => from + index))
    if (activeIndex !== undefined) wanted.add(activeIndex)
    const keys = new Set([...wanted].flatMap((index) => items[index] === undefined ? [] : key(items[index])))
    for (const [id, row] of rows) {
      if (keys.has(id)) continue
      row.remove()
      rows.delete(id)
    }
    for (const index of wanted) place(index)
    const row = rows.get(active)
    if (row === undefined) element.removeAttribute("aria-activedescendant")
    else element.setAttribute("aria-activedescendant", row.id)
  }

  const moveTo = (index: number): void => {
    const position = Math.max(0, Math.min(items.length - 1, index))
    const item = items[position]
    if (item === undefined) return
    active = key(item)
    element.scrollTop = Window.scrolledTo(tops, position, element.scrollTop, element.clientHeight)
    draw()
  }

  element.addEventListener("click", ({ target }) => {
    const [id = ""] = [...rows].find(([, row]) => target instanceof Node && row.contains(target)) ?? []
    const item = items[positions.get(id) ?? -1]
    if (item === undefined) return
    active = id
    onOpen(item, false)
  })
  element.addEventListener("scroll", draw, { passive: true })
  element.addEventListener("focus", () => {
    if (positions.get(active) === undefined) moveTo(positions.get(opened ?? "") ?? 0)
  })
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const at = positions.get(active) ?? -1
    const page = Math.max(1, Math.floor(element.clientHeight / heightOf("row")) - 1)
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: items.length - 1
    }
    const item = items[at]
    if (steps[event.key] !== undefined) moveTo(steps[event.key] ?? 0)
    else if ((event.key === "Enter" || event.key === " ") && item !== undefined) onOpen(item, true)
    else return
    event.preventDefault()
  })
  new ResizeObserver(() => {
    measure()
    draw()
  }).observe(element)

  return {
    show: (next, openedKey) => {
      const topItem = element.scrollTop > 0 ? items[Window.visible(tops, element.scrollTop, 0).from] : undefined
      const topBefore = topItem && tops[positions.get(key(topItem)) ?? 0]
      items = next
      opened = openedKey
      positions = new Map(items.map((item, index) => [key(item), index]))
      measure()
      const topAfter = topItem && tops[positions.get(key(topItem)) ?? -1]
      if (topBefore !== undefined && topAfter !== undefined) element.scrollTop += topAfter - topBefore
      draw()
    },
    focus: () => element.focus()
  }
}
