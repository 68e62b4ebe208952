/**
 * The `HostRuntime` of Node.js, Bun and Deno.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stdio from "effect/Stdio"
import isInsideContainer from "is-inside-container"
import { mayBeCi } from "../domain/CiVariables.ts"
import * as CodingAgent from "../domain/CodingAgent.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { cold } from "./LoadCold.ts"
import { current, initialPidNamespace, merge, pidNamespace } from "./NodeProcess.ts"
import * as Variable from "./Variable.ts"

interface Terminals {
  readonly stdoutIsTerminal: Effect.Effect<boolean>
  /** Undefined before Effect 4.0.3. */
  readonly stderrIsTerminal?: Effect.Effect<boolean>
}

/**
 * Creates the `HostRuntime` of this process.
 *
 * @internal
 */
export const make = Effect.gen(function*() {
  const stdio: Terminals = yield* Stdio.Stdio
  const stdoutIsTerminal = yield* stdio.stdoutIsTerminal
  const marks: Record<string, string | undefined> = {}
  for (const name of CodingAgent.variables) marks[name] = yield* Variable.read(name)
  let container: boolean | undefined
  const facts = {
    ci: mayBeCi(process.env) ? (yield* cold).ContinuousIntegration.name : undefined,
    agent: CodingAgent.detect(marks, stdoutIsTerminal),
    // Lazy: if telemetry is denied, then it is not needed. A virtual machine that was booted from a container's image
    // looks like a container, but its processes and its disk outlive the command. It has the initial PID namespace.
    get container() {
      return container ??= pidNamespace() !== initialPidNamespace && isInsideContainer()
    },
    get isolated() {
      return ![undefined, initialPidNamespace].includes(pidNamespace())
    },
    stdoutIsTerminal,
    stderrIsTerminal: stdio.stderrIsTerminal === undefined
      ? process.stderr.isTTY === true
      : yield* stdio.stderrIsTerminal
  }
  return HostRuntime.of(merge(facts, current))
})

/**
 * Provides the `HostRuntime` of this process: Node.js, Bun or Deno.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<HostRuntime, never, Stdio.Stdio> = Layer.effect(HostRuntime, make)
