/**
 * Starts a worker as a process of its own.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { debug } from "../domain/Debug.ts"
import * as WorkerJob from "../domain/WorkerJob.ts"
import { marker, variable } from "../domain/WorkerMarks.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"

const paths = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"]
const proxies = [
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy"
]

// What sending needs; never NODE_OPTIONS, NODE_TLS_REJECT_UNAUTHORIZED, LD_*, or a secret of the host.
const inherited = [
  "PATH",
  "HOME",
  "TMPDIR",
  "TMP",
  "TEMP",
  "NODE_USE_SYSTEM_CA",
  "USERPROFILE",
  "APPDATA",
  "LOCALAPPDATA",
  "PROGRAMDATA",
  "SystemRoot",
  "SystemDrive",
  "windir",
  "__CF_USER_TEXT_ENCODING",
  ...paths,
  ...proxies
]

/**
 * The function that starts a worker: detached, in a session of its own, with nothing of its starter but what sending
 * needs.
 *
 * A worker that lingers gives way to the user's own processes; one that is waited for does not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const runtime = yield* RuntimeEnvironment
  const spawner = yield* ChildProcessSpawner
  const path = yield* Path.Path

  const environment = Effect.fnUntraced(function*(job: WorkerJob.WorkerJob) {
    const env: Record<string, string> = {}
    for (const name of inherited) {
      const value = yield* Effect.orElseSucceed(Config.option(Config.String(name)), () => Option.none<string>())
      // A relative path would be looked up from the worker's own directory.
      if (Option.isSome(value)) env[name] = paths.includes(name) ? path.resolve(value.value) : value.value
    }
    if (proxies.some((name) => name in env)) env["NODE_USE_ENV_PROXY"] = "1"
    env[variable] = WorkerJob.encode(job)
    return env
  })

  return Effect.fnUntraced(function*(job: WorkerJob.WorkerJob) {
    const { worker } = runtime.process
    if (worker === undefined) {
      return yield* debug(
        "this host is bundled without a worker: begin its entry with isWorker() of effect-cli-usage/worker"
      )
    }
    const handle = yield* spawner.spawn(ChildProcess.make(
      runtime.process.executable,
      [...worker, marker],
      {
        detached: true,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
        windowsHide: true,
        // A live process pins its directory.
        cwd: path.parse(runtime.process.executable).root,
        env: yield* environment(job),
        extendEnv: false
      }
    ))
    yield* handle.unref
    if (job.lingers) yield* runtime.process.lowerPriority(handle.pid)
  }, Effect.scoped)
})
