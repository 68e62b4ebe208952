/**
 * Middles, spreads, and rounds.
 */

const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

const ordered = (samples: ReadonlyArray<number>): ReadonlyArray<number> => samples.toSorted((a, b) => a - b)

export const median = (samples: ReadonlyArray<number>): number => quantile(ordered(samples), 0.5)

export const quartiles = (samples: ReadonlyArray<number>): readonly [number, number] => [
  quantile(ordered(samples), 0.25),
  quantile(ordered(samples), 0.75)
]

const mean = (samples: ReadonlyArray<number>): number =>
  samples.reduce((sum, sample) => sum + sample, 0) / samples.length

/** The interquartile mean: as robust as a median against a busy moment, and a fifth less noisy. Of three, the median. */
export const middle = (samples: ReadonlyArray<number>): number => {
  const cut = Math.floor((samples.length + 1) / 4)
  return mean(ordered(samples).slice(cut, samples.length - cut))
}

/** About two standard errors of a middle: the notch of a box plot (McGill, Tukey and Larsen, 1978). */
export const notch = (samples: ReadonlyArray<number>): number => {
  const [low, high] = quartiles(samples)
  return 1.57 * (high - low) / Math.sqrt(samples.length)
}

/** The slope of the straight line that lies nearest to the points. */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const x = mean(points.map(([x]) => x))
  const y = mean(points.map(([, y]) => y))
  return mean(points.map((point) => (point[0] - x) * (point[1] - y))) / mean(points.map((point) => (point[0] - x) ** 2))
}

/** The samples of a name. Samples with one index were taken in one round. */
export type Samples = (name: string) => ReadonlyArray<number>

/**
 * Takes a sample of each name, round after round, so that a busy moment falls on all names alike. The order within a
 * round is random. A first round is thrown away, unless the rounds are too long for that.
 */
export const inTurn = async <const Name extends string>(
  rounds: number,
  names: ReadonlyArray<Name>,
  take: (name: Name) => Promise<number>,
  options: { readonly warm: boolean } = { warm: true }
): Promise<Samples> => {
  const samples = new Map<string, Array<number>>(names.map((name) => [name, []]))
  for (let round = options.warm ? -1 : 0; round < rounds; round++) {
    const shuffled = names.map((name) => [Math.random(), name] as const).toSorted(([a], [b]) => a - b)
    for (const [, name] of shuffled) {
      const sample = await take(name)
      if (round >= 0) samples.get(name)?.push(sample)
    }
  }
  return (name) => samples.get(name) ?? []
}
