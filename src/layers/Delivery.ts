/** Waits for workers: in a flush, and at the end of a command with which the worker may end. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import type { Flushed, Obstacle } from "../services/CaptureWorker.ts"
import { isAbsent, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { Outbox, type OutboxStatus } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug, debugFailure } from "./Debug.ts"
import type { Checks } from "./EnvironmentConsent.ts"
import { folderProblem } from "./HomeSafety.ts"
import * as Lease from "./Lease.ts"
import type { StateFiles } from "./StateFiles.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

const pollMillis = 10

/** The maximum life of a worker, 10 s, and the time of its start. */
const lifeMillis = 11_000

const longestWaitMillis = 1000

const explain = ({ lease }: Lease.LeaseState): string =>
  lease?.boots === true
    ? "the last worker did not begin: it was killed with its command, its file is missing, or the bundle's " +
      "entry does not import effect-cli-usage/worker/main"
    : "the last worker was killed"

type Grant =
  | { readonly name: "run"; readonly command: string }
  | { readonly name: "write"; readonly path: string }

declare const Deno: { readonly permissions: { readonly querySync: (grant: Grant) => { readonly state: string } } }

// Undefined if Node.js was started without `--permission`.
const { permission }: { readonly permission?: Pick<NodeJS.ProcessPermission, "has"> } = process

// A runtime may deny what the system permits.
const isGranted = (grant: Grant): boolean => {
  if (process.versions["deno"] !== undefined) return Deno.permissions.querySync(grant).state === "granted"
  return (grant.name === "run" ? permission?.has("child") : permission?.has("fs.write", grant.path)) ?? true
}

// Returns why this process cannot start a worker.
const startProblem = ({ disk, executable, runtime }: HostRuntime["Service"]): string | undefined => {
  if (process.getBuiltinModule("node:child_process") === undefined) {
    return `${runtime.language} ${runtime.version} has no node:child_process, which starts the worker`
  }
  if (!isGranted({ name: "run", command: executable })) {
    const flag = runtime.language === "deno" ? `--allow-run=${executable}` : "--allow-child-process"
    return `${runtime.language} was started without ${flag}, so it may start no worker`
  }
  const found = disk.follow(executable)
  return isRefused(found) && isAbsent(found) ? `${executable} is missing, so no worker can run` : undefined
}

export const make = Effect.fnUntraced(function*(
  { files, invocationId, checks, start }: {
    readonly files: StateFiles
    readonly invocationId: string
    readonly checks: Checks
    /** Starts a worker; undefined if none was started. Fails with the reason if none could be started. */
    readonly start: (how: WorkerProcess.Start) => Effect.Effect<WorkerProcess.Started | undefined, string>
  }
) {
  const settings = yield* UsageSettings
  const outbox = yield* Outbox
  const runtime = yield* HostRuntime
  const path = yield* Path.Path
  const folder = OutboxFolder.make(files.home, settings.destinationId)
  const leases = { files, folder: folder.root, runtime }
  const wait = Math.min(settings.deliveryWaitMillis ?? longestWaitMillis, longestWaitMillis)
  const isAllowed = Effect.sync(() => checks.decide().enabled)

  // Not by `Schedule`: a command uses nothing else of that module.
  const poll = (isDone: Effect.Effect<boolean>): Effect.Effect<void> =>
    Effect.flatMap(isDone, (done) => done ? Effect.void : Effect.andThen(Effect.sleep(pollMillis), poll(isDone)))

  const untilDelivered = poll(Effect.map(outbox.has(invocationId), (waits) => !waits))
  const untilLease = (holds: (seen: Lease.LeaseState) => boolean) =>
    poll(Effect.map(Clock.currentTimeMillis, (now) => holds(Lease.inspect(leases, now))))
  const untilReleased = untilLease(({ isHeld }) => !isHeld)
  const untilBegun = untilLease(({ lease }) => lease?.boots === false)

  // == obstacles

  // Returns why a folder cannot be written to. For a missing folder, its nearest existing parent is checked.
  const writeProblem = (folder: string): string | undefined => {
    const code = isGranted({ name: "write", path: folder }) ? runtime.disk.access(folder) : "ERR_ACCESS_DENIED"
    const above = path.dirname(folder)
    if (isAbsent(code) && above !== folder) return writeProblem(above)
    return code === undefined ? undefined : `${folder} cannot be written to (${code})`
  }

  // Returns why no file of a folder is read or written, such as after a `chmod -R g+w` of the home.
  const safetyProblem = (folders: ReadonlyArray<string>): string | undefined => {
    for (const folder of folders) {
      const entry = runtime.disk.look(folder)
      const problem = isRefused(entry) ? undefined : folderProblem(folder, entry, runtime.uid)
      if (problem !== undefined) return problem
    }
  }

  const obstacles: Effect.Effect<ReadonlyArray<Obstacle>> = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const until = yield* outbox.backedOffUntil
    const { lastFailure = "PostHog took nothing" } = yield* outbox.status
    return yield* files.notes.run(() => {
      const seen = Lease.inspect(leases, now)
      const found: Array<Obstacle> = []
      if (runtime.worker === undefined) found.push({ what: "no_worker", why: WorkerProcess.missing })
      const cannotStart = startProblem(runtime)
      if (cannotStart !== undefined) found.push({ what: "no_process", why: cannotStart })
      const { claims, outboxes, root, successors, temp, usage } = files.home
      const written = [root, usage, temp, outboxes, folder.root, folder.events]
      const notWritable = safetyProblem(written) ??
        written.map(writeProblem).find((problem) => problem !== undefined)
      if (notWritable !== undefined) found.push({ what: "home_not_writable", why: notWritable })
      if (seen.isStale) {
        found.push({
          what: seen.lease?.boots === true ? "worker_never_began" : "worker_ended",
          why: explain(seen)
        })
      }
      if (until > now) found.push({ what: "backed_off", why: lastFailure, until })
      const file = files.home.identityFile(settings.codec.fileName)
      const identity = files.read(file)
      const unreadable = identity._tag === "Unreadable"
        ? `${file} cannot be read (${identity.code})`
        : safetyProblem([claims, successors])
      if (unreadable !== undefined) found.push({ what: "identity_unreadable", why: unreadable })
      return found
    })
  })

  // == a flush

  // A round is a worker's life; another one follows as long as something was delivered.
  const deliver = Effect.fnUntraced(function*(before: OutboxStatus) {
    let problem: string | undefined
    let waiting = before.pending
    let hasWork = waiting > 0 || before.blocked !== undefined
    while (hasWork && (yield* isAllowed)) {
      yield* Effect.timeoutOption(untilReleased, lifeMillis)
      const started = yield* WorkerProcess.orElse(
        undefined,
        Effect.mapError(start({ lingers: false, isAwaited: true }), (why) => {
          problem = why
          return why
        })
      )
      // On a slow machine, the lease that the starter acquired may expire before the worker has begun.
      const ended = started === undefined
        ? untilReleased
        : Effect.raceFirst(Effect.andThen(untilBegun, untilReleased), Effect.promise(() => started.ended))
      yield* Effect.timeoutOption(ended, lifeMillis)
      const { pending } = yield* outbox.status
      hasWork = pending > 0 && pending < waiting
      waiting = pending
    }
    // A message is delivered without the identity file.
    const first = (yield* obstacles).find(({ what }) => what !== "identity_unreadable")
    return first?.why ?? problem ?? (yield* outbox.status).lastFailure
  }, debugFailure("could not deliver"))

  const flush: Effect.Effect<Flushed> = Effect.gen(function*() {
    const before = yield* outbox.status
    const reason = yield* deliver(before)
    const after = yield* outbox.status
    const refused = after.setAside - before.setAside
    const { decidedBy, enabled } = checks.decide()
    // If the user has opted out since, then the messages were deleted, and the number of delivered messages is unknown.
    // Refused messages may have been removed to make room for others.
    const isDelivered = enabled && after.lastDelivery !== before.lastDelivery
    const delivered = isDelivered ? Math.max(0, before.pending - after.pending - refused) : 0
    // If a message or claim cannot be read now, then at least one message is kept.
    const kept = after.blocked === undefined ? after.pending : Math.max(1, after.pending)
    const denial = enabled || kept === 0 ? undefined : `telemetry is off: ${ConsentDecision.explain(decidedBy)}`
    // A message of a newer version, or a file that cannot be set aside.
    const stuck = kept === 0 || (yield* outbox.entries).length > 0
      ? undefined
      : "no waiting file is a message of this version"
    return { delivered, kept, reason: denial ?? after.blocked ?? reason ?? stuck }
  })

  // == the end of a command

  /** Waits until the events of this command are delivered, or its worker has ended. */
  const waitForDelivery = Effect.fnUntraced(
    function*(started: WorkerProcess.Started | undefined, staleLease?: Lease.LeaseState) {
      if (staleLease !== undefined) yield* debug(`this command waits for delivery: ${explain(staleLease)}`)
      // A worker that is killed before it releases its lease would delay the worker of the next command.
      const done = started === undefined || started.lingers
        ? untilDelivered
        : Effect.andThen(untilDelivered, untilReleased)
      const ended = started === undefined ? done : Effect.raceFirst(done, Effect.promise(() => started.ended))
      // A signal does not interrupt a finalizer, but it must end the wait.
      yield* Effect.interruptible(Effect.raceFirst(Effect.timeoutOption(ended, wait), runtime.interrupted))
    }
  )

  return { flush, obstacles, waitForDelivery }
})
