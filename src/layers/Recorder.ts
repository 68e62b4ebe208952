/** Creates the messages of one invocation, with their common properties. */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Attribution } from "../domain/Attribution.ts"
import { type Message, timestampOf } from "../domain/Message.ts"
import { isPersonProperty, isReserved } from "../domain/UsageEvent.ts"
import { version } from "../domain/Version.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { Identity } from "../services/IdentityStore.ts"
import type { UsageSettings } from "../services/UsageSettings.ts"
import type { KnownFile } from "./KnownFile.ts"
import type { EventOwner } from "./SteadyStitch.ts"

/** An event without its attribution. */
export interface Event {
  readonly event: string
  readonly properties: Schema.JsonObject
  /** The dotted path of the command; undefined outside a tracked command. */
  readonly command: string | undefined
}

/** Records an event. Without an owner it is dropped: consent or the device's identity was withdrawn. */
export type Record = (event: Event, owner: EventOwner | undefined, now: number) => Effect.Effect<void>

/** Creates the messages of one invocation. */
export interface Recorder {
  /** The UUID of the invocation, which is in every message. */
  readonly id: string
  readonly hasRecorded: () => boolean
  /** Creates the next message. `confirm` increments the sequence number. */
  readonly compose: (draft: Event & Attribution, identity: Identity, now: number) => {
    readonly message: Message
    /** Confirms that the message was stored, so that the numbers have no gaps. */
    readonly confirm: () => void
  }
}

export const make = (
  { id, known, parent, runtime, settings }: {
    readonly id: string
    readonly known: KnownFile
    /** The invocation id of the parent process, if it is a command of the same host. */
    readonly parent: string | undefined
    readonly runtime: HostRuntime["Service"]
    readonly settings: UsageSettings["Service"]
  }
): Recorder => {
  let sequence = 0

  const machine = {
    ...(parent === undefined ? {} : { parent_invocation_id: parent }),
    cli_version: `${settings.version}`.toWellFormed(),
    runtime_language: runtime.runtime.language,
    runtime_version: runtime.runtime.version,
    os_type: runtime.os.type,
    os_release: runtime.os.release,
    arch: runtime.os.arch,
    is_ci: runtime.ci !== undefined,
    ...(runtime.ci === undefined ? {} : { ci: runtime.ci }),
    is_tty: runtime.stdoutIsTerminal,
    ...(runtime.agent === undefined ? {} : { agent: runtime.agent }),
    schema_version: 1,
    $lib: "effect-cli-usage",
    $lib_version: version,
    // A resend keeps its timestamp, so that PostHog de-duplicates it.
    $ignore_sent_at: true,
    // The user's address is personal data.
    $geoip_disable: settings.geoip !== true
  }

  return {
    id,
    hasRecorded: () => sequence > 0,
    compose: (draft, identity, now) => {
      const number = sequence
      const session = known.sessionOf(identity.anonId, now)
      const own: { [name: string]: Schema.Json } = {}
      for (const [name, value] of Object.entries(draft.properties)) {
        if (!isReserved(name) && !(draft.personless && isPersonProperty(name))) own[name] = value
      }
      return {
        message: {
          // A receiver may refuse a lone surrogate, and with it the whole batch.
          event: draft.event.toWellFormed(),
          properties: {
            ...own,
            invocation_id: id,
            sequence: number,
            ...(draft.command === undefined ? {} : { command_name: draft.command.toWellFormed() }),
            ...machine,
            is_first_run: identity.published,
            $session_id: session.session_id,
            ...(draft.personless ? { $process_person_profile: false } : {})
          },
          timestamp: timestampOf(now),
          uuid: runtime.uuid(),
          distinct_id: draft.distinctId
        },
        confirm: () => {
          sequence = number + 1
          known.save(session, now, identity.durable)
        }
      }
    }
  }
}
