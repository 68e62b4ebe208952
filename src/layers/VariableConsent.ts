/** Consent as a user denies it by variables. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import * as Variable from "./Variable.ts"

/** Returns the value of a variable that denies something: one that cannot be read was set by somebody. */
export const valueOf = (name: string): Effect.Effect<string> =>
  Effect.map(Variable.read(name, "unreadable"), (value) => value ?? "")

/**
 * Returns the denial of a variable, if one denies.
 *
 * The process's own environment counts wherever else the host reads its configuration from: the `.env` of a folder that
 * was cloned must not give a consent that the user denied.
 */
export const decide = Effect.fnUntraced(function*(prefix: string, optOuts?: ReadonlyArray<string>) {
  for (const { allows, name } of ConsentDecision.variables(prefix, optOuts)) {
    const values = [
      yield* valueOf(name),
      yield* Effect.provideService(valueOf(name), ConfigProvider.ConfigProvider, Variable.ofProcess)
    ]
    if (!values.every(allows)) return ConsentDecision.denied({ _tag: "Variable", name })
  }
  return undefined
})
