/** Starts a worker as a process of its own. */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
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
import * as HeldLease from "./HeldLease.ts"
import * as Lease from "./Lease.ts"
import type { StateFiles } from "./StateFiles.ts"
import * as Variable from "./Variable.ts"
import { marker, variable } from "./WorkerMarks.ts"

const folders = ["HOME", "TMPDIR", "TMP", "TEMP", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]

const lists = ["PATH", "SSL_CERT_DIR"]

// Not HTTP_PROXY: plain http is for this machine only.
const proxies = ["HTTPS_PROXY", "https_proxy"]

// What sending needs; never NODE_OPTIONS, NODE_TLS_REJECT_UNAUTHORIZED, LD_*, or a secret of the host.
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

const isDecodable = ({ password, username }: URL): boolean => {
  try {
    decodeURIComponent(username + password)
    return true
  } catch {
    return false
  }
}

// Node does not even start with a proxy that is no http: or https: URL, or whose password has a "%" that stands for
// nothing, and people write "proxy.example:3128".
const proxyUrl = (value: string): string | undefined => {
  const url = value.includes("://") ? value : `http://${value}`
  return /^https?:/i.test(url) && URL.canParse(url) && isDecodable(new URL(url)) ? url : undefined
}

/** Why a host without a worker delivers nothing, and what its author must do. */
export const missing =
  "this host has no worker: if it is bundled, its entry must call isWorker() of effect-cli-usage/worker first; if not, the file of the worker is gone"

export const tellMissing: Effect.Effect<void> = debug(`nothing is delivered: ${missing}`)

/** How long a worker may take from its start to a lease of its own, where nothing says whether it lives. */
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

// A child would keep the lock or pipe of a script that the host was given (ADR 0024). Node.js closes its own descriptors on
// exec, and the first 16 that it was given.
const inherited = (): ReadonlyArray<number> => {
  const { readFileSync, readdirSync } = process.getBuiltinModule("node:fs")
  const isGiven = (fd: number): boolean => {
    try {
      return fd > 15 && !closesOnExec.test(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))
    } catch {
      // The descriptor of the listing is closed.
      return false
    }
  }
  try {
    return readdirSync("/proc/self/fd").map(Number).filter(isGiven)
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

const openNothing = (open: typeof openSync): number | undefined => {
  try {
    return open("/dev/null", "r")
  } catch {
    // Node.js may not be permitted to. Then the worker holds what the host was given, for 10 s at most.
    return undefined
  }
}

// Node.js cannot close a descriptor in a child, but can put another one in its place.
const spawnDetached = (child: Child, given = inherited()): ChildProcess => {
  const { closeSync, openSync } = process.getBuiltinModule("node:fs")
  const highest = Math.max(...given)
  const nothing = given.length === 0 ? undefined : openNothing(openSync)
  if (nothing === undefined) return spawnWith(child, "ignore")
  try {
    return spawnWith(child, Array.from({ length: highest + 1 }, (_, fd) => given.includes(fd) ? nothing : "ignore"))
  } catch {
    // libuv needs a free descriptor above the highest, which the limit may forbid.
    return spawnDetached(child, given.filter((fd) => fd !== highest))
  } finally {
    closeSync(nothing)
  }
}

// One synchronous call. Effect's own spawner looks up the working directory in Node's thread pool and waits for the child
// to start, which a command would feel at its end.
const spawn = (command: Child): Effect.Effect<ChildProcess & { readonly pid: number }, string> =>
  Effect.callback((resume) => {
    try {
      const child = spawnDetached(command)
      // Node reports a refused spawn on the next tick; without a listener that would be an uncaught exception of the host.
      child.on("error", (error: NodeJS.ErrnoException) => resume(Effect.fail(error.code ?? "unknown error")))
      child.unref()
      const { pid } = child
      if (pid !== undefined) resume(Effect.succeed(Object.assign(child, { pid })))
    } catch (error) {
      // Not the message: where Node refuses an argument or a variable it quotes the value, which may be a secret.
      const code = Predicate.hasProperty(error, "code") ? String(error.code) : "unknown error"
      resume(Effect.fail(code))
    }
  })

const lowerPriority = (pid: number): void => {
  try {
    process.getBuiltinModule("node:os").setPriority(pid, lowestPriority)
  } catch {
    // The worker was started all the same.
  }
}

/** What the starter of a worker decides. */
export interface Start {
  /** Whether the worker waits a while for more. */
  readonly lingers: boolean
  /** Whether its starter waits for it: then its priority is not lowered. */
  readonly isAwaited: boolean
}

/** A worker that was started. */
export interface Started {
  readonly lingers: boolean
  /** Completes when its process has ended. */
  readonly ended: Promise<unknown>
}

/**
 * Makes the function that starts a worker: detached, in a session of its own, with nothing of its starter but what sending
 * needs. It returns nothing where none was started.
 *
 * The starter takes the lease for the worker, so that of the commands of a burst that end before their first worker runs,
 * one alone starts a process; of two that start one at the same time, one kills its own. `keepsSent` is
 * for the worker and its successors, which cannot see whether the command ran in CI.
 */
export const make = Effect.fnUntraced(function*(files: StateFiles, keepsSent: boolean) {
  const runtime = yield* HostRuntime
  const path = yield* Path.Path
  const { codec, destination, destinationId, name, variables } = yield* UsageSettings
  const leases: Lease.Leases = { files, folder: OutboxFolder.make(files.home, destinationId).root, runtime }
  // The layer's provider has the process's own environment; the command's may have the host's configuration only.
  const provider = yield* ConfigProvider.ConfigProvider

  const delimiter = path.sep === "\\" ? ";" : ":"
  // A relative path would be resolved in the worker's own directory.
  const usable = (name: string, value: string): string | undefined => {
    if (value === "") return undefined
    if (folders.includes(name)) return path.resolve(value)
    if (lists.includes(name)) return value.split(delimiter).filter((entry) => path.isAbsolute(entry)).join(delimiter)
    return proxies.includes(name) ? proxyUrl(value) : value
  }

  // Code in these folders is run, and Node.js looks at neither their owners nor their modes.
  const isCodeSafe = (): boolean => {
    const { compileCache } = files.home
    const names = files.makeFolder(compileCache) ?? files.list(compileCache)
    const isSafe = !isRefused(names) && names.every((name) => files.makeFolder(`${compileCache}/${name}`) === undefined)
    if (!isSafe) files.notes.add(`the code of workers is compiled anew: ${compileCache} is not the user's own`)
    return isSafe
  }

  const environment = Effect.fnUntraced(function*(job: WorkerJob.WorkerJob) {
    const env: Record<string, string> = {}
    for (const name of inheritedVariables) {
      const value = yield* Variable.read(name)
      const text = value === undefined ? undefined : usable(name, value)
      if (text !== undefined) env[name] = text
    }
    // Node passes this variable on, unless it is named.
    if ((yield* Variable.read("NODE_V8_COVERAGE")) !== undefined) env["NODE_V8_COVERAGE"] = ""
    if (proxies.some((name) => name in env)) env["NODE_USE_ENV_PROXY"] = "1"
    // Deno would ask for its newest version, now and then.
    if (runtime.runtime.language === "deno") env["DENO_NO_UPDATE_CHECK"] = "1"
    // Compiling its code is a seventh of what a worker costs. Where nothing is kept, that is not kept either.
    if (job.lingers && (yield* files.notes.run(isCodeSafe))) env["NODE_COMPILE_CACHE"] = files.home.compileCache
    env[variable] = WorkerJob.encode(job)
    return env
  }, Effect.provideService(ConfigProvider.ConfigProvider, provider))

  return Effect.fnUntraced(
    function*(how: Start): Effect.fn.Return<Started | undefined, string> {
      const { executable, uuid, worker } = runtime
      if (worker === undefined) return yield* Effect.as(tellMissing, undefined)
      if (destination === undefined) return undefined
      const id = uuid()
      const { lingers } = how
      const home = files.home.root
      const env = yield* environment({
        name,
        variables,
        home,
        codec: codec.name,
        destination,
        destinationId,
        lingers,
        keepsSent,
        id
      })
      // A live process pins its directory.
      const cwd = path.parse(executable).root
      const child = yield* spawn({ executable, args: [...worker, marker], cwd, env })
      const { pid } = child
      const now = yield* Clock.currentTimeMillis
      const isHolder = yield* files.notes.run(() =>
        HeldLease.acquire(leases, now, bootMillis, { id, pid, boots: true }) !== undefined ||
        // A starter that was suspended finds its worker at work.
        Lease.look(leases, now).lease?.id === id
      )
      if (!isHolder) {
        child.kill("SIGKILL")
        return undefined
      }
      if (lingers && !how.isAwaited) lowerPriority(pid)
      return { lingers, ended: new Promise((resolve) => child.once("exit", resolve)) }
    },
    Effect.catch((code) => Effect.as(debug(`could not start a worker: ${code}`), undefined)),
    Effect.uninterruptible
  )
})
