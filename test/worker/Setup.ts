/**
 * Hosts and workers of a device, in this process: over one disk, with a transport and a clock of the test.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { Message } from "../../src/domain/Message.ts"
import type { WorkerJob } from "../../src/domain/WorkerJob.ts"
import * as FileOutbox from "../../src/layers/FileOutbox.ts"
import type { HostRuntime } from "../../src/layers/index.ts"
import * as Lease from "../../src/layers/Lease.ts"
import * as OutboxWriter from "../../src/layers/OutboxWriter.ts"
import * as WorkerProcess from "../../src/layers/WorkerProcess.ts"
import type { Disk } from "../../src/services/Disk.ts"
import * as SearchFile from "../../src/worker/SearchFile.ts"
import * as Worker from "../../src/worker/Worker.ts"
import * as Device from "../fixtures/Device.ts"
import { filesOf, leasesOf, machineOf } from "../fixtures/Files.ts"
import { event } from "../fixtures/Messages.ts"

const { persistent } = Device

export type Runtime = HostRuntime["Service"]

/** Its workers are processes that end at once and do nothing; they count as alive. */
export const idle: Runtime = { ...persistent, executable: "/bin/sh", worker: ["-c", ":"] }

type Answer = Effect.Success<ReturnType<Worker.Send>>

export const taken: Answer = { _tag: "Taken", quotaLimited: false }

export interface ProcessOptions {
  readonly disk?: Disk
  readonly runtime?: Runtime
}

/** A worker, or a host, of a device: its own services over the same disk. */
export const processOf = Effect.fnUntraced(
  function*(device: Device.Device, { runtime = idle, ...options }: ProcessOptions = {}) {
    const files = filesOf(device, options)
    const machine = machineOf(device, { runtime })
    const leases = leasesOf(device, { ...options, runtime })
    const writer = OutboxWriter.make(files, device.settings)
    const outbox = yield* Effect.provide(FileOutbox.makeWith(files, writer), machine)
    const start = yield* Effect.provide(WorkerProcess.make(files, true), machine)
    return {
      files,
      leases,
      machine,
      outbox,
      /** Writes an event, as a host does. */
      write: (n: number): boolean => writer.add(event(n), 0),
      /** Starts a worker; returns whether it did, for none is started where the lease is held. */
      start: (options: Partial<WorkerProcess.Start> = {}) =>
        Effect.map(
          WorkerProcess.orElse(undefined, start({ lingers: false, isAwaited: true, ...options })),
          (started) => started !== undefined
        ),
      lease: () => Lease.newest(leases) ?? 0,
      seen: Effect.map(Clock.currentTimeMillis, (now) => Lease.inspect(leases, now)),
      /** Runs a worker; returns how many messages it delivered. */
      work: ({ life = Lease.longestMillis, lingers = false, ...options }:
        & Partial<Pick<WorkerJob, "lingers">>
        & Partial<Pick<Worker.Options, "isAllowed" | "send" | "startSuccessor">>
        & { readonly life?: number } = {}) =>
        Effect.flatMap(Effect.all([Clock.currentTimeMillis, Worker.monotonicMillis]), ([now, monotonic]) =>
          Worker.run({
            send: () => Effect.succeed(taken),
            isAllowed: () => true,
            startSuccessor: Effect.void,
            leases,
            outbox,
            search: SearchFile.make(files, writer.folder.root),
            // The worker that was started last.
            job: { id: Lease.inspect(leases, now).lease?.id ?? "a worker", lingers },
            until: monotonic + life,
            ...options
          }))
    }
  }
)

/** A device with a process. */
export const setUp = Effect.fnUntraced(function*(options?: ProcessOptions) {
  const device = yield* Device.make
  return { device, ...(yield* processOf(device, options)) }
})

/** Runs a worker to its end while time passes. */
export const toEnd = Effect.fnUntraced(function*(work: Effect.Effect<unknown>) {
  const worker = yield* Effect.forkChild(work, { startImmediately: true })
  while (worker.pollUnsafe() === undefined) yield* TestClock.adjust(100)
  yield* Fiber.join(worker)
})

export const counter = () => {
  const counted = { times: 0 }
  return { counted, count: Effect.sync(() => void counted.times++) }
}

export const counting = (answer: Answer = taken, millis = 0) => {
  const requests: Array<ReadonlyArray<Message>> = []
  const send: Worker.Send = (messages) => {
    requests.push(messages)
    return millis === 0 ? Effect.succeed(answer) : Effect.delay(Effect.succeed(answer), millis)
  }
  return { requests, send }
}
