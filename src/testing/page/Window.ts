/** Which rows of a long list are in view. */

/** Returns the top of each row, and at the end the height of all. */
export const tops = (heights: ReadonlyArray<number>): ReadonlyArray<number> => {
  const result = [0]
  let top = 0
  for (const height of heights) result.push(top += height)
  return result
}

/** Returns the last row that begins at or above `y`. */
const rowAt = (tops: ReadonlyArray<number>, y: number): number => {
  let [low, high] = [0, Math.max(0, tops.length - 2)]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((tops[middle] ?? 0) <= y) low = middle
    else high = middle - 1
  }
  return low
}

/** How many rows are there above and below those in view. */
const margin = 6

/** Returns the first row to draw, and the one after the last. */
export const visible = (
  tops: ReadonlyArray<number>,
  scrollTop: number,
  height: number
): { readonly from: number; readonly to: number } => {
  const count = tops.length - 1
  const from = Math.max(0, rowAt(tops, scrollTop) - margin)
  return { from, to: Math.min(count, rowAt(tops, scrollTop + height) + 1 + margin) }
}

/** Returns where a list must be scrolled to so that a row is in view: no farther than needed. */
export const scrolledTo = (
  tops: ReadonlyArray<number>,
  row: number,
  scrollTop: number,
  height: number
): number => {
  const [top = 0, bottom = top] = tops.slice(row, row + 2)
  return top < scrollTop ? top : bottom > scrollTop + height ? Math.max(bottom - height, 0) : scrollTop
}
