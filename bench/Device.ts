/**
 * A state home for the hosts to run on, and what the bench does to its outbox.
 */
import { spawnSync } from "node:child_process"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { variable } from "../src/layers/WorkerMarks.ts"

const key = "phc_bench"

/** The folder of every device, gone at the end. */
export const folder: string = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "acme-bench-")))

// A worker may still write for a moment.
export const clean = (): void => Fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })

process.once("exit", clean)

interface Message {
  readonly distinct_id: string
  readonly properties: object
}

let devices = 0

/** A device that sends to this PostHog. */
export const make = (host: string, variables: Readonly<Record<string, string>> = {}) => {
  const own = Path.join(folder, `device-${++devices}`)
  const home = Path.join(own, ".acme")
  Fs.mkdirSync(own, { mode: 0o700 })
  const destinationId = Crypto.createHash("sha256").update(`${host}\n${key}`).digest("hex").slice(0, 16)
  const outbox = Path.join(home, "usage/outbox", destinationId)
  const [backOff, events] = [Path.join(outbox, "back-off.json"), Path.join(outbox, "events")]
  const base = { PATH: process.env["PATH"] ?? "", HOME: own }
  const names = (): ReadonlyArray<string> => Fs.existsSync(events) ? Fs.readdirSync(events).toSorted() : []
  const read = (name: string): Message => JSON.parse(Fs.readFileSync(Path.join(events, name), "utf8")).message
  const last = (): Message | undefined => names().slice(-1).map(read)[0]
  let template: Message | undefined

  return {
    /** The state home of the hosts. */
    home,
    /** What a host is started with: no CI, no test run, no opt-out. */
    env: {
      ...base,
      ACME_HOME: home,
      ACME_API_URL: "http://127.0.0.1:9",
      ACME_POSTHOG_HOST: host,
      ACME_POSTHOG_KEY: key,
      ...variables
    },
    /** What a host starts a worker with, on a device that keeps compiled code. */
    workerEnv: {
      ...base,
      NODE_COMPILE_CACHE: Path.join(home, "usage/compile-cache"),
      [variable]: JSON.stringify({
        version: 1,
        name: "acme",
        variables: "ACME",
        home,
        codec: "arcade",
        destination: { host, key },
        destinationId,
        lingers: true,
        id: "started by the bench"
      })
    },
    /** Makes exactly so many messages wait, copies of one that waits already. */
    fill: (count: number): void => {
      template ??= last()
      if (template === undefined) throw new Error("no message waits that could be copied")
      for (const name of names()) Fs.rmSync(Path.join(events, name))
      const now = Date.now()
      for (let n = 0; n < count; n++) {
        const [uuid, invocation] = [Crypto.randomUUID(), Crypto.randomUUID()]
        const properties = { ...template.properties, invocation_id: invocation }
        const text = JSON.stringify({ version: 1, message: { ...template, uuid, properties } })
        const name = `${String(now - count + n).padStart(15, "0")}-000000-${invocation}-${uuid}-${
          Buffer.byteLength(text)
        }.json`
        Fs.writeFileSync(Path.join(events, name), text, { mode: 0o600 })
      }
    },
    waiting: (): number => names().length,
    /** The message that was recorded last, if it waits. */
    last,
    /** Backs off: no worker is started for a minute. */
    backOff: (): void => {
      Fs.mkdirSync(outbox, { recursive: true, mode: 0o700 })
      Fs.writeFileSync(backOff, JSON.stringify({ attempts: 1, until: Date.now() + 60_000 }), { mode: 0o600 })
    },
    /** Ends the back-off. */
    delivers: (): void => Fs.rmSync(backOff, { force: true })
  }
}

export type Device = ReturnType<typeof make>

/** A TLS key and a certificate of 127.0.0.1, or why there is none. */
export const certificate = (): { readonly key: string; readonly cert: string; readonly file: string } | string => {
  const [keyFile, file] = [Path.join(folder, "key.pem"), Path.join(folder, "cert.pem")]
  const request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
  const words = [...request.split(" "), "-keyout", keyFile, "-out", file]
  return spawnSync("openssl", words, { stdio: "ignore", timeout: 20_000 }).status === 0
    ? { key: Fs.readFileSync(keyFile, "utf8"), cert: Fs.readFileSync(file, "utf8"), file }
    : "there is no openssl to make a certificate with"
}
