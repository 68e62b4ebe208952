/**
 * The `telemetry` command, which a host adds to its tree.
 *
 * @since 0.1.0
 */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Claim from "../domain/Claim.ts"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { IdentityStore } from "../services/IdentityStore.ts"
import { OptOut } from "../services/OptOut.ts"
import { Outbox } from "../services/Outbox.ts"
import { Untracked } from "./CommandTracking.ts"

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one JSON object"),
  Flag.withDefault(false)
)

const readStatus = Effect.fnUntraced(function*({ decidedBy, enabled }: ConsentDecision.ConsentDecision) {
  const identity = yield* (yield* IdentityStore).peek
  const outbox = yield* (yield* Outbox).status
  return {
    enabled,
    decided_by: ConsentDecision.format(decidedBy),
    anon_id: identity?.anonId ?? null,
    principal_id: (identity?.claim && Claim.principalOf(identity.claim)) ?? null,
    pending: outbox.pending,
    set_aside: outbox.setAside,
    last_delivery: outbox.lastDelivery === undefined ? null : new Date(outbox.lastDelivery).toISOString(),
    ...(outbox.lastFailure === undefined ? {} : { last_failure: outbox.lastFailure })
  }
})

const status = Command.make(
  "status",
  { json },
  Effect.fnUntraced(function*({ json }) {
    const decision = yield* (yield* Consent).decision
    const found = yield* readStatus(decision)
    if (json) return yield* Console.log(JSON.stringify(found))
    yield* Console.log(`Telemetry is ${found.enabled ? "on" : "off"} (${ConsentDecision.explain(decision.decidedBy)})`)
    yield* Console.log(`Device:        ${found.anon_id ?? "none yet"}`)
    yield* Console.log(`Account:       ${found.principal_id ?? "none"}`)
    yield* Console.log(`Waiting:       ${found.pending}`)
    yield* Console.log(`Set aside:     ${found.set_aside}`)
    yield* Console.log(`Last delivery: ${found.last_delivery ?? "never"}`)
    if (found.last_failure !== undefined) yield* Console.log(`Last failure:  ${found.last_failure}`)
  })
).pipe(Command.withDescription("Show whether usage is recorded, and what waits to be sent"))

const log = Command.make(
  "log",
  {},
  Effect.fnUntraced(function*() {
    const entries = yield* (yield* Outbox).entries
    yield* Effect.forEach(entries, ({ message }) => Console.log(JSON.stringify(message)), { discard: true })
  })
).pipe(Command.withDescription("Print what waits to be sent, byte for byte"))

class NotDelivered extends Data.TaggedError("NotDelivered")<{
  readonly kept: number
  readonly reason: string | undefined
}> {
  override get message(): string {
    const waiting = `${this.kept} ${this.kept === 1 ? "message is" : "messages are"} still waiting`
    return this.reason === undefined ? waiting : `${waiting}: ${this.reason}`
  }
}

const flush = Command.make(
  "flush",
  { json },
  Effect.fnUntraced(function*({ json }) {
    const { delivered, kept, reason } = yield* (yield* CaptureWorker).flush
    yield* Console.log(json ? JSON.stringify({ delivered, kept }) : `Delivered ${delivered}, kept ${kept}`)
    if (kept > 0) {
      const cause = new NotDelivered({ kept, reason })
      return yield* new CliError.UserError({ cause, userMessage: cause.message })
    }
  })
).pipe(Command.withDescription("Send what waits, now"))

const disable = Command.make(
  "disable",
  {},
  Effect.fnUntraced(function*() {
    const optOut = yield* OptOut
    yield* Effect.mapError(optOut.publish, (cause) => new CliError.UserError({ cause, userMessage: cause.message }))
    yield* Console.log("Telemetry is off. What was kept on this machine is deleted.")
  })
).pipe(Command.withDescription("Record nothing from now on, and delete what was kept"))

const enable = Command.make(
  "enable",
  {},
  Effect.fnUntraced(function*() {
    const optOut = yield* OptOut
    yield* Effect.mapError(optOut.withdraw, (cause) => new CliError.UserError({ cause, userMessage: cause.message }))
    const decision = yield* (yield* Consent).decision
    yield* Console.log(
      decision.enabled
        ? "Telemetry is on."
        : `Telemetry is still off: ${ConsentDecision.explain(decision.decidedBy)}`
    )
  })
).pipe(Command.withDescription("Record usage again"))

/**
 * `telemetry status`, `enable`, `disable`, `log` and `flush`.
 *
 * @category commands
 * @since 0.1.0
 */
export const command = Command.make("telemetry").pipe(
  Command.withDescription("Usage telemetry of this command"),
  Command.withSubcommands([status, enable, disable, log, flush]),
  Command.annotate(Untracked, true)
)
