/** The handlers of the `telemetry` commands. */
import * as CliError from "effect/cli/CliError"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import type { Message } from "../domain/Message.ts"
import { CaptureWorker, type Obstacle } from "../services/CaptureWorker.ts"
import { Consent, type OptOutError } from "../services/Consent.ts"
import { CurrentCommand } from "../services/CurrentCommand.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Outbox } from "../services/Outbox.ts"
import { TrackOptions } from "./CommandTracking.ts"
import * as EventList from "./EventList.ts"

interface Input {
  readonly json: boolean
}

const timeOf = (millis: number): string => new Date(millis).toISOString()

// In a tracked tree, the reference of this command is `"untracked"`.
const trackingObstacles = Effect.map(CurrentCommand, (current) =>
  current === undefined
    ? [{
      what: "not_tracked",
      why: "`Usage.track` is missing, or is applied before the subcommands: apply it last, to the root command"
    }]
    : [])

const readStatus = Effect.fnUntraced(function*({ decidedBy, enabled }: ConsentDecision.ConsentDecision) {
  const identity = yield* (yield* IdentityStore).peek
  const outbox = yield* (yield* Outbox).status
  const failure = outbox.blocked ?? outbox.lastFailure
  const obstacles: ReadonlyArray<Omit<Obstacle, "what"> & { readonly what: string }> = enabled
    ? [...yield* trackingObstacles, ...yield* (yield* CaptureWorker).obstacles]
    : []
  return {
    enabled,
    decided_by: ConsentDecision.format(decidedBy),
    destination: outbox.destination ?? null,
    anon_id: identity?.anonId ?? null,
    principal_id: identity?.claim?.principal_id ?? null,
    pending: outbox.pending,
    set_aside: outbox.setAside,
    last_delivery: outbox.lastDelivery === undefined ? null : timeOf(outbox.lastDelivery),
    ...(failure === undefined ? {} : { last_failure: failure }),
    obstacles: obstacles.map(({ until, ...obstacle }) =>
      until === undefined ? obstacle : { ...obstacle, until: timeOf(until) }
    )
  }
})

const consequences: Readonly<Record<string, string>> = {
  not_tracked: "No command is recorded",
  no_worker: "Nothing is delivered",
  no_process: "Nothing is delivered",
  home_not_writable: "Nothing new is kept"
}

const explain = ({ until, what, why }: { readonly until?: string; readonly what: string; readonly why: string }) =>
  until === undefined
    ? `${consequences[what] ?? "Commands wait up to a second for delivery"}: ${why}`
    : `PostHog is not asked again before ${until}: ${why}`

export const status = Effect.fnUntraced(function*({ json }: Input) {
  const decision = yield* (yield* Consent).decision
  const result = yield* readStatus(decision)
  if (json) return yield* Console.log(JSON.stringify(result))
  yield* Console.log(`Telemetry is ${result.enabled ? "on" : "off"} (${ConsentDecision.explain(decision.decidedBy)})`)
  yield* Effect.forEach(result.obstacles, (obstacle) => Console.log(explain(obstacle)), { discard: true })
  yield* Console.log(`Sent to:       ${(result.enabled ? result.destination : null) ?? "nowhere"}`)
  yield* Console.log(`Device:        ${result.anon_id ?? "none yet"}`)
  yield* Console.log(`Account:       ${result.principal_id ?? "none"}`)
  yield* Console.log(`Waiting:       ${result.pending}`)
  const aside = result.set_aside === 0 ? "" : " (refused by PostHog, or damaged: kept here, and not sent again)"
  yield* Console.log(`Set aside:     ${result.set_aside}${aside}`)
  yield* Console.log(`Last delivery: ${result.last_delivery ?? "never"}`)
  if (result.last_failure !== undefined) yield* Console.log(`Last failure:  ${result.last_failure}`)
})

const printJson = (messages: ReadonlyArray<Message>) =>
  Effect.forEach(messages, (message) => Console.log(JSON.stringify(message)), { discard: true })

const formatMessage = ({ distinct_id, event, properties, timestamp }: Message): string => {
  const { alias, command_name } = properties
  const anonymous = properties["$process_person_profile"] === false ? " (anonymous)" : ""
  if (Predicate.isString(alias)) return `${timestamp}  ${event}: device ${alias} joins account ${distinct_id}`
  return `${timestamp}  ${event}${
    Predicate.isString(command_name) ? `: ${command_name}` : ""
  }, as ${distinct_id}${anonymous}`
}

export const log = Effect.fnUntraced(function*({ json, sent }: Input & { readonly sent: boolean }) {
  const outbox = yield* Outbox
  if (!sent) return yield* printJson((yield* outbox.entries).map(({ message }) => message))
  const messages = yield* outbox.sent
  if (json) return yield* printJson(messages)
  if (messages.length === 0) return yield* Console.log("No sent messages are kept on this machine.")
  yield* Effect.forEach(messages, (message) => Console.log(formatMessage(message)), { discard: true })
})

export const events = Effect.fnUntraced(function*({ json }: Input) {
  const options = yield* TrackOptions
  const dictionary = yield* Effect.try({
    try: () => EventList.make(options.catalog ?? [], options),
    catch: (cause) =>
      new CliError.UserError({ cause, userMessage: cause instanceof Error ? cause.message : String(cause) })
  })
  yield* Console.log(json ? JSON.stringify(dictionary) : EventList.toText(dictionary))
})

class NotDelivered extends Data.TaggedError("NotDelivered")<{
  readonly kept: number
  readonly reason: string | undefined
}> {
  override get message(): string {
    const waiting = `${this.kept} ${this.kept === 1 ? "message is" : "messages are"} still waiting`
    return this.reason === undefined ? waiting : `${waiting}: ${this.reason}`
  }
}

const toUserError = (cause: NotDelivered | OptOutError) => new CliError.UserError({ cause, userMessage: cause.message })

export const flush = Effect.fnUntraced(function*({ json }: Input) {
  const { delivered, kept, reason } = yield* (yield* CaptureWorker).flush
  yield* Console.log(json ? JSON.stringify({ delivered, kept }) : `Delivered ${delivered}, kept ${kept}`)
  if (kept > 0) return yield* toUserError(new NotDelivered({ kept, reason }))
})

export const disable = Effect.gen(function*() {
  yield* Effect.mapError((yield* Consent).deny, toUserError)
  yield* Console.log("Telemetry is off. Its files on this machine are deleted; what was sent is not.")
})

export const enable = Effect.gen(function*() {
  const consent = yield* Consent
  yield* Effect.mapError(consent.allow, toUserError)
  const decision = yield* consent.decision
  yield* Console.log(
    decision.enabled
      ? "Telemetry is on."
      : `Telemetry is still off: ${ConsentDecision.explain(decision.decidedBy)}`
  )
})
