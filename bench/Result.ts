/**
 * What the bench writes to `bench/results.json`.
 */
import type { Machine } from "./Machine.ts"
import { median, quartiles } from "./Statistics.ts"

/**
 * One measurement. A field that does not apply is null; a row that could not be measured has a `note` that says why,
 * and no figure.
 */
export interface Row {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly ours: number | null
  /** The same host without the module. */
  readonly baseline: number | null
  /** Ours by the baseline, of the medians. */
  readonly ratio: number | null
  /** The middle half: of the ratios of the pairs where there is a ratio, of ours elsewhere. */
  readonly spread: readonly [number, number] | null
  /** The bound that the design sets: of the ratio where there is one, of ours elsewhere. */
  readonly budget: number | null
  /** What others come to, in the same unit. */
  readonly peers: Readonly<Record<string, number | null>>
  readonly note: string | null
  /** What a million runs a day cost: ours, and the same for each peer. */
  readonly million:
    | { readonly unit: string; readonly ours: number; readonly peers: Readonly<Record<string, number>> }
    | null
}

export interface Results {
  readonly machine: Machine
  readonly quick: boolean
  readonly rows: ReadonlyArray<Row>
}

export const round = (n: number, digits = 3): number => Number(n.toFixed(digits))

interface Options {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly budget?: number
  readonly note?: string
}

const blank = { ours: null, baseline: null, ratio: null, spread: null, peers: {}, million: null }

export const notMeasured = (options: Options, why: string): Row => ({
  ...blank,
  id: options.id,
  what: options.what,
  unit: options.unit,
  budget: options.budget ?? null,
  note: `not measured here: ${why}`
})

const rounded = <A>(peers: Readonly<Record<string, A>>, value: (peer: A) => number | null) =>
  Object.fromEntries(
    Object.entries(peers).map(([name, peer]) => {
      const number = value(peer)
      return [name, number === null ? null : round(number)]
    })
  )

/** A row of samples that were taken in pairs with the baseline. */
export const paired = (
  options: Options & {
    readonly ours: ReadonlyArray<number>
    readonly baseline: ReadonlyArray<number>
    readonly peers: Readonly<Record<string, ReadonlyArray<number>>>
    /** What a million of the added units are, a day. */
    readonly million?: { readonly unit: string; readonly each: number }
  }
): Row => {
  const { baseline, million, ours, peers } = options
  const base = median(baseline)
  const [low, high] = quartiles(ours.map((sample, index) => sample / (baseline[index] ?? Number.NaN)))
  const cost = (samples: ReadonlyArray<number>): number => round((median(samples) - base) * (million?.each ?? 0), 1)
  return {
    id: options.id,
    what: options.what,
    unit: options.unit,
    ours: round(median(ours)),
    baseline: round(base),
    ratio: round(median(ours) / base),
    spread: [round(low), round(high)],
    budget: options.budget ?? null,
    peers: rounded(peers, (samples) => samples.length === 0 ? null : median(samples)),
    note: options.note ?? null,
    million: million === undefined ? null : {
      unit: million.unit,
      ours: cost(ours),
      peers: Object.fromEntries(
        Object.entries(peers).flatMap(([name, samples]) => samples.length === 0 ? [] : [[name, cost(samples)]])
      )
    }
  }
}

/** A row of one figure. */
export const single = (
  options: Options & {
    readonly ours: ReadonlyArray<number>
    readonly peers?: Readonly<Record<string, number | null>>
    readonly million?: { readonly unit: string; readonly of: (figure: number) => number }
  }
): Row => {
  const { million, ours, peers = {} } = options
  const spread = quartiles(ours)
  return {
    ...blank,
    id: options.id,
    what: options.what,
    unit: options.unit,
    ours: round(median(ours)),
    spread: ours.length > 1 ? [round(spread[0]), round(spread[1])] : null,
    budget: options.budget ?? null,
    peers: rounded(peers, (peer) => peer),
    note: options.note ?? null,
    million: million === undefined ? null : {
      unit: million.unit,
      ours: round(million.of(median(ours)), 1),
      peers: Object.fromEntries(
        Object.entries(peers).flatMap(([name, peer]) => peer === null ? [] : [[name, round(million.of(peer), 1)]])
      )
    }
  }
}

/** Whether a row keeps its budget; undefined where there is nothing to keep. */
export const isKept = ({ budget, id, ours, ratio }: Row): boolean | undefined => {
  const figure = ratio ?? ours
  if (budget === null || figure === null) return undefined
  // Of these, more is better.
  return id === "container" || id === "ctrl-c" ? figure >= budget : figure <= budget
}
