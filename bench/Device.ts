/**
 * A state home for the hosts to run on, and what the bench itself does to its outbox.
 */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as EffectPath from "effect/Path"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { arcade } from "../src/domain/IdentityCodec.ts"
import * as Message from "../src/domain/Message.ts"
import * as OutboxFolder from "../src/domain/OutboxFolder.ts"
import * as StateHome from "../src/domain/StateHome.ts"
import * as WorkerJob from "../src/domain/WorkerJob.ts"
import { variable } from "../src/layers/WorkerMarks.ts"

const key = "phc_bench"

/** The folder of every device, gone at the end. */
export const folder: string = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "acme-bench-")))

// A worker may still write for a moment.
export const clean = (): void => Fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })

process.once("exit", clean)

export interface Device {
  /** What a host is started with: no CI, no test run, nobody's opt-out. */
  readonly env: Readonly<Record<string, string>>
  /** What a worker is started with, as a host starts it. */
  readonly workerEnv: (lingers: boolean) => Readonly<Record<string, string>>
  /** Makes exactly so many messages wait, copies of one that waits already. */
  readonly fill: (count: number) => void
  readonly waiting: () => number
  /** Says that no worker is to be started for a minute. */
  readonly backOff: () => void
}

const path = Effect.runSync(Effect.provide(EffectPath.Path, NodePath.layer))
let devices = 0

/** A device that sends to this PostHog. */
export const make = (host: string): Device => {
  const own = Path.join(folder, `device-${++devices}`)
  const home = Path.join(own, ".acme")
  Fs.mkdirSync(own, { mode: 0o700 })
  const destinationId = Crypto.createHash("sha256").update(`${host}\n${key}`).digest("hex").slice(0, 16)
  const at = StateHome.make(path, home)
  const { compileCache } = at
  const { backOff, events } = OutboxFolder.make(at, destinationId)
  const base = { PATH: process.env["PATH"] ?? "", HOME: own }
  const names = (): ReadonlyArray<string> => Fs.existsSync(events) ? Fs.readdirSync(events) : []
  let template: Message.Message | undefined

  return {
    env: {
      ...base,
      ACME_HOME: home,
      ACME_API_URL: "http://127.0.0.1:9",
      ACME_POSTHOG_HOST: host,
      ACME_POSTHOG_KEY: key
    },
    workerEnv: (lingers) => ({
      ...base,
      ...(lingers ? { NODE_COMPILE_CACHE: compileCache } : {}),
      [variable]: WorkerJob.encode({
        version: 1,
        name: "acme",
        variables: "ACME",
        home,
        codec: arcade.name,
        destination: { host, key },
        destinationId,
        lingers
      })
    }),
    fill: (count) => {
      for (const name of names()) {
        const file = Path.join(events, name)
        template ??= Option.getOrUndefined(Message.decode(Fs.readFileSync(file, "utf8")))?.message
        Fs.rmSync(file)
      }
      if (template === undefined) throw new Error("no message waits that could be copied")
      const now = Date.now()
      for (let n = 0; n < count; n++) {
        const message = {
          ...template,
          uuid: Crypto.randomUUID(),
          properties: { ...template.properties, invocation_id: Crypto.randomUUID() }
        }
        const text = Message.encode(message)
        const name = OutboxFolder.eventName(message, now - count + n, Buffer.byteLength(text))
        Fs.writeFileSync(Path.join(events, name), text, { mode: 0o600 })
      }
    },
    waiting: () => names().length,
    backOff: () => {
      Fs.mkdirSync(Path.dirname(backOff), { recursive: true, mode: 0o700 })
      Fs.writeFileSync(backOff, JSON.stringify({ attempts: 1, until: Date.now() + 60_000 }), { mode: 0o600 })
    }
  }
}

/** A TLS key and a certificate of 127.0.0.1, or why there is none. */
export const certificate = (
  openssl: (args: ReadonlyArray<string>) => boolean
): { readonly key: string; readonly cert: string; readonly file: string } | string => {
  const [keyFile, file] = [Path.join(folder, "key.pem"), Path.join(folder, "cert.pem")]
  const request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
  const made = openssl([...request.split(" "), "-keyout", keyFile, "-out", file])
  return made
    ? { key: Fs.readFileSync(keyFile, "utf8"), cert: Fs.readFileSync(file, "utf8"), file }
    : "there is no openssl to make a certificate with"
}
