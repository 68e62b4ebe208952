/** Starts a worker as a detached process. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import type { ChildProcess, StdioOptions } from "node:child_process"
import type { openSync } from "node:fs"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import * as WorkerJob from "../domain/WorkerJob.ts"
import { isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { debug } from "./Debug.ts"
import * as Lease from "./Lease.ts"
import type { StateFiles } from "./StateFiles.ts"
import * as Variable from "./Variable.ts"
import { marker, variable } from "./WorkerMarks.ts"

const folders = ["HOME", "TMPDIR", "TMP", "TEMP", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]

const lists = ["PATH", "SSL_CERT_DIR"]

// Without HTTP_PROXY: plain http is allowed on loopback only.
const proxies = ["HTTPS_PROXY", "https_proxy"]

// The variables that sending needs. Never NODE_OPTIONS, NODE_TLS_REJECT_UNAUTHORIZED, LD_*, or a secret of the host.
const inheritedVariables = [
  ...folders,
  ...lists,
  ...proxies,
  "NO_PROXY",
  "no_proxy",
  "NODE_USE_SYSTEM_CA",
  "USERPROFILE",
  "APPDATA",
  "LOCALAPPDATA",
  "PROGRAMDATA",
  "SystemRoot",
  "SystemDrive",
  "windir",
  "__CF_USER_TEXT_ENCODING"
]

const isDecodable = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

// Node.js does not start with a proxy that is not an http: or https: URL, that has a path, a query or a fragment, or an
// invalid "%" in its user or password. Users write "proxy.example:3128".
const proxyUrl = (value: string): string | undefined => {
  const text = value.includes("://") ? value : `http://${value}`
  if (!/^https?:/i.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (!isDecodable(url.username) || !isDecodable(url.password)) return undefined
  return url.pathname + url.search + url.hash === "/" ? text : new URL("/", url).href
}

/** The text of a host without a worker: why nothing is delivered, and what its author must do. */
export const missing =
  "this host has no worker: the entry of a bundled host must first call isWorker() of effect-cli-usage/worker; any other host lacks its worker file"

export const reportMissing: Effect.Effect<void> = debug(`nothing is delivered: ${missing}`)

/** The time of the lease that a starter acquires for its worker, until the worker acquires its own. */
const bootMillis = 3_000

const lowestPriority = 19

interface Child {
  readonly executable: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

// `O_CLOEXEC` is the second bit of an octal digit.
const closesOnExec = /^flags:\s*\d*[2367]\d{6}$/m

// A child would hold an inherited lock or pipe of a script (ADR 0024). Node.js closes its own descriptors on exec, and
// the first 16 inherited descriptors.
const inheritedDescriptors = (): ReadonlyArray<number> => {
  const { readFileSync, readdirSync } = process.getBuiltinModule("node:fs")
  const isInherited = (fd: number): boolean => {
    try {
      return fd > 15 && !closesOnExec.test(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))
    } catch {
      // The descriptor of the listing is closed.
      return false
    }
  }
  try {
    return readdirSync("/proc/self/fd").map(Number).filter(isInherited)
  } catch {
    // Not on every platform, and Deno may refuse it.
    return []
  }
}

const spawnWith = ({ args, cwd, env, executable }: Child, stdio: StdioOptions): ChildProcess =>
  // Most commands start no worker, and loading this module costs 2 ms.
  process.getBuiltinModule("node:child_process").spawn(executable, args, {
    cwd,
    env: { ...env },
    windowsHide: true,
    detached: true,
    stdio
  })

const openNullDevice = (open: typeof openSync): number | undefined => {
  try {
    return open("/dev/null", "r")
  } catch {
    // Node.js may have no permission. Then the worker holds the inherited descriptors, for at most 10 s.
    return undefined
  }
}

// Node.js cannot close a descriptor in a child, but can replace it by the null device.
const spawnDetached = (child: Child, descriptors = inheritedDescriptors()): ChildProcess => {
  const { closeSync, openSync } = process.getBuiltinModule("node:fs")
  const highest = Math.max(...descriptors)
  const nullDevice = descriptors.length === 0 ? undefined : openNullDevice(openSync)
  if (nullDevice === undefined) return spawnWith(child, "ignore")
  try {
    return spawnWith(
      child,
      Array.from({ length: highest + 1 }, (_, fd) => descriptors.includes(fd) ? nullDevice : "ignore")
    )
  } catch {
    // libuv needs a free descriptor above the highest, which the limit may forbid.
    return spawnDetached(child, descriptors.filter((fd) => fd !== highest))
  } finally {
    closeSync(nullDevice)
  }
}

// One synchronous call. Effect's own spawner waits for the thread pool and for the child, which would delay the end of
// the command.
const spawn = (command: Child): Effect.Effect<ChildProcess & { readonly pid: number }, string> =>
  Effect.callback((resume) => {
    try {
      const child = spawnDetached(command)
      // Node reports a refused spawn on the next tick. Without a listener that would be an uncaught exception in the
      // host.
      child.on("error", (error: NodeJS.ErrnoException) => resume(Effect.fail(error.code ?? "unknown error")))
      child.unref()
      const { pid } = child
      if (pid !== undefined) resume(Effect.succeed(Object.assign(child, { pid })))
    } catch (error) {
      // Not the message, which may contain an argument or the value of a variable.
      const code = Predicate.hasProperty(error, "code") ? String(error.code) : "unknown error"
      resume(Effect.fail(code))
    }
  })

const lowerPriority = (pid: number): void => {
  try {
    process.getBuiltinModule("node:os").setPriority(pid, lowestPriority)
  } catch {
    // The worker runs with the normal priority.
  }
}

/** The options of a start. */
export interface Start {
  /** Whether the worker waits for more messages before it ends. */
  readonly lingers: boolean
  /** Whether the starter waits for the worker. Then the priority of the worker is not lowered. */
  readonly isAwaited: boolean
}

/** A worker that was started. */
export interface Started {
  readonly lingers: boolean
  /** Completes when its process has ended. */
  readonly ended: Promise<unknown>
}

/**
 * Runs a start without interruption. If no worker could be started, then it writes a debug line and returns `other`.
 */
export const orElse = <const B, A, R>(other: B, start: Effect.Effect<A, string, R>): Effect.Effect<A | B, never, R> =>
  Effect.uninterruptible(Effect.catch(start, (why) => Effect.as(debug(why), other)))

/**
 * Creates the function that starts a worker: detached, in its own session, with the environment that sending needs. The
 * function returns undefined if it starts none, and fails with a reason if it could not start one.
 *
 * The starter acquires the lease for the worker, so that a burst of commands starts one worker. Of two starters at the
 * same time, one kills its worker. `keepsSent` is passed to the worker and its successors, which cannot detect CI.
 */
export const make = Effect.fnUntraced(function*(files: StateFiles, keepsSent: boolean) {
  const runtime = yield* HostRuntime
  const path = yield* Path.Path
  const { bounds, codec, destination, destinationId, name } = yield* UsageSettings
  const leases: Lease.Leases = { files, folder: OutboxFolder.make(files.home, destinationId).root, runtime }
  // The provider of the layer has the environment of the process. A command may replace it by the host's configuration.
  const provider = Variable.providerIn(yield* Effect.context<never>())

  const delimiter = path.sep === "\\" ? ";" : ":"
  const resolve = (value: string): string | undefined => {
    try {
      return path.resolve(value)
    } catch {
      // The working directory was deleted. Without the variable, the worker uses the default of the platform.
      return undefined
    }
  }

  // A relative path would be resolved in the directory of the worker.
  const normalize = (name: string, value: string): string | undefined => {
    if (value === "") return undefined
    if (folders.includes(name)) return resolve(value)
    if (lists.includes(name)) return value.split(delimiter).filter((entry) => path.isAbsolute(entry)).join(delimiter)
    return proxies.includes(name) ? proxyUrl(value) : value
  }

  // Code in these folders is executed, and Node.js checks neither owner nor mode.
  const isCodeSafe = (): boolean => {
    const { compileCache } = files.home
    const names = files.makeFolder(compileCache) ?? files.list(compileCache)
    const isSafe = !isRefused(names) && names.every((name) => files.makeFolder(`${compileCache}/${name}`) === undefined)
    if (!isSafe) files.notes.add(`the code of workers is not cached: ${compileCache} is not the user's own`)
    return isSafe
  }

  const environment = Effect.fnUntraced(function*(job: WorkerJob.WorkerJob) {
    const env: Record<string, string> = {}
    const { NODE_V8_COVERAGE, ...own } = yield* Variable.readFrom(provider, ["NODE_V8_COVERAGE", ...inheritedVariables])
    for (const [name, value] of Object.entries(own)) {
      const text = value === undefined ? undefined : normalize(name, value)
      if (text !== undefined) env[name] = text
    }
    // Node.js passes this variable to a child, unless it is set.
    if (NODE_V8_COVERAGE !== undefined) env["NODE_V8_COVERAGE"] = ""
    if (proxies.some((name) => name in env)) env["NODE_USE_ENV_PROXY"] = "1"
    // Deno would sometimes request its newest version.
    if (runtime.runtime.language === "deno") env["DENO_NO_UPDATE_CHECK"] = "1"
    // Compiling takes a seventh of a worker's CPU time. A short-lived runtime keeps no compiled code.
    if (job.lingers && (yield* files.notes.run(isCodeSafe))) env["NODE_COMPILE_CACHE"] = files.home.compileCache
    env[variable] = WorkerJob.encode(job)
    return env
  })

  return Effect.fnUntraced(
    function*(how: Start): Effect.fn.Return<Started | undefined, string> {
      const { executable, uuid, worker } = runtime
      if (worker === undefined) return yield* Effect.as(reportMissing, undefined)
      if (destination === undefined) return undefined
      const id = uuid()
      const { lingers } = how
      const home = files.home.root
      const env = yield* environment({
        name,
        home,
        codec: codec.name,
        destination,
        destinationId,
        lingers,
        keepsSent,
        maxAgeMillis: bounds?.ageMillis ?? OutboxFolder.defaultBounds.ageMillis,
        id
      })
      // A running process keeps its working directory busy.
      const cwd = path.parse(executable).root
      const child = yield* spawn({ executable, args: [...worker, marker], cwd, env })
      const { pid } = child
      const now = yield* Clock.currentTimeMillis
      const lease = yield* files.notes.run(() => Lease.acquire(leases, now, bootMillis, { id, pid, boots: true }))
      // If the starter was suspended, then its worker may already hold the lease.
      if (typeof lease !== "object" && Lease.inspect(leases, now).lease?.id !== id) {
        child.kill("SIGKILL")
        return lease === undefined ? undefined : yield* Effect.fail(`no lease (${lease})`)
      }
      // A starter that was suspended acquires the lease after its worker has ended. The lease of a worker that did not
      // begin is kept as evidence (ADR 0023).
      if (typeof lease === "object") child.once("exit", (code) => code === 0 && lease.release(0))
      if (lingers && !how.isAwaited) lowerPriority(pid)
      return { lingers, ended: new Promise((resolve) => child.once("exit", resolve)) }
    },
    Effect.mapError((why) => `could not start a worker: ${why}`)
  )
})
