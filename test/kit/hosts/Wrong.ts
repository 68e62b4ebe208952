/**
 * A CLI that says everything wrong that `sink --check` knows of, each once.
 */
import { randomUUID } from "node:crypto"

const account = (name: string) => ({ event: "ran", distinct_id: name, properties: {} })
const alias = (into: string, other: string, more: object = {}) => ({
  event: "$create_alias",
  distinct_id: into,
  properties: { distinct_id: into, alias: other, ...more }
})
const uuid = randomUUID()

const batch: ReadonlyArray<object> = [
  alias("account_1", "device_1", { $process_person_profile: false }),
  { ...account("device_1"), event: "$identify" },
  account("account_2"),
  alias("account_2", "device_2"),
  alias("account_3", "undefined"),
  alias("account_4", "device_4"),
  alias("account_5", "device_4"),
  // Of another device, so that the alias is not late.
  { ...account("account_6"), properties: { $session_id: "a" } },
  alias("account_6", "account_4", { $session_id: "b" }),
  { ...account("account_1"), uuid: undefined },
  { ...account("account_1"), uuid },
  { ...account("account_1"), event: "walked", uuid },
  { ...account("account_1"), properties: { invocation_id: "a", sequence: 1 } },
  { ...account("account_1"), event: "CLI Auth Started", properties: { invocation_id: "b", sequence: 0 } },
  { ...account("account_1"), event: "undeclared\u001b[2J" },
  {
    ...account("account_1"),
    properties: { by: "jane@acme.test", file: "/home/jane", key: "sk-do-not-tell", at: "10.1.2.3" }
  }
].map((message) => ({ timestamp: new Date().toISOString(), uuid: randomUUID(), ...message }))

const send = (batch: ReadonlyArray<object>) =>
  fetch(`${process.env["WRONG_POSTHOG_HOST"]}/batch/`, {
    method: "POST",
    body: JSON.stringify({ api_key: process.env["WRONG_POSTHOG_KEY"], batch })
  })

process.stdout.write("did it\n")
await send(batch)
// PostHog takes no event without an id, in whatever request, and the other one in a second request.
const late = { ...account("account_7"), timestamp: new Date().toISOString(), uuid: randomUUID() }
const refused = { ...late, distinct_id: "", uuid: randomUUID() }
await send([late, refused])
await send([late])
await send([refused])
process.exitCode = 3
