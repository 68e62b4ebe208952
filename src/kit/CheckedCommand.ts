/** Runs a CLI with its PostHog pointed at a sink. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { variablePrefix } from "../domain/ConsentDecision.ts"
import type { PostHogSink } from "../testing/PostHogSink.ts"

/** How a command ended: by an exit code (null for a signal), by no end within its time limit, or without a start. */
export type Outcome =
  | { readonly _tag: "Ended"; readonly code: number | null }
  | { readonly _tag: "Unended" }
  | { readonly _tag: "Unstarted"; readonly reason: string }

const endings = ["POSTHOG_HOST", "POSTHOG_KEY", "POSTHOG_API_KEY"] as const

/**
 * Returns the variables that point a CLI at a sink: `POSTHOG_HOST`, `POSTHOG_KEY` and `POSTHOG_API_KEY`, alone and behind
 * every name that may be the CLI's.
 *
 * **Details**
 *
 * These are the given name, each word of the command and of its paths, and those of variables that are set.
 */
export const variables = (
  command: ReadonlyArray<string>,
  name: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  url: string
): Readonly<Record<string, string>> => {
  const words = [name ?? "", ...command.flatMap((word) => word.split(/[^\w-]+/))]
  const prefixes = words.map(variablePrefix).filter((word) => /^[A-Z]/.test(word))
  const names = ["", ...prefixes.map((prefix) => `${prefix}_`)].flatMap((prefix) =>
    endings.map((ending) => `${prefix}${ending}`)
  )
  const set = Object.keys(environment).filter((name) => endings.some((ending) => name.endsWith(`_${ending}`)))
  return Object.fromEntries([...names, ...set].map((name) => [name, name.endsWith("HOST") ? url : "phc_sink"]))
}

const reasonOf = ({ reason }: PlatformError): string => {
  if (reason._tag === "NotFound") return "there is no such command"
  return reason._tag === "PermissionDenied" ? "it may not be executed" : reason.message
}

/**
 * Runs a command to its end, or to its time limit; its processes are stopped then.
 *
 * Its input, output and errors are those of this process. With `quiet`, its output goes to the errors.
 */
export const run = (
  [file = "", ...args]: ReadonlyArray<string>,
  { environment, limit, quiet }: {
    readonly environment: Readonly<Record<string, string>>
    readonly limit: Duration.Input
    readonly quiet: boolean
  }
) =>
  Effect.gen(function*() {
    const stdio = yield* Stdio.Stdio
    const isTerminal = yield* stdio.stdinIsTerminal
    const handle = yield* ChildProcess.make(file, args, {
      env: environment,
      extendEnv: true,
      stdin: "inherit",
      stdout: quiet ? "pipe" : "inherit",
      stderr: "inherit",
      // In a terminal it stays in the group that the terminal's keys are for.
      detached: !isTerminal,
      forceKillAfter: "2 seconds"
    })
    const output = quiet ? Stream.run(handle.stdout, stdio.stderr()) : Effect.void
    const copied = yield* Effect.forkScoped(Effect.ignore(output))
    // The exit code of a process that a signal ended is a failure.
    const exitCode = Effect.orElseSucceed(handle.exitCode, () => null)
    const code = yield* Effect.timeoutOption(exitCode, limit)
    // The output may end after the process. A process that it left behind may keep it open.
    if (Option.isSome(code)) yield* Effect.timeoutOption(Fiber.join(copied), "2 seconds")
    return Option.match(code, {
      onNone: (): Outcome => ({ _tag: "Unended" }),
      onSome: (code): Outcome => ({ _tag: "Ended", code })
    })
  }).pipe(
    Effect.scoped,
    Effect.catchTag("PlatformError", (error) => Effect.succeed<Outcome>({ _tag: "Unstarted", reason: reasonOf(error) }))
  )

const pollMillis = 50

/** A worker lives for 10 s, and sends what it finds when it starts; it may find more a second later. */
const firstMillis = 10_000
const quietMillis = 2_000
const longestMillis = 20_000

/** Waits for the messages of a CLI that has ended: for the first one, and then until no more come for a while. */
export const waitForMessages = Effect.fnUntraced(function*(sink: PostHogSink) {
  const start = Date.now()
  let count = (yield* sink.messages).length
  let last = start
  while (true) {
    const now = Date.now()
    const seen = (yield* sink.messages).length
    if (seen !== count) last = now
    count = seen
    if (now - last >= (count === 0 ? firstMillis : quietMillis) || now - start >= longestMillis) return
    yield* Effect.sleep(pollMillis)
  }
})
