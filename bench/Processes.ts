/**
 * The detached processes that the measured programs left behind.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { marker } from "../src/layers/WorkerMarks.ts"
import { out } from "./Build.ts"

const marks = [marker, "--bench-capture", `${out}/hosts/empty.cjs`]

/** Those of this checkout's bench that live, by their arguments. */
export const left = (): ReadonlyArray<number> =>
  spawnSync("ps", ["-A", "-o", "pid=,args="], { encoding: "utf8", maxBuffer: 1 << 26 }).stdout.split("\n")
    .filter((line) => line.includes(out) && marks.some((mark) => line.includes(mark)))
    .map((line) => Number.parseInt(line, 10))

/** The same without starting a process: where there is `/proc`. */
export const leftInProc = (): ReadonlyArray<number> =>
  Fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const line = Fs.readFileSync(`/proc/${name}/cmdline`, "utf8")
      return line.includes(out) && marks.some((mark) => line.includes(mark)) ? [Number(name)] : []
    } catch {
      return []
    }
  })

/** Memory of a process in KiB, what it shares with others divided among them; 0 once it is gone. */
export const memory = (pid: number): number => {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(Fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

export const end = (pids: ReadonlyArray<number>): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL")
    } catch {
      // It has ended by itself.
    }
  }
}

/** Waits until none is left, 15 s at most. */
export const gone = async (): Promise<void> => {
  const deadline = performance.now() + 15_000
  while (left().length > 0 && performance.now() < deadline) await sleep(50)
}
