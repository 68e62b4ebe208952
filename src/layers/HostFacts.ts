/** The `HostRuntime` of a host's process, given its CI system. */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import isInsideContainer from "is-inside-container"
import * as CodingAgent from "../domain/CodingAgent.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { current, initialPidNamespace, merge, pidNamespace } from "./NodeProcess.ts"
import * as Variable from "./Variable.ts"

interface Terminals {
  readonly stdoutIsTerminal: Effect.Effect<boolean>
  /** Undefined before Effect 4.0.3. */
  readonly stderrIsTerminal?: Effect.Effect<boolean>
}

// Set in each pod. Containerd leaves no other mark under cgroup v2. A tool may give it to a process of another system.
const kubernetes = "KUBERNETES_SERVICE_HOST"

/** Creates the `HostRuntime` of this process. `ci` is the name of the CI system; undefined outside CI. */
export const make = Effect.fnUntraced(function*(ci: string | undefined) {
  const stdio: Terminals = yield* Stdio.Stdio
  const stdoutIsTerminal = yield* stdio.stdoutIsTerminal
  const marks = yield* Variable.readAll([...CodingAgent.variables, kubernetes])
  let container: boolean | undefined
  const facts = {
    ci,
    agent: CodingAgent.detect(marks, stdoutIsTerminal),
    // Lazy: if telemetry is denied, then it is not needed. A virtual machine that was booted from a container's image
    // looks like a container, but its processes and its disk outlive the command. It has the initial PID namespace.
    get container() {
      return container ??= pidNamespace() !== initialPidNamespace &&
        ((marks[kubernetes] !== undefined && current.os.type === "Linux") || isInsideContainer())
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
