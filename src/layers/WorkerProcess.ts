/**
 * Starts a worker as a process of its own.
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as WorkerJob from "../domain/WorkerJob.ts"
import { CurrentProcess } from "../services/CurrentProcess.ts"
import { WorkerLease } from "../services/WorkerLease.ts"
import { debug } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"
import * as Variable from "./Variable.ts"
import { marker, variable } from "./WorkerMarks.ts"

const folders = ["HOME", "TMPDIR", "TMP", "TEMP", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]

const lists = ["PATH", "SSL_CERT_DIR"]

// Not HTTP_PROXY: plain http is for this machine only.
const proxies = ["HTTPS_PROXY", "https_proxy"]

// What sending needs; never NODE_OPTIONS, NODE_TLS_REJECT_UNAUTHORIZED, LD_*, or a secret of the host.
const inherited = [
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

/**
 * That the host has no worker, and what its author is to do.
 *
 * @category constants
 * @since 0.1.0
 */
export const missing = "this host is bundled without a worker. Ask isWorker() of effect-cli-usage/worker first"

/**
 * @category logging
 * @since 0.1.0
 */
export const tellMissing: Effect.Effect<void> = debug(`nothing is delivered: ${missing}`)

/** How long a worker may take from its start to a lease of its own. */
const bootMillis = 3_000

/**
 * The function that starts a worker: detached, in a session of its own, with nothing of its starter but what sending
 * needs. It says whether it did.
 *
 * None is started where one lives, or boots: the starter takes the lease for it. Of the commands of a burst that end
 * before their first worker runs, one alone pays for a process.
 *
 * A worker that lingers gives way to the user's own processes; one that is waited for does not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const current = yield* CurrentProcess
  const spawner = yield* ChildProcessSpawner
  const path = yield* Path.Path
  const leases = yield* WorkerLease
  const files = yield* StateFiles
  // That of the layer, which knows the process's own environment; the command's may know the host's configuration only.
  const provider = yield* ConfigProvider.ConfigProvider

  const delimiter = path.sep === "\\" ? ";" : ":"
  // A relative path would be looked up from the worker's own directory.
  const usable = (name: string, value: string): string | undefined => {
    if (value === "") return undefined
    if (folders.includes(name)) return path.resolve(value)
    if (lists.includes(name)) return value.split(delimiter).filter((entry) => path.isAbsolute(entry)).join(delimiter)
    return proxies.includes(name) ? proxyUrl(value) : value
  }

  const environment = Effect.fnUntraced(function*(job: WorkerJob.WorkerJob) {
    const env: Record<string, string> = {}
    for (const name of inherited) {
      const value = yield* Variable.read(name)
      const text = value === undefined ? undefined : usable(name, value)
      if (text !== undefined) env[name] = text
    }
    // Node hands this one on by itself, unless it is named.
    if ((yield* Variable.read("NODE_V8_COVERAGE")) !== undefined) env["NODE_V8_COVERAGE"] = ""
    if (proxies.some((name) => name in env)) env["NODE_USE_ENV_PROXY"] = "1"
    // Compiling its code is a seventh of what a worker costs. Where nothing is kept, that is not kept either.
    const { compileCache } = files.home
    if (job.lingers && (yield* files.makeFolder(compileCache))) env["NODE_COMPILE_CACHE"] = compileCache
    env[variable] = WorkerJob.encode(job)
    return env
  }, Effect.provideService(ConfigProvider.ConfigProvider, provider))

  return Effect.fnUntraced(
    function*(job: WorkerJob.WorkerJob) {
      const { worker } = current
      if (worker === undefined) {
        yield* tellMissing
        return false
      }
      const lease = yield* leases.acquire(bootMillis)
      if (lease === undefined) return false
      const handle = yield* environment({ ...job, lease: lease.number }).pipe(
        Effect.flatMap((env) =>
          spawner.spawn(ChildProcess.make(
            current.executable,
            [...worker, marker],
            {
              detached: true,
              stdin: "ignore",
              stdout: "ignore",
              stderr: "ignore",
              windowsHide: true,
              // A live process pins its directory.
              cwd: path.parse(current.executable).root,
              env,
              extendEnv: false
            }
          ))
        ),
        Effect.onError(() => lease.release)
      )
      yield* handle.unref
      if (job.lingers) yield* current.lowerPriority(handle.pid)
      return true
    },
    Effect.scoped,
    Effect.uninterruptible
  )
})
