/** The denial of consent by variables. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import * as Variable from "./Variable.ts"

/** Returns the value of a variable; `unreadable`, which denies, if the variable cannot be read. */
export const valueOf = (name: string): Effect.Effect<string> =>
  Effect.map(Variable.read(name, "unreadable"), (value) => value ?? "")

/**
 * Returns the denial by a variable; undefined if no variable denies.
 *
 * The environment of the process always counts, beside the host's `ConfigProvider`: the `.env` file of a cloned folder
 * must not give consent that the user denied.
 */
export const decide = Effect.fnUntraced(function*(prefix: string, optOuts?: ReadonlyArray<string>) {
  const provider = Context.getOrUndefined(yield* Effect.context<never>(), ConfigProvider.ConfigProvider)
  for (const variable of ConsentDecision.variables(prefix, optOuts)) {
    const { name } = variable
    const isAllowed = ConsentDecision.allows(variable, Variable.ofProcess(name) ?? "") &&
      (provider === undefined || ConsentDecision.allows(variable, yield* valueOf(name)))
    if (!isAllowed) return ConsentDecision.denied({ _tag: "Variable", name })
  }
  return undefined
})
