/** A text in a cell of a Markdown table. */

/** Returns a text without line breaks, in which no character ends a cell. */
export const escape = (text: string): string => text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|")
