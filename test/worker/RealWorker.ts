/**
 * The worker as its starters run it: a real process, on a device of its own, with a PostHog on loopback.
 */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EffectPath from "effect/Path"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { bundleWorker } from "../../scripts/WorkerBundle.ts"
import * as BackOff from "../../src/domain/BackOff.ts"
import * as Claim from "../../src/domain/Claim.ts"
import * as JsonDocument from "../../src/domain/JsonDocument.ts"
import * as Message from "../../src/domain/Message.ts"
import * as OutboxFolder from "../../src/domain/OutboxFolder.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as WorkerJob from "../../src/domain/WorkerJob.ts"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import type * as PostHogSink from "../../src/testing/PostHogSink.ts"
import * as Devices from "../fixtures/Device.ts"
import { filesIn, temporaryFolder } from "../fixtures/Folders.ts"
import { aliasOf } from "../fixtures/Messages.ts"
import * as Process from "../fixtures/Process.ts"
import { eventually, makeSink } from "../fixtures/Wait.ts"

export type Ended = Process.Ended
export { eventually }

const { claimOf, destinationId } = Devices

// A slow or busy machine does not meet the limits of a request (5 s) and of a worker's life (10 s). A shorter timer is a
// poll, or the time that the process has to end.
const slowClock = `
const factor = Number(process.env["TEST_SLOW_CLOCK"])
const { bigint } = process.hrtime
const startedAt = bigint()
process.hrtime.bigint = () => startedAt + (bigint() - startedAt) / BigInt(factor)
const { setTimeout } = globalThis
globalThis.setTimeout = (fire, millis, ...rest) =>
  setTimeout(fire, millis >= 5000 ? Math.min(millis * factor, 2 ** 31 - 1) : millis, ...rest)
`

// == processes

export interface StartOptions {
  readonly job?: Partial<WorkerJob.WorkerJob>
  /** The whole text of the job's variable, in place of a job; no variable at all where it is null. */
  readonly jobText?: string | null
  readonly arguments?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

/** A process that ended by itself, without a word. */
export const silently: Ended = { stdout: "", stderr: "", code: 0, signal: null }

export interface Running {
  readonly pid: number
  readonly ended: Effect.Effect<Ended>
  readonly kill: (signal?: NodeJS.Signals) => Effect.Effect<void>
}

// == devices

/** What lies in the outbox. */
export interface OnDisk {
  /** The uuids of the events that wait, oldest first; the name of what is no event. */
  readonly waiting: ReadonlyArray<string>
  readonly setAside: ReadonlyArray<string>
  readonly backOff: BackOff.BackOff | undefined
  readonly lastDelivery: number | undefined
  /** The anon ids whose alias is marked as `delivered` or `set-aside`. */
  readonly settled: ReadonlyArray<string>
  readonly leases: ReadonlyArray<string>
}

export interface Device {
  readonly home: string
  readonly folder: OutboxFolder.OutboxFolder
  readonly sink: PostHogSink.PostHogSink
  /** Puts events into the outbox, as hosts do. */
  readonly record: (...messages: ReadonlyArray<Message.Message>) => Effect.Effect<void>
  /** Claims an anon id, with an alias that is owed. */
  readonly claim: (n: number, anonId: string, principal: string) => Effect.Effect<void>
  readonly start: (options?: StartOptions) => Effect.Effect<Running, never, Scope.Scope>
  /** Runs a worker to its end. */
  readonly run: (options?: StartOptions) => Effect.Effect<Ended>
  readonly disk: Effect.Effect<OnDisk>
  /** Every file and empty folder of the home. */
  readonly files: Effect.Effect<ReadonlyArray<string>>
  /** Which messages were ever sent in other bytes than those on disk. */
  readonly altered: Effect.Effect<ReadonlyArray<string>>
}

const list = (folder: string): ReadonlyArray<string> =>
  Fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? Fs.readdirSync(folder).toSorted() : []

const text = (file: string): string => Fs.existsSync(file) ? Fs.readFileSync(file, "utf8") : ""

const lastDelivery = JsonDocument.decoder(({ at }) => Predicate.isNumber(at) ? at : undefined)

const uuidIn = (name: string): string => name.split("-").slice(7, 12).join("-") || name

const spawn = Effect.fnUntraced(function*(words: ReadonlyArray<string>, env: Record<string, string>) {
  const { child, ended } = yield* Process.start([process.execPath, ...words], { env })
  const kill = (signal: NodeJS.Signals = "SIGKILL") => Effect.sync(() => void child.kill(signal))
  yield* Effect.addFinalizer(() => Effect.andThen(kill(), ended))
  return { pid: child.pid ?? 0, ended, kill }
})

/**
 * Makes devices, on each of which the real worker runs.
 */
export class RealWorker extends Context.Service<RealWorker, {
  /** The worker, bundled as it ships. */
  readonly file: string
  readonly device: (sink?: PostHogSink.PostHogSink) => Effect.Effect<Device, PostHogSink.SinkError, Scope.Scope>
}>()("test/worker/RealWorker") {
  static readonly layer: Layer.Layer<RealWorker, Cause.UnknownError> = Layer.effect(
    this,
    Effect.gen(function*() {
      const folder = yield* temporaryFolder("worker-test-")
      const file = Path.join(folder, "main.cjs")
      // As the published one is made, but for its names: a stack trace is to be read.
      yield* Effect.tryPromise(() => bundleWorker(file, false))
      const clock = Path.join(folder, "slow-clock.cjs")
      Fs.writeFileSync(clock, slowClock)
      const path = yield* EffectPath.Path
      let devices = 0

      return {
        file,
        device: Effect.fnUntraced(function*(given) {
          const sink = given ?? (yield* makeSink())
          const home = Path.join(folder, `device-${++devices}`)
          Fs.mkdirSync(home, { mode: 0o700 })
          const at = StateHome.make(path, home)
          const { claims } = at
          const outbox = OutboxFolder.make(at, destinationId)
          const texts = new Map<string, string>()
          const write = (path: string, text: string) => {
            Fs.mkdirSync(Path.dirname(path), { recursive: true, mode: 0o700 })
            Fs.writeFileSync(path, text, { mode: 0o600 })
          }
          const keep = (message: Message.Message) => texts.set(message.uuid, JSON.stringify(message))

          const start: Device["start"] = (options = {}) => {
            const job = {
              name: "acme",
              home,
              codec: "arcade",
              destination: { host: sink.url, key: "phc_test" },
              destinationId,
              lingers: false,
              keepsSent: true,
              maxAgeMillis: Infinity,
              id: "started by a test",
              ...options.job
            } as const
            const { arguments: words = [file, marker], env = {}, jobText = WorkerJob.encode(job) } = options
            return spawn(["--require", clock, ...words], {
              // A worker that lingers does so by its clock.
              TEST_SLOW_CLOCK: job.lingers ? "3" : "60",
              PATH: process.env["PATH"] ?? "",
              HOME: home,
              ...(jobText === null ? {} : { [variable]: jobText }),
              ...env
            })
          }

          return {
            home,
            folder: outbox,
            sink,
            record: (...messages) =>
              Effect.sync(() => {
                for (const message of messages) {
                  const text = Message.encode(message)
                  const name = OutboxFolder.eventName(
                    message,
                    Date.parse(message.timestamp),
                    new TextEncoder().encode(text).length
                  )
                  write(Path.join(outbox.events, name), text)
                  keep(message)
                }
              }),
            claim: (n, anon, principal) =>
              Effect.sync(() => {
                const alias = aliasOf(n, anon, principal)
                keep(alias)
                const owed = { destination: destinationId, alias }
                const claim = claimOf(Devices.anonId(anon), Devices.principalId(principal), owed)
                write(Path.join(claims, `${anon}.json`), Claim.encode(claim))
              }),
            start,
            run: (options) => Effect.scoped(Effect.flatMap(start(options), ({ ended }) => ended)),
            disk: Effect.sync(() => ({
              waiting: list(outbox.events).map(uuidIn),
              setAside: list(outbox.setAside).map(uuidIn),
              backOff: BackOff.decode(text(outbox.backOff)),
              lastDelivery: lastDelivery(text(outbox.lastDelivery)),
              settled: list(claims).filter((name) => !name.endsWith(".json")),
              leases: list(outbox.root).filter((name) => name.startsWith("lease-"))
            })),
            files: Effect.sync(() => filesIn(home)),
            altered: Effect.map(
              Effect.all([sink.attempts, sink.requests]),
              ([attempts, requests]) =>
                attempts.filter(({ raw, request, uuid }) =>
                  texts.get(uuid) !== raw || !(requests[request]?.body.includes(raw) ?? false)
                ).map(({ raw }) => raw)
            )
          } satisfies Device
        })
      }
    })
  ).pipe(Layer.provide(NodePath.layer))
}
