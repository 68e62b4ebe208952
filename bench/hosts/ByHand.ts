/**
 * The least that recording costs: the same looks at the disk and the same file, in one function of plain calls. None of
 * it can be replaced, nothing is checked beyond what the file needs, and no worker is started.
 */
import ci from "ci-info"
import * as Effect from "effect/Effect"
import isInsideContainer from "is-inside-container"
import { randomFillSync, randomUUID } from "node:crypto"
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
  const isDenied = [process.env["ACME_USAGE_TRACKING"], process.env["DO_NOT_TRACK"]].some((value) => value === "1")
  if (isDenied || look("/etc/acme/usage.json") !== undefined || look(`${usage}/opt-out`) !== undefined) return
  const uid = process.geteuid?.()
  for (const folder of [home, usage]) if (look(folder)?.uid !== uid) return
  const { anon_id: anonId } = read(`${home}/usage.json`)
  for (
    const file of [`${usage}/successors/${anonId}.json`, `${usage}/claims/${anonId}.json`, `${home}/credentials.yaml`]
  ) {
    if (look(file) !== undefined) return
  }
  const { session_id: session } = read(`${usage}/session.json`)
  const { name, properties } = event()
  const text = JSON.stringify({
    version: 1,
    message: {
      event: name,
      distinct_id: anonId,
      uuid: randomUUID(),
      timestamp: new Date().toISOString(),
      properties: {
        ...properties,
        $session_id: session,
        os_type: Os.type(),
        os_release: Os.release(),
        is_ci: ci.isCI,
        container: isInsideContainer(),
        is_tty: process.stdout.isTTY
      }
    }
  })
  const [outbox = ""] = Fs.readdirSync(`${usage}/outbox`)
  const events = `${usage}/outbox/${outbox}/events`
  const temp = `${usage}/tmp/${randomFillSync(Buffer.alloc(8)).toString("hex")}`
  Fs.writeFileSync(temp, text, { flag: "wx", mode: 0o600 })
  Fs.renameSync(temp, `${events}/${Date.now()}.json`)
  Fs.readdirSync(events)
  Fs.readdirSync(`${usage}/outbox/${outbox}`)
}))
