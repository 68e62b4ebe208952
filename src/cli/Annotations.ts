/** What a host adds to the events of a running command: flag values, properties and groups. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import { merge, type Shared } from "../domain/Shared.ts"
import { debug, debugFailure } from "../layers/Debug.ts"
import { type Annotations, CurrentCommand, trackedCommand } from "../services/CurrentCommand.ts"

/** Writes that `Usage.track` comes too early, except in a command that an outer `track` records. */
export const debugTooEarly: Effect.Effect<void> = Effect.flatMap(trackedCommand, (command) =>
  command === undefined
    ? debug("not recorded: apply `Usage.track` after subcommands, shared flags and `withFlagValues`")
    : Effect.void)

// Outside a tracked command, the change is a no-op.
const annotate = (change: (before: Annotations) => Annotations): Effect.Effect<void> =>
  Effect.flatMap(
    trackedCommand,
    (command) => command === undefined ? Effect.void : Ref.update(command.annotations, change)
  )

/**
 * Adds properties and groups to every later event of this command, its own event at the end included.
 *
 * **When to use**
 *
 * Use it for values that a command finds while it runs. For the events of a scope, use `UsageContext`, which takes
 * precedence.
 *
 * **Details**
 *
 * Outside a tracked command it is a no-op. No schema checks the properties, and no data dictionary lists them.
 *
 * **Example** (Adding the project of a command)
 *
 * ```ts
 * const deploy = Command.make("deploy", {}, Effect.fnUntraced(function*() {
 *   const project = yield* Project
 *   yield* Usage.annotateCommand({ groups: { project: project.id } })
 * }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const annotateCommand = (shared: Shared): Effect.Effect<void> =>
  annotate((before) => ({ ...before, shared: merge(before.shared, shared) })).pipe(
    // A getter of the host may throw.
    debugFailure("could not annotate a command")
  )

// A value that can be a property.
type Scalar = string | number | boolean | undefined | Option.Option<string | number | boolean>

// The input of a command with subcommands is a union: its own flags, or those that it shares.
type KeyOf<Input> = Input extends unknown ? keyof Input : never

type ValueOf<Input, Key> = Input extends unknown ? Key extends keyof Input ? Input[Key] : never : never

type UnsendableKey<Input, Key extends string> = {
  [Name in Key]: [ValueOf<Input, Name>] extends [Scalar] ? never : Name
}[Key]

/**
 * Accepts a command whose input has the keys, with values that can be sent. For others, the compiler's message names
 * the key that is wrong.
 *
 * @category models
 * @since 0.1.0
 */
export type HasValues<Input, Key extends string> = [Exclude<Key, KeyOf<Input>>] extends [never]
  ? [UnsendableKey<Input, Key>] extends [never] ? unknown
  : `the value of "${UnsendableKey<Input, Key>}" is no text, number or boolean, nor an Option of one`
  : `this command has no flag or argument under the key "${Exclude<Key, KeyOf<Input>>}"`

const jsonOf = (value: Scalar): Schema.Json | undefined => Option.isOption(value) ? Option.getOrUndefined(value) : value

/**
 * Adds the values of some flags or arguments to the command's event, as `flag_values`.
 *
 * **When to use**
 *
 * By default no flag value is sent. Name only flags whose values are not personal: a region, a format, a size.
 *
 * **Details**
 *
 * Apply it to the command that has the flag, after its handler and its subcommands. A key that the command does not
 * have is a type error, and so is a value that is not a string, a number or a boolean, or an `Option` of one.
 *
 * **Example** (Sending the region of a deployment)
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
  <const Name extends string, Input, ContextInput, E, R>(
    command: Command.Command<Name, Input, ContextInput, E, R> & HasValues<Input, Key>
  ): Command.Command<Name, Input, ContextInput, E, R> =>
    Command.provideEffectDiscard(
      command,
      (input: Input) =>
        Effect.flatMap(CurrentCommand, (current) =>
          current === undefined ? debugTooEarly : annotate((before) => {
            // `HasValues` has checked the type.
            const values: { readonly [K in Key]: Scalar } = Object(input)
            const allowed = keys.flatMap((key): ReadonlyArray<readonly [string, Schema.Json]> => {
              const value = jsonOf(values[key])
              return value === undefined ? [] : [[key, value]]
            })
            return { ...before, flagValues: { ...before.flagValues, ...Object.fromEntries(allowed) } }
          }))
    )
