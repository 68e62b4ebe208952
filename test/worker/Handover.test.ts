import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Ref from "effect/Ref"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { ConsentDecision } from "../../src/domain/ConsentDecision.ts"
import { given } from "../../src/domain/ConsentDecision.ts"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import type { Message } from "../../src/domain/Message.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as WorkerJob from "../../src/domain/WorkerJob.ts"
import * as DetachedCaptureWorker from "../../src/layers/DetachedCaptureWorker.ts"
import * as FileClaims from "../../src/layers/FileClaims.ts"
import * as FileOutbox from "../../src/layers/FileOutbox.ts"
import * as FileWorkerLease from "../../src/layers/FileWorkerLease.ts"
import * as FixedConsent from "../../src/layers/FixedConsent.ts"
import * as StateFiles from "../../src/layers/StateFiles.ts"
import * as SyncNodeFileSystem from "../../src/layers/SyncNodeFileSystem.ts"
import { variable } from "../../src/layers/WorkerMarks.ts"
import * as WorkerProcess from "../../src/layers/WorkerProcess.ts"
import { CaptureWorker } from "../../src/services/CaptureWorker.ts"
import { CurrentProcess } from "../../src/services/CurrentProcess.ts"
import { IdentityStore } from "../../src/services/IdentityStore.ts"
import { Invocation } from "../../src/services/Invocation.ts"
import { Outbox } from "../../src/services/Outbox.ts"
import { RuntimeEnvironment } from "../../src/services/RuntimeEnvironment.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import { WorkerLease } from "../../src/services/WorkerLease.ts"
import * as Worker from "../../src/worker/Worker.ts"
import { anon, currentProcess, denied, errno, persistent } from "../fixtures/Device.ts"
import { event } from "./RealWorker.ts"

const invocationId = "11111111-1111-4111-8111-111111111111"

const taken: Worker.Send = () => Effect.succeed({ _tag: "Taken", quotaLimited: false })

/** A worker, or a host, of one device: its own services over the same disk. */
const device = Effect.gen(function*() {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Fs.realpathSync(Os.tmpdir()), "handover-test-"))),
    (home) => Effect.sync(() => Fs.rmSync(home, { recursive: true, force: true }))
  )
  const consent = yield* Ref.make<ConsentDecision>(given)
  const settings = Layer.succeed(
    UsageSettings,
    UsageSettings.of({
      name: "acme",
      version: "1.2.3",
      variables: "ACME",
      home: StateHome.make(Path, home),
      destination: { host: "http://127.0.0.1:1", key: "phc_test" },
      destinationId: "0123456789abcdef",
      codec: arcade
    })
  )
  const process = Layer.fresh(
    Layer.merge(FileOutbox.layer, FileWorkerLease.layer).pipe(
      Layer.provide(FileClaims.layer),
      Layer.provideMerge(StateFiles.layer),
      Layer.provideMerge(FixedConsent.layerRef(consent)),
      Layer.provideMerge(settings),
      Layer.provide([SyncNodeFileSystem.layer, NodePath.layer])
    )
  )
  return { consent, context: Layer.build(process) }
})

type Services = Effect.Success<Effect.Success<typeof device>["context"]>

/** Puts something around steps of a process's services. */
const around = (services: Services, wrap: {
  readonly outbox?: (outbox: Outbox["Service"]) => Partial<Outbox["Service"]>
  readonly lease?: (lease: WorkerLease["Service"]) => Partial<WorkerLease["Service"]>
}): Services => {
  const outbox = Context.get(services, Outbox)
  const lease = Context.get(services, WorkerLease)
  return services.pipe(
    Context.add(Outbox, { ...outbox, ...wrap.outbox?.(outbox) }),
    Context.add(WorkerLease, { ...lease, ...wrap.lease?.(lease) })
  )
}

const work = (
  services: Services,
  successor: Effect.Effect<void>,
  options: Partial<Parameters<typeof Worker.run>[0]> = {}
) =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => Worker.run({ send: taken, lingers: false, until: now + Worker.lifeMillis, ...options })
  ).pipe(
    Effect.provide(services),
    Effect.provideService(
      CaptureWorker,
      CaptureWorker.of({ ensure: successor, flush: Effect.succeed({ delivered: 0, kept: 0 }) })
    )
  )

/** In the place of processes: the jobs that they would have. */
const spawner = (jobs: Array<WorkerJob.WorkerJob>, environments: Array<Readonly<Record<string, unknown>>> = []) =>
  Layer.succeed(
    ChildProcessSpawner.ChildProcessSpawner,
    ChildProcessSpawner.make((command) =>
      Effect.sync(() => {
        const env = command._tag === "StandardCommand" ? command.options.env ?? {} : {}
        environments.push(env)
        jobs.push(Option.getOrThrow(WorkerJob.decode(String(env[variable]))))
        return ChildProcessSpawner.makeHandle({
          pid: ChildProcessSpawner.ProcessId(1),
          exitCode: Effect.never,
          isRunning: Effect.succeed(true),
          kill: () => Effect.void,
          stdin: Sink.drain,
          stdout: Stream.empty,
          stderr: Stream.empty,
          all: Stream.empty,
          getInputFd: () => Sink.drain,
          getOutputFd: () => Stream.empty,
          unref: Effect.succeed(Effect.void)
        })
      })
    )
  )

interface Machine {
  readonly runtime?: RuntimeEnvironment["Service"]
  readonly process?: CurrentProcess["Service"]
}

const machine = (
  services: Services,
  jobs: Array<WorkerJob.WorkerJob>,
  processes = spawner(jobs),
  { process = currentProcess, runtime = persistent }: Machine = {}
) =>
  Layer.mergeAll(
    Layer.succeedContext(services),
    Layer.succeed(CurrentProcess, process),
    Layer.succeed(RuntimeEnvironment, runtime),
    processes,
    NodePath.layer
  )

/** Starts a worker's successor. */
const succeed = (services: Services, jobs: Array<WorkerJob.WorkerJob>, processes = spawner(jobs), lingers = false) =>
  Effect.gen(function*() {
    const { codec, destination, destinationId, home, name, variables } = yield* UsageSettings
    if (destination === undefined) return
    const start = yield* WorkerProcess.make
    yield* start({
      version: 1,
      name,
      variables,
      home: home.root,
      codec: codec.name,
      destination,
      destinationId,
      lingers,
      lease: 1
    })
  }).pipe(Effect.provide(machine(services, jobs, processes)), Effect.orDie)

interface HostOptions extends DetachedCaptureWorker.Options, Machine {}

/** What a command does with its worker; at its end if nothing else. */
const host = <A = void>(
  services: Services,
  jobs: Array<WorkerJob.WorkerJob>,
  options: HostOptions = {},
  use: (worker: CaptureWorker["Service"]) => Effect.Effect<A | void> = ({ ensure }) => ensure
) =>
  Effect.flatMap(CaptureWorker, use).pipe(
    Effect.provide(
      DetachedCaptureWorker.layer(options).pipe(
        Layer.provide([
          machine(services, jobs, spawner(jobs), options),
          Layer.mock(IdentityStore, {
            get: Effect.succeed({
              anonId: anon.a,
              claim: undefined,
              durable: true,
              firstRun: false,
              published: false
            })
          }),
          Layer.mock(Invocation, { id: invocationId, hasRecorded: Effect.succeed(true) })
        ])
      )
    )
  )

type Step = "write" | "ask for the lease" | "give up the lease" | "look at the outbox"

const orders: ReadonlyArray<readonly [Step, Step, Step, Step]> = [
  ["write", "ask for the lease", "give up the lease", "look at the outbox"],
  ["write", "give up the lease", "ask for the lease", "look at the outbox"],
  ["write", "give up the lease", "look at the outbox", "ask for the lease"],
  ["give up the lease", "write", "ask for the lease", "look at the outbox"],
  ["give up the lease", "write", "look at the outbox", "ask for the lease"],
  ["give up the lease", "look at the outbox", "write", "ask for the lease"]
]

describe("the hand-over from a worker that ends", () => {
  for (const order of orders) {
    it.live(`strands nothing: ${order.join(", ")}`, () =>
      Effect.gen(function*() {
        const { context } = yield* device
        const [forWorker, forHost] = [yield* context, yield* context]
        const steps = yield* Effect.forEach(order, (step) =>
          Effect.map(Deferred.make<void>(), (done) => ({ step, done })))
        const turn = (step: Step) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.gen(function*() {
            const index = order.indexOf(step)
            const [before, own] = [steps[index - 1], steps[index]]
            if (before !== undefined) {
              yield* Deferred.await(before.done)
            }
            const result = yield* effect
            if (own !== undefined) {
              yield* Deferred.succeed(own.done, undefined)
            }
            return result
          })
        const jobs: Array<WorkerJob.WorkerJob> = []

        // The worker has found nothing, and is about to give up its lease.
        const isEnding = yield* Deferred.make<void>()
        const worker = work(
          around(forWorker, {
            outbox: ({ isEmpty }) => ({ isEmpty: turn("look at the outbox")(isEmpty) }),
            lease: ({ acquire }) => ({
              acquire: (life) =>
                Effect.map(acquire(life), (held) =>
                  held && {
                    ...held,
                    release: Effect.andThen(
                      Deferred.succeed(isEnding, undefined),
                      turn("give up the lease")(held.release)
                    )
                  })
            })
          }),
          succeed(forWorker, jobs)
        )
        const ending = yield* Effect.forkChild(worker, { startImmediately: true })
        yield* Deferred.await(isEnding)
        yield* turn("write")(Context.get(forHost, Outbox).add(event(1))).pipe(
          Effect.andThen(
            host(
              around(forHost, {
                lease: ({ acquire }) => ({
                  acquire: (life) =>
                    turn("ask for the lease")(acquire(life))
                })
              }),
              jobs
            )
          )
        )
        yield* Fiber.join(ending)

        // One of the two got the lease for the next worker.
        assert.lengthOf(jobs, 1)
        const sent: Array<string> = []
        const send: Worker.Send = (messages) => {
          sent.push(...messages.map(({ uuid }) => uuid))
          return taken(messages)
        }
        yield* work(yield* context, Effect.void, { send, lease: jobs[0]?.lease })
        assert.deepStrictEqual(sent, [event(1).uuid])
        assert.isTrue(yield* Context.get(forHost, Outbox).isEmpty)
      }))
  }
})

describe("a burst of commands", () => {
  it.live("starts one worker, though none of them sees it live", () =>
    Effect.gen(function*() {
      const { context } = yield* device
      const jobs: Array<WorkerJob.WorkerJob> = []
      for (let n = 0; n < 5; n++) {
        const services = yield* context
        yield* Context.get(services, Outbox).add(event(n))
        yield* host(services, jobs)
      }
      assert.lengthOf(jobs, 1)
      yield* work(yield* context, Effect.void, { lease: jobs[0]?.lease })
      assert.isTrue(yield* Context.get(yield* context, Outbox).isEmpty)
      assert.isFalse(yield* Context.get(yield* context, WorkerLease).isHeld)
    }))

  it.live("starts another where a worker cannot be started at all", () =>
    Effect.gen(function*() {
      const { context } = yield* device
      const services = yield* context
      const refused = Layer.succeed(
        ChildProcessSpawner.ChildProcessSpawner,
        ChildProcessSpawner.make(() => Effect.fail(errno("EACCES", "spawn", "node")))
      )
      const jobs: Array<WorkerJob.WorkerJob> = []
      yield* Context.get(services, Outbox).add(event(1))
      yield* succeed(services, jobs, refused).pipe(Effect.exit)
      assert.isFalse(yield* Context.get(services, WorkerLease).isHeld)
      yield* host(services, jobs)
      assert.lengthOf(jobs, 1)
    }))
})

describe("the end of a command", () => {
  it.effect("starts no worker while PostHog is not to be asked", () =>
    Effect.gen(function*() {
      const { context } = yield* device
      const services = yield* context
      const outbox = Context.get(services, Outbox)
      yield* outbox.add(event(1))
      yield* outbox.backOff("status 503")
      const jobs: Array<WorkerJob.WorkerJob> = []
      yield* host(services, jobs)
      assert.lengthOf(jobs, 0)
      yield* TestClock.adjust("1 second")
      yield* host(services, jobs)
      assert.lengthOf(jobs, 1)
    }))

  it.effect("in CI waits for a second at most, whatever its author wants", () =>
    Effect.gen(function*() {
      const { context } = yield* device
      const services = yield* context
      yield* Context.get(services, Outbox).add(event(1, { properties: { invocation_id: invocationId } }))
      const ending = yield* Effect.forkChild(
        host(services, [], { runtime: { ...persistent, ci: "GitHub Actions" }, deliveryWait: "10 seconds" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(ending.pollUnsafe())
    }))

  it.effect("makes the worker give way to the user's own processes, unless it waits for it", () =>
    Effect.gen(function*() {
      const lowered: Array<number> = []
      const process = { ...currentProcess, lowerPriority: (pid: number) => Effect.sync(() => void lowered.push(pid)) }
      for (const ci of [undefined, "GitHub Actions"]) {
        const services = yield* (yield* device).context
        const jobs: Array<WorkerJob.WorkerJob> = []
        yield* host(services, jobs, { runtime: { ...persistent, ci }, process, deliveryWait: 0 })
        assert.deepStrictEqual(jobs.map(({ lingers }) => lingers), [ci === undefined])
      }
      assert.deepStrictEqual(lowered, [1])
    }))

  it.effect("does not wait for a worker that the host was bundled without, nor does a flush", () =>
    Effect.gen(function*() {
      const services = yield* (yield* device).context
      yield* Context.get(services, Outbox).add(event(1, { properties: { invocation_id: invocationId } }))
      for (const ci of [undefined, "GitHub Actions"]) {
        const options = { runtime: { ...persistent, ci }, process: { ...currentProcess, worker: undefined } }
        yield* host(services, [], options)
        assert.deepStrictEqual(yield* host(services, [], options, ({ flush }) => flush), {
          delivered: 0,
          kept: 1,
          reason: WorkerProcess.missing
        })
      }
    }))

  it.effect("ends no command with a defect of its own, and a flush tells what is kept all the same", () =>
    Effect.gen(function*() {
      const services = yield* (yield* device).context
      yield* Context.get(services, Outbox).add(event(1, { properties: { invocation_id: invocationId } }))
      const process = {
        ...currentProcess,
        get worker(): ReadonlyArray<string> {
          throw new TypeError("a mistake of ours")
        }
      }
      yield* host(services, [], { process })
      assert.deepStrictEqual(yield* host(services, [], { process }, ({ flush }) => flush), {
        delivered: 0,
        kept: 1,
        reason: undefined
      })
    }))
})

describe("a worker", () => {
  it.effect("has the variables that its starter's layer knows, whatever its command does", () =>
    Effect.gen(function*() {
      const services = yield* (yield* device).context
      const environments: Array<Readonly<Record<string, unknown>>> = []
      const known = ConfigProvider.layer(ConfigProvider.fromEnv({ env: { PATH: "/bin", SECRET: "x" } }))
      yield* Effect.gen(function*() {
        const start = yield* WorkerProcess.make.pipe(Effect.provide(known))
        const { codec, destinationId, home, name, variables } = yield* UsageSettings
        const destination = { host: "http://127.0.0.1:1", key: "phc_test" }
        const job = { name, variables, home: home.root, codec: codec.name, destination, destinationId, lingers: false }
        yield* start({ ...job, version: 1 })
      }).pipe(
        Effect.provide(machine(services, [], spawner([], environments))),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
      )
      assert.deepStrictEqual(environments.map((env) => [env["PATH"], env["SECRET"]]), [["/bin", undefined]])
    }))

  it.effect("keeps no compiled code where its folder is a link: code is not read from elsewhere", () =>
    Effect.gen(function*() {
      const services = yield* (yield* device).context
      const { compileCache, usage } = Context.get(services, StateFiles.StateFiles).home
      const environments: Array<Readonly<Record<string, unknown>>> = []
      const folders = Effect.map(
        succeed(services, [], spawner([], environments), true),
        () => environments.splice(0).map((env) => env["NODE_COMPILE_CACHE"])
      )
      assert.deepStrictEqual(yield* folders, [compileCache])
      // Node.js would make it as the umask says.
      if (process.platform !== "win32") assert.strictEqual(Fs.statSync(compileCache).mode & 0o777, 0o700)
      Fs.rmSync(usage, { recursive: true })
      Fs.mkdirSync(usage, { mode: 0o700 })
      Fs.symlinkSync(Os.tmpdir(), compileCache)
      assert.deepStrictEqual(yield* folders, [undefined])
    }))
})

describe("a worker's end", () => {
  const setUp = Effect.gen(function*() {
    const { consent, context } = yield* device
    const services = yield* context
    const outbox = Context.get(services, Outbox)
    const successors = yield* Ref.make(0)
    return { consent, services, outbox, successors, successor: Ref.update(successors, (n) => n + 1) }
  })
  const counting = (answer: Effect.Success<ReturnType<Worker.Send>>) => {
    const requests: Array<ReadonlyArray<Message>> = []
    const send: Worker.Send = (messages) => {
      requests.push(messages)
      return Effect.succeed(answer)
    }
    return { requests, send }
  }

  it.live("is no later than its process is killed, which may have begun before a home that is slow to answer", () =>
    Effect.gen(function*() {
      const { outbox, services, successor } = yield* setUp
      yield* outbox.add(event(1))
      const lives: Array<number> = []
      const watched = around(services, {
        lease: ({ acquire }) => ({ acquire: (life, own) => (lives.push(life), acquire(life, own)) })
      })
      const { requests, send } = counting({ _tag: "Taken", quotaLimited: false })
      const now = yield* Clock.currentTimeMillis
      yield* work(watched, successor, { send, until: now + 4_000 })
      assert.isAtMost(lives[0] ?? Number.NaN, 4_000)
      // A request may take 5 s.
      assert.isEmpty(requests)
    }))

  it.live("has no successor when nothing waits", () =>
    Effect.gen(function*() {
      const { outbox, services, successor, successors } = yield* setUp
      yield* outbox.add(event(1))
      yield* work(services, successor)
      assert.strictEqual(yield* Ref.get(successors), 0)
    }))

  it.live("has a successor when something came that it did not see any more", () =>
    Effect.gen(function*() {
      const { outbox, services, successor, successors } = yield* setUp
      const late = around(services, {
        lease: ({ acquire }) => ({
          acquire: (life) =>
            Effect.map(acquire(life), (held) =>
              held && { ...held, release: Effect.andThen(outbox.add(event(1)), held.release) })
        })
      })
      yield* work(late, successor)
      assert.strictEqual(yield* Ref.get(successors), 1)
    }))

  it.live("has no successor when what waits is backed off", () =>
    Effect.gen(function*() {
      const { outbox, services, successor, successors } = yield* setUp
      yield* outbox.add(event(1))
      const { requests, send } = counting({ _tag: "Kept", reason: "down" })
      yield* work(services, successor, { send, lingers: true })
      assert.lengthOf(requests, 1)
      assert.strictEqual(yield* Ref.get(successors), 0)
      assert.isFalse(yield* outbox.isEmpty)
    }))

  it.live("has no successor when consent is taken back meanwhile", () =>
    Effect.gen(function*() {
      const { consent, outbox, services, successor, successors } = yield* setUp
      yield* outbox.add(event(1))
      yield* outbox.add(event(2))
      const send: Worker.Send = (messages) =>
        Effect.as(Ref.set(consent, denied), messages.length > 1 ? { _tag: "TooLarge" } : { _tag: "Malformed" })
      yield* work(services, successor, { send })
      assert.strictEqual(yield* Ref.get(successors), 0)
      assert.lengthOf(yield* outbox.entries, 2)
    }))

  it.live("has no successor when what it delivered, or set aside, cannot be removed; nor is that sent twice", () =>
    Effect.gen(function*() {
      for (const answer of [{ _tag: "Taken", quotaLimited: false }, { _tag: "TooLarge" }] as const) {
        const { outbox, services, successor, successors } = yield* setUp
        yield* outbox.add(event(1))
        const stuck = around(services, {
          outbox: () => ({ delivered: () => Effect.void, setAside: () => Effect.void })
        })
        const { requests, send } = counting(answer)
        yield* work(stuck, successor, { send, lingers: true })
        assert.lengthOf(requests, 1, answer._tag)
        assert.strictEqual(yield* Ref.get(successors), 0, answer._tag)
      }
    }))

  for (
    const [what, ms, expected] of [
      ["a second longer, where a request was quick", 0, 1_000],
      ["no longer than it could still send, where one took all but all of its time", 5_000, 5_000]
    ] as const
  ) {
    it.effect(`waits for more, ${what}`, () =>
      Effect.gen(function*() {
        const { outbox, services, successor } = yield* setUp
        yield* outbox.add(event(1))
        const send: Worker.Send = () => Effect.delay(Effect.succeed({ _tag: "Taken", quotaLimited: false }), ms)
        const worker = yield* Effect.forkChild(work(services, successor, { send, lingers: true }))
        const began = yield* Clock.currentTimeMillis
        while (worker.pollUnsafe() === undefined && (yield* Clock.currentTimeMillis) - began < 20_000) {
          yield* TestClock.adjust(100)
        }
        assert.strictEqual((yield* Clock.currentTimeMillis) - began, expected)
      }))
  }

  it.effect("ends its wait when its lease was deleted, and looks no more", () =>
    Effect.gen(function*() {
      const { outbox, services, successor } = yield* setUp
      yield* outbox.add(event(1))
      const deleted = around(services, {
        lease: ({ acquire }) => ({
          acquire: (life) =>
            Effect.map(acquire(life), (held) => held && { ...held, stands: Effect.map(outbox.isEmpty, (is) => !is) })
        })
      })
      const worker = yield* Effect.forkChild(work(deleted, successor, { lingers: true }))
      yield* TestClock.adjust(500)
      assert.isDefined(worker.pollUnsafe())
    }))

  it.live("comes at once where another holds the lease, and leaves everything to that one", () =>
    Effect.gen(function*() {
      const { outbox, services, successor, successors } = yield* setUp
      yield* outbox.add(event(1))
      yield* Context.get(services, WorkerLease).acquire(Worker.lifeMillis)
      const { requests, send } = counting({ _tag: "Taken", quotaLimited: false })
      yield* work(services, successor, { send, lingers: true })
      assert.deepStrictEqual([requests, yield* Ref.get(successors)], [[], 0])
    }))
})
