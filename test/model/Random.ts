/**
 * Numbers that a seed decides.
 */
export interface Random {
  /** A number from 0 to 1, 1 excluded. */
  readonly next: () => number
  /** A whole number from 0 to `below`, `below` excluded. */
  readonly int: (below: number) => number
  readonly chance: (probability: number) => boolean
  /** One of the values; those that stand there twice come twice as often. */
  readonly pick: <const A>(values: readonly [A, ...Array<A>]) => A
  /** A UUID v4. */
  readonly uuid: () => string
}

/** The generator of a seed (mulberry32). */
export const make = (seed: number): Random => {
  let state = (seed ^ 0x9e3779b9) >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const int = (below: number) => Math.floor(next() * below)
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (values) => values[int(values.length)] ?? values[0],
    uuid: () => {
      const hex = Array.from({ length: 4 }, () => Math.floor(next() * 2 ** 32).toString(16).padStart(8, "0")).join("")
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
    }
  }
}
