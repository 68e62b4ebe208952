/** Drains an outbox into PostHog. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Message } from "../domain/Message.ts"
import type { WorkerJob } from "../domain/WorkerJob.ts"
import * as HeldLease from "../layers/HeldLease.ts"
import type { Leases } from "../layers/Lease.ts"
import type { Entry, Outbox } from "../services/Outbox.ts"
import type { Answer } from "./Transport.ts"

/** How long a worker lives, in milliseconds. */
export const lifeMillis = 10_000

/**
 * The longest that one request takes, and what is written down after it: nothing is begun that could not end within the
 * worker's life.
 */
const requestMillis = 5_500

/** How long a worker waits for more, so that a burst of commands needs few. */
const lingerMillis = 1_000
const lookEveryMillis = 500

// PostHog takes 20 MB; a request of this many messages, of which each is at most 64 KiB, stays below.
const maxBatch = 250

/** Sends messages in one request and says what PostHog answered; never fails. */
export type Send = (messages: ReadonlyArray<Message>) => Effect.Effect<Answer>

/** What a worker needs. */
export interface Options {
  readonly send: Send
  /** Whether the user has not opted out. */
  readonly isAllowed: () => boolean
  readonly job: Pick<WorkerJob, "id" | "lingers">
  readonly leases: Leases
  readonly outbox: Outbox["Service"]
  readonly startSuccessor: Effect.Effect<void>
  /** When it will be killed, in milliseconds since 1970. */
  readonly until: number
}

/** How a drain ended: nothing waits any more; something is kept for later; time ran out; or the user has opted out. */
export interface Drained {
  readonly delivered: number
  readonly outcome: "Empty" | "Kept" | "OutOfTime" | "Denied"
}

const halves = <A>(all: ReadonlyArray<A>): readonly [ReadonlyArray<A>, ReadonlyArray<A>] => {
  const middle = Math.ceil(all.length / 2)
  return [all.slice(0, middle), all.slice(middle)]
}

/**
 * Sends everything that waits, until nothing does, PostHog cannot take it, or `until` is near.
 *
 * `done` holds the uuids that this worker is done with: a file that cannot be removed is found again and again, and is
 * not sent again for that. `stands` says whether the lease does: an opt-out deletes it, and what was read before it must
 * not be sent after it, even where the user has enabled telemetry again.
 */
const drain = Effect.fnUntraced(function*(
  { isAllowed, outbox, send, until }: Pick<Options, "isAllowed" | "outbox" | "send" | "until">,
  done: Set<string>,
  stands: () => boolean
) {
  let delivered = 0
  let failure = "PostHog refuses every message (status 400)"
  const suspects: Array<Entry> = []
  const isDone = (entries: ReadonlyArray<Entry>) => entries.forEach(({ message }) => done.add(message.uuid))

  /** Sends a batch, in parts where PostHog refuses the whole; gives why it stopped, if it did. */
  const deliver = (
    batch: ReadonlyArray<Entry>
  ): Effect.Effect<Exclude<Drained["outcome"], "Empty"> | undefined> =>
    Effect.gen(function*() {
      const [first] = batch
      if (first === undefined) return undefined
      if ((yield* Clock.currentTimeMillis) + requestMillis > until) return "OutOfTime"
      if (!isAllowed() || !stands()) return "Denied"
      const answer = yield* send(batch.map((entry) => entry.message))
      switch (answer._tag) {
        case "Taken": {
          const taken = answer.quotaLimited ? batch.filter((entry) => entry._tag === "Event") : batch
          isDone(taken)
          delivered += taken.length
          if (taken.length === batch.length) {
            yield* outbox.delivered(taken)
            return undefined
          }
          // What PostHog dropped while an alias is kept is no success: it must not end the back-off.
          yield* outbox.remove(taken)
          failure = "the project is over its PostHog quota"
          return "Kept"
        }
        case "Kept":
          failure = answer.reason
          return "Kept"
        case "TooLarge":
        case "Malformed": {
          if (batch.length > 1) {
            const [left, right] = halves(batch)
            return (yield* deliver(left)) ?? (yield* deliver(right))
          }
          isDone(batch)
          if (answer._tag === "TooLarge") yield* outbox.setAside(first)
          else suspects.push(first)
          return undefined
        }
      }
    })

  let outcome: Drained["outcome"] | undefined
  while (outcome === undefined) {
    const { blocked, entries } = yield* outbox.look
    const waiting = entries.filter(({ message }) => !done.has(message.uuid))
    for (let sent = 0; sent < waiting.length && outcome === undefined; sent += maxBatch) {
      outcome = yield* deliver(waiting.slice(sent, sent + maxBatch))
    }
    // What cannot be read now waits for the next drain, and the status says why.
    if (outcome === undefined && blocked !== undefined) {
      failure = blocked
      outcome = "Kept"
    } else if (waiting.length === 0) outcome ??= "Empty"
  }

  // A message that is refused alone is at fault only where this host takes others.
  if (suspects.length > 0) {
    if (delivered > 0) yield* Effect.forEach(suspects, (suspect) => outbox.setAside(suspect), { discard: true })
    else outcome = "Kept"
  }
  if (outcome === "Kept" && stands()) yield* outbox.backOff(failure)
  return { delivered, outcome }
})

/**
 * A worker's whole life: takes the lease, drains, lingers for more, gives the lease up, and looks once more. Returns how
 * many messages it delivered.
 *
 * **Details**
 *
 * A host writes its message, then asks for the lease; a worker gives the lease up, then looks at the outbox. So either
 * the host gets the lease and starts a worker, or this last look finds the message and starts a successor.
 */
export const run = Effect.fnUntraced(function*(options: Options) {
  const { isAllowed, job, leases, outbox, startSuccessor, until } = options
  const startedAt = yield* Clock.currentTimeMillis
  const held = HeldLease.acquire(leases, startedAt, until - startedAt, {
    id: job.id,
    pid: leases.runtime.pid,
    boots: false
  })
  if (held === undefined) return 0
  const done = new Set<string>()

  const waitForMore: (deadline: number) => Effect.Effect<boolean> = Effect.fnUntraced(function*(deadline) {
    while ((yield* Clock.currentTimeMillis) < deadline) {
      yield* Effect.sleep(lookEveryMillis)
      if (!held.stands()) return false
      if (!(yield* outbox.isEmpty)) return true
    }
    return false
  })

  let isOver = !isAllowed()
  let lingerUntil: number | undefined
  let total = 0
  while (!isOver) {
    const { delivered, outcome } = yield* drain(options, done, held.stands)
    total += delivered
    const now = yield* Clock.currentTimeMillis
    if (delivered > 0 || lingerUntil === undefined) lingerUntil = Math.min(now + lingerMillis, until - requestMillis)
    isOver = outcome !== "Empty" || !job.lingers || !(yield* waitForMore(lingerUntil))
  }
  held.release(yield* Clock.currentTimeMillis)
  if (!isAllowed() || (yield* outbox.isEmpty)) return total
  if ((yield* outbox.backedOffUntil) > (yield* Clock.currentTimeMillis)) return total
  // A successor would find what can be neither sent nor removed, and start its own.
  const waits = (yield* outbox.entries).some(({ message }) => !done.has(message.uuid))
  if (waits) yield* startSuccessor
  return total
})
