/**
 * The parts of a host that the code blocks of the documents use without showing them. It is compiled, and never run.
 */
import type { Disk, PrincipalResolver, Usage } from "effect-cli-usage"
import type * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import type * as Flag from "effect/cli/Flag"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Redacted from "effect/Redacted"
import type * as Stdio from "effect/Stdio"

type Root = Command.Command<"acme", object, object, never, never>

// The command tree before and after `Usage.track`, its program and its layer.
export declare const acme: Root
export declare const cli: Root
export declare const deploy: Command.Command<"deploy", { readonly region: string }, object, never, never>
export declare const program: Effect.Effect<void>
export declare const UsageLive: Layer.Layer<Usage.Services, never, Path.Path | Stdio.Stdio>

// The parts of a command.
export declare const name: Argument.Argument<string>
export declare const region: Flag.Flag<string>
export declare const handler: () => Effect.Effect<void>

// What a host does.
export declare const build: Effect.Effect<void>
export declare const exchange: Effect.Effect<string>
export declare const project: { readonly id: string }
export declare class Project extends Context.Service<Project, { readonly id: string }>()("acme/Project") {}
export declare const keychain: {
  readonly token: Effect.Effect<string | undefined>
  readonly save: (token: string) => Effect.Effect<void>
  readonly remove: Effect.Effect<void>
}
export declare const api: { readonly accountOf: (token: Redacted.Redacted<string>) => Effect.Effect<string> }

// A host's own services.
export declare const emptyDisk: Effect.Effect<Disk>
export declare const KeychainResolver: {
  readonly layer: (options: { readonly token: string | undefined }) => Layer.Layer<PrincipalResolver>
}
