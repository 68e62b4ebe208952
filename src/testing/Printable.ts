/**
 * Text from elsewhere, as it may be shown in a terminal.
 *
 * @since 0.1.0
 */

/**
 * Returns a text with every character escaped that a terminal acts on or does not show.
 *
 * @category formatting
 * @since 0.1.0
 */
export const printable = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`
  )
