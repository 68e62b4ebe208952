/**
 * The process and the machine that a command runs on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Disk } from "./Disk.ts"

/**
 * Describes this process and its machine, and does what only the process itself can do.
 *
 * **When to use**
 *
 * Replace it in a test that needs another machine: `TestUsage.layerWith({ runtime: { ci: "GitHub Actions" } })`.
 *
 * @category services
 * @since 0.1.0
 */
export class HostRuntime extends Context.Service<HostRuntime, {
  /** The name of the CI system; undefined outside CI. */
  readonly ci: string | undefined
  /** The name of the coding agent that runs the command; undefined where none is known. */
  readonly agent: string | undefined
  readonly container: boolean
  /** Whether this process is in a PID namespace that may end with the command; processes outside of it are not seen. */
  readonly isolated: boolean
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  readonly runtime: { readonly language: string; readonly version: string }
  readonly os: { readonly type: string; readonly release: string; readonly arch: string }
  readonly pid: number
  /** Returns a text that identifies a process of this user: its number, when it began, and its machine. */
  readonly markOf: (pid: number) => string
  /** Returns whether a marked process lives; undefined if it is of another machine or PID namespace. */
  readonly isAlive: (mark: string) => boolean | undefined
  /** The effective and the real user; undefined where the platform has none. */
  readonly uid: { readonly effective: number; readonly real: number } | undefined
  readonly disk: Disk
  /** Returns a random UUID v4. */
  readonly uuid: () => string
  /** Returns the SHA-256 of a text, in hexadecimal. */
  readonly sha256: (text: string) => string
  /** The absolute path of the executable. */
  readonly executable: string
  /** The arguments with which the executable runs a worker; undefined for a bundled host without a worker. */
  readonly worker: ReadonlyArray<string> | undefined
  /** The exit code that the host has set for a command that does not fail. */
  readonly exitCode: Effect.Effect<number>
  /** Sets a variable for child processes, or removes it. */
  readonly setVariable: (name: string, value: string | undefined) => Effect.Effect<void>
  /** Completes at SIGINT or SIGTERM. */
  readonly interrupted: Effect.Effect<void>
  /**
   * Runs a listener when the process ends without Effect's finalizers: by `process.exit`, an uncaught exception or an
   * unhandled rejection; not at SIGHUP and SIGKILL.
   *
   * The listener must be synchronous, and gets what was thrown. The last one that was added runs first.
   */
  readonly onExit: (listener: (code: number, error: unknown) => void) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Runs a synchronous listener at the first SIGINT or SIGTERM, before any other; returns what removes it. The process
   * then ends, or does not, as it would without the listener.
   */
  readonly onSignal: (listener: () => void) => () => void
  /** Whether the exit listeners run: nothing asynchronous completes any more. */
  readonly isExiting: Effect.Effect<boolean>
}>()("effect-cli-usage/services/HostRuntime") {}
