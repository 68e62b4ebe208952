/**
 * The rules that this repository's own checks enforce.
 */

export interface Rule {
  /** What must hold. */
  readonly name: string
  readonly why: string
  /** What a contributor does who broke the rule. */
  readonly fix: string
}

/** Prints each rule that is broken, with the places that break it, and fails the process if there is one. */
export const enforce = (results: ReadonlyArray<readonly [Rule, broken: ReadonlyArray<string>]>): void => {
  for (const [{ fix, name, why }, broken] of results) {
    if (broken.length === 0) continue
    const places = broken.map((place) => `  ${place}`)
    console.error([`Rule broken: ${name}`, ...places, `  Why: ${why}.`, `  Fix: ${fix}.`].join("\n"))
    process.exitCode = 1
  }
}
