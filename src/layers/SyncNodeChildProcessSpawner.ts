/**
 * A `ChildProcessSpawner` for one kind of child only: a detached one that nobody observes.
 *
 * Effect's own spawner looks up the working directory in Node's thread pool and then waits for the child to have
 * started; at the end of a command both can be felt. A child that only has to live on needs neither: here the spawn is
 * one synchronous call, the parent's event loop does not wait for the child, and no scope ends it.
 *
 * **Gotchas**
 *
 * What this spawner cannot do it refuses, with a `BadArgument`: pipes and other descriptors, a shell, a child that is
 * not detached, an extended environment, pipelines. It must not replace a host's own `ChildProcessSpawner`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import type * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as CommandLine from "effect/process/CommandLine"
import * as Redacted from "effect/Redacted"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as NodeChildProcess from "node:child_process"
import { errnoReason, isErrnoException } from "./SyncNodeFileSystem.ts"

const badArgument = (method: string, description: string): PlatformError.PlatformError =>
  PlatformError.badArgument({ module: "ChildProcess", method, description })

const unwrap = (value: string | Redacted.Redacted<string>): string =>
  Redacted.isRedacted(value) ? Redacted.value(value) : value

/** Says what keeps a command from being the one kind of child that this spawner knows. */
const whyUnsupported = ({ options }: ChildProcess.StandardCommand): string | undefined => {
  if (options.detached !== true) return "the child must be detached"
  if (options.stdin !== "ignore" || options.stdout !== "ignore" || options.stderr !== "ignore") {
    return "stdin, stdout and stderr of the child must be \"ignore\""
  }
  if (Object.keys(options.additionalFds ?? {}).length > 0) return "the child cannot have additional descriptors"
  if (options.extendEnv === true) return "the environment cannot be extended"
  return options.shell === undefined || options.shell === false ? undefined : "a shell is not supported"
}

const makeEnvironment = (env: NonNullable<ChildProcess.CommandOptions["env"]>): Record<string, string> => {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined) {
      result[name] = unwrap(value)
    }
  }
  return result
}

const toPlatformError = (command: ChildProcess.StandardCommand, cause: unknown): PlatformError.PlatformError => {
  const words = [command.command, ...command.args]
  const format = process.platform === "win32" ? "windows" : "posix"
  if (!isErrnoException(cause)) {
    // Not the message: where Node refuses an argument or a variable, it quotes the value, which may be a secret.
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error"
    return badArgument("spawn", `Node refused the command: ${code}`)
  }
  // Node copies the arguments into the error, the redacted ones too.
  Object.assign(cause, { spawnargs: words.slice(1).map((word) => Redacted.isRedacted(word) ? "<redacted>" : word) })
  return PlatformError.systemError({
    _tag: errnoReason(cause.code),
    module: "ChildProcess",
    method: "spawn",
    pathOrDescriptor: CommandLine.display(words, { format }),
    syscall: cause.syscall,
    cause
  })
}

const unobserved = (method: string): Effect.Effect<never, PlatformError.PlatformError> =>
  Effect.fail(badArgument(method, "the child is detached and not observed"))

const makeHandle = (
  child: NodeChildProcess.ChildProcess,
  pid: number
): ChildProcessSpawner.ChildProcessHandle => {
  const reref = Effect.sync(() => child.ref())
  return ChildProcessSpawner.makeHandle({
    pid: ChildProcessSpawner.ProcessId(pid),
    exitCode: unobserved("exitCode"),
    isRunning: unobserved("isRunning"),
    kill: () => unobserved("kill"),
    // As for any child whose descriptors are ignored.
    stdin: Sink.drain,
    stdout: Stream.empty,
    stderr: Stream.empty,
    all: Stream.empty,
    getInputFd: () => Sink.drain,
    getOutputFd: () => Stream.empty,
    // It is done already: this is for callers that are written against the tag.
    unref: Effect.sync(() => {
      child.unref()
      return reref
    })
  })
}

const start = (
  command: ChildProcess.StandardCommand
): Effect.Effect<ChildProcessSpawner.ChildProcessHandle, PlatformError.PlatformError> =>
  Effect.callback((resume) => {
    try {
      const { cwd, env, windowsHide } = command.options
      // Most workers start nobody, and loading it costs 2 ms.
      const { spawn } = process.getBuiltinModule("node:child_process")
      const child = spawn(command.command, command.args.map(unwrap), {
        cwd,
        env: env === undefined ? undefined : makeEnvironment(env),
        windowsHide,
        detached: true,
        stdio: "ignore"
      })
      // Node tells the errno of a refused spawn on the next tick; without a listener, then or later, an "error" would
      // be an uncaught exception of the host.
      child.on("error", (cause) => resume(Effect.fail(toPlatformError(command, cause))))
      child.unref()
      if (child.pid !== undefined) {
        resume(Effect.succeed(makeHandle(child, child.pid)))
      }
    } catch (cause) {
      resume(Effect.fail(toPlatformError(command, cause)))
    }
  })

const spawn: ChildProcessSpawner.ChildProcessSpawner["Service"]["spawn"] = (command) => {
  if (command._tag !== "StandardCommand") {
    return Effect.fail(badArgument("spawn", "pipelines are not supported"))
  }
  const reason = whyUnsupported(command)
  return reason === undefined ? start(command) : Effect.fail(badArgument("spawn", reason))
}

/**
 * The spawner of detached, unobserved children.
 *
 * **Details**
 *
 * It takes a `StandardCommand` with `detached: true` and `"ignore"` for stdin, stdout and stderr, and uses its `cwd`,
 * `env` (redacted values too) and `windowsHide`. A started child is never ended by a scope and never keeps the parent
 * alive. A spawn that works completes synchronously; one that does not fails with a `PlatformError`, on the next tick
 * where Node says why only then.
 *
 * **Gotchas**
 *
 * The handle knows the `pid` and nothing else: `exitCode`, `isRunning` and `kill` fail with a `BadArgument`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: ChildProcessSpawner.ChildProcessSpawner["Service"] = ChildProcessSpawner.make(spawn)

/**
 * Provides the spawner of detached, unobserved children.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<ChildProcessSpawner.ChildProcessSpawner> = Layer.succeed(
  ChildProcessSpawner.ChildProcessSpawner,
  make
)
