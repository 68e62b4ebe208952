/** Every service, for a host that needs no assembly. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import type * as IdentityCodec from "../domain/IdentityCodec.ts"
import type { SomeBounds } from "../domain/OutboxFolder.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import { IdentitySlot } from "../services/IdentitySlot.ts"
import { IdentityStitch } from "../services/IdentityStitch.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Outbox } from "../services/Outbox.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageCapture } from "../services/UsageCapture.ts"
import { debug, IsShown } from "./Debug.ts"
import * as FixedPrincipalResolver from "./FixedPrincipalResolver.ts"
import { outboxOf, storeOf } from "./Lazy.ts"
import { steady } from "./Load.ts"
import * as Variable from "./Variable.ts"
import * as VariableConsent from "./VariableConsent.ts"
import * as WorkerMarks from "./WorkerMarks.ts"

/** What the author of a host sets. */
export interface Options {
  /** The host's name, as users type it; its variables start with it: `acme` has `ACME_USAGE_TRACKING`. */
  readonly name: string
  /** The host's version, as `--version` prints it. */
  readonly version: string
  /** Where events go; without a key nothing is recorded. The default host is `https://us.i.posthog.com`. */
  readonly posthog: { readonly key: string | undefined; readonly host?: string | undefined }
  /** The folder that the host keeps its state in; the platform's own folder for the name by default. */
  readonly home?: string | undefined
  /** Whose the user's credential is; without it an account is known from logins and observed responses only. */
  readonly principals?: Layer.Layer<PrincipalResolver, never, HostRuntime> | undefined
  /** What the user is told once, on the first command whose stderr is a terminal, before that command is recorded. */
  readonly notice?: string | undefined
  /** The format of the identity file; Arcade's by default. */
  readonly codec?: IdentityCodec.Name | undefined
  /**
   * Further variables by which a user denies, such as one that the CLI had before: `["SUPABASE_TELEMETRY_DISABLED"]`. As
   * with `DO_NOT_TRACK`, any value denies but an empty one, `0`, `false`, `no` and `off`.
   */
  readonly optOutVariables?: ReadonlyArray<string> | undefined
  /** How much may wait for delivery, oldest out first: 1,000 messages, 1 MiB and 7 days by default. */
  readonly outbox?: SomeBounds | undefined
  /** Whether PostHog may derive a place from the user's address, which is personal data; false by default. */
  readonly geoip?: boolean | undefined
  /** The longest time that a command waits for delivery in CI and containers. Default and maximum: 1 second. */
  readonly deliveryWait?: Duration.Input | undefined
}

/** What the layer provides. */
export type Usage =
  | CaptureWorker
  | Consent
  | IdentitySlot
  | IdentityStitch
  | IdentityStore
  | Outbox
  | PrincipalResolver
  | UsageCapture

const isOn = (value: string | undefined): boolean => /^(1|true|yes|on)$/i.test(value?.trim() ?? "")

const longerThanAWorker = "11 seconds"

// Nothing is recorded. What only the `telemetry` commands need is loaded with them.
const denied = (
  denial: ConsentDecision.ConsentDecision,
  full: Effect.Effect<Context.Context<Usage>>
): Context.Context<Usage> => {
  const consent = Effect.map(full, Context.get(Consent))
  const tell = Effect.suspend(() => debug(`telemetry is off: ${ConsentDecision.explain(denial.decidedBy)}`))
  return Context.make(UsageCapture, { capture: () => Effect.void, follow: () => Effect.as(tell, undefined) }).pipe(
    Context.add(IdentityStitch, { observe: () => Effect.void, login: () => Effect.void, logout: Effect.void }),
    Context.add(IdentitySlot, { get: Effect.succeed(undefined), set: () => Effect.void }),
    Context.add(PrincipalResolver, FixedPrincipalResolver.none),
    Context.add(Consent, {
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

// An upgrade may have removed a file, and a runtime may not grant what is asked of it. The command runs all the same, and
// the `telemetry` commands end with the reason.
const notLoaded = (defect: unknown): Effect.Effect<Context.Context<Usage>> =>
  Effect.as(
    debug("nothing is recorded", defect),
    denied(ConsentDecision.denied({ _tag: "NotLoaded" }), Effect.die(defect))
  )

const make = Effect.fnUntraced(
  function*(options: Options): Effect.fn.Return<Context.Context<Usage>, never, Path.Path | Stdio.Stdio | Scope.Scope> {
    // A bundler may run both dynamic imports of an entry, and so the host in its own worker. The user's command must not
    // run a second time. The worker ends this process.
    if (WorkerMarks.areSet()) return yield* Effect.andThen(Effect.sleep(longerThanAWorker), Effect.interrupt)
    const variables = ConsentDecision.variablePrefix(options.name)
    // First, so that a user who denies telemetry pays for nothing.
    const denial = yield* VariableConsent.decide(variables, options.optOutVariables)
    const isShown = isOn(yield* Variable.read(`${variables}_USAGE_DEBUG`))
    const context = Context.add(yield* Effect.context<Path.Path | Stdio.Stdio | Scope.Scope>(), IsShown, isShown)
    const full = Effect.provideContext(Effect.flatMap(steady, ({ make }) => make(options, variables, denial)), context)
    // The author who reads along is told all that a command would have been told.
    const usage = denial === undefined || isShown
      ? yield* Effect.catchDefect(
        full,
        (defect) => Effect.provideService(notLoaded(defect), IsShown, isShown)
      )
      : denied(denial, yield* Effect.cached(full))
    return Context.add(usage, IsShown, isShown)
  },
  // A host that reads its configuration from elsewhere, or below a prefix, must not hide what its user says.
  Effect.updateService(ConfigProvider.ConfigProvider, ConfigProvider.orElse(Variable.ofProcess)),
  // A runtime may keep the environment from its programs.
  Effect.catchDefect((defect) => notLoaded(defect))
)

/**
 * Provides every service of this module for one host, on disk and with a detached worker.
 *
 * **Details**
 *
 * Building it writes nothing to disk; it sets `<NAME>_USAGE_INVOCATION` for child processes. Identity, notice and outbox
 * are touched by the first command that records. Where a variable denies telemetry, nothing else is loaded or built.
 * `<NAME>_USAGE_DEBUG=1` (or `true`, `yes`, `on`) prints each message to stderr as it is recorded, and why one is not, and
 * keeps nothing.
 *
 * **Example** (Providing telemetry to a host)
 *
 * ```ts
 * const UsageLive = Usage.layer({ name: "acme", version: "1.2.3", posthog: { key: "phc_…" } })
 * ```
 */
export const layer = (options: Options): Layer.Layer<Usage, never, Path.Path | Stdio.Stdio> =>
  Layer.effectContext(make(options))
