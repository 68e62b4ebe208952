/** The denial of consent by variables. */
import * as Effect from "effect/Effect"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import * as Variable from "./Variable.ts"

/** The value of a variable that cannot be read: it denies. */
export const unreadable = "unreadable"

/**
 * Returns the denial by a variable; undefined if no variable denies.
 *
 * The environment of the process always counts, beside the host's `ConfigProvider`: the `.env` file of a cloned folder
 * must not give consent that the user denied.
 */
export const decide = Effect.fnUntraced(function*(prefix: string, optOuts?: ReadonlyArray<string>) {
  const provider = Variable.providerIn(yield* Effect.context<never>())
  for (const variable of ConsentDecision.variables(prefix, optOuts)) {
    const { name } = variable
    const isAllowed = ConsentDecision.allows(variable, Variable.ofProcess(name) ?? "") &&
      (provider === undefined ||
        ConsentDecision.allows(variable, (yield* Variable.readFrom(provider, [name], unreadable))[name] ?? ""))
    if (!isAllowed) return ConsentDecision.denied({ _tag: "Variable", name })
  }
  return undefined
})
