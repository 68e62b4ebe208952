/**
 * The least that recording costs: the looks at the disk and the file that it takes, in one function of plain calls. No
 * part of it can be replaced, nothing is checked beyond what the file needs, and no worker is started.
 */
import ci from "ci-info"
import * as Effect from "effect/Effect"
import isInsideContainer from "is-inside-container"
import { randomUUID } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { atEnd, event } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

const look = (file: string): Fs.Stats | undefined => Fs.lstatSync(file, { throwIfNoEntry: false })

const read = (file: string): Record<string, unknown> =>
  look(file)?.isFile() === true ? JSON.parse(Fs.readFileSync(file, "utf8")) : {}

export const Usage = atEnd(Effect.sync(() => {
  const home = process.env["ACME_HOME"] ?? ""
  const usage = `${home}/usage`
  const isDenied = ["ACME_USAGE_TRACKING", "DO_NOT_TRACK"].some((name) => process.env[name] === "1") ||
    ["/etc/acme/usage.json", `${usage}/opt-out`].some((file) => look(file) !== undefined) ||
    [home, usage].some((folder) => look(folder)?.uid !== process.geteuid?.())
  if (isDenied) return
  const { anon_id: anonId } = read(`${home}/usage.json`)
  const claims = [`${usage}/successors/${anonId}.json`, `${usage}/claims/${anonId}.json`, `${home}/credentials.yaml`]
  if (claims.some((file) => look(file) !== undefined)) return
  const { session } = read(`${usage}/known.json`)
  const { name, properties } = event()
  const message = {
    event: name,
    distinct_id: anonId,
    uuid: randomUUID(),
    timestamp: new Date().toISOString(),
    properties: {
      ...properties,
      $session_id: Object(session).session_id,
      os_type: Os.type(),
      os_release: Os.release(),
      is_ci: ci.isCI,
      container: isInsideContainer(),
      is_tty: process.stdout.isTTY
    }
  }
  const [outbox = ""] = Fs.readdirSync(`${usage}/outbox`)
  const events = `${usage}/outbox/${outbox}/events`
  const temp = `${usage}/tmp/${message.uuid}`
  Fs.writeFileSync(temp, JSON.stringify({ version: 1, message }), { flag: "wx", mode: 0o600 })
  Fs.renameSync(temp, `${events}/${String(Date.now()).padStart(15, "0")}-000000-${message.uuid}-${message.uuid}-0.json`)
  Fs.readdirSync(events)
  Fs.readdirSync(`${usage}/outbox/${outbox}`)
}))
