/**
 * What this process runs on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * Facts about the machine and the process that do not change while it lives.
 *
 * @category services
 * @since 0.1.0
 */
export class RuntimeEnvironment extends Context.Service<RuntimeEnvironment, {
  /** The name of the CI system, where there is one. */
  readonly ci: string | undefined
  /** The coding agent that runs the command, where one is known. */
  readonly agent: string | undefined
  /** Whether the process is in a container. */
  readonly container: boolean
  /** Whether stdout is a terminal. */
  readonly stdoutIsTerminal: boolean
  /** Whether stderr is a terminal. */
  readonly stderrIsTerminal: boolean
  readonly runtime: { readonly language: string; readonly version: string }
  readonly os: { readonly type: string; readonly release: string; readonly arch: string }
  readonly process: {
    readonly pid: number
    /** The effective and the real user; undefined where the platform has none. */
    readonly uid: { readonly effective: number; readonly real: number } | undefined
    /** The executable of this process, absolute. */
    readonly executable: string
    /** The arguments with which the executable runs a worker; undefined for a bundled host that cannot. */
    readonly worker: ReadonlyArray<string> | undefined
    /** The code that the process will end with where its command does not say one, which a host may have set. */
    readonly exitCode: Effect.Effect<number>
    /** Sets a variable for the processes that this one starts, or removes it. */
    readonly setVariable: (name: string, value: string | undefined) => Effect.Effect<void>
    /** Makes another process give way to the user's own; best effort. */
    readonly lowerPriority: (pid: number) => Effect.Effect<void>
    /** Completes when the user, or the system, asks the process to end: by SIGINT or SIGTERM. */
    readonly interrupted: Effect.Effect<void>
    /**
     * Runs `listener` when the process ends in a way that skips Effect's finalizers: `process.exit`, an uncaught throw, an
     * unhandled rejection; not for SIGHUP and SIGKILL. It must be synchronous, and is given what was thrown.
     */
    readonly onExit: (listener: (code: number, error: unknown) => void) => Effect.Effect<void, never, Scope.Scope>
  }
}>()("effect-cli-usage/services/RuntimeEnvironment") {}
