/** `Usage.layer`: all services of a host. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import type { SomeBounds } from "../domain/OutboxFolder.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Outbox } from "../services/Outbox.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { type Off, UsageCapture } from "../services/UsageCapture.ts"
import { debug, debugFailure, IsDebugMode } from "./Debug.ts"
import { once, outboxOf, storeOf } from "./Lazy.ts"
import { steady } from "./Load.ts"
import * as NoPrincipalResolver from "./NoPrincipalResolver.ts"
import * as Variable from "./Variable.ts"
import * as VariableConsent from "./VariableConsent.ts"
import * as WorkerMarks from "./WorkerMarks.ts"

/**
 * The settings of a host.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The name of the CLI, as users type it. Its variables begin with it: `acme` has `ACME_USAGE_TRACKING`. */
  readonly name: string
  /** The version of the CLI, as `--version` prints it. */
  readonly version: string
  /** The PostHog project. Without a key nothing is recorded. Default host: `https://us.i.posthog.com`. */
  readonly posthog: { readonly key: string | undefined; readonly host?: string | undefined }
  /** The folder in which the CLI keeps its state. Default: the platform's folder for the name. */
  readonly home?: string | undefined
  /** Finds the account of the user's credential. Without it, only logins and observed responses name an account. */
  readonly principals?: Layer.Layer<PrincipalResolver, never, HostRuntime> | undefined
  /** The text that the user sees once, on stderr, before the first command in a terminal is recorded. */
  readonly notice?: string | undefined
  /** The format of the identity file. Default: `arcade`. */
  readonly codec?: "arcade" | "supabase" | undefined
  /**
   * More variables that turn telemetry off, such as one that the CLI had before: `["SUPABASE_TELEMETRY_DISABLED"]`.
   * Like `DO_NOT_TRACK`, any value denies except an empty one, `0`, `false`, `no` and `off`.
   */
  readonly optOutVariables?: ReadonlyArray<string> | undefined
  /** The bounds of the outbox. Default: 1,000 messages, 1 MiB, 7 days. The oldest messages are removed first. */
  readonly outbox?: SomeBounds | undefined
  /** Whether PostHog may derive a location from the IP address, which is personal data. Default: false. */
  readonly geoip?: boolean | undefined
  /** The longest time that a command waits for delivery in CI and containers. Default and maximum: 1 second. */
  readonly deliveryWait?: Duration.Input | undefined
}

/**
 * The services that `Usage.layer` provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Usage =
  | CaptureWorker
  | Consent
  | IdentitySlot
  | IdentityStitch
  | IdentityStore
  | Outbox
  | PrincipalResolver
  | UsageCapture

const isOn = (value: string): boolean => /^(1|true|yes|on)$/i.test(value.trim())

const workerTimeLimit = "11 seconds"

// Returns the services of a denial: they record nothing, and load the rest for the `telemetry` commands. A host without a
// resolver reports a login and a logout only once, so they count for later commands with consent (ADR 0036).
const denied = (
  denial: ConsentDecision.ConsentDecision,
  full: Effect.Effect<Context.Context<Usage>>,
  isToldOnce: boolean
): Context.Context<Usage> => {
  const stitch = (use: (stitch: IdentityStitch["Service"]) => Effect.Effect<void>): Effect.Effect<void> =>
    isToldOnce
      ? Effect.flatMap(full, (context) => use(Context.get(context, IdentityStitch))).pipe(
        debugFailure("could not act on a login or a logout")
      )
      : Effect.void
  const consent = Effect.map(full, Context.get(Consent))
  const usage: Off = {
    capture: () => Effect.void,
    follow: () => Effect.as(debug(`telemetry is off: ${ConsentDecision.explain(denial.decidedBy)}`), undefined),
    isOff: true
  }
  return Context.make(UsageCapture, usage).pipe(
    Context.add(IdentityStitch, {
      observe: () => Effect.void,
      login: (principalId) => stitch(({ login }) => login(principalId)),
      logout: stitch(({ logout }) => logout)
    }),
    Context.add(IdentitySlot, { get: Effect.succeed(undefined), set: () => Effect.void }),
    Context.add(PrincipalResolver, NoPrincipalResolver.none),
    Context.add(Consent, {
      begin: Effect.void,
      decision: Effect.succeed(denial),
      stillGiven: Effect.succeed(false),
      deny: Effect.flatMap(consent, ({ deny }) => deny),
      allow: Effect.flatMap(consent, ({ allow }) => allow)
    }),
    Context.add(IdentityStore, storeOf(Effect.map(full, Context.get(IdentityStore)))),
    Context.add(Outbox, outboxOf(Effect.map(full, Context.get(Outbox)))),
    Context.add(CaptureWorker, {
      ensure: Effect.void,
      flush: Effect.flatMap(full, (context) => Context.get(context, CaptureWorker).flush),
      obstacles: Effect.succeed([])
    })
  )
}

// An upgrade may have removed a file, and a runtime may deny a permission. The host's command runs, and the `telemetry`
// commands fail with the reason.
const notLoaded = (defect: unknown): Effect.Effect<Context.Context<Usage>> =>
  Effect.as(
    debug("nothing is recorded", defect),
    denied(ConsentDecision.denied({ _tag: "NotLoaded" }), Effect.die(defect), false)
  )

const make = Effect.fnUntraced(
  function*(options: Options): Effect.fn.Return<Context.Context<Usage>, never, Path.Path | Stdio.Stdio | Scope.Scope> {
    // A bundler may run both dynamic imports of an entry, and so the host in its worker. The user's command must not
    // run a second time. The worker ends this process.
    if (WorkerMarks.isMarkedAsWorker()) return yield* Effect.andThen(Effect.sleep(workerTimeLimit), Effect.interrupt)
    const variables = ConsentDecision.variablePrefix(options.name)
    // First, so that a user who denies telemetry pays for nothing.
    const denial = yield* VariableConsent.decide(variables, options.optOutVariables)
    // The variable of the user also counts if the host's `ConfigProvider` does not read the environment.
    const debugVariable = `${variables}_USAGE_DEBUG`
    const host = yield* Effect.context<Path.Path | Stdio.Stdio | Scope.Scope>()
    const read = yield* Variable.readFrom(Variable.providerIn(host), [debugVariable])
    const debugValue = read[debugVariable] ?? Variable.ofProcess(debugVariable)
    const isDebugMode = debugValue !== undefined && isOn(debugValue)
    const context = Context.add(host, IsDebugMode, isDebugMode)
    const full = Effect.provideContext(Effect.flatMap(steady, ({ make }) => make(options, variables, denial)), context)
    // In debug mode the full services are used, also for a denial, so that every debug line is printed.
    const usage = denial === undefined || isDebugMode
      ? yield* Effect.catchDefect(
        full,
        (defect) => Effect.provideService(notLoaded(defect), IsDebugMode, isDebugMode)
      )
      : denied(denial, once(full), options.principals === undefined)
    return Context.add(usage, IsDebugMode, isDebugMode)
  },
  // A runtime may keep the environment from its programs.
  Effect.catchDefect(notLoaded)
)

/**
 * Provides usage telemetry for one host, on disk and with a detached worker.
 *
 * **Details**
 *
 * Building the layer writes nothing to disk. It sets `<NAME>_USAGE_INVOCATION` for child processes. The first command
 * that records an event creates the identity, shows the notice and starts the worker. If a variable denies telemetry,
 * nothing else is loaded.
 *
 * `<NAME>_USAGE_DEBUG=1` (or `true`, `yes`, `on`) prints each message to stderr as it is recorded, and the reason if
 * one is not. It writes and sends nothing.
 *
 * **Gotchas**
 *
 * A host that is one bundled file must call `isWorker()` of `effect-cli-usage/worker` first.
 *
 * **Example** (Providing telemetry to a host)
 *
 * ```ts
 * const UsageLive = Usage.layer({ name: "acme", version: "1.2.3", posthog: { key: "phc_…" } })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Usage, never, Path.Path | Stdio.Stdio> =>
  Layer.effectContext(make(options))
