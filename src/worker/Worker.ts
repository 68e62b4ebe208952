/** Drains an outbox into PostHog. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Message } from "../domain/Message.ts"
import type { WorkerJob } from "../domain/WorkerJob.ts"
import * as Lease from "../layers/Lease.ts"
import type { Entry, Outbox } from "../services/Outbox.ts"
import type { SearchFile } from "./SearchFile.ts"
import { type Answer, noAnswer } from "./Transport.ts"

/**
 * The maximum time of one request and of the writes after it. A worker sends no request that could exceed its life.
 */
const requestMillis = 5_500

/** The time that a worker waits for more messages, so that a burst of commands starts few workers. */
const lingerMillis = 1_000
const lookEveryMillis = 500

// PostHog accepts 20 MB. A request of this many messages, each of at most 64 KiB, is smaller.
const maxBatch = 250

/**
 * Returns the time of the monotonic clock in milliseconds. The time of day may change during the life of a worker, such
 * as by a time server.
 */
export const monotonicMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1_000_000
)

/** Sends messages in one request, and returns the answer of PostHog. It never fails. */
export type Send = (messages: ReadonlyArray<Message>) => Effect.Effect<Answer>

/** The dependencies of a worker. */
export interface Options {
  readonly send: Send
  /** Returns whether consent is given. */
  readonly isAllowed: () => boolean
  readonly job: Pick<WorkerJob, "id" | "lingers">
  readonly leases: Lease.Leases
  readonly outbox: Outbox["Service"]
  readonly search: SearchFile
  readonly startSuccessor: Effect.Effect<void>
  /** The time at which the worker is killed, in milliseconds of the monotonic clock. */
  readonly until: number
}

// The outcome of a drain: the outbox is empty, messages are kept, the time is over, or the user has opted out.
type Outcome = "Empty" | "Kept" | "OutOfTime" | "Denied"

const halves = <A>(all: ReadonlyArray<A>): readonly [ReadonlyArray<A>, ReadonlyArray<A>] => {
  const middle = Math.ceil(all.length / 2)
  return [all.slice(0, middle), all.slice(middle)]
}

/**
 * Sends the messages of the outbox, until it is empty, PostHog does not accept them, or `until` is near.
 *
 * If PostHog refuses a batch, then the halves are sent, until each refused message is found. A drain that has no time for
 * that stores the search, and the next drain continues it (ADR 0034).
 *
 * `handled` has the uuids of messages that must not be sent again, also if their files cannot be removed. `isHeld`
 * returns whether the lease is held: an opt-out deletes it, and messages that were read before must not be sent after
 * it, even if the user has enabled telemetry again.
 */
const drain = Effect.fnUntraced(function*(
  { isAllowed, outbox, search, send, until }: Pick<Options, "isAllowed" | "outbox" | "search" | "send" | "until">,
  handled: Set<string>,
  isHeld: () => boolean
) {
  const before = search.read()
  let limit = Math.min(before?.batch ?? maxBatch, maxBatch)
  // The first batch of the next drain, if this one ends now.
  let nextBatch = limit
  const refused = new Set(before?.refused)
  let refusals = 0
  let delivered = 0
  let failure = "PostHog refuses every message (status 400 or 413)"
  const suspects: Array<Entry> = []
  const markHandled = (entries: ReadonlyArray<Entry>) => entries.forEach(({ message }) => handled.add(message.uuid))

  /** Sends a batch. If PostHog refuses it, then it sends the halves. Returns why it stopped, if it stopped. */
  const deliver = (batch: ReadonlyArray<Entry>): Effect.Effect<Exclude<Outcome, "Empty"> | undefined> =>
    Effect.gen(function*() {
      const [first] = batch
      if (first === undefined) return undefined
      if ((yield* monotonicMillis) + requestMillis > until) return "OutOfTime"
      if (!isAllowed() || !isHeld()) return "Denied"
      const answer = yield* send(batch.map((entry) => entry.message))
      switch (answer._tag) {
        case "Taken": {
          const taken = answer.quotaLimited ? batch.filter((entry) => entry._tag === "Event") : batch
          markHandled(taken)
          taken.forEach(({ message }) => refused.delete(message.uuid))
          delivered += taken.length
          if (taken.length === batch.length) {
            yield* outbox.delivered(taken)
            return undefined
          }
          // PostHog dropped the events over the quota, and an alias is kept: this must not end the back-off.
          yield* outbox.remove(taken)
          failure = "the project is over its PostHog quota"
          return "Kept"
        }
        case "Kept":
          failure = answer.reason
          // The upload or the server may be too slow for so many.
          if (failure === noAnswer) nextBatch = Math.ceil(batch.length / 2)
          return "Kept"
        case "TooLarge":
        case "Malformed": {
          refusals += 1
          nextBatch = Math.ceil(batch.length / 2)
          if (batch.length > 1) {
            const [left, right] = halves(batch)
            return (yield* deliver(left)) ?? (yield* deliver(right))
          }
          markHandled(batch)
          suspects.push(first)
          // Not an alias: it must be sent before the events of its account.
          if (first._tag === "Event") {
            refused.delete(first.message.uuid)
            refused.add(first.message.uuid)
          }
          return undefined
        }
      }
    })

  const deliverAll = Effect.fnUntraced(function*(entries: ReadonlyArray<Entry>) {
    for (let rest = entries; rest.length > 0;) {
      const batch = rest.slice(0, limit)
      rest = rest.slice(batch.length)
      const refusalsBefore = refusals
      const stopped = yield* deliver(batch)
      if (stopped !== undefined) return stopped
      if (refusals === refusalsBefore) limit = Math.min(limit * 2, maxBatch)
      nextBatch = limit
    }
    return undefined
  })

  let outcome: Outcome | undefined
  while (outcome === undefined) {
    const { blocked, entries, isPartial } = yield* outbox.look
    const waiting = entries.filter(({ message }) => !handled.has(message.uuid))
    const byUuid = new Map(entries.map((entry) => [entry.message.uuid, entry]))
    if (!isPartial) { for (const uuid of refused) if (!byUuid.has(uuid)) refused.delete(uuid) }
    // Events that PostHog refused before are last, so that they do not take the time of every worker.
    const again = [...refused].flatMap((uuid) => handled.has(uuid) ? [] : byUuid.get(uuid) ?? [])
    outcome = (yield* deliverAll(waiting.filter(({ message }) => !refused.has(message.uuid)))) ??
      (yield* deliverAll(again))
    // Messages that cannot be read now are kept for the next drain, and the reason is stored for the status.
    if (outcome === undefined && blocked !== undefined) {
      failure = blocked
      outcome = "Kept"
    } else if (waiting.length === 0 && isPartial) {
      failure = "messages that were sent cannot be removed"
      outcome ??= "Kept"
    } else if (waiting.length === 0) outcome ??= "Empty"
  }

  if (delivered > 0) {
    // A message that is refused alone is invalid or too large only if PostHog accepts other messages.
    yield* Effect.forEach(suspects, (suspect) => outbox.setAside(suspect), { discard: true })
    suspects.forEach(({ message }) => refused.delete(message.uuid))
  } else if (outcome === "OutOfTime" && refusals > 0) {
    // Successors without a delivery would follow each other without a back-off.
    failure = "PostHog refuses a batch (status 400 or 413), and the next worker continues the search for the message"
    outcome = "Kept"
  } else if (suspects.length > 0) outcome = "Kept"
  if (!isHeld()) return { delivered, outcome }
  const isUnfinished = outcome === "Kept" || outcome === "OutOfTime"
  if (isUnfinished && (nextBatch < maxBatch || refused.size > 0)) {
    search.write({ batch: nextBatch, refused: [...refused] })
  } else if (before !== undefined) search.remove()
  if (outcome === "Kept") yield* outbox.backOff(failure)
  return { delivered, outcome }
})

/**
 * Runs a worker: acquires the lease, drains the outbox, lingers for more messages, releases the lease, and checks the
 * outbox again. Returns the number of delivered messages.
 *
 * **Details**
 *
 * A host writes its message, then acquires the lease. A worker releases the lease, then checks the outbox. So either
 * the host acquires the lease and starts a worker, or the worker finds the message and starts a successor.
 */
export const run = Effect.fnUntraced(function*(options: Options) {
  const { isAllowed, job, leases, outbox, startSuccessor, until } = options
  const startedAt = yield* monotonicMillis
  // Other processes compare the end of the lease with the time of day.
  const held = Lease.acquire(leases, yield* Clock.currentTimeMillis, until - startedAt, {
    id: job.id,
    pid: leases.runtime.pid,
    boots: false
  })
  if (typeof held !== "object") return 0
  const handled = new Set<string>()

  const waitForMore = Effect.fnUntraced(function*(deadline: number) {
    while ((yield* monotonicMillis) < deadline) {
      yield* Effect.sleep(lookEveryMillis)
      if (!held.isHeld()) return false
      if (!(yield* outbox.isEmpty)) return true
    }
    return false
  })

  let isOver = !isAllowed()
  let lingerUntil: number | undefined
  let isKept = false
  let total = 0
  while (!isOver) {
    const { delivered, outcome } = yield* drain(options, handled, held.isHeld)
    total += delivered
    isKept = outcome === "Kept"
    // Otherwise successors would follow each other on a slow disk, without a request and without a back-off.
    if (outcome === "OutOfTime" && delivered === 0 && lingerUntil === undefined && held.isHeld()) {
      isKept = true
      yield* outbox.backOff("a worker had no time for a request: the disk is slow, or the machine was suspended")
    }
    const now = yield* monotonicMillis
    if (delivered > 0 || lingerUntil === undefined) lingerUntil = Math.min(now + lingerMillis, until - requestMillis)
    isOver = outcome !== "Empty" || !job.lingers || !(yield* waitForMore(lingerUntil))
  }
  held.release((yield* monotonicMillis) - startedAt)
  // The next command starts a worker after the back-off, which may not be on disk: the disk may be full.
  if (isKept || !isAllowed() || (yield* outbox.isEmpty)) return total
  if ((yield* outbox.backedOffUntil) > (yield* Clock.currentTimeMillis)) return total
  // A successor would send again what could not be removed, and successors would follow each other without end.
  const { entries } = yield* outbox.look
  if (entries.length > 0 && !entries.some(({ message }) => handled.has(message.uuid))) yield* startSuccessor
  return total
})
