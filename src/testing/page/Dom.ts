/** Elements, made of text and of other elements only: no text that arrived is ever read as HTML. */

export type Child = Node | string | undefined

/** Returns a new element. */
export const make = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>>,
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[K] => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children.filter((child) => child !== undefined))
  return element
}

/** Returns a new element of a drawing. */
export const draw = (
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: ReadonlyArray<Node>
): SVGElement => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  element.append(...children)
  return element
}

/** Returns an element of the page. */
export const find = <E extends HTMLElement = HTMLElement>(selector: string, kind?: new() => E): E => {
  const element = document.querySelector(selector)
  if (!(element instanceof (kind ?? HTMLElement))) throw new Error(`the page has no ${selector}`)
  return element as E
}

/** Returns a button. */
export const button = (label: Child, onClick: () => void, attributes: Readonly<Record<string, string>> = {}) => {
  const element = make("button", { type: "button", ...attributes }, label)
  element.addEventListener("click", onClick)
  return element
}
