/** Waits for workers: for those that would end with the command, and for a flush. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import type { Flushed, Obstacle } from "../services/CaptureWorker.ts"
import { isAbsent, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { Outbox, type OutboxStatus } from "../services/Outbox.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug, quietly } from "./Debug.ts"
import type { Looks } from "./EnvironmentConsent.ts"
import * as Lease from "./Lease.ts"
import type { StateFiles } from "./StateFiles.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

const pollMillis = 10

/** A worker's life of 10 s, and what it takes to start one. */
const lifeMillis = 11_000

const longestWaitMillis = 1000

const explain = ({ lease }: Lease.Seen): string =>
  lease?.boots === true
    ? "an earlier worker never began: it ended with its command, or it cannot run here, as where its file is gone"
    : "an earlier worker was ended from outside"

type Grant =
  | { readonly name: "run"; readonly command: string }
  | { readonly name: "write"; readonly path: string }

declare const Deno: { readonly permissions: { readonly querySync: (grant: Grant) => { readonly state: string } } }

// Undefined where Node.js was started without `--permission`.
const { permission }: { readonly permission?: Pick<NodeJS.ProcessPermission, "has"> } = process

// A runtime may grant less than the system does.
const isGranted = (grant: Grant): boolean => {
  if (process.versions["deno"] !== undefined) return Deno.permissions.querySync(grant).state === "granted"
  return (grant.name === "run" ? permission?.has("child") : permission?.has("fs.write", grant.path)) ?? true
}

// Why this process starts no other.
const unstartable = ({ disk, executable, runtime }: HostRuntime["Service"]): string | undefined => {
  if (process.getBuiltinModule("node:child_process") === undefined) {
    return `${runtime.language} ${runtime.version} has no node:child_process, which starts the worker`
  }
  if (!isGranted({ name: "run", command: executable })) {
    const flag = runtime.language === "deno" ? `--allow-run=${executable}` : "--allow-child-process"
    return `${runtime.language} was started without ${flag}, so it may start no worker`
  }
  const found = disk.follow(executable)
  return isRefused(found) && isAbsent(found) ? `${executable}, which runs the worker, is gone` : undefined
}

export const make = Effect.fnUntraced(function*(
  { files, invocationId, looks, start }: {
    readonly files: StateFiles
    readonly invocationId: string
    readonly looks: Looks
    /** Starts a worker; returns nothing where none was started. */
    readonly start: (how: WorkerProcess.Start) => Effect.Effect<WorkerProcess.Started | undefined>
  }
) {
  const settings = yield* UsageSettings
  const outbox = yield* Outbox
  const runtime = yield* HostRuntime
  const path = yield* Path.Path
  const folder = OutboxFolder.make(files.home, settings.destinationId)
  const leases = { files, folder: folder.root, runtime }
  const wait = Math.min(settings.deliveryWaitMillis ?? longestWaitMillis, longestWaitMillis)
  const isAllowed = Effect.sync(() => looks.decide().enabled)

  // A `Schedule` would be all that a command loads of that module.
  const until = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
    Effect.flatMap(holds, (done) => done ? Effect.void : Effect.andThen(Effect.sleep(pollMillis), until(holds)))

  const taken = until(Effect.map(outbox.has(invocationId), (waits) => !waits))
  const when = (holds: (seen: Lease.Seen) => boolean) =>
    until(Effect.map(Clock.currentTimeMillis, (now) => holds(Lease.look(leases, now))))
  const free = when(({ isHeld }) => !isHeld)
  const begun = when(({ lease }) => lease?.boots === false)

  // == what stands in the way

  // Of a folder that is not there, the one that it would be made in.
  const unwritable = (folder: string): string | undefined => {
    const code = isGranted({ name: "write", path: folder }) ? runtime.disk.access(folder) : "ERR_ACCESS_DENIED"
    const above = path.dirname(folder)
    if (isAbsent(code) && above !== folder) return unwritable(above)
    return code === undefined ? undefined : `${folder} cannot be written to (${code})`
  }

  const obstacles: Effect.Effect<ReadonlyArray<Obstacle>> = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const until = yield* outbox.backedOffUntil
    const { lastFailure = "PostHog took nothing" } = yield* outbox.status
    return yield* files.notes.run(() => {
      const seen = Lease.look(leases, now)
      const found: Array<Obstacle> = []
      if (runtime.worker === undefined) found.push({ what: "no_worker", why: WorkerProcess.missing })
      const cannotStart = unstartable(runtime)
      if (cannotStart !== undefined) found.push({ what: "no_process", why: cannotStart })
      const { root, temp, usage } = files.home
      const unwritten = [root, usage, temp, folder.root, folder.events].map(unwritable).find((problem) =>
        problem !== undefined
      )
      if (unwritten !== undefined) found.push({ what: "home_not_writable", why: unwritten })
      if (seen.isLeft) {
        found.push({
          what: seen.lease?.boots === true ? "worker_never_began" : "worker_ended",
          why: explain(seen)
        })
      }
      if (until > now) found.push({ what: "backed_off", why: lastFailure, until })
      return found
    })
  })

  // == a flush

  // A round is a worker's life; another one follows as long as something was delivered.
  const deliver = Effect.fnUntraced(function*(before: OutboxStatus) {
    let waiting = before.pending
    let isOwed = waiting > 0 || before.unread !== undefined
    while (isOwed && (yield* isAllowed)) {
      yield* Effect.timeoutOption(free, lifeMillis)
      const started = yield* start({ lingers: false, isAwaited: true })
      // On a slow machine a worker may take longer to begin than its starter holds the lease for it.
      const ended = started === undefined
        ? free
        : Effect.raceFirst(Effect.andThen(begun, free), Effect.promise(() => started.ended))
      yield* Effect.timeoutOption(ended, lifeMillis)
      const { pending } = yield* outbox.status
      isOwed = pending > 0 && pending < waiting
      waiting = pending
    }
    const [first] = yield* obstacles
    return first?.why ?? (yield* outbox.status).lastFailure
  }, quietly("could not deliver", undefined))

  const flush: Effect.Effect<Flushed> = Effect.gen(function*() {
    const before = yield* outbox.status
    const reason = yield* deliver(before)
    const after = yield* outbox.status
    const refused = after.setAside - before.setAside
    // What an opt-out deleted meanwhile was not delivered, and its number is not known.
    const delivered = (yield* isAllowed) ? Math.max(0, before.pending - after.pending - refused) : 0
    // Where something cannot be read now, that is kept, and its number is not known.
    const kept = after.unread === undefined ? after.pending : Math.max(1, after.pending)
    return { delivered, kept, reason: after.unread ?? reason }
  })

  // == the end of a command

  /** Waits until the events of this command are taken, or the worker that it started has ended. */
  const settle = Effect.fnUntraced(function*(started: WorkerProcess.Started | undefined, left?: Lease.Seen) {
    if (left !== undefined) yield* debug(`this command waits for delivery: ${explain(left)}`)
    // A worker that ends with this process before it gives up its lease would keep the next command's from starting.
    const done = started === undefined || started.lingers ? taken : Effect.andThen(taken, free)
    const ended = started === undefined ? done : Effect.raceFirst(done, Effect.promise(() => started.ended))
    // Neither a scope that closes nor a finalizer is interrupted by a signal; the wait ends all the same.
    yield* Effect.interruptible(Effect.raceFirst(Effect.timeoutOption(ended, wait), runtime.interrupted))
  })

  return { flush, obstacles, settle }
})
