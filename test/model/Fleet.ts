/**
 * Real processes on one home: starts them, kills and stops them, and reads their journals as one trace.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Esbuild from "esbuild"
import * as ChildProcess from "node:child_process"
import * as NCrypto from "node:crypto"
import * as NFS from "node:fs"
import * as OS from "node:os"
import * as Path from "node:path"
import * as Timers from "node:timers/promises"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Entry, Task } from "./Driver.ts"
import * as Host from "./Host.ts"
import * as Invariants from "./Invariants.ts"
import * as Program from "./Program.ts"
import * as Trace from "./Trace.ts"

/** The driver in one file, so that a process starts in a tenth of a second. */
export const bundle = (folder: string): string => {
  const outfile = Path.join(folder, "driver.mjs")
  Esbuild.buildSync({
    stdin: {
      contents: `import { run } from "./Driver.ts"\nrun()\n`,
      resolveDir: import.meta.dirname,
      loader: "ts"
    },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    legalComments: "none"
  })
  return outfile
}

export interface Plan {
  readonly actor: Program.Actor
  /** All of a phase begin at about the same time, when the one before is over or stopped. */
  readonly phase: number
  /** Milliseconds after its phase began. */
  readonly delay: number
  /** What befalls it, so many milliseconds after it began; who is stopped goes on in a later phase. */
  readonly signal: { readonly kind: "kill" | "stop"; readonly after: number; readonly until: number } | undefined
}

const spawn = (driver: string, plan: Plan, task: Task) => {
  const child = ChildProcess.spawn(process.execPath, [driver, JSON.stringify(task)], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {}
  })
  const ended = new Promise((resolve) => child.once("close", resolve))
  const ready = new Promise((resolve) => child.stdout?.once("data", resolve))
  return { plan, child, ready: Promise.race([ready, ended]), ended, isStopped: false }
}

type Running = ReturnType<typeof spawn>

const begin = async (running: Running): Promise<unknown> => {
  const { child, ended, plan: { delay, signal } } = running
  await Timers.setTimeout(delay)
  child.stdin?.end("go\n")
  if (signal === undefined) return ended
  const isOver = await Promise.race([ended.then(() => true), Timers.setTimeout(signal.after, false)])
  if (isOver) return undefined
  if (signal.kind === "kill") child.kill("SIGKILL")
  else running.isStopped = child.kill("SIGSTOP")
  return signal.kind === "kill" ? ended : undefined
}

const readJournal = (file: string): ReadonlyArray<Entry> =>
  !NFS.existsSync(file) ? [] : NFS.readFileSync(file, "utf8").split("\n").flatMap((line) => {
    // The last line of a process that was killed may be half a one.
    try {
      const entry: Entry = JSON.parse(line)
      return [entry]
    } catch {
      return []
    }
  })

const load = (home: string): MemoryDisk.MemoryDisk => {
  const disk = MemoryDisk.make()
  const walk = (folder: string, as: string): void => {
    disk.makeFolder(as)
    for (const entry of NFS.readdirSync(folder, { withFileTypes: true })) {
      const path = Path.join(folder, entry.name)
      if (entry.isDirectory()) walk(path, `${as}/${entry.name}`)
      else disk.create(`${as}/${entry.name}`, NFS.readFileSync(path, "utf8"))
    }
  }
  walk(home, Trace.home)
  return disk
}

const assemble = (
  home: string,
  plans: ReadonlyArray<Plan>,
  journals: ReadonlyArray<ReadonlyArray<Entry>>,
  delivered: Trace.Trace["wire"]
): Trace.Trace => {
  const disk = load(home)
  const trace = new Trace.Trace({
    seed: 0,
    initial: "empty",
    hasLinks: true,
    actors: plans.map(({ actor }) => actor),
    turns: [],
    switches: [],
    faults: []
  }, disk)
  const changedBy = (method: string): ReadonlySet<string> =>
    new Set(
      journals.flatMap((journal) =>
        journal.flatMap((entry, index) =>
          entry._tag === "Intent" && entry.method === method && journal[index + 1]?._tag === "Changed" ? entry.path : []
        )
      )
    )
  const removed = changedBy("remove")
  const renamed = changedBy("rename")
  // A worker moves the messages that it has sent.
  const isSent = (path: string) => path.includes("/events/") && renamed.has(path.replace("/events/", "/sent/"))
  for (const [actor, journal] of journals.entries()) {
    for (const [index, entry] of journal.entries()) {
      const { t } = entry
      trace.steps += 1
      switch (entry._tag) {
        case "Begin":
          trace.ops.push({
            actor,
            name: entry.name,
            op: entry.op ?? undefined,
            start: t,
            anonId: entry.anonId ?? undefined,
            stored: entry.stored ?? undefined,
            hasFailed: false,
            end: undefined
          })
          break
        case "End": {
          const op = trace.ops.at(-1)
          if (op !== undefined) op.end = t
          break
        }
        case "Invocation":
          trace.invocations.set(actor, entry.id)
          break
        case "Whole":
          trace.whole.set(actor, t)
          break
        case "Captured":
          trace.captured.set(actor, (trace.captured.get(actor) ?? 0) + 1)
          break
        case "Storing": {
          const stored = journal.slice(index).find(({ _tag }) => _tag === "Stored")
          trace.credentials.push({ t, until: stored?.t ?? Infinity, actor, secret: entry.secret ?? undefined })
          break
        }
        case "Sent":
          trace.wire.push({ t, text: entry.text })
          break
        case "Intent": {
          const { method, path, text } = entry
          // A killed process did what it was about to do if that can be seen, or was seen; when is unknown.
          const outcome = journal[index + 1]
          if (outcome?._tag === "Unchanged") trace.races += 1
          const isSeen = Trace.textOn(disk, path) === text || removed.has(path) || isSent(path)
          const isDone = outcome === undefined ? isSeen : outcome._tag === "Changed"
          if (isDone) trace.changes.push({ since: t, t: outcome?.t ?? Infinity, actor, method, path, text })
          break
        }
        default:
      }
    }
  }
  trace.changes.sort((a, b) => a.t - b.t)
  trace.credentials.sort((a, b) => a.t - b.t)
  trace.wire.sort((a, b) => a.t - b.t)
  trace.wire.push(...delivered)
  return trace
}

/** Runs processes on a new home, and delivers what is left. */
export const run = async (options: {
  readonly driver: string
  readonly plans: ReadonlyArray<Plan>
  readonly seed: number
  readonly maxWait: number
  /** Puts something on the home before. */
  readonly prepare?: (home: string) => void
}): Promise<Trace.Trace> => {
  const folder = NFS.realpathSync(NFS.mkdtempSync(Path.join(OS.tmpdir(), "effect-cli-usage-fleet-")))
  const home = Path.join(folder, "home")
  NFS.mkdirSync(home, { mode: 0o700 })
  options.prepare?.(home)
  const stored = Path.join(home, "credentials.yaml")
  const before = NFS.existsSync(stored) ? NFS.readFileSync(stored, "utf8") : undefined
  const journalOf = (index: number) => Path.join(folder, `${index}.jsonl`)
  const fleet = options.plans.map((plan, index) =>
    spawn(options.driver, plan, {
      home,
      journal: journalOf(index),
      actor: plan.actor,
      seed: options.seed * 1000 + index,
      maxWait: options.maxWait
    })
  )
  try {
    await Promise.all(fleet.map(({ ready }) => ready))
    const phases = Math.max(...options.plans.map(({ phase }) => phase))
    for (let phase = 0; phase <= phases; phase += 1) {
      const resumed = fleet.filter((one) => one.isStopped && one.plan.signal?.until === phase)
      for (const one of resumed) one.child.kill("SIGCONT")
      await Promise.all([
        ...resumed.map(({ ended }) => ended),
        ...fleet.filter(({ plan }) => plan.phase === phase).map(begin)
      ])
    }
    for (const one of fleet) if (one.isStopped) one.child.kill("SIGCONT")
    await Promise.all(fleet.map(({ ended }) => ended))

    const delivered: Trace.Trace["wire"] = []
    const machine = {
      home,
      disk: NodeDisk.disk,
      uuid: () => NCrypto.randomUUID(),
      runtime: Program.runtimes.terminal
    }
    // The last delivery leaves everything where it is, so that the trace can still be compared with the disk.
    await Effect.runPromise(
      Host.drain(machine, {
        taken: false,
        isDenied: () => NFS.existsSync(Path.join(home, "usage/opt-out")),
        send: (messages) =>
          Effect.sync(() => {
            for (const message of messages) delivered.push({ t: Infinity, text: JSON.stringify(message) })
          })
      }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: {} })))
    )
    const journals = options.plans.map((_, index) => readJournal(journalOf(index)))
    const trace = assemble(home, options.plans, journals, delivered)
    trace.credentials.unshift({ t: 0, actor: -1, secret: before })
    return trace
  } finally {
    for (const { child } of fleet) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
    NFS.rmSync(folder, { recursive: true, force: true })
  }
}

/** A fleet for a reader. */
export const show = (plans: ReadonlyArray<Plan>, violation: Invariants.Violation): string =>
  [
    `broken: ${violation.rule}`,
    `  ${violation.detail}`,
    ...plans.map(({ actor, delay, phase, signal }, index) => {
      const said = Program.showActor(actor)
      const fate = signal === undefined
        ? ""
        : `, ${signal.kind} after ${signal.after} ms${signal.kind === "stop" ? ` until phase ${signal.until}` : ""}`
      return `#${index} phase ${phase}, after ${delay} ms${fate}: ${said}`
    })
  ].join("\n")

/** What the processes of a fleet did, in order: its runs are not the same again. */
export const timeline = (trace: Trace.Trace): string =>
  [
    ...trace.ops.flatMap(({ actor, end, name, start }) => [
      { t: start, text: `#${actor} begins ${name}` },
      { t: end ?? Infinity, text: end === undefined ? `#${actor} never ended ${name}` : `#${actor} ended ${name}` }
    ]),
    ...trace.credentials.map(({ actor, secret, t }) => ({ t, text: `#${actor} stores ${secret ?? "no key"}` })),
    ...trace.changes.map(({ actor, method, path, since, t, text }) => ({
      t,
      text: `#${actor} ${method} ${path}, since ${since}: ${text}`
    })),
    ...trace.wire.map(({ t, text }) => ({ t, text: `on the wire: ${text}` }))
  ].toSorted((a, b) => a.t - b.t).map(({ t, text }) => `${t} ${text}`).join("\n")
