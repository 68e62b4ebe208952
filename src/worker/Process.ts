/**
 * The worker as a process.
 *
 * @since 0.1.0
 */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Destination from "../domain/Destination.ts"
import { byName } from "../domain/IdentityCodec.ts"
import * as StateHome from "../domain/StateHome.ts"
import * as WorkerJob from "../domain/WorkerJob.ts"
import { quietly } from "../layers/Debug.ts"
import * as EnvironmentConsent from "../layers/EnvironmentConsent.ts"
import * as FileClaims from "../layers/FileClaims.ts"
import * as FileOutbox from "../layers/FileOutbox.ts"
import * as FileWorkerLease from "../layers/FileWorkerLease.ts"
import * as NodeProcess from "../layers/NodeProcess.ts"
import * as StateFiles from "../layers/StateFiles.ts"
import * as SyncNodeChildProcessSpawner from "../layers/SyncNodeChildProcessSpawner.ts"
import * as SyncNodeFileSystem from "../layers/SyncNodeFileSystem.ts"
import { variable } from "../layers/WorkerMarks.ts"
import * as WorkerProcess from "../layers/WorkerProcess.ts"
import { CaptureWorker } from "../services/CaptureWorker.ts"
import { Consent } from "../services/Consent.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { PostHogClient } from "./PostHogClient.ts"
import * as Worker from "./Worker.ts"

/** `O_CLOEXEC` on Linux. */
const closeOnExec = 0o2000000

/** How long a worker that is done may take to end by itself. */
const graceMillis = 250

const runtime = Layer.succeed(
  RuntimeEnvironment,
  RuntimeEnvironment.of({
    ci: undefined,
    agent: undefined,
    container: false,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    ...NodeProcess.facts
  })
)

const settings = (job: WorkerJob.WorkerJob) =>
  Layer.effect(
    UsageSettings,
    Effect.map(Path.Path, (path) => {
      const codec = byName(job.codec)
      return UsageSettings.of({
        name: job.name,
        version: "",
        variables: job.variables,
        home: StateHome.make(path, job.home),
        destination: job.destination,
        destinationId: job.destinationId,
        codec
      })
    })
  )

const successor = (job: WorkerJob.WorkerJob) =>
  Layer.effect(
    CaptureWorker,
    Effect.map(WorkerProcess.make, (start) =>
      CaptureWorker.of({
        ensure: start(job).pipe(Effect.asVoid, quietly("no successor could be started", undefined)),
        flush: Effect.succeed({ delivered: 0, kept: 0 })
      }))
  )

/**
 * The layers of a worker for a job.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (job: WorkerJob.WorkerJob) =>
  FileOutbox.layer.pipe(
    Layer.provideMerge(FileClaims.layer),
    Layer.merge(successor(job)),
    Layer.provideMerge(FileWorkerLease.layer),
    Layer.provideMerge(StateFiles.layer),
    Layer.provideMerge(EnvironmentConsent.layer),
    Layer.provide(settings(job)),
    Layer.provide([
      runtime,
      NodeProcess.layer,
      SyncNodeFileSystem.layer,
      SyncNodeChildProcessSpawner.layer,
      NodePath.layer
    ])
  )

// Node keeps what it was given from its children up to descriptor 15 only; every one of its own closes on exec. What
// does not is somebody else's: the pipe of a shell's process substitution, of a CI runner.
const closeInherited = (): void => {
  const { closeSync, existsSync, readdirSync, readFileSync } = process.getBuiltinModule("node:fs")
  if (!existsSync("/proc/self/fd")) return
  for (const fd of readdirSync("/proc/self/fd").map(Number).filter((fd) => fd > 15)) {
    try {
      const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1]
      if (flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0) closeSync(fd)
    } catch {
      // The descriptor of the listing itself is gone.
    }
  }
}

// Node.js makes the folder for a process's compiled code when the process starts, which may be after an opt-out, and
// writes into it when the process ends; where the folder is gone by then, nothing is written.
const tidy = Effect.gen(function*() {
  const files = yield* StateFiles.StateFiles
  const { decision } = yield* Consent
  yield* (yield* decision).enabled ? files.sweep : files.remove(files.home.compileCache)
})

/**
 * Runs a worker to its end, and gives how many messages it delivered; never rejects.
 *
 * The timer ends it whatever hangs: `process.exit` would wait for a name look-up in the thread pool.
 *
 * @category running
 * @since 0.1.0
 */
export const run = async (): Promise<number> => {
  const until = Date.now() + Worker.lifeMillis
  setTimeout(() => process.kill(process.pid, "SIGKILL"), Worker.lifeMillis).unref()
  const job = Option.getOrUndefined(WorkerJob.decode(process.env[variable] ?? ""))
  if (job === undefined) return 0
  // As the host checked it: plain http, for example, goes to this machine only.
  const destination = Result.getOrUndefined(Destination.make(job.destination))
  if (destination === undefined) return 0
  closeInherited()
  // The file system is synchronous from here on. A home that does not answer, on a network that is gone, must be met
  // where the timer above still runs.
  const { lstat } = process.getBuiltinModule("node:fs")
  await new Promise((resolve) => lstat(job.home, resolve))
  // This variable would send posthog-node to another endpoint, whose answers it does not tell.
  delete process.env["POSTHOG_CAPTURE_MODE"]
  // posthog-node's constructor only asks whether there is a `Response` with a `blob`: else it does not compress. Looking
  // at Node's own loads undici, which this process never uses: a third of its CPU time.
  Object.assign(globalThis, {
    Response: class {
      blob() {}
    }
  })
  const client = new PostHogClient(destination)
  const { lease, lingers } = job
  const delivered = await Worker.run({
    send: (messages) => Effect.promise(() => client.send(messages)),
    lingers,
    until,
    lease
  }).pipe(
    Effect.tap(tidy),
    Effect.provide(layer(job)),
    Effect.catchCause(() => Effect.succeed(0)),
    Effect.runPromise
  )
  // What still holds the process, a name look-up that never answers, has nothing to do any more.
  setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMillis).unref()
  return delivered
}
