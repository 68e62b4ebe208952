/**
 * What this machine is, and what can be measured on it.
 */
import { spawnSync } from "node:child_process"
import * as Os from "node:os"

export interface Machine {
  readonly cpus: number
  readonly node: string
  readonly kernel: string
}

const [major = "", minor = ""] = Os.release().split(".")

export const machine: Machine = {
  cpus: Os.availableParallelism(),
  node: process.versions.node,
  kernel: `${Os.type()} ${major}.${minor}`
}

const works = (words: ReadonlyArray<string>): boolean => {
  const [file = "", ...args] = words
  return spawnSync(file, args, { stdio: "ignore", timeout: 10_000 }).status === 0
}

/** The words that make a program the first process of a PID namespace, or why that cannot be. */
export const namespace: ReadonlyArray<string> | string = (() => {
  // Who is not root may be it in a namespace.
  const words = ["unshare", ...(process.getuid?.() === 0 ? [] : ["-U", "-r"]), "-p", "-f"]
  return works([...words, process.execPath, "-e", "0"]) ? words : "no PID namespace can be made (unshare -p -f)"
})()

/** The words that pin a program to one CPU, or why that cannot be. */
export const pinned: ReadonlyArray<string> | string = (() => {
  if (machine.cpus < 2) return "there is one CPU only: every row is of one"
  return works(["taskset", "-c", "0", process.execPath, "-e", "0"]) ? ["taskset", "-c", "0"] : "there is no taskset"
})()

/** Whether system calls can be listed, or why not. */
export const traces: true | string = works(["strace", "-f", "-y", "-o", "/dev/null", process.execPath, "-e", "0"])
  ? true
  : "there is no strace, or it may not trace (apt-get install strace)"

export const hasProc: boolean = process.platform === "linux"
