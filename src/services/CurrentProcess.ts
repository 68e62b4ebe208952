/**
 * The process that this is.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * What is asked of this process, the host's or the worker's: how it ends, and what it gives those that it starts.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentProcess extends Context.Service<CurrentProcess, {
  /** Its executable, absolute. */
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
}>()("effect-cli-usage/services/CurrentProcess") {}
