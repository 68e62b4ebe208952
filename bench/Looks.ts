/**
 * The system calls of a steady command on the paths below its state home, and on the policy file.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"
import * as Server from "../examples/acme/Server.ts"
import type { Programs } from "./Build.ts"
import * as Device from "./Device.ts"
import type { Runner } from "./Runner.ts"

const policy = "/etc/acme"
const [principal, key] = ["account_1", "key_1"]

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/**
 * The calls of a log of `strace -f -y` that name such a path, or use a descriptor that was opened there: `-y` writes the
 * path of a descriptor behind its number.
 */
export const parse = (log: string, home: string): ReadonlyArray<string> => {
  const path = new RegExp(`["<](${escaped(home)}|${escaped(policy)})[/">]`)
  return log.split("\n")
    // A call that another thread interrupted has a second line.
    .filter((line) => path.test(line) && !/^(\d+ +)?<\.\.\. /.test(line))
    .map((line) => line.replace(/^\d+ +/, "").replaceAll(home, "~").replace("AT_FDCWD</>, ", ""))
    .map((call) => call.replaceAll(/\{[^}]*\}|0x[0-9a-f]+/g, "…"))
}

const trace = async (host: string, device: Device.Device): Promise<ReadonlyArray<string>> => {
  const log = Path.join(Device.folder, "strace.log")
  device.backOff()
  const words = [..."-f -y -qq -s 0 -e trace=%file,%desc -o".split(" "), log, process.execPath, host, "deploy", "site"]
  await promisify(execFile)("strace", words, { env: { ...device.env }, cwd: "/" })
  return parse(Fs.readFileSync(log, "utf8"), device.home)
}

/** The calls of a steady `deploy` of hosts without an account, and of ours with one. */
export const take = (
  programs: Programs,
  runner: Runner,
  posthog: string
): Promise<Readonly<Record<"Baseline" | "ByHand" | "Ours" | "LoggedIn", ReadonlyArray<string>>>> => {
  const { Baseline, ByHand, Ours } = programs.hosts
  const measured = async (api: string) => {
    const device = Device.make(posthog, { ACME_API_URL: api })
    // Workers deliver, so that no alias waits.
    const become = () => runner.run({ words: [process.execPath, Ours, "deploy", "site"], env: device.env, times: 3 })
    await become()
    const anonymous = {
      Baseline: await trace(Baseline, device),
      Ours: await trace(Ours, device),
      ByHand: await trace(ByHand, device)
    }
    device.delivers()
    Fs.writeFileSync(Path.join(device.home, "credentials.yaml"), `cloud:\n  api:\n    key: ${key}\n`, { mode: 0o600 })
    await become()
    const LoggedIn = await trace(Ours, device)
    if (device.last()?.distinct_id !== principal) throw new Error("looks: the traced command is not of the account")
    return { ...anonymous, LoggedIn }
  }
  const api = Server.make(new Map([[key, principal]]))
  return Effect.runPromise(Effect.scoped(Effect.flatMap(api, (url) => Effect.promise(() => measured(url)))))
}

/** The calls of both, for people: an ADR gives a reason for each. */
export const report = async (programs: Programs, runner: Runner, posthog: string): Promise<string> => {
  const { LoggedIn, Ours } = await take(programs, runner, posthog)
  const list = (title: string, calls: ReadonlyArray<string>): string =>
    [`${title}: ${calls.length}`, ...calls.map((call, index) => `${String(index + 1).padStart(4)} ${call}`)].join("\n")
  return [list("A steady command", Ours), list("A steady command of an account", LoggedIn)].join("\n\n")
}
