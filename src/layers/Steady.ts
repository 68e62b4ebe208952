/** The services of a host, if no variable denies telemetry. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import { mayBeCi } from "../domain/CiVariables.ts"
import type { ConsentDecision } from "../domain/ConsentDecision.ts"
import * as Credential from "../domain/Credential.ts"
import * as Destination from "../domain/Destination.ts"
import * as IdentityCodec from "../domain/IdentityCodec.ts"
import * as StateHome from "../domain/StateHome.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { Outbox } from "../services/Outbox.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug, IsDebugMode } from "./Debug.ts"
import * as EnvironmentConsent from "./EnvironmentConsent.ts"
import * as HostFacts from "./HostFacts.ts"
import { cold } from "./LoadCold.ts"
import { merge } from "./NodeProcess.ts"
import type { Options, Usage } from "./NodeUsage.ts"
import * as NoPrincipalResolver from "./NoPrincipalResolver.ts"
import * as UsageServices from "./UsageServices.ts"
import * as Variable from "./Variable.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

export { make as makeHttpResolver } from "./HttpResolver.ts"

const defaultHost = "https://us.i.posthog.com"

const settingsOf = Effect.fnUntraced(function*(options: Options, variables: string, runtime: HostRuntime["Service"]) {
  const { posthog: { host, key } } = options
  // A host without a key has no telemetry yet. A wrong key or host is a mistake, and its problem is reported.
  const checked = key === undefined || key === ""
    ? Result.fail(undefined)
    : Destination.make({ key, host: host || defaultHost })
  const destination = Result.getOrUndefined(checked)
  const destinationText = destination === undefined ? "" : `${destination.host}\n${destination.key}`
  // Most hosts configure their home.
  const home = options.home ??
    StateHome.ofPlatform(runtime.os.type, yield* Variable.readAll(StateHome.platformVariables), options.name)
  const path = yield* Path.Path
  return UsageSettings.of({
    name: options.name,
    version: options.version,
    variables,
    home: StateHome.make(path, home),
    destination,
    destinationProblem: Result.isFailure(checked) ? checked.failure : undefined,
    destinationId: runtime.sha256(destinationText).slice(0, 16),
    codec: IdentityCodec.byName(options.codec ?? "arcade"),
    bounds: options.outbox,
    geoip: options.geoip,
    notice: options.notice,
    deliveryWaitMillis: options.deliveryWait === undefined ? undefined : Duration.toMillis(options.deliveryWait)
  })
})

// The worker of debug mode: it sends nothing, and prints the obstacles to delivery, except a back-off.
const dryRunWorker = Effect.gen(function*() {
  const outbox = yield* Outbox
  const { obstacles } = yield* CaptureWorker
  return CaptureWorker.of({
    ensure: Effect.flatMap(
      obstacles,
      Effect.forEach(({ until, what, why }) => {
        if (what === "no_worker") return WorkerProcess.reportMissing
        return until === undefined ? debug(`delivery is blocked: ${why}`) : Effect.void
      }, { discard: true })
    ),
    flush: Effect.map(
      outbox.entries,
      ({ length }) => ({ delivered: 0, kept: length, reason: "nothing is sent while debugging" })
    ),
    obstacles
  })
})

// Returns a runtime that writes to memory only.
const dryRun = (runtime: HostRuntime["Service"]): Effect.Effect<HostRuntime["Service"]> =>
  Effect.map(cold, ({ MemoryDisk }) => merge(runtime, { disk: MemoryDisk.make({ below: runtime.disk }) }))

// Returns a provider that falls back to the environment of the process.
const withProcessEnvironment = (provider: ConfigProvider.ConfigProvider): ConfigProvider.ConfigProvider =>
  ConfigProvider.make((path) =>
    Effect.map(provider.load(path), (node) => {
      const value = node === undefined ? Variable.ofProcess(path.join("_")) : undefined
      return value === undefined ? node : ConfigProvider.makeValue(value)
    })
  )

// Returns a resolver whose credential cannot be read. Without a credential the user would count as signed out.
const unreadable = () =>
  Context.make(PrincipalResolver, {
    credential: Effect.succeed(Credential.unreadable),
    resolve: () => Effect.succeed(undefined)
  })

// Returns another value if an effect of the host hangs. Most end at once, and need no more code for that.
const orAfter = <A>(other: Effect.Effect<A>) => (effect: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.flatMap(
    Effect.forkDetach(effect, { startImmediately: true }),
    (fiber) =>
      fiber.pollUnsafe() ?? Effect.flatMap(cold, ({ AbandonAfter }) =>
        Effect.flatMap(
          AbandonAfter.joinWithin("1 second")(fiber),
          (result) => result._tag === "Some" ? Effect.succeed(result.value) : other
        ))
  )

export const make = Effect.fnUntraced(
  function*(
    options: Options,
    variables: string,
    denial: ConsentDecision | undefined
  ): Effect.fn.Return<Context.Context<Usage>, never, Path.Path | Stdio.Stdio | Scope.Scope> {
    const isDebugMode = yield* IsDebugMode
    // ci-info reads the environment of the process, whatever the host's `ConfigProvider` reads.
    const ci = mayBeCi(process.env) ? (yield* cold).ContinuousIntegration.name : undefined
    const own = yield* HostFacts.make(ci)
    const runtime = isDebugMode ? yield* dryRun(own) : own
    const settings = yield* settingsOf(isDebugMode ? { ...options, notice: undefined } : options, variables, runtime)
    const base = Context.make(HostRuntime, runtime).pipe(
      Context.add(UsageSettings, settings),
      Context.merge(yield* Effect.context<Path.Path | Scope.Scope>())
    )
    const checks = denial === undefined
      ? yield* Effect.provideContext(EnvironmentConsent.make, base)
      : EnvironmentConsent.fixed(denial)
    // A user who opts out while debugging means it: the opt-out is written to the disk.
    const onDisk = Context.add(base, HostRuntime, own)
    const consent = yield* Effect.provideContext(EnvironmentConsent.serviceOf(checks), onDisk)
    const principals = options.principals === undefined
      ? Context.make(PrincipalResolver, NoPrincipalResolver.none)
      : denial !== undefined
      ? unreadable()
      : yield* Layer.buildWithScope(options.principals, yield* Effect.scope).pipe(
        // A resolver may fail to load, such as the native module of a keychain. The host's command must run without it.
        Effect.catchCause((cause) => Effect.map(debug("`principals` could not be built", cause), unreadable)),
        Effect.provideContext(base),
        orAfter(Effect.map(debug("`principals` was not built within its time limit"), unreadable))
      )
    const requirements = Context.merge(Context.add(base, Consent, consent), principals)
    const services = yield* UsageServices.make({
      checks,
      worker: isDebugMode ? dryRunWorker : undefined
    }).pipe(Effect.provideContext(requirements))
    return Context.merge(Context.add(principals, Consent, consent), services)
  },
  // The variables of the user also count if the host's `ConfigProvider` does not read the environment.
  Effect.updateContext((context: Context.Context<Path.Path | Stdio.Stdio | Scope.Scope>) => {
    const provider = Variable.providerIn(context)
    return provider === undefined
      ? context
      : Context.add(context, ConfigProvider.ConfigProvider, withProcessEnvironment(provider))
  })
)
