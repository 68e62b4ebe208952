import { assert, describe } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { variable } from "../../src/layers/WorkerMarks.ts"
import * as WorkerProcess from "../../src/layers/WorkerProcess.ts"
import * as Device from "../fixtures/Device.ts"
import { filesOf, leaseText, machineOf } from "../fixtures/Files.ts"
import * as Process from "../fixtures/Process.ts"
import { replace } from "../fixtures/Replace.ts"
import { test } from "../fixtures/Tests.ts"
import { eventually } from "../fixtures/Wait.ts"

const isLinux = process.platform === "linux"
const projectRoot = fileURLToPath(new URL("../..", import.meta.url))

/** In the place of the worker: writes that it lives, waits for a file, and leaves a report. */
const script = `
  const fs = require("node:fs")
  const [folder, ...args] = process.argv.slice(1)
  const write = (name, value) => {
    fs.writeFileSync(folder + "/" + name + ".tmp", JSON.stringify(value))
    fs.renameSync(folder + "/" + name + ".tmp", folder + "/" + name)
  }
  write("started", process.pid)
  const timer = setInterval(() => {
    if (!fs.existsSync(folder)) process.exit(1)
    if (!fs.existsSync(folder + "/go")) return
    clearInterval(timer)
    write("report", { args, env: process.env, cwd: process.cwd(), pid: process.pid })
  }, 10)
`

const workerOf = (device: Device.Device) => ["--eval", script, "--", Path.dirname(device.home)]

/** Where the worker of a device writes. */
const at = (device: Device.Device, name: string) => Path.join(device.home, "..", name)

const isThere = (device: Device.Device, name: string) =>
  eventually(Effect.sync(() => NFS.existsSync(at(device, name))), (is) => is)

interface Report {
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly pid: number
}

/** The process of the worker, which ends with the test. */
const started = (device: Device.Device) =>
  Effect.acquireRelease(
    Effect.map(isThere(device, "started"), () => Number(NFS.readFileSync(at(device, "started"), "utf8"))),
    (pid) =>
      Effect.sync(() => {
        try {
          process.kill(pid, "SIGKILL")
        } catch {
          // It ended by itself.
        }
      })
  )

const report = (device: Device.Device) =>
  Effect.gen(function*() {
    NFS.writeFileSync(at(device, "go"), "")
    yield* isThere(device, "report")
    const report: Report = JSON.parse(NFS.readFileSync(at(device, "report"), "utf8"))
    return report
  })

interface Options {
  readonly executable?: string
  readonly worker?: ReadonlyArray<string>
  readonly env?: Record<string, string>
  readonly lingers?: boolean
  readonly isAwaited?: boolean
}

/** Starts a worker; returns it, and the debug lines. */
const startWorker = (
  device: Device.Device,
  { env = {}, lingers = false, isAwaited = !lingers, ...process }: Options = {}
) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const how = { lingers, isAwaited }
    const started = yield* Effect.flatMap(WorkerProcess.make(filesOf(device), true), (start) => start(how)).pipe(
      (start) => WorkerProcess.orElse(undefined, start),
      Effect.provide(machineOf(device, { runtime: { ...Device.persistent, worker: workerOf(device), ...process } })),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
      Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])),
      Effect.provideService(References.MinimumLogLevel, "Debug")
    )
    return { lines, started }
  })

/** Starts a worker; returns whether it was started, and the debug lines. */
const start = (device: Device.Device, options?: Options) =>
  Effect.map(startWorker(device, options), ({ lines, started }) => ({ lines, starts: started !== undefined }))

describe("process attributes", () => {
  test.live("A worker has the variables of the process if the layer has no ConfigProvider, but the command has one", function*() {
    const device = yield* Device.make
    const runtime = { ...Device.persistent, worker: workerOf(device) }
    const { worker } = yield* device.start({ runtime, worker: "detached" })
    yield* Effect.provideService(
      worker.ensure,
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromUnknown({ HOME: "/other" })
    )
    yield* started(device)
    const { env } = yield* report(device)
    assert.strictEqual(env["HOME"], process.env["HOME"])
  })

  test.live("A worker has the environment that sending needs, and its job, and no more", function*() {
    const device = yield* Device.make
    // Without it a process on Windows may not start at all.
    const system: Record<string, string> = process.platform === "win32"
      ? { SystemRoot: process.env["SystemRoot"] ?? "" }
      : {}
    const secrets = { ACME_API_KEY: "secret", NODE_OPTIONS: "--inspect", LD_PRELOAD: "/x.so", TMP: "" }
    const kept = { ...system, HOME: device.home, HTTPS_PROXY: "http://proxy.example:3128", NO_PROXY: "a, b=c" }
    yield* start(device, {
      env: { ...secrets, ...kept, HTTPS_PROXY: "proxy.example:3128", https_proxy: "socks://x", PATH: `/bin:x:/sbin` }
    })
    yield* started(device)
    const { codec, destination, destinationId, name } = device.settings
    const lease = JSON.parse(device.text(`usage/outbox/${destinationId}/lease-1`) ?? "{}")
    // macOS adds this one to every process.
    const { __CF_USER_TEXT_ENCODING: _, [variable]: job = "", ...env } = (yield* report(device)).env
    assert.deepStrictEqual(env, { ...kept, NODE_USE_ENV_PROXY: "1", PATH: "/bin:/sbin" })
    const { id, ...told } = JSON.parse(job)
    assert.deepStrictEqual(told, {
      version: 1,
      name,
      home: device.home,
      codec: codec.name,
      destination,
      destinationId,
      lingers: false,
      keepsSent: true,
      maxAgeMillis: 7 * 24 * 60 * 60 * 1000
    })
    // The worker takes over the lease with this id.
    assert.strictEqual(lease.id, id)
  })

  for (
    const [what, how, priority] of [
      ["that lingers has the lowest", { lingers: true, isAwaited: false }, 19],
      ["that is waited for has the same", { lingers: false, isAwaited: true }, OS.getPriority()],
      ["that is waited for and lingers has the same", { lingers: true, isAwaited: true }, OS.getPriority()]
    ] as const
  ) {
    test.live.skipIf(process.platform === "win32")(`A worker ${what} priority`, function*() {
      const device = yield* Device.make
      yield* start(device, how)
      const pid = yield* started(device)
      assert.strictEqual(OS.getPriority(pid), priority)
    })
  }

  test.live("A worker starts also if its priority cannot be lowered", function*() {
    const device = yield* Device.make
    replace(process.getBuiltinModule("node:os"), {
      setPriority: () => {
        throw Object.assign(new Error("refused"), { code: "EPERM" })
      }
    })
    assert.deepStrictEqual(yield* start(device, { lingers: true }), { lines: [], starts: true })
    yield* started(device)
  })

  test.live.skipIf(!isLinux)("A worker is killed if another one took the lease while it was started", function*() {
    const device = yield* Device.make
    yield* device.write(
      `usage/outbox/${device.settings.destinationId}/lease-1`,
      leaseText({ until: Date.now() + 9_000 })
    )
    assert.deepStrictEqual(yield* start(device), { lines: [], starts: false })
    const argumentsOf = (pid: string): string => {
      try {
        return NFS.readFileSync(`/proc/${pid}/cmdline`, "utf8")
      } catch {
        return ""
      }
    }
    const all = Effect.sync(() => NFS.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(argumentsOf))
    yield* eventually(all, (all) => !all.some((words) => words.includes(Path.dirname(device.home))))
  })
})

describe("workers that end before their starter takes the lease", () => {
  for (const [code, left] of [[0, []], [1, ["lease-1"]]] as const) {
    test.live(`A worker that ended with ${code} leaves ${left.length === 0 ? "no lease" : "its lease as evidence"}`, function*() {
      const device = yield* Device.make
      const { started } = yield* startWorker(device, { worker: ["--eval", `process.exit(${code})`, "--"] })
      const folder = device.at(`usage/outbox/${device.settings.destinationId}`)
      assert.deepStrictEqual(NFS.readdirSync(folder), ["lease-1"])
      yield* Effect.promise(() => started?.ended ?? assert.fail("no worker"))
      assert.deepStrictEqual(NFS.readdirSync(folder), [...left])
    })
  }
})

// == in a process of its own

/** A host's process: it starts the worker of a device, whose home and settings it is told. */
const host = (body: string) => `
  import * as Effect from "effect/Effect"
  import { IsDebugMode } from "./src/layers/Debug.ts"
  import * as MemoryDisk from "./src/layers/MemoryDisk.ts"
  import { disk as nodeDisk } from "./src/layers/NodeDisk.ts"
  import * as WorkerProcess from "./src/layers/WorkerProcess.ts"
  import { persistent } from "./test/fixtures/Device.ts"
  import { filesOf, leaseText, machineOf } from "./test/fixtures/Files.ts"
  const { device, worker } = JSON.parse(process.argv[1])
  const how = { lingers: false, isAwaited: true }
  const makeStart = (disk) => {
    const start = Effect.runSync(Effect.provide(
      WorkerProcess.make(filesOf(device, { disk }), true),
      machineOf(device, { disk, runtime: { ...persistent, worker } })
    ))
    return (how) => WorkerProcess.orElse(undefined, start(how))
  }
  ${body}
`

const runHost = (
  device: Device.Device,
  body: string,
  options?: { readonly pipes?: number; readonly limit?: string }
) => {
  const { home, settings } = device
  const told = JSON.stringify({ device: { home, settings }, worker: workerOf(device) })
  const words = [process.execPath, "--input-type=module", "--eval", host(body), told]
  const limited = options?.limit === undefined ? [] : ["/bin/sh", "-c", `${options.limit}; exec "$@"`, "sh"]
  return Process.run([...limited, ...words], { cwd: projectRoot, env: process.env, pipes: options?.pipes ?? 0 })
}

describe("intermediate process", () => {
  test.live("The process that starts a worker ends before the worker, which holds none of its pipes", function*() {
    const device = yield* Device.make
    const body = "console.log(await Effect.runPromise(makeStart(nodeDisk)(how)) !== undefined)"
    // It has ended when its pipes are closed.
    assert.deepStrictEqual(yield* runHost(device, body, { pipes: 1 }), {
      stdout: "true\n",
      stderr: "",
      code: 0,
      signal: null
    })
    const pid = yield* started(device)
    assert.isFalse(NFS.existsSync(at(device, "report")))
    assert.strictEqual((yield* report(device)).pid, pid)
  })

  test.live.skipIf(!isLinux)(
    "The process that starts a worker has no uncaught exception if no descriptor is left",
    function*() {
      const device = yield* Device.make
      const body = `
        import * as NFS from "node:fs"
        const inMemory = () => {
          const disk = MemoryDisk.make()
          let folder = ""
          for (const name of device.home.slice(1).split("/")) disk.makeFolder(folder += "/" + name)
          return disk
        }
        const [start, other] = [makeStart(inMemory()), makeStart(inMemory())]
        console.log("ready")
        try { for (;;) NFS.openSync("/dev/null") } catch (error) { console.log(error.code) }
        const shown = Effect.provideService(IsDebugMode, true)
        Effect.runFork(shown(start(how))).addObserver((exit) => console.log(exit._tag, exit.value))
        Effect.runFork(shown(other(how))).interruptUnsafe()
        setTimeout(() => console.log("still here"), 50)
      `
      const { code, stderr, stdout } = yield* runHost(device, body, { limit: "ulimit -n 64" })
      assert.deepStrictEqual(stdout.trim().split("\n"), ["ready", "EMFILE", "Success undefined", "still here"])
      assert.deepStrictEqual([code, stderr], [0, "usage: could not start a worker: EMFILE\n".repeat(2)])
      assert.isFalse(NFS.existsSync(at(device, "started")))
    }
  )
})

describe("start failures", () => {
  const failures: Readonly<Record<string, readonly [code: string, options: Options]>> = {
    "an executable that does not exist": ["ENOENT", { executable: "/no/such program" }],
    "an argument that is too long": ["E2BIG", { worker: ["--eval", "0", "x".repeat(1 << 20)] }],
    "a value that no process can get": ["ERR_INVALID_ARG_VALUE", { env: { NO_PROXY: "hunter2\0" } }]
  }
  for (const [what, [code, options]] of Object.entries(failures)) {
    test.live.skipIf(!isLinux)(
      `A worker that cannot be started is one debug line without a value, and releases its lease: ${what}`,
      function*() {
        const device = yield* Device.make
        const lines = [`usage: could not start a worker: ${code}`]
        assert.deepStrictEqual(yield* start(device, options), { lines, starts: false })
        assert.deepStrictEqual(device.tree().filter((name) => !name.endsWith("/")), [])
        assert.isTrue((yield* start(device)).starts)
        yield* started(device)
      }
    )
  }
})
