/** Debug lines of synchronous code. */
import * as Effect from "effect/Effect"
import { debug, isLogged } from "./Debug.ts"

/** Collects the debug lines of synchronous code, and writes them in an effect. */
export interface Notes {
  readonly add: (line: string) => void
  /** Runs synchronous code, then writes its debug lines. */
  readonly run: <A>(evaluate: () => A) => Effect.Effect<A>
}

export const make = (): Notes => {
  let lines: Array<string> = []
  return {
    add: (line) => void lines.push(line),
    run: (evaluate) =>
      Effect.withFiber((fiber) => {
        const result = Effect.succeed(evaluate())
        const all = lines
        lines = []
        return all.length === 0 || !isLogged(fiber)
          ? result
          : Effect.andThen(Effect.forEach(all, (line) => debug(line), { discard: true }), result)
      })
  }
}
