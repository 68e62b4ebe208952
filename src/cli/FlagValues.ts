/**
 * Flag values that an author allows to be sent; by default none is.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import { Invocation } from "../services/Invocation.ts"

// A value that is a text, a number or a yes: anything else has no place in a property.
const scalar = (value: unknown): Schema.Json | undefined => {
  const given = Option.isOption(value) ? Option.getOrUndefined(value) : value
  return Predicate.isString(given) || Predicate.isNumber(given) || Predicate.isBoolean(given) ? given : undefined
}

/**
 * Sends the values of some keys of a command's input with its event, as `flag_values`.
 *
 * **Details**
 *
 * It stands on the leaf command, whose input the compiler knows: a key that the input does not have is a type error.
 * Texts, numbers and booleans are sent, and what an `Option` of them holds.
 *
 * **Example** (The region of a deployment)
 *
 * ```ts
 * const deploy = Command.make("deploy", { name, region }, handler).pipe(Usage.withFlagValues("region"))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withFlagValues =
  <const Key extends string>(...keys: ReadonlyArray<Key>) =>
  <const Name extends string, Input extends { readonly [K in Key]: unknown }, ContextInput, E, R>(
    command: Command.Command<Name, Input, ContextInput, E, R>
  ): Command.Command<Name, Input, ContextInput, E, R | Invocation> =>
    Command.provide(command, (input: Input) =>
      Layer.effectDiscard(Effect.flatMap(Invocation, ({ flagValues }) => {
        const allowed: Array<readonly [string, Schema.Json]> = []
        for (const key of keys) {
          const value = scalar(input[key])
          if (value !== undefined) allowed.push([key, value])
        }
        return Ref.set(flagValues, Object.fromEntries(allowed))
      })))
