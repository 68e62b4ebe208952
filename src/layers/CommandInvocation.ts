/**
 * The invocation of this process.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import type * as Schema from "effect/Schema"
import * as SynchronizedRef from "effect/SynchronizedRef"
import type { Message } from "../domain/Message.ts"
import { ofPersons, reserved } from "../domain/UsageEvent.ts"
import { version } from "../domain/Version.ts"
import { CurrentCommand } from "../services/CurrentCommand.ts"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import { type Draft, Invocation } from "../services/Invocation.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { SessionStore } from "../services/SessionStore.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug, IsShown } from "./Debug.ts"
import * as Variable from "./Variable.ts"

const ownProperties = ({ personless, properties }: Draft): Schema.JsonObject =>
  Object.fromEntries(
    Object.entries(properties).filter(([name]) => !reserved.has(name) && !(personless && ofPersons.has(name)))
  )

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const random = yield* SecureRandom.SecureRandom
  const sessions = yield* SessionStore
  const settings = yield* UsageSettings
  const runtime = yield* RuntimeEnvironment
  const current = yield* CurrentProcess
  const id = yield* random.uuidV4()
  const hasBegun = yield* Ref.make(false)
  const sequence = yield* SynchronizedRef.make(0)

  // A host that calls itself finds the outer command's id here; anything else that stands in the variable is not sent.
  const variable = `${settings.variables}_USAGE_INVOCATION`
  const outer = yield* Variable.read(variable)
  const parent = outer !== undefined && uuid.test(outer) ? outer : undefined
  // What runs later in this process is no child of this command.
  yield* Effect.acquireRelease(
    current.setVariable(variable, id),
    () => current.setVariable(variable, outer)
  )

  const machine = {
    ...(parent === undefined ? {} : { parent_invocation_id: parent }),
    cli_version: settings.version,
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
    // A resend keeps its own time, so that it falls on the same day and is de-duplicated.
    $ignore_sent_at: true,
    // The user's address is personal data.
    $geoip_disable: settings.geoip !== true
  }

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      if ((yield* Ref.get(hasBegun)) || (yield* SynchronizedRef.get(sequence)) > 0) return
      yield* debug(
        "nothing was tracked: no command, or `Usage.track` is not the last step"
      )
    })
  )

  return Invocation.of({
    id,
    begin: Ref.set(hasBegun, true),
    hasRecorded: Effect.map(SynchronizedRef.get(sequence), (number) => number > 0),
    record: (draft, identity, write) =>
      SynchronizedRef.modifyEffect(
        sequence,
        Effect.fnUntraced(function*(number) {
          const name = (yield* CurrentCommand)?.name
          const now = yield* Clock.currentTimeMillis
          const message: Message = {
            event: draft.event,
            properties: {
              ...ownProperties(draft),
              invocation_id: id,
              sequence: number,
              ...(name === undefined ? {} : { command_name: name }),
              ...machine,
              is_first_run: identity.published,
              $session_id: yield* sessions.touch(identity.anonId),
              ...(draft.personless ? { $process_person_profile: false } : {})
            },
            timestamp: new Date(now).toISOString(),
            uuid: yield* random.uuidV4(),
            distinct_id: draft.distinctId
          }
          const [kept, result] = yield* write(message)
          if (kept && (yield* IsShown)) yield* Console.error(JSON.stringify(message))
          return [result, kept ? number + 1 : number] as const
        })
      )
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Invocation,
  never,
  SecureRandom.SecureRandom | SessionStore | UsageSettings | RuntimeEnvironment | CurrentProcess
> = Layer.effect(Invocation, make)
