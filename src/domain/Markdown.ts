/** Texts in Markdown, in one line. */

const inOneLine = (text: string): string => text.trim().replaceAll(/\s+/g, " ")

// A code span, which stays as it is, or a character that begins raw HTML, emphasis or a code span. An underscore inside a
// word begins none.
const special = /(?<!`)(`+)(?!`).*?[^`]\1(?!`)|[\\`*<]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu

const escapeBars = (text: string): string => text.replaceAll("|", "\\|")

/** Returns a text in which code spans, and no raw HTML and no emphasis, are Markdown. */
export const plain = (text: string): string =>
  inOneLine(text).replaceAll(special, (found) => found.length === 1 ? `\\${found}` : found)

/** Returns the same for a cell of a table. */
export const cell = (text: string): string => escapeBars(plain(text))

/** Returns a code span for a cell of a table. */
export const code = (text: string): string => {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length))
  const fence = "`".repeat(longest + 1)
  const padding = longest === 0 ? "" : " "
  return `${fence}${padding}${escapeBars(inOneLine(text))}${padding}${fence}`
}
