/** Debug lines of synchronous code. */
import * as Effect from "effect/Effect"
import { debug } from "./Debug.ts"

/** Collects the debug lines of synchronous code, and writes them in an effect. */
export interface Notes {
  readonly add: (line: string) => void
  /** Runs synchronous code, then writes its debug lines. */
  readonly run: <A>(evaluate: () => A) => Effect.Effect<A>
}

export const make = (): Notes => {
  let lines: Array<string> = []
  const write = Effect.suspend(() => {
    const all = lines
    lines = []
    return Effect.forEach(all, (line) => debug(line), { discard: true })
  })
  return {
    add: (line) => void lines.push(line),
    run: (evaluate) =>
      Effect.suspend(() => {
        const result = evaluate()
        return lines.length === 0 ? Effect.succeed(result) : Effect.as(write, result)
      })
  }
}
