/**
 * What acme imports of `effect-cli-usage`, with nothing in it: the bundler puts a file of this folder in the package's
 * place, so that acme's own sources are compiled unchanged.
 */
import * as Command from "effect/cli/Command"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"

export class IdentityStitch extends Context.Service<IdentityStitch, {
  readonly login: (principalId: string) => Effect.Effect<void>
  readonly logout: Effect.Effect<void>
}>()("bench/IdentityStitch") {}

export const ObservedHttpClient = {
  observe: () => Effect.succeed((client: HttpClient.HttpClient) => client)
}

export const HttpPrincipalResolver = { layer: () => Layer.empty }

export const Flow = {
  make: () => ({
    events: [],
    step: () => Effect.void,
    run: () => <A, E, R>(effect: Effect.Effect<A, E, R>) => effect
  })
}

type Track = <const Name extends string, Input, ContextInput, E, R>(
  root: Command.Command<Name, Input, ContextInput, E, R>
) => Command.Command<Name, Input, ContextInput, E, R>

const usage = (track: Track) => ({
  track: () => track,
  layer: () => Layer.succeed(IdentityStitch, IdentityStitch.of({ login: () => Effect.void, logout: Effect.void })),
  telemetryCommand: Command.make("telemetry")
})

/** No telemetry at all. */
export const bare = usage((root) => root)

/** Does one thing when the handler has ended. */
export const atEnd = (work: Effect.Effect<void>) =>
  usage((root) => Command.provide(root, () => Layer.effectDiscard(Effect.addFinalizer(() => work))))

/** What a usual event of a CLI carries: about as much as this package's own. */
export const event = () => ({
  name: "CLI execution succeeded",
  distinctId: "5f0a1d9c-6c1b-4f0e-9b53-0d1c6a5f7e21",
  properties: {
    invocation_id: crypto.randomUUID(),
    sequence: 0,
    command_name: "deploy",
    cli_version: "1.2.3",
    runtime_language: "node",
    runtime_version: process.versions.node,
    os_type: "Linux",
    os_release: "6.1.0",
    arch: process.arch,
    is_ci: false,
    is_tty: false,
    is_first_run: false,
    duration_ms: 3,
    exit_code: 0,
    flags_used: [],
    schema_version: 1
  }
})

const variable = (name: string): string => process.env[name] ?? ""

export const posthog = () => ({ host: variable("ACME_POSTHOG_HOST"), key: variable("ACME_POSTHOG_KEY") })
