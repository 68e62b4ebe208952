/** Messages of a device, as a CLI sends them. */
import type { Received } from "../../../src/testing/page/Model.ts"
import { uuid } from "../Requests.ts"

export const anon = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
export const anonAfterLogout = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

let made = 0

type Properties = Readonly<Record<string, unknown>>

/** A message of an account; recorded a second after the one that was made before. */
export const message = (event: string, distinct_id: string, properties: Properties = {}): Received => {
  const timestamp = new Date(Date.UTC(2026, 0, 1) + ++made * 1000).toISOString()
  return { event, distinct_id, properties, timestamp, uuid: uuid(made), received_at: timestamp }
}

export const anonymous = (event: string, distinct_id: string, properties: Properties = {}): Received =>
  message(event, distinct_id, { $process_person_profile: false, ...properties })

export const alias = (into: string, other: string, properties: Properties = {}): Received =>
  message("$create_alias", into, { distinct_id: into, alias: other, ...properties })

const command = (session: string, command_name: string, sequence = 0): Properties => ({
  $session_id: session,
  invocation_id: `${session} ${command_name}`,
  command_name,
  sequence
})

/** Two commands, a login, a command, a logout, and a command of the device's new id. */
export const story = (): ReadonlyArray<Received> => [
  anonymous("ran", anon, command("s1", "deploy")),
  anonymous("ran", anon, command("s1", "build")),
  anonymous("CLI Auth Started", anon, { ...command("s1", "login"), flow: "login" }),
  alias("account_1", anon, command("s1", "login", 1)),
  message("CLI Auth Completed", "account_1", { ...command("s1", "login", 2), flow: "login", step: "code_exchange" }),
  message("ran", "account_1", command("s1", "whoami")),
  message("ran", "account_1", command("s1", "logout")),
  anonymous("ran", anonAfterLogout, command("s2", "deploy"))
]

/** What PostHog refuses or drops, each with its warning. */
export const refused = (): ReadonlyArray<Received> => [
  alias("account_1", anon),
  message("ran", "account_2"),
  alias("account_2", anon),
  alias("undefined", anon),
  alias("account_1", "device", { $process_person_profile: false })
]
