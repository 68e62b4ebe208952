/**
 * What this process runs on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

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
  readonly pid: number
  /** The effective and the real user; undefined where the platform has none. */
  readonly uid: { readonly effective: number; readonly real: number } | undefined
}>()("effect-cli-usage/services/RuntimeEnvironment") {}
