/** Runs a CLI with its PostHog pointed at a sink. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { PostHogSink } from "../testing/PostHogSink.ts"

/** How a command ended: by an exit code, by no end within its time limit, or without a start. */
export type Outcome =
  | { readonly _tag: "Ended"; readonly code: number }
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
  const prefixes = words.map((word) => word.toUpperCase().replaceAll("-", "_")).filter((word) =>
    /^[A-Z]\w*$/.test(word)
  )
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
    if (quiet) yield* Effect.forkScoped(Effect.ignore(Stream.run(handle.stdout, stdio.stderr())))
    const code = yield* Effect.timeoutOption(handle.exitCode, limit)
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

/**
 * Waits until a CLI that has ended has sent everything: until the first message, and then until no more came for a while.
 */
export const settled = Effect.fnUntraced(function*(sink: PostHogSink) {
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
