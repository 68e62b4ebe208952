/**
 * Medians, quartiles, and runs in turn.
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

export const total = (samples: ReadonlyArray<number>): number => samples.reduce((sum, sample) => sum + sample, 0)

/** The slope of the straight line that lies nearest to the points. */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const x = total(points.map(([x]) => x)) / points.length
  const y = total(points.map(([, y]) => y)) / points.length
  return total(points.map((point) => (point[0] - x) * (point[1] - y))) /
    total(points.map((point) => (point[0] - x) ** 2))
}

/** The samples of a name; those with one index were taken in one round. */
export type Samples<Name extends string> = (name: Name) => ReadonlyArray<number>

/**
 * Takes a sample of each, round after round, so that what the machine does meanwhile falls on all alike. Each round
 * begins one further on, so that none always follows the same other. The first round may be thrown away.
 */
export const inTurn = async <const Name extends string>(
  options: { readonly rounds: number; readonly warm: boolean },
  names: ReadonlyArray<Name>,
  take: (name: Name) => Promise<number>
): Promise<Samples<Name>> => {
  const samples = new Map<Name, Array<number>>()
  for (let round = options.warm ? -1 : 0; round < options.rounds; round++) {
    const first = Math.max(round, 0) % names.length
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const sample = await take(name)
      if (round >= 0) samples.set(name, [...samples.get(name) ?? [], sample])
    }
  }
  return (name) => samples.get(name) ?? []
}
