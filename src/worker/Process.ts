/** The worker as a process. */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Destination from "../domain/Destination.ts"
import { byName } from "../domain/IdentityCodec.ts"
import * as StateHome from "../domain/StateHome.ts"
import * as WorkerJob from "../domain/WorkerJob.ts"
import * as EnvironmentConsent from "../layers/EnvironmentConsent.ts"
import * as FileOutbox from "../layers/FileOutbox.ts"
import * as Lease from "../layers/Lease.ts"
import { current, merge } from "../layers/NodeProcess.ts"
import * as OutboxWriter from "../layers/OutboxWriter.ts"
import * as StateFiles from "../layers/StateFiles.ts"
import { variable } from "../layers/WorkerMarks.ts"
import * as WorkerProcess from "../layers/WorkerProcess.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { compiledCodeFolder } from "./CompiledCode.ts"
import { PostHogClient } from "./PostHogClient.ts"
import * as SearchFile from "./SearchFile.ts"
import { sweep } from "./Sweep.ts"
import * as Worker from "./Worker.ts"

/** The time that a finished worker has to exit, before it is killed. */
const graceMillis = 250

const runtime = HostRuntime.of(merge({
  ci: undefined,
  agent: undefined,
  container: false,
  isolated: false,
  stdoutIsTerminal: false,
  stderrIsTerminal: false
}, current))

const settingsOf = (job: WorkerJob.WorkerJob) =>
  Effect.map(Path.Path, (path) =>
    UsageSettings.of({
      name: job.name,
      version: "",
      variables: "",
      home: StateHome.make(path, job.home),
      destination: job.destination,
      destinationId: job.destinationId,
      codec: byName(job.codec),
      bounds: { ageMillis: job.maxAgeMillis }
    }))

// Node.js creates its folder for compiled code with the mode of the umask.
const keepCodePrivate = (): void => {
  const folder = compiledCodeFolder()
  if (folder === undefined) return
  try {
    process.getBuiltinModule("node:fs").chmodSync(folder, 0o700)
  } catch {
    // An opt-out removed it.
  }
}

// Node.js creates the folder of the compile cache at the start of a process, which may be after an opt-out. If the
// folder is missing at exit, then Node.js writes nothing.
const cleanUp = (files: StateFiles.StateFiles, isAllowed: boolean, now: number, job: WorkerJob.WorkerJob): void => {
  if (isAllowed) return sweep(files, current.disk, now, job)
  process.getBuiltinModule("node:fs").rmSync(files.home.compileCache, { recursive: true, force: true })
}

/**
 * Runs a worker, and returns the number of delivered messages. It never rejects.
 *
 * A timer kills the process: `process.exit` would wait for a name look-up in the thread pool.
 */
export const run = async (): Promise<number> => {
  const until = Effect.runSync(Worker.monotonicMillis) + Lease.longestMillis
  setTimeout(() => process.kill(process.pid, "SIGKILL"), Lease.longestMillis).unref()
  const job = WorkerJob.decode(process.env[variable] ?? "")
  if (job === undefined) return 0
  // Checked again, as in the host: plain http, for example, is allowed on loopback only.
  const destination = Result.getOrUndefined(Destination.make(job.destination))
  if (destination === undefined) return 0
  // All later file operations are synchronous. If the home is on a network disk that hangs, then it hangs here, where
  // the timer above still runs.
  const { lstat } = process.getBuiltinModule("node:fs")
  const isGone = await new Promise((resolve) => lstat(job.home, (error) => resolve(error?.code === "ENOENT")))
  // A removed home must not be made again.
  if (isGone) return 0
  keepCodePrivate()
  // With this variable, posthog-node would use another endpoint and not return its answers.
  delete process.env["POSTHOG_CAPTURE_MODE"]
  // posthog-node compresses only if `Response` has a `blob`. Node's own `Response` would load undici, a third of the
  // CPU time of this process.
  Object.assign(globalThis, {
    Response: class {
      blob() {}
    }
  })
  const client = new PostHogClient(destination)
  const delivered = await Effect.gen(function*() {
    const settings = yield* UsageSettings
    // A worker does not have the user's variables. The host has checked them before it started the worker.
    const checks = yield* EnvironmentConsent.make
    const files = StateFiles.make({
      home: settings.home,
      path: yield* Path.Path,
      runtime,
      stillGiven: checks.stillGiven
    })
    const start = yield* WorkerProcess.make(files, job.keepsSent)
    const writer = OutboxWriter.make(files, settings)
    const outbox = yield* FileOutbox.makeWith(files, writer, job.keepsSent)
    const total = yield* Worker.run({
      send: (messages) => Effect.promise(() => client.send(messages)),
      isAllowed: () => checks.decide().enabled,
      job,
      leases: { files, folder: writer.folder.root, runtime },
      outbox,
      search: SearchFile.make(files, writer.folder.root),
      startSuccessor: Effect.ignore(start({ lingers: job.lingers, isAwaited: !job.lingers })),
      until
    })
    const now = yield* Clock.currentTimeMillis
    yield* Effect.ignore(Effect.try(() => cleanUp(files, checks.decide().enabled, now, job)))
    return total
  }).pipe(
    Effect.provideServiceEffect(UsageSettings, settingsOf(job)),
    Effect.provideService(HostRuntime, runtime),
    Effect.provide(NodePath.layer),
    Effect.catchCause(() => Effect.succeed(0)),
    Effect.runPromise
  )
  // An open handle, such as a name look-up without an answer, must not keep the process alive.
  setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMillis).unref()
  return delivered
}
