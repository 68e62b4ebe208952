/**
 * Funnels: a flow that a user starts, and that is completed, aborted or failed.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as UsageEvent from "../domain/UsageEvent.ts"
import { trackedCommand } from "../services/CurrentCommand.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import * as ErrorClass from "./ErrorClass.ts"

interface Running {
  readonly flow: string
  readonly step: Ref.Ref<string | undefined>
  hasEnded: boolean
}

// The running flow with its current step; undefined outside a flow.
const CurrentFlow: Context.Reference<Running | undefined> = Context.Reference<Running | undefined>(
  "effect-cli-usage/cli/Flow/CurrentFlow",
  { defaultValue: () => undefined }
)

/**
 * The schemas of a flow's own properties.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  readonly [name: PropertyKey]: Schema.Codec<unknown, unknown>
}

/**
 * The properties of a flow.
 *
 * @category models
 * @since 0.1.0
 */
export type Properties<F extends Fields> = Schema.Struct.Type<F>

// Refuses the names of the properties that every flow has.
type OwnNames<F> = [Extract<keyof F, "step" | "duration_ms" | "error_class">] extends [never] ? unknown
  : `a flow has its own ${Extract<keyof F, "step" | "duration_ms" | "error_class">}`

// Without `Schema.Struct` around the fields, `F` is not inferred.
type Declared<F extends Fields> = string extends keyof F ? UsageEvent.NeedsStruct
  : UsageEvent.OwnNames<F> & OwnNames<F> & UsageEvent.AsJson<Schema.Struct.Encoded<F>>

// An alias, which a declaration of the host replaces by the type: an interface would have to be exported.
type Encodable = { readonly [name: string]: unknown }

/**
 * A declared flow: its four events, and how to run it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flow<F extends Fields, Step extends string> {
  /** `… Started`, `… Completed`, `… Aborted` and `… Failed`, for the data dictionary. */
  readonly events: ReadonlyArray<UsageEvent.UsageEvent<Encodable>>
  /**
   * Runs an effect as this flow. It records `Started`, then exactly one of `Completed`, `Aborted` and `Failed`, by the
   * `Exit` of the effect. If the process of a tracked command ends without an `Exit`, by `process.exit` or an uncaught
   * error, then the flow is `Aborted` with exit code 0, and `Failed` with any other.
   *
   * **Details**
   *
   * An interruption, `Terminal.QuitError` and the errors named in `aborted` (by `_tag`) are `Aborted`. Inside another
   * flow, a flow is a part of the outer flow, and records no events.
   */
  readonly run: (
    properties: Properties<F>,
    options?: { readonly aborted?: ReadonlyArray<string> | undefined }
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | UsageCapture>
  /** Sets the current step of this flow. Outside this flow it is a no-op. */
  readonly step: (step: Step) => Effect.Effect<void>
}

const isNamed = (cause: Cause.Cause<unknown>, tags: ReadonlyArray<string>): boolean =>
  ErrorClass.hasError(
    cause,
    (error) => Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag) && tags.includes(error._tag)
  )

/**
 * Declares a flow.
 *
 * **Details**
 *
 * Its events are `… Started`, then exactly one of `… Completed`, `… Aborted` and `… Failed`. They follow from the
 * `Exit` of the effect, so that an interruption or a defect ends the flow too.
 *
 * **Example** (Declaring and running a login)
 *
 * ```ts
 * const Auth = Flow.make("CLI Auth", {
 *   description: "A user logs in",
 *   properties: Schema.Struct({ flow: Schema.Literal("login") }),
 *   steps: ["browser_wait", "code_exchange"]
 * })
 *
 * const login = Effect.andThen(Auth.step("code_exchange"), exchange).pipe(Auth.run({ flow: "login" }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const F extends Fields, const Step extends string, const Name extends string = string>(
  name: UsageEvent.OwnName<Name>,
  options: {
    readonly description: string
    readonly properties: Schema.Struct<F> & Declared<F>
    readonly steps: ReadonlyArray<Step>
  }
): Flow<F, Step> => {
  // A schema is created when its event is captured: most commands capture no event of a flow.
  const declare = (what: string, more: () => Fields): UsageEvent.UsageEvent<Encodable> => ({
    name: `${name} ${what}`,
    get description() {
      return `${options.description.replace(/\.$/, "")}: ${what.toLowerCase()}`
    },
    get properties() {
      return Schema.Struct({ ...options.properties.fields, ...more() })
    }
  })
  const step = () => Schema.optionalKey(Schema.Literals(options.steps))
  const started = declare("Started", () => ({}))
  const completed = declare("Completed", () => ({ step: step(), duration_ms: Schema.Finite }))
  const aborted = declare("Aborted", () => ({ step: step() }))
  const failed = declare("Failed", () => ({
    step: step(),
    duration_ms: Schema.Finite,
    error_class: Schema.optionalKey(Schema.String)
  }))

  const run: Flow<F, Step>["run"] = (properties, runOptions) => (effect) =>
    Effect.gen(function*() {
      // A flow inside another flow, such as an automatic re-authentication, is not a funnel of its own.
      if ((yield* CurrentFlow)?.hasEnded === false) return yield* effect
      const capture = yield* UsageCapture
      const startedAt = yield* Clock.monotonicTimeNanos
      const current = yield* Ref.make<string | undefined>(undefined)
      const command = yield* trackedCommand
      const context = yield* Effect.context<never>()
      const running: Running = { flow: name, step: current, hasEnded: false }
      const own: Encodable = ErrorClass.tryOrElse({}, () => ({ ...properties }))

      const end = Effect.fnUntraced(function*(exit: Exit.Exit<unknown, unknown>) {
        command?.flows.delete(end)
        running.hasEnded = true
        const step = yield* Ref.get(current)
        const at = { ...own, ...(step === undefined ? {} : { step }) }
        const elapsed = (yield* Clock.monotonicTimeNanos) - startedAt
        const timed = { ...at, duration_ms: Math.round(Number(elapsed) / 1e6) }
        if (Exit.isSuccess(exit)) return yield* capture.capture(completed, timed)
        if (ErrorClass.isCancelled(exit) || isNamed(exit.cause, runOptions?.aborted ?? [])) {
          return yield* capture.capture(aborted, at)
        }
        const error_class = ErrorClass.ofCause(exit.cause)
        yield* capture.capture(failed, error_class === undefined ? timed : { ...timed, error_class })
        // An exit listener has no context of the flow.
      }, Effect.provideContext(context))

      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.andThen(
          Effect.andThen(Effect.sync(() => command?.flows.add(end)), capture.capture(started, own)),
          Effect.onExit(restore(Effect.provideService(effect, CurrentFlow, running)), end)
        )
      )
    })

  return {
    events: [started, completed, aborted, failed],
    run,
    // Another flow may be running, which does not declare this step.
    step: (step) =>
      Effect.flatMap(CurrentFlow, (current) => current?.flow === name ? Ref.set(current.step, step) : Effect.void)
  }
}
