/** Text from elsewhere, as it may be shown in a terminal. */

/** Returns a text with every character escaped that a terminal acts on or does not show. */
export const printable = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`
  )
