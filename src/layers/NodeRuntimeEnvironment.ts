/**
 * The runtime as Node.js sees it.
 *
 * @since 0.1.0
 */
import ci from "ci-info"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stdio from "effect/Stdio"
import isInsideContainer from "is-inside-container"
import * as NodeFs from "node:fs"
import * as CodingAgent from "../domain/CodingAgent.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import * as NodeProcess from "./NodeProcess.ts"
import * as Variable from "./Variable.ts"

// The kernel's number for the PID namespace that is everybody's (PROC_PID_INIT_INO).
const initialPidNamespace = "pid:[4026531836]"

// A virtual machine that was booted from a container's image carries the container's marks, but its processes and its
// disk outlive the command: it has the kernel's own PID namespace.
const isContainer = (): boolean => {
  if (!isInsideContainer()) return false
  try {
    return NodeFs.readlinkSync("/proc/self/ns/pid") !== initialPidNamespace
  } catch {
    return true
  }
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const stdio = yield* Stdio.Stdio
  const stdoutIsTerminal = yield* stdio.stdoutIsTerminal
  const marks: Record<string, string | undefined> = {}
  for (const name of CodingAgent.variables) {
    marks[name] = yield* Variable.read(name)
  }
  return RuntimeEnvironment.of({
    ci: ci.isCI ? ci.name ?? "unknown" : undefined,
    agent: CodingAgent.detect(marks, stdoutIsTerminal),
    container: isContainer(),
    stdoutIsTerminal,
    stderrIsTerminal: yield* stdio.stderrIsTerminal,
    ...NodeProcess.facts
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<RuntimeEnvironment, never, Stdio.Stdio> = Layer.effect(RuntimeEnvironment, make)
