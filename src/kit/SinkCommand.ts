/** `sink`: a PostHog on loopback that shows what a CLI sends, or checks it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as PostHogSink from "../testing/PostHogSink.ts"
import { printable } from "../testing/Printable.ts"
import * as Check from "./Check.ts"
import * as CheckedCommand from "./CheckedCommand.ts"
import { userError } from "./UserError.ts"

const Dictionary = Schema.fromJsonString(Schema.Struct({
  events: Schema.Array(Schema.Struct({ name: Schema.String }))
}))

const start = (port: number) =>
  PostHogSink.make({ port }).pipe(Effect.mapError((cause) => userError(cause.message, cause)))

const show = Effect.fnUntraced(function*(port: number) {
  const sink = yield* start(port)
  yield* sink.onMessage(({ distinct_id, event, received_at, uuid }) =>
    Effect.runSync(Console.log(printable(`${received_at}  ${event}  ${distinct_id}  ${uuid}`)))
  )
  yield* Console.log(`listening on ${sink.url}`)
  return yield* Effect.never
})

type Messages = ReadonlyArray<PostHogSink.ReceivedMessage>

// PostHog refuses a request, not a message: one of several may be accepted in a later request.
const refused = (
  requests: ReadonlyArray<PostHogSink.ReceivedRequest>,
  messages: Messages
): ReadonlyArray<Check.Finding> => {
  const accepted = new Set(messages.map(({ raw }) => raw))
  const found = new Map<string, Check.Finding>()
  for (const { answered, batch } of requests.toSorted((a, b) => a.batch.length - b.batch.length)) {
    const lost = batch.filter(({ raw }) => !accepted.has(raw))
    const [first] = lost
    if (answered !== 400 || first === undefined || lost.some(({ raw }) => found.has(raw))) continue
    const problem = batch.length === 1 ? "PostHog refuses it" : `PostHog refuses a request of ${batch.length} messages`
    found.set(first.raw, Check.finding("refused", problem, first))
  }
  return [...found.values()]
}

const ofRun = (outcome: CheckedCommand.Outcome, timeout: number, count: number): ReadonlyArray<Check.Finding> => {
  if (outcome._tag === "Unstarted") return [Check.finding("command-failed-to-start", outcome.reason)]
  return [
    ...outcome._tag === "Unended"
      ? [Check.finding("command-did-not-end", `it was stopped after ${timeout} s`)]
      : [],
    ...count === 0 ? [Check.finding("nothing-sent", "no message arrived within 10 s of its end")] : []
  ]
}

const format = (findings: ReadonlyArray<Check.Finding>): string =>
  [...Map.groupBy(findings, ({ rule }) => rule)].map(([rule, own]) =>
    [
      rule,
      ...own.map(({ distinct_id, event, problem, uuid }) =>
        printable(event === null ? `  ${problem}` : `  ${event} of ${distinct_id} (${uuid ?? "no uuid"}): ${problem}`)
      ),
      `  ${Check.advice[rule]}`
    ].join("\n")
  ).join("\n\n")

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

interface Options {
  readonly port: number
  readonly command: ReadonlyArray<string>
  readonly declared: ReadonlySet<string> | undefined
  readonly name: string | undefined
  readonly timeout: number
  readonly json: boolean
}

const check = Effect.fnUntraced(function*({ command, declared, json, name, port, timeout }: Options) {
  const sink = yield* start(port)
  const outcome = yield* CheckedCommand.run(command, {
    environment: CheckedCommand.variables(command, name, process.env, sink.url),
    limit: `${timeout} seconds`,
    quiet: json
  })
  if (outcome._tag !== "Unstarted") yield* CheckedCommand.waitForMessages(sink)
  const messages = yield* sink.messages
  const findings = [
    ...ofRun(outcome, timeout, messages.length),
    ...refused(yield* sink.requests, messages),
    ...Check.check(messages, declared)
  ]
  const summary = `${counted(findings.length, "finding")} in ${counted(messages.length, "message")}`
  if (json) {
    yield* Console.log(JSON.stringify(
      {
        command,
        exit_code: outcome._tag === "Ended" ? outcome.code : null,
        messages: messages.length,
        findings: findings.map((finding) => ({ ...finding, advice: Check.advice[finding.rule] }))
      },
      null,
      2
    ))
  } else {
    // A command that fails is checked too.
    if (outcome._tag === "Ended" && outcome.code !== 0) {
      yield* Console.log(
        `the command ended ${outcome.code === null ? "by a signal" : `with exit code ${outcome.code}`}`
      )
    }
    if (findings.length > 0) yield* Console.log(`\n${format(findings)}\n`)
  }
  if (findings.length > 0) return yield* userError(summary)
  if (!json) yield* Console.log(summary)
})

export const command = Command.make(
  "sink",
  {
    port: Flag.Int("port").pipe(
      Flag.withDescription("Port to listen on, on 127.0.0.1; 4000, or any free one with --check"),
      Flag.optional
    ),
    check: Flag.Boolean("check").pipe(
      Flag.withDescription("Run the command after --, and report what is wrong with its messages"),
      Flag.withDefault(false)
    ),
    dictionary: Flag.FileText("dictionary").pipe(
      Flag.withDescription("The data dictionary as JSON: with --check, other events are findings"),
      Flag.optional
    ),
    name: Flag.String("name").pipe(
      Flag.withDescription("The prefix of the CLI's variables, if no word of the command is that prefix"),
      Flag.optional
    ),
    timeout: Flag.Int("timeout").pipe(
      Flag.withDescription("Seconds after which the command is stopped"),
      Flag.withDefault(60)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("With --check, print one JSON object"),
      Flag.withDefault(false)
    ),
    command: Argument.String("command").pipe(
      Argument.withDescription("The command to check, after --"),
      Argument.variadic()
    )
  },
  Effect.fnUntraced(function*({ check: isChecked, command, dictionary, json, name, port, timeout }) {
    if (isChecked !== command.length > 0) {
      return yield* userError(
        isChecked
          ? "--check needs a command to run: sink --check -- acme deploy"
          : "a command is run with --check only: sink --check -- acme deploy"
      )
    }
    if (!isChecked) return yield* show(Option.getOrElse(port, () => 4000))
    const declared = yield* Effect.forEach(Option.toArray(dictionary), (text) => Schema.decodeEffect(Dictionary)(text))
      .pipe(
        Effect.mapError((cause) => userError("the data dictionary is not one that `dictionary --json` printed", cause))
      )
    yield* check({
      port: Option.getOrElse(port, () => 0),
      command,
      declared: declared[0] && new Set(declared[0].events.map(({ name }) => name)),
      name: Option.getOrUndefined(name),
      timeout,
      json
    })
  }, Effect.scoped)
).pipe(Command.withDescription("Run a local PostHog: print each message it accepts, or check those of a command"))
