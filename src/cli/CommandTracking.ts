/** Records every command of an `effect/cli` tree. */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Ref from "effect/Ref"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { CommandFailed, CommandSucceeded, withName } from "../domain/CommandEvents.ts"
import { debug, debugFailure, isLogged } from "../layers/Debug.ts"
import { type Annotations, type CommandRun, CurrentCommand, trackedCommand } from "../services/CurrentCommand.ts"
import type { IdentityStitch } from "../services/IdentityStitch.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import { debugTooEarly } from "./Annotations.ts"
import type { Declared } from "./DataDictionary.ts"
import * as ErrorClass from "./ErrorClass.ts"

/**
 * Marks a command and its subcommands as not recorded.
 *
 * **Details**
 *
 * The command creates no identity, and the responses to its requests name no principal. An event that its handler
 * captures is recorded, and so is a login.
 *
 * **Example** (Leaving out a command)
 *
 * ```ts
 * const internal = Command.make("internal").pipe(Command.annotate(Usage.Untracked, true))
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export const Untracked: Context.Reference<boolean> = Context.Reference<boolean>("effect-cli-usage/cli/Untracked", {
  defaultValue: () => false
})

// Not exported, so that the declarations of a host name the services, which it can import. Without the layer, the
// compiler's message has this name.
type GivenByUsageLayer = UsageCapture | IdentityStitch

// One signature: with overloads, `pipe(Usage.track)` would not be inferred.
type Tracked<Self> = [Self] extends [Command.Command<infer Name, infer Input, infer ContextInput, infer E, infer R>]
  ? Command.Command<Name, Input, ContextInput, E, R | GivenByUsageLayer>
  : <const Name extends string, Input, ContextInput, E, R>(
    root: Command.Command<Name, Input, ContextInput, E, R>
  ) => Command.Command<Name, Input, ContextInput, E, R | GivenByUsageLayer>

interface Invocation {
  readonly name: string
  readonly flags: ReadonlyArray<string>
  readonly isUntracked: boolean
  /** The tokens of the command itself; undefined for an effect. */
  readonly tokens: Command.ParsedTokens | undefined
}

// A command that is tracked twice is parsed once. A command may also run another one with its name, which is parsed anew.
const tokensOf = new WeakMap<CommandRun, Command.ParsedTokens>()

const childNamed = (command: Command.Command.Any, name: string): Command.Command.Any | undefined =>
  command.subcommands.flatMap(({ commands }) => commands).find((child) => child.name === name)

const describe = (root: Command.Command.Any, tokens: Command.ParsedTokens | undefined): Invocation => {
  const path: Array<string> = []
  const flags = new Set<string>()
  let isUntracked = Context.get(root.annotations, Untracked)
  let command: Command.Command.Any | undefined = root
  let rest = tokens
  while (rest !== undefined) {
    for (const [name, values] of Object.entries(rest.flags)) if (values.length > 0) flags.add(name)
    const next = Option.getOrUndefined(rest.subcommand)
    if (next === undefined) break
    path.push(next.name)
    command = command === undefined ? undefined : childNamed(command, next.name)
    isUntracked ||= command !== undefined && Context.get(command.annotations, Untracked)
    rest = next.parsedInput
  }
  return {
    name: path.length === 0 ? root.name : path.join("."),
    flags: [...flags].toSorted(),
    isUntracked,
    tokens: rest
  }
}

const isUsageError = ({ cause }: Exit.Failure<unknown, unknown>): boolean =>
  ErrorClass.hasError(cause, (error) => CliError.isCliError(error) && error._tag === "ShowHelp")

const interruptedCode = 130

// Returns the exit code that the system reports: on POSIX 255 for -1, and 0 for 256. Node.js exits with 1 for one that is
// no integer.
const reported = (code: number): number =>
  Number.isInteger(code) ? process.platform === "win32" ? code >>> 0 : code & 0xff : 1

const exitCodeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  let code = 1
  ErrorClass.tryOrElse(undefined, () =>
    Runtime.defaultTeardown(exit, (decided) => {
      code = decided
    }))
  return code
}

/**
 * The options of `Usage.track` and `Usage.trackEffect`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Returns the text that is sent as `error_message`; `undefined` sends none. Default: none is sent. */
  readonly errorMessage?: ((error: unknown) => string | undefined) | undefined
  /** The names of the events. Default: `CLI execution succeeded` and `CLI execution failed`. */
  readonly events?: {
    readonly succeeded?: string | undefined
    readonly failed?: string | undefined
  } | undefined
  /** The CLI's own events, which `telemetry events` lists for its users: `[TemplateChosen, ...Auth.events]`. */
  readonly catalog?: ReadonlyArray<Declared> | undefined
}

type Others<Given, Accepted> = {
  readonly [Name in Exclude<keyof Given, keyof Accepted>]: `Usage.track has no option "${Name & string}"`
}

// The compiler does not look for misspelled options in the argument of a generic function, if another one is right.
type NoOthers<Self> = Self extends Command.Command.Any ? unknown
  : Self extends { readonly events: infer Events }
    ? Others<Self, Options> & { readonly events: Others<Events, NonNullable<Options["events"]>> }
  : Others<Self, Options>

/** The options of `track`, for the `telemetry` command. */
export const TrackOptions: Context.Reference<Options> = Context.Reference<Options>(
  "effect-cli-usage/cli/TrackOptions",
  { defaultValue: () => ({}) }
)

interface Outcome {
  readonly code: number
  readonly errorClass: string | undefined
  readonly errorMessage: string | undefined
  readonly isCancelled: boolean
}

const succeeded: Outcome = { code: 0, errorClass: undefined, errorMessage: undefined, isCancelled: false }

const outcomeOf = Effect.fnUntraced(function*(exit: Exit.Exit<unknown, unknown>, { errorMessage }: Options) {
  if (exit._tag === "Success") return succeeded
  const isCancelled = ErrorClass.isCancelled(exit)
  return {
    // A cancelled prompt becomes an interruption only after the handler.
    code: isCancelled ? interruptedCode : exitCodeOf(exit),
    errorClass: ErrorClass.ofCause(exit.cause),
    errorMessage: isCancelled
      ? undefined
      : yield* Effect.sync(() => errorMessage?.(Cause.squash(exit.cause))).pipe(
        debugFailure("no error message is sent: `errorMessage` of `Usage.track` threw")
      ),
    isCancelled
  } satisfies Outcome
})

/** Begins a command. When the scope closes, it records the exit of the handler. */
const begin = Effect.fnUntraced(function*(invocation: Invocation, options: Options) {
  const { tokens } = invocation
  const outer = yield* trackedCommand
  // The leaf may be tracked by itself and by its tree.
  if (outer !== undefined && (tokens === undefined ? outer.name === invocation.name : tokensOf.get(outer) === tokens)) {
    yield* debug(`"${invocation.name}" is not recorded again: apply \`Usage.track\` once, to the root`)
    return Context.make(CurrentCommand, outer)
  }
  const usage = yield* UsageCapture
  const clock = yield* Clock.Clock
  // Undefined before the handler runs.
  let startedAt: bigint | undefined
  let recorded: "no" | "succeeded" | "failed" = "no"
  const annotations = Ref.makeUnsafe<Annotations>({ flagValues: {}, shared: {} })

  const record = Effect.fnUntraced(function*(outcome: Outcome, endedAt: bigint) {
    const code = reported(outcome.code)
    const kind = code === 0 ? "succeeded" : "failed"
    // A logout records its success before the device gets its new id. If the handler fails later, then both are
    // recorded.
    if (recorded === kind) return
    recorded = kind
    const { flagValues } = Ref.getUnsafe(annotations)
    const common = {
      ...(Object.keys(flagValues).length === 0 ? {} : { flag_values: flagValues }),
      duration_ms: startedAt === undefined ? 0 : Math.round(Number(endedAt - startedAt) / 1e6),
      exit_code: code,
      flags_used: invocation.flags
    }
    const { failed, succeeded } = options.events ?? {}
    if (code === 0) return yield* usage.capture(withName(CommandSucceeded, succeeded), common)
    yield* usage.capture(withName(CommandFailed, failed), {
      ...common,
      ...(outcome.errorClass === undefined ? {} : { error_class: outcome.errorClass }),
      ...(outcome.errorMessage === undefined ? {} : { error_message: outcome.errorMessage }),
      user_cancelled: outcome.isCancelled
    })
  }, (recording) => Effect.provideService(recording, CurrentCommand, command))

  const recordNow = (outcome: Outcome): Effect.Effect<void> =>
    Effect.suspend(() => record(outcome, clock.monotonicTimeNanosUnsafe()))
  const command: CommandRun = {
    name: invocation.name,
    outer,
    annotations,
    flows: new Set(),
    recordSuccess: recordNow(succeeded),
    recordExit: (code, error) => {
      const errorClass = error === undefined ? undefined : ErrorClass.ofError(error)
      // A flow that the process ends with code 0 was not completed.
      const exit = reported(code) === 0
        ? Exit.interrupt()
        : Exit.failCause(error === undefined ? Cause.empty : Cause.fail(error))
      return Effect.andThen(
        Effect.forEach([...command.flows], (end) => end(exit)),
        recordNow({ ...succeeded, code, errorClass })
      )
    }
  }
  if (tokens !== undefined) tokensOf.set(command, tokens)
  const followed = yield* Effect.provideService(usage.follow(command), CurrentCommand, command)
  const context = Context.make(CurrentCommand, command)
  if (followed === undefined) return context
  startedAt = clock.monotonicTimeNanosUnsafe()

  yield* Effect.addFinalizer((exit) => {
    if (exit._tag === "Failure" && isUsageError(exit)) return Effect.void
    return Effect.gen(function*() {
      // The duration of the command ends here: the rest is the time of telemetry.
      const endedAt = clock.monotonicTimeNanosUnsafe()
      const exitOutcome = yield* outcomeOf(exit, options)
      // A handler that succeeds may have set the exit code of the process.
      const outcome = exitOutcome.code === 0 ? { ...exitOutcome, code: yield* followed.exitCode } : exitOutcome
      if (!outcome.isCancelled) yield* followed.awaitPrincipal
      yield* record(outcome, endedAt)
    }).pipe(debugFailure("could not record a command"))
  })
  return context
})

// Inside the handler of a tracked command, the events of an untracked command count for the tracked command.
const beginUntracked = (options: Options) =>
  Effect.map(
    CurrentCommand,
    (current) => Context.make(CurrentCommand, current ?? "untracked").pipe(Context.add(TrackOptions, options))
  )

/** Returns the layer of a command's handler. */
const layerOf = (describe: () => Invocation, options: Options): Layer.Layer<never, never, GivenByUsageLayer> =>
  Layer.effectContext(
    Effect.withFiber((fiber): Effect.Effect<Context.Context<never>, never, UsageCapture | Scope.Scope> => {
      const usage = Context.getOrUndefined(fiber.context, UsageCapture)
      // Nothing is recorded, and no debug line is written. Only `telemetry events` reads the options.
      const isIgnored = usage !== undefined && "isOff" in usage && !isLogged(fiber)
      if (isIgnored) return Effect.succeed(Context.make(TrackOptions, options))
      const invocation = describe()
      return invocation.isUntracked ? beginUntracked(options) : begin(invocation, options)
    })
  )

const trackTree = <const Name extends string, Input, ContextInput, E, R>(
  root: Command.Command<Name, Input, ContextInput, E, R>,
  options: Options = {}
): Command.Command<Name, Input, ContextInput, E, R | GivenByUsageLayer> => {
  const tokens = new WeakMap<object, Command.ParsedTokens>()
  let isParsed = false
  const provided = Command.provide(root, (input: Input) => {
    const raw = Predicate.isObject(input) ? tokens.get(input) : undefined
    // Flags that were added after `track` make another input: which command runs is unknown.
    return isParsed && raw === undefined
      ? Layer.effectContext(Effect.andThen(debugTooEarly, beginUntracked(options)))
      : layerOf(() => describe(root, raw), options)
  })
  // `parse` and `parseContext` are the only internals in use: they receive the tokens. `Command.ParsedTokens` is
  // public.
  if (!hasParser(provided)) return provided
  isParsed = true
  const { parse, parseContext } = provided
  return Object.assign(Object.create(Object.getPrototypeOf(provided)), provided, {
    parse: (raw: Command.ParsedTokens) =>
      Effect.map(parse(raw), (input) => {
        if (Predicate.isObject(input)) tokens.set(input, raw)
        return input
      }),
    // Called only if subcommands were added after `track`.
    parseContext: (raw: Command.ParsedTokens) => Effect.tap(parseContext(raw), debugTooEarly)
  })
}

/**
 * Records every command of a tree: its path, duration, exit code, the names of the given flags, and the class of its
 * error.
 *
 * **Details**
 *
 * A command is recorded if its handler ran. Help, versions, completions and usage errors are not recorded. The result,
 * error, exit code and output of the CLI are unchanged.
 *
 * **Gotchas**
 *
 * Apply it last. Subcommands that are added after it are not recorded, nor is any command if shared flags are: the types
 * cannot refuse them, so a debug line names the mistake.
 *
 * **Example** (Tracking all commands)
 *
 * ```ts
 * acme.pipe(
 *   Usage.track,
 *   Command.run({ version: "1.2.3" }),
 *   Effect.provide(UsageLive.pipe(Layer.provideMerge(NodeServices.layer))),
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * **Example** (Naming the events)
 *
 * ```ts
 * acme.pipe(Usage.track({ events: { failed: "acme failed" } }))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const track: <Self extends Command.Command.Any | Options>(
  self: Self & NoOthers<Self>,
  options?: Options
) => Tracked<Self> = dual(
  (args) => Command.isCommand(args[0]),
  trackTree
)

/**
 * Records an effect as one command, for a host without an `effect/cli` tree.
 *
 * **Example** (Tracking a program)
 *
 * ```ts
 * const tracked = program.pipe(Usage.trackEffect("sync"))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const trackEffect =
  (name: string, options: Options = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | GivenByUsageLayer> =>
    Effect.provide(effect, layerOf(() => ({ name, flags: [], isUntracked: false, tokens: undefined }), options))

type Parser = (raw: Command.ParsedTokens) => Effect.Effect<unknown>

const hasParser = (command: object): command is { readonly parse: Parser; readonly parseContext: Parser } =>
  "parse" in command && typeof command.parse === "function" && "parseContext" in command &&
  typeof command.parseContext === "function"
