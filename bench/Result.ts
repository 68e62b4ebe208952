/**
 * What the bench writes to `bench/results.json`.
 */
import type { Machine } from "./Machine.ts"
import { median, middle, notch, quartiles, type Samples } from "./Statistics.ts"

/**
 * One measurement. A field that does not apply is null. A row that could not be measured has a `note` that says why, and
 * no figure.
 */
export interface Row {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly ours: number | null
  /** The same host without the module; of a worker, an empty Node. */
  readonly baseline: number | null
  /** Ours by the baseline: the middle of the rounds, then the median of the layouts. */
  readonly ratio: number | null
  /** The middle half: of the ratios of the rounds where there is a ratio, of ours elsewhere. */
  readonly spread: readonly [number, number] | null
  /** The lowest and highest ratio of a layout, where there are several. */
  readonly layouts: readonly [number, number] | null
  /** By how much the ratio may be off, judged by the baseline against itself in the same rounds. */
  readonly noise: number | null
  /** The bound: of the ratio where there is one, of ours elsewhere. */
  readonly budget: number | null
  /** How the bound is computed, where it is no constant. */
  readonly budgetIs: string | null
  readonly kept: boolean | null
  /** How far the figure is from the bound. */
  readonly by: number | null
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
  /** Of the code that was measured. */
  readonly code: string
  readonly rows: ReadonlyArray<Row>
}

/** What a figure costs a CLI with a million runs a day. */
export interface Million {
  readonly unit: string
  readonly of: (figure: number, baseline: number) => number
}

interface Options {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly note?: string
  readonly million?: Million
}

const round = (n: number, digits: number): number => Number(n.toFixed(digits))

const row = (
  options: Options,
  measured: Pick<Row, "ours"> & Partial<Row>,
  bound: { readonly budget?: number; readonly isLeast?: boolean }
): Row => {
  const figure = measured.ratio ?? measured.ours
  const { budget = null, isLeast = false } = bound
  const distance = budget === null || figure === null ? null : isLeast ? figure - budget : budget - figure
  const { million } = options
  const { baseline = null, ours, peers = {} } = measured
  const cost = (figure: number): number => round(million?.of(figure, baseline ?? 0) ?? 0, 1)
  const rounded = (n: number | null | undefined): number | null => n === null || n === undefined ? null : round(n, 4)
  const both = (pair: Row["spread"] | undefined): Row["spread"] => pair ? [round(pair[0], 4), round(pair[1], 4)] : null
  const known = Object.entries(peers).flatMap(([name, peer]) => peer === null ? [] : [[name, peer] as const])
  return {
    id: options.id,
    what: options.what,
    unit: options.unit,
    ours: rounded(ours),
    baseline: rounded(baseline),
    ratio: rounded(measured.ratio),
    spread: both(measured.spread),
    layouts: both(measured.layouts),
    noise: rounded(measured.noise),
    budget: rounded(budget),
    budgetIs: measured.budgetIs ?? null,
    kept: distance === null ? null : distance >= 0,
    by: distance === null ? null : rounded(Math.abs(distance)),
    peers: Object.fromEntries(Object.entries(peers).map(([name, peer]) => [name, rounded(peer)])),
    note: options.note ?? null,
    million: million === undefined || ours === null ? null : {
      unit: million.unit,
      ours: cost(ours),
      peers: Object.fromEntries(known.map(([name, peer]) => [name, cost(peer)]))
    }
  }
}

export const notMeasured = (options: Options, why: string): Row =>
  row({ ...options, note: `not measured here: ${why}` }, { ours: null }, {})

/** The bound of a ratio, computed of the ratios and the noise of the same rounds. */
export interface Budget {
  /** How it is computed. */
  readonly is?: string
  /** `noise` is that of a ratio of 1. */
  readonly of: (ratio: (name: string) => number, noise: number) => number
}

/**
 * A row of rounds that have the baseline in them, in one layout or several. `Again` is the baseline once more.
 *
 * Each figure is the baseline times a ratio: a ratio is taken within a round, so it does not see what changes between
 * rounds.
 */
export const paired = (
  options: Options & {
    readonly layouts: ReadonlyArray<Samples>
    /** Names of samples. */
    readonly ours?: string
    readonly baseline?: string
    /** A label for each name of a peer. */
    readonly peers?: Readonly<Record<string, string>>
    readonly budget?: Budget
  }
): Row => {
  const { baseline = "Baseline", budget, layouts, ours = "Ours", peers = {} } = options
  const ratios = (name: string): ReadonlyArray<ReadonlyArray<number>> =>
    layouts.map((samples) => samples(name).map((sample, index) => sample / (samples(baseline)[index] ?? Number.NaN)))
      .filter((ratios) => ratios.length > 0)
  const ratio = (name: string): number => median(ratios(name).map(middle))
  const base = median(layouts.map((samples) => middle(samples(baseline))))
  const again = ratios("Again").flat()
  const noise = again.length === 0 ? null : Math.max(Math.abs(middle(again) - 1), notch(again))
  const ofLayouts = ratios(ours).map(middle)
  return row(
    options,
    {
      ours: ratio(ours) * base,
      baseline: base,
      ratio: ratio(ours),
      spread: quartiles(ratios(ours).flat()),
      layouts: layouts.length > 1 ? [Math.min(...ofLayouts), Math.max(...ofLayouts)] : null,
      noise: noise === null ? null : noise * ratio(ours),
      budgetIs: budget?.is ?? null,
      peers: Object.fromEntries(
        Object.entries(peers).map(([name, label]) => [label, ratios(name).length === 0 ? null : ratio(name) * base])
      )
    },
    budget === undefined ? {} : { budget: budget.of(ratio, noise ?? 0) }
  )
}

/** A row of one figure. */
export const single = (
  options: Options & {
    readonly ours: ReadonlyArray<number>
    readonly peers?: Row["peers"]
    readonly budget?: number
    /** Whether the budget is the least that the figure may be. */
    readonly isLeast?: boolean
  }
): Row => {
  const { ours, peers = {} } = options
  return row(options, { ours: middle(ours), spread: ours.length > 1 ? quartiles(ours) : null, peers }, options)
}
