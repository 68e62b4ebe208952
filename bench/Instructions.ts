/**
 * The instructions that a command executes, counted by valgrind, with V8 on one thread.
 *
 * Two runs of a program differ by less than 0.001 %, also on a busy machine. Instructions are no time: they leave out what
 * the kernel does, and waits.
 */
import { execFileSync, spawnSync } from "node:child_process"
import type { Programs } from "./Build.ts"
import * as Device from "./Device.ts"

const flags = ["--single-threaded", "--predictable"]

type Variables = Readonly<Record<string, string>>

const count = (host: string, device: Device.Device, variables: Variables): number => {
  device.backOff()
  const words = [process.execPath, ...flags, host, "deploy", "site"]
  const env = { ...device.env, ...variables }
  // The first runs make the identity, and fill a compile cache.
  for (let n = 0; n < 3; n++) execFileSync(process.execPath, words.slice(1), { env, stdio: "ignore" })
  device.backOff()
  const options = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--log-fd=1"]
  const log = execFileSync("valgrind", [...options, ...words], { env, encoding: "utf8" })
  const [, counted] = /I\s+refs:\s+([\d,]+)/.exec(log) ?? []
  if (counted === undefined) throw new Error(`valgrind counted nothing: ${log.slice(0, 500)}`)
  return Number(counted.replaceAll(",", ""))
}

/** What a steady and a denied command add to the host without this package, for people: an ADR names the figures. */
export const report = (programs: Programs): string => {
  if (spawnSync("valgrind", ["--version"]).status !== 0) {
    throw new Error("the instructions of a command are counted by valgrind, which cannot be run: install it first")
  }
  const device = Device.make("http://127.0.0.1:9")
  const table = (
    title: string,
    baseline: string,
    hosts: ReadonlyArray<readonly [name: string, host: string, variables?: Variables]>
  ): ReadonlyArray<string> => {
    const without = count(baseline, device, {})
    const million = (n: number): string => (n / 1e6).toFixed(1)
    return [
      `${title}: ${million(without)} million instructions without this package`,
      ...hosts.map(([name, host, variables = {}]) => `  ${name}: +${million(count(host, device, variables) - without)}`)
    ]
  }
  const { cached, hosts } = programs
  // The host that records by hand needs an identity.
  count(hosts.Ours, device, {})
  return [
    ...table("A split host", hosts.Baseline, [
      ["recorded by hand", hosts.ByHand],
      ["a steady command", hosts.Ours],
      ["a command with telemetry denied by a variable", hosts.Ours, { DO_NOT_TRACK: "1" }]
    ]),
    ...table("With a compile cache", cached.Baseline, [["a steady command", cached.Ours]])
  ].join("\n")
}
