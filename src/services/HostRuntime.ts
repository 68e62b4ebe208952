/** The process and the machine that a command runs on. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Disk } from "./Disk.ts"

/**
 * Describes this process and its machine, and provides the operations of the process: listeners, variables, exit code.
 *
 * **When to use**
 *
 * Replace it in a test that needs another machine: `TestUsage.layer({ runtime: { ci: "GitHub Actions" } })`.
 *
 * @category services
 * @since 0.1.0
 */
export class HostRuntime extends Context.Service<HostRuntime, {
  /** The name of the CI system; undefined outside CI. */
  readonly ci: string | undefined
  /** The name of the coding agent that runs the command; undefined without an agent. */
  readonly agent: string | undefined
  readonly container: boolean
  /** Whether this process is in a PID namespace that may end with the command. Processes outside it are not visible. */
  readonly isolated: boolean
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  readonly runtime: { readonly language: string; readonly version: string }
  readonly os: { readonly type: string; readonly release: string; readonly arch: string }
  readonly pid: number
  /** Returns a text that identifies a process: its PID, its start time, and its machine. */
  readonly markOf: (pid: number) => string
  /** Returns whether the process of a mark runs; undefined if it is of another machine or PID namespace. */
  readonly isAlive: (mark: string) => boolean | undefined
  /** The effective and the real user id; undefined if the platform has none. */
  readonly uid: { readonly effective: number; readonly real: number } | undefined
  readonly disk: Disk
  /** Returns a random UUID v4. */
  readonly uuid: () => string
  /** Returns the SHA-256 of a text, in hexadecimal. */
  readonly sha256: (text: string) => string
  /** The absolute path of the executable. */
  readonly executable: string
  /** The arguments with which the executable runs a worker; undefined if a bundled host has no worker. */
  readonly worker: ReadonlyArray<string> | undefined
  /** Returns the exit code that the host has set, such as by `process.exitCode`. */
  readonly exitCode: Effect.Effect<number>
  /**
   * Sets a variable for child processes until the scope closes. Returns how many other open scopes of this process have
   * set it.
   *
   * The scopes may close in any order. After the last of them, the variable has the value from before the first.
   */
  readonly setVariable: (name: string, value: string) => Effect.Effect<number, never, Scope.Scope>
  /** Completes at SIGINT or SIGTERM. */
  readonly interrupted: Effect.Effect<void>
  /**
   * Adds a listener for an exit without Effect's finalizers: `process.exit`, an uncaught exception, or an unhandled
   * rejection. It does not run at SIGHUP and SIGKILL.
   *
   * The listener must be synchronous. It receives the uncaught error. The listener that was added last runs first.
   */
  readonly onExit: (listener: (code: number, error: unknown) => void) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Adds a synchronous listener for the first SIGINT or SIGTERM, which runs before the other listeners. Returns the
   * function that removes it. The listener does not change whether the signal ends the process.
   */
  readonly onSignal: (listener: () => void) => () => void
  /** Returns whether the exit listeners run. From then on no asynchronous operation completes. */
  readonly isExiting: Effect.Effect<boolean>
}>()("effect-cli-usage/services/HostRuntime") {}
